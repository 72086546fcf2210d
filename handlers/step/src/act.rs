//! The second half of a step: the tools.

use std::sync::Mutex;
use std::time::Duration;

use agent::{AgentError, ToolContext, ToolsRan, run_tools};
use anyhow::{Context, anyhow};
use config::failure;
use dispatch::{Ctx, HandlerError};
use failpoints::fail_point;
use process::Limits;
use serde::Deserialize;
use serde_json::Value;
use store::steps;
use tokio::time::Instant;

use crate::checkouts::JobCheckout;
use crate::stops::Unstopped;
use crate::{Step, Turn};

/// What one command of a tool may use of the machine; what all its processes may use together is in its sandbox.
pub(crate) const LIMITS: Limits = Limits {
    processes: Some(1024),
    data_bytes: Some(8 << 30),
    file_size_bytes: Some(1 << 30),
    open_files: Some(4096),
    oom_score_adj: Some(1000),
};

impl Step {
    /// Runs the newest reply's tool calls, stores what they said and where the workspace stands. `false` =
    /// a person stopped the job meanwhile; the tools were killed and nothing is stored.
    pub(crate) async fn act(&self, ctx: &Ctx, turn: &mut Turn<'_>, checkout: &JobCheckout) -> Result<bool, HandlerError> {
        let (job_id, step_no) = (turn.job_id(), turn.step_no());
        if let Some(summary) = self.summary(turn)? {
            return self.keep_summary(turn, summary, checkout).await.map(|()| true);
        }
        checkout.begin()?;
        let started = Instant::now();
        let context = ToolContext {
            workspace: &checkout.workspace,
            environment: &checkout.environment,
            limits: LIMITS,
            change: checkout.base.change.as_ref(),
            deadline: ctx.deadline.min(started + turn.active_left()),
            cancel: &ctx.cancel,
            gate: &Unstopped { db: &self.db, job_id, cancel: &ctx.cancel, granted: Mutex::new(turn.unstopped.take()) },
        };
        let newest = turn.history.last().ok_or_else(|| anyhow!("a step acts before it has thought"))?;
        let mut ran = match run_tools(self.tools.of(turn.brief.kind), &newest.reply, &context).await {
            Ok(ran) => ran,
            Err(AgentError::Cancelled) if self.stop_requested(job_id).await? => return Ok(false),
            Err(AgentError::Cancelled) => {
                return Err(HandlerError::RetryAfter { after: Duration::ZERO, message: "the tools were interrupted".to_owned() });
            }
            Err(error) => return Err(HandlerError::Internal(error.into())),
        };
        let took = started.elapsed();
        fail_point!(AfterTools);
        let checkpoint = match ran.changed {
            true => {
                checkout.open_up().await?;
                Some(checkout.git.checkpoint().await.map_err(failure::of_git)?)
            }
            false => None,
        };
        fail_point!(AfterCheckpoint);
        if self.only_asks(turn, &ran, checkout, checkpoint.as_ref()).await? {
            ran.ask();
        }
        turn.ran(ran, took);
        let results = results(turn)?;
        let acted = steps::Acted {
            step_no: step_no as i32,
            results: &results,
            checkpoint: checkpoint.as_ref().map(|checkpoint| (checkpoint.tree.as_str(), checkpoint.pack.as_slice())),
            left_out: checkpoint.as_ref().map_or(&[], |checkpoint| &checkpoint.left_out),
            took,
        };
        self.end_step(turn, &acted, checkout).await?;
        Ok(true)
    }

    /// The summary that the newest reply is, where it was asked for one. Who asked knows that; who found the reply
    /// stored finds it out again, for the model that gave it: another may be in its place by now, with another window.
    fn summary(&self, turn: &Turn<'_>) -> Result<Option<String>, HandlerError> {
        let Some((newest, before)) = turn.history.split_last() else { return Ok(None) };
        let asked = match turn.work.steps.last().filter(|stored| stored.step_no.unsigned_abs() == newest.step_no) {
            Some(stored) => self.models.lookup(&stored.model).map_err(|error| failure::of_worker(&error))?,
            None => turn.model,
        };
        let tools = self.tools.of(turn.brief.kind);
        let is_one = turn.asks_summary.unwrap_or_else(|| agent::wants_summary(&turn.brief, tools, before, asked));
        Ok(is_one.then(|| agent::summarised(&newest.reply, before, asked)))
    }

    /// Stores what the newest reply summed up, as what its step did: no tool runs. From the next step on it stands for
    /// the steps before it.
    async fn keep_summary(&self, turn: &mut Turn<'_>, summary: String, checkout: &JobCheckout) -> Result<(), HandlerError> {
        if let Some(newest) = turn.history.last_mut() {
            newest.set_ran(Some(ToolsRan { summary: Some(summary), ..ToolsRan::default() }));
        }
        let results = results(turn)?;
        let step_no = turn.step_no() as i32;
        let acted = steps::Acted { step_no, results: &results, checkpoint: None, left_out: &[], took: Duration::ZERO };
        self.end_step(turn, &acted, checkout).await
    }

    async fn end_step(&self, turn: &mut Turn<'_>, acted: &steps::Acted<'_>, checkout: &JobCheckout) -> Result<(), HandlerError> {
        let end = steps::store_results(&self.db, turn.job_id(), turn.epoch, acted).await.map_err(failure::of_store)?;
        fail_point!(AfterResults);
        if let Some(newest) = turn.history.last_mut() {
            // What any other worker reads may have lost a secret on the way.
            newest.set_ran(Some(ToolsRan::deserialize(&end.results).context("the stored results are not the agent's")?));
        }
        turn.work.ended(end, acted.checkpoint.map(|(tree, _)| tree));
        Ok(checkout.end(turn.step_no())?)
    }
}

/// What the newest step did, as it is stored.
fn results(turn: &Turn<'_>) -> Result<Value, HandlerError> {
    let ran = turn.history.last().and_then(|step| step.ran());
    Ok(serde_json::to_value(ran).context("the results are not JSON")?)
}
