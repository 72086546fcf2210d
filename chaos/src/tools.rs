//! The commands that tools run, as the machine sees them: processes whose text says which step of which job they are of.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

/// Shorter than any command that is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// What a process's start is counted in, everywhere on Linux.
const TICK: Duration = Duration::from_millis(10);

/// When a command ran.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// When it began, the last time that it did.
    pub began: Instant,
    /// When it was seen last.
    pub seen: Instant,
}

/// Looks at all processes again and again, until it is dropped.
pub struct Watch {
    ran: Arc<Mutex<BTreeMap<String, Ran>>>,
    over: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to look for commands with a mark, `step-N-of-TAG`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start() -> Result<Self> {
        let (ran, over) = (Arc::<Mutex<BTreeMap<String, Ran>>>::default(), Arc::new(AtomicBool::new(false)));
        let (known, end) = (Arc::clone(&ran), Arc::clone(&over));
        let look = move || {
            while !end.load(Ordering::Relaxed) {
                for (mark, began) in marked() {
                    let now = Ran { began, seen: Instant::now() };
                    known
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .entry(mark)
                        .and_modify(|known| *known = Ran { began: began.max(known.began), ..now })
                        .or_insert(now);
                }
                std::thread::sleep(LOOK);
            }
        };
        let looking = std::thread::Builder::new().name("tools".to_owned()).spawn(look).context("no thread to watch processes")?;
        Ok(Self { ran, over, looking: Some(looking) })
    }

    /// When the command with each mark ran.
    pub fn ran(&self) -> BTreeMap<String, Ran> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It never panics; whoever drops this cannot be told anyway.
        self.looking.take().map(JoinHandle::join);
    }
}

/// The marks of the processes that run, with when each began.
fn marked() -> Vec<(String, Instant)> {
    let listed = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| {
        let process = Path::new("/proc").join(id.to_string());
        // One that ends meanwhile has nothing to read.
        let command = std::fs::read(process.join("cmdline")).ok()?;
        let mark = mark(&String::from_utf8_lossy(&command))?;
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        let up = std::fs::read_to_string("/proc/uptime").ok()?;
        Some((mark, Instant::now().checked_sub(age(&stat, &up)?)?))
    })
    .collect()
}

/// The mark in the text of a command.
fn mark(command: &str) -> Option<String> {
    let text = &command[command.find("step-")?..];
    let mark = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '-').next()?;
    mark.contains("-of-").then(|| mark.to_owned())
}

/// How long a process has run, by the system's account of it and the system's own age.
fn age(stat: &str, up: &str) -> Option<Duration> {
    // The name, which may hold anything, ends at the last bracket; the start is the 20th field behind it.
    let started: u32 = stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()?;
    let up = Duration::try_from_secs_f64(up.split(' ').next()?.parse().ok()?).ok()?;
    Some(up.saturating_sub(TICK * started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_its_mark_and_its_age_by_its_start() {
        assert_eq!(mark("sh\0-c\0exec 2>&1\n: step-3-of-halted-0012; sleep 1").as_deref(), Some("step-3-of-halted-0012"));
        assert_eq!(mark("sh\0-c\0step-by-step"), None);
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 1";
        assert_eq!(age(stat, "48.11 90.00"), Some(Duration::from_secs(1)));
    }
}
