//! What people ask of a world: jobs, and commands about them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::seq::IndexedRandom;
use tokio::time::{Instant, sleep};

use super::World;
use crate::model::script::Kind;
use crate::tickets::Ticket;

/// How long a request is handed in again and again.
const INSISTENCE: Duration = Duration::from_secs(90);

impl World {
    /// Asks for a job, again and again until a server has accepted it.
    ///
    /// # Errors
    /// When none does for a minute and a half.
    pub async fn ask(&mut self, kind: Kind) -> Result<()> {
        let repository = self.repositories.choose(&mut self.rng).context("there are repositories")?.name.clone();
        let number = self.tickets.len() as u64 + 1;
        self.tickets.push(Ticket::new(number, kind, &repository));
        self.hand_in(self.tickets.len() - 1).await
    }

    /// Hands a ticket in (again).
    ///
    /// # Errors
    /// When no server accepts it, or it becomes another job than before.
    pub async fn hand_in(&mut self, index: usize) -> Result<()> {
        self.deliver(index, 0).await
    }

    /// The same under another number of a delivery: `copy` 0 is the first.
    ///
    /// # Errors
    /// Those of [`World::hand_in`].
    pub async fn deliver(&mut self, index: usize, copy: u64) -> Result<()> {
        let ticket = self.tickets[index].clone();
        let job_id = self.insist(async |address| ticket.hand_in(address, copy).await).await?;
        let before = self.tickets[index].job_id.replace(job_id.clone());
        ensure!(before.is_none_or(|before| before == job_id), "the same label is another job: {}", ticket.tag);
        Ok(())
    }

    /// Writes a comment on the issue of a ticket, and delivers it so many times, as often as not as another delivery; all are one
    /// command.
    ///
    /// # Errors
    /// When no server accepts it, or it becomes several commands.
    pub async fn say(&mut self, index: usize, text: &str, times: u64) -> Result<()> {
        self.tickets[index].comments += 1;
        let ticket = self.tickets[index].clone();
        let mut known = None;
        for copy in 0..times {
            let command_id = self.insist(async |address| ticket.say(address, ticket.comments, copy / 2, text).await).await?;
            let before = known.replace(command_id.clone());
            ensure!(before.is_none_or(|before| before == command_id), "the same comment is another command: {text:?} on {}", ticket.tag);
        }
        Ok(())
    }

    /// Asks one server after the other until one answers as it should.
    async fn insist<T>(&mut self, ask: impl AsyncFn(&str) -> Result<T>) -> Result<T> {
        let until = Instant::now() + INSISTENCE;
        loop {
            let addresses: Vec<String> = self.servers.iter().filter_map(|server| server.address.clone()).collect();
            let address = addresses.choose(&mut self.rng).context("no server takes requests")?;
            match ask(address).await {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Asks for jobs until as many are ready or worked on as the plan wants; what waits for its lease to run
    /// out, or for its next attempt, does not count.
    ///
    /// # Errors
    /// Those of the database and of [`World::ask`].
    pub async fn top_up(&mut self, kinds: &[(Kind, u32)]) -> Result<()> {
        let owners: Vec<String> = self.workers.iter().filter_map(|worker| worker.owner.as_ref()).map(|id| format!("'{id}'")).collect();
        let owners = if owners.is_empty() { "null".to_owned() } else { owners.join(", ") };
        let busy: usize = self
            .database
            .sql
            .value(&format!(
                "select count(*) from queue where (state = 'leased' and owner in ({owners})) or (state <> 'dead' and state <> 'leased' and run_at <= now())"
            ))
            .await?;
        for _ in busy..self.plan.load {
            let kind = kinds.choose_weighted(&mut self.rng, |(_, weight)| *weight).context("there are kinds")?.0;
            self.ask(kind).await?;
        }
        Ok(())
    }
}
