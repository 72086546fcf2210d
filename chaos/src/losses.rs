//! What a process held when it was lost: seen while it stood still, so that a kill is counted for the
//! half-step that it really hit.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::model::Book;
use crate::model::script::Script;
use crate::sql::Sql;

/// How a process was lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum How {
    /// Killed.
    Killed,
    /// Stopped past its lease, and woken.
    Frozen,
    /// Told to end.
    Ended,
}

/// One process that was lost.
#[derive(Clone, Debug, Serialize)]
pub struct Loss {
    /// How.
    pub how: How,
    /// When, by the database's clock, in seconds since 1970.
    pub at: f64,
    /// What it held.
    pub held: Vec<Held>,
}

/// A job that a process held.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The job.
    pub job_id: String,
    /// Under which epoch.
    pub epoch: i64,
    /// Attempts without progress, this one included.
    pub attempt: i32,
    /// The last step that is stored.
    pub step_no: i32,
    /// The job's title.
    title: String,
    /// Its newest event.
    last: String,
    /// Whether its outcome is decided.
    decided: bool,
    /// What was going on.
    #[serde(default)]
    pub half_step: String,
    /// Whether its workspace was there.
    #[serde(default)]
    pub has_workspace: bool,
}

impl Loss {
    /// Whether it counts: at least one job with a live workspace was hit.
    pub fn counts(&self) -> bool {
        self.held.iter().any(|held| held.has_workspace)
    }
}

/// What `owner` holds at this moment.
///
/// # Errors
/// Those of the database.
pub async fn look(sql: &Sql, owner: &str, how: How, book: &Book, checkouts: &Path) -> Result<Loss> {
    let query = format!(
        "select queue.job_id, epoch, attempt, step_no, jobs.input ->> 'title' as title, outcome_pending is not null as decided,
                (select concat_ws(' ', kind, data ->> 'effect', data ->> 'state') from events
                 where events.job_id = queue.job_id order by seq desc limit 1) as last
         from queue join jobs using (job_id)
         where owner = '{owner}' and state = 'leased'
         order by queue.job_id"
    );
    let mut held: Vec<Held> = sql.rows(&query).await?;
    let at = sql.value("extract(epoch from clock_timestamp())").await?;
    for job in &mut held {
        job.has_workspace = has_workspace(checkouts, &job.job_id, job.epoch);
        job.half_step = half_step(job, book).to_owned();
    }
    Ok(Loss { how, at, held })
}

/// The half-step, named after what comes next.
fn half_step(held: &Held, book: &Book) -> &'static str {
    let script = Script::named_in(&held.title);
    let next = held.step_no as usize + 1;
    let ends = held.decided || script.as_ref().is_some_and(|script| next > script.steps());
    match held.last.as_str() {
        "claimed" if held.decided => "decide",
        "claimed" => "prepare",
        "prepared" | "tools_ran" if ends => "decide",
        "prepared" | "tools_ran" => "reserve",
        "model_called" => {
            let served = script.and_then(|script| book.get(&(script.tag, next))).cloned().unwrap_or_default();
            match (served.in_flight, served.replied) {
                (1.., _) => "call",
                (_, 1..) => "store_reply",
                _ => "send",
            }
        }
        "model_replied" => "tools",
        "effect branch intended" => "push",
        "effect branch confirmed" => "intend_pull_request",
        "effect pull_request intended" => "put_pull_request",
        "effect comment intended" => "put_comment",
        "effect pull_request confirmed" | "effect comment confirmed" => "finish",
        _ => "other",
    }
}

fn has_workspace(checkouts: &Path, job_id: &str, epoch: i64) -> bool {
    let databases = std::fs::read_dir(checkouts).into_iter().flatten().flatten();
    databases.map(|database| database.path().join(format!("{job_id}-{epoch}"))).any(|folder| folder.exists())
}

/// How often each half-step was hit.
pub fn by_half_step(losses: &[Loss]) -> BTreeMap<String, u32> {
    let mut hits = BTreeMap::new();
    for held in losses.iter().flat_map(|loss| &loss.held) {
        *hits.entry(held.half_step.clone()).or_default() += 1;
    }
    hits
}

/// How long it took until somebody took over what was held, in seconds: what was lost on its first attempt,
/// and what had been lost before and so waited out a backoff.
#[derive(Clone, Debug, Default)]
pub struct Recoveries {
    /// At the first attempt without progress.
    pub first: Vec<f64>,
    /// At later ones.
    pub later: Vec<f64>,
}

/// Finds who took over, in the events.
///
/// # Errors
/// Those of the database.
pub async fn recoveries(sql: &Sql, losses: &[Loss]) -> Result<Recoveries> {
    #[derive(Deserialize)]
    struct Claim {
        job_id: String,
        epoch: i64,
        at: f64,
    }
    let claims: Vec<Claim> = sql
        .rows(
            "select job_id, (data ->> 'epoch')::bigint as epoch, extract(epoch from created_at) as at
             from events where kind = 'claimed' order by job_id, seq",
        )
        .await?;
    let mut recoveries = Recoveries::default();
    for loss in losses {
        for held in &loss.held {
            let next = claims.iter().find(|claim| claim.job_id == held.job_id && claim.epoch > held.epoch);
            if let Some(next) = next {
                let list = if held.attempt <= 1 { &mut recoveries.first } else { &mut recoveries.later };
                list.push(next.at - loss.at);
            }
        }
    }
    Ok(recoveries)
}

/// From each give-back of a worker that shut down to the next claim, in seconds.
///
/// # Errors
/// Those of the database.
pub async fn give_backs(sql: &Sql) -> Result<Vec<f64>> {
    #[derive(Deserialize)]
    struct Gap {
        gap: f64,
    }
    let gaps: Vec<Gap> = sql
        .rows(
            "select extract(epoch from claimed.created_at - released.created_at) as gap
             from events released
             join events claimed on claimed.job_id = released.job_id and claimed.seq = released.seq + 1 and claimed.kind = 'claimed'
             where released.kind = 'released'",
        )
        .await?;
    Ok(gaps.into_iter().map(|gap| gap.gap).collect())
}
