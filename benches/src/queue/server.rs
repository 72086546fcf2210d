//! What work costs the server, seen from outside: commits, log and processor time.

use std::fs;
use std::ops::Sub;

use anyhow::{Context, Result};
use testkit::TestDb;

/// Totals of a server since it started, or what was added between two of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Usage {
    /// Transactions of one database, those that only read included.
    pub(crate) transactions: f64,
    /// Bytes of write-ahead log, of the whole server.
    pub(crate) wal_bytes: f64,
    /// Processor time of all its processes.
    pub(crate) cpu_ms: f64,
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            transactions: self.transactions - earlier.transactions,
            wal_bytes: self.wal_bytes - earlier.wal_bytes,
            cpu_ms: self.cpu_ms - earlier.cpu_ms,
        }
    }
}

/// Looks at a server through a database that nobody else uses.
pub(crate) struct Observer {
    control: TestDb,
    postmaster: u32,
}

impl Observer {
    /// Of the server that this process's tests use.
    pub(crate) async fn new() -> Result<Self> {
        let control = TestDb::new().await;
        let backend: u32 = control.value("pg_backend_pid()").await.parse()?;
        let postmaster = Stat::read(backend).context("the server's processes are not on this machine")?.parent;
        Ok(Self { control, postmaster })
    }

    /// The totals so far, of `database`. Sessions tell theirs when they end, or up to a second late.
    pub(crate) async fn usage(&self, database: &str) -> Result<Usage> {
        let transactions = format!("select xact_commit + xact_rollback from pg_stat_database where datname = '{database}'");
        let wal_bytes = "pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')";
        Ok(Usage {
            transactions: self.control.value(&transactions).await.parse()?,
            wal_bytes: self.control.value(wal_bytes).await.parse()?,
            cpu_ms: self.cpu_ms()?,
        })
    }

    /// Of the postmaster, its processes, and those of them that have ended.
    fn cpu_ms(&self) -> Result<f64> {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // One that ends meanwhile is counted by its parent.
            let Some(stat) = Stat::read(id) else { continue };
            if id == self.postmaster {
                ticks += stat.own_ticks + stat.ended_ticks;
            } else if stat.parent == self.postmaster {
                ticks += stat.own_ticks;
            }
        }
        // USER_HZ is 100 on every Linux.
        Ok(ticks as f64 * 10.0)
    }
}

/// `/proc/PID/stat`, proc(5).
struct Stat {
    parent: u32,
    own_ticks: u64,
    ended_ticks: u64,
}

impl Stat {
    fn read(id: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    /// The program's name, in parentheses, may hold anything: what follows the last one counts.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self { parent: fields.get(1)?.parse().ok()?, own_ticks: number(11)? + number(12)?, ended_ticks: number(13)? + number(14)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let stat = Stat::parse("42 (post) gres (x) S 7 42 42 0 -1 0 0 0 0 0 11 22 33 44 20 0 1 0").unwrap();
        assert_eq!((stat.parent, stat.own_ticks, stat.ended_ticks), (7, 33, 77));
    }
}
