//! The end of jobs.
//!
//! Calls of one process are committed together, as they come: the first goes at once, and those that arrive
//! while it is under way go in the next statement. Nobody waits for company.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{Epoch, JobId, MicroUsd, Outcome, OutcomeName, Spent};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::json::json;
use crate::{Db, StoreError};

/// The most jobs that one statement ends.
const MOST: usize = 512;
/// How often a statement that met a deadlock is tried again.
const TRIES: usize = 3;

/// The ends of this process's jobs on their way to the database.
#[derive(Debug, Default)]
pub(crate) struct Finishes(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    endings: Vec<Ending>,
    /// Whether somebody is writing them.
    attended: bool,
}

#[derive(Debug)]
struct Ending {
    job_id: JobId,
    epoch: Epoch,
    outcome: OutcomeName,
    detail: Value,
    links: Value,
    answer: oneshot::Sender<Result<Spent, StoreError>>,
}

/// Ends a job: outcome, links, totals and the final ledger head go to `jobs`, the queue row goes away (a
/// dead job's stays). Returns what the job took.
///
/// Who drops the call may find the job ended all the same: it is written with others.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn finish(db: &Db, job_id: JobId, epoch: Epoch, outcome: &Outcome, links: &Value) -> Result<Spent, StoreError> {
    let (answer, answered) = oneshot::channel();
    let ending = Ending { job_id, epoch, outcome: outcome.name(), detail: json(outcome), links: json(links), answer };
    if db.finishes.put(ending) {
        // In a task of its own: whoever happened to come first may be dropped, and others wait for the same statement.
        tokio::spawn(Attendant { db: db.clone(), done: false }.attend());
    }
    answered.await.unwrap_or_else(|_| Err(gone("the process ends")))
}

/// Who writes the waiting ends. However it goes away, the next caller finds the place free.
struct Attendant {
    db: Db,
    /// It found nothing left and gave the place up then: by now somebody else may have it.
    done: bool,
}

impl Attendant {
    async fn attend(mut self) {
        while let Some(endings) = self.db.finishes.take() {
            write(&self.db, endings).await;
        }
        self.done = true;
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        if !self.done {
            self.db.finishes.lock().attended = false;
        }
    }
}

impl Finishes {
    /// Adds one; `true` = nobody attends to them yet, and the caller has to.
    fn put(&self, ending: Ending) -> bool {
        let mut waiting = self.lock();
        waiting.endings.push(ending);
        !std::mem::replace(&mut waiting.attended, true)
    }

    /// Those who wait, at most [`MOST`]; `None` = nobody does, and the caller may go.
    fn take(&self) -> Option<Vec<Ending>> {
        let mut waiting = self.lock();
        if waiting.endings.is_empty() {
            waiting.attended = false;
            return None;
        }
        let most = waiting.endings.len().min(MOST);
        Some(waiting.endings.drain(..most).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends jobs in one statement. One that the database refuses must not keep the others from ending, so then
/// each goes alone.
async fn write(db: &Db, mut endings: Vec<Ending>) {
    match write_together(db, &endings).await {
        Ok(spent) => {
            for Ending { job_id, epoch, answer, .. } in endings {
                let spent = spent.get(&(job_id, epoch)).copied().ok_or(StoreError::LeaseLost { job_id, epoch });
                // Who no longer waits need not be told.
                drop(answer.send(spent));
            }
        }
        Err(error) if endings.len() == 1 => {
            if let Some(ending) = endings.pop() {
                drop(ending.answer.send(Err(error)));
            }
        }
        Err(StoreError::Unavailable(error)) => {
            for ending in endings {
                drop(ending.answer.send(Err(gone(&error.to_string()))));
            }
        }
        Err(_) => {
            for ending in endings {
                Box::pin(write(db, vec![ending])).await;
            }
        }
    }
}

async fn write_together(db: &Db, endings: &[Ending]) -> Result<HashMap<(JobId, Epoch), Spent>, StoreError> {
    // In the order in which renewals lock them.
    let mut ordered: Vec<&Ending> = endings.iter().collect();
    ordered.sort_by_key(|ending| (ending.job_id, ending.epoch));
    // The same request twice at the same moment is one, and both are told what it took.
    ordered.dedup_by_key(|ending| (ending.job_id, ending.epoch));
    let ids: Vec<Uuid> = ordered.iter().map(|ending| ending.job_id.0).collect();
    let epochs: Vec<i64> = ordered.iter().map(|ending| ending.epoch.0).collect();
    let outcomes: Vec<String> = ordered.iter().map(|ending| <&str>::from(ending.outcome).to_owned()).collect();
    let details: Vec<Value> = ordered.iter().map(|ending| ending.detail.clone()).collect();
    let links: Vec<Value> = ordered.iter().map(|ending| ending.links.clone()).collect();
    let mut tries = 1;
    let rows = loop {
        let rows = sqlx::query_file!("sql/finish_many.sql", &ids, &epochs, &outcomes, &details, &links).fetch_all(&db.pool).await;
        match rows.map_err(StoreError::from) {
            Ok(rows) => break rows,
            Err(StoreError::Unavailable(sqlx::Error::Database(error))) if error.code().as_deref() == Some("40P01") && tries < TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    };
    let spent = rows.into_iter().map(|row| {
        let spent = Spent {
            steps: row.step_no.unsigned_abs(),
            tokens: row.tokens.unsigned_abs(),
            cost_microusd: MicroUsd(row.cost_microusd),
            active_ms: row.active_ms.unsigned_abs(),
        };
        ((JobId(row.job_id), Epoch(row.epoch)), spent)
    });
    Ok(spent.collect())
}

/// One error of the connection, told to everybody who waited for the statement.
fn gone(why: &str) -> StoreError {
    StoreError::Unavailable(sqlx::Error::Io(std::io::Error::other(why.to_owned())))
}
