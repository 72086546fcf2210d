//! How a world comes to rest and ends, and what is kept of one in which something is wrong.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use super::World;

impl World {
    /// Waits until every job has ended.
    ///
    /// # Errors
    /// When some have not after `patience`.
    pub async fn quiet(&self, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        loop {
            let open: u64 = self.database.sql.value("select count(*) from queue where state <> 'dead'").await?;
            if open == 0 && self.unsaid().await? == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                let left: Vec<serde_json::Value> = self
                    .database
                    .sql
                    .rows("select job_id, state, waiting_for, attempt, epoch, run_at - now() as ready_in, lease_until - now() as leased_for from queue where state <> 'dead' limit 5")
                    .await?;
                let said: Vec<serde_json::Value> = self
                    .database
                    .sql
                    .rows("select part, job_id, attempt, problem, due_at - now() as due_in from outbox where done_at is null limit 5")
                    .await?;
                bail!(
                    "{open} jobs have not ended {} s after the last fault: {}; to be said: {}",
                    patience.as_secs(),
                    serde_json::to_string(&left)?,
                    serde_json::to_string(&said)?
                );
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// How much is still to be said or to be done on GitHub.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unsaid(&self) -> Result<u64> {
        let open = "select (select count(*) from outbox where done_at is null) + (select count(*) from commands where done_at is null)";
        if self.hub.is_some() { self.database.sql.value(open).await } else { Ok(0) }
    }

    /// Ends every process as a deployment does.
    ///
    /// # Errors
    /// When one does not end well.
    pub async fn end(&mut self) -> Result<()> {
        for process in self.workers.drain(..).chain(self.servers.drain(..)) {
            process.end().await?;
        }
        Ok(())
    }

    /// Keeps the folder, with every row of the database in it; where.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep(&mut self) -> Result<PathBuf> {
        let mut dump = String::new();
        for table in ["jobs", "queue", "steps", "events", "ledger", "effects", "deliveries", "job_keys", "outbox", "commands"] {
            let rows: Vec<serde_json::Value> = self.database.sql.rows(&format!("select '{table}' as \"table\", * from {table}")).await?;
            dump.extend(rows.into_iter().map(|row| format!("{row}\n")));
        }
        std::fs::write(self.folder.join("database.jsonl"), dump)?;
        let book: Vec<_> = self.model.book().into_iter().collect();
        std::fs::write(self.folder.join("model.json"), serde_json::to_vec_pretty(&book)?)?;
        std::fs::write(self.folder.join("losses.json"), serde_json::to_vec_pretty(&self.losses)?)?;
        if let Some(hub) = &self.hub {
            std::fs::write(self.folder.join("github.json"), serde_json::to_vec_pretty(&hub.shown())?)?;
        }
        self._folder.disable_cleanup(true);
        Ok(self.folder.clone())
    }
}
