//! The second half of a step: the tools.

use std::path::Path;
use std::time::Duration;

use agent::{AgentError, Environment, ToolContext, ToolsRan, run_tools};
use anyhow::{Context, anyhow};
use config::failure;
use dispatch::{Ctx, HandlerError};
use failpoints::fail_point;
use process::Limits;
use process::sandbox::variables;
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
        let (job_id, epoch, step_no) = (turn.job_id(), turn.epoch, turn.step_no());
        if let Some(summary) = self.summary(turn)? {
            return self.keep_summary(turn, summary).await.map(|()| true);
        }
        self.checkouts.begin(job_id, epoch)?;
        let started = Instant::now();
        let environment = environment(&self.path, &checkout.home).behind(checkout.sandbox.clone());
        let context = ToolContext {
            workspace: &checkout.workspace,
            environment: &environment,
            limits: LIMITS,
            change: checkout.base.change.as_ref(),
            deadline: ctx.deadline.min(started + turn.active_left()),
            cancel: &ctx.cancel,
            gate: &Unstopped { db: &self.db, job_id, cancel: &ctx.cancel },
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
        self.end_step(turn, &acted).await?;
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
    async fn keep_summary(&self, turn: &mut Turn<'_>, summary: String) -> Result<(), HandlerError> {
        if let Some(newest) = turn.history.last_mut() {
            newest.ran = Some(ToolsRan { summary: Some(summary), ..ToolsRan::default() });
        }
        let results = results(turn)?;
        let step_no = turn.step_no() as i32;
        let acted = steps::Acted { step_no, results: &results, checkpoint: None, left_out: &[], took: Duration::ZERO };
        self.end_step(turn, &acted).await
    }

    async fn end_step(&self, turn: &Turn<'_>, acted: &steps::Acted<'_>) -> Result<(), HandlerError> {
        steps::store_results(&self.db, turn.job_id(), turn.epoch, acted).await.map_err(failure::of_store)?;
        fail_point!(AfterResults);
        Ok(self.checkouts.end(turn.job_id(), turn.epoch, turn.step_no())?)
    }
}

/// The variables of a job's commands.
pub(crate) fn environment(path: &str, home: &Path) -> Environment {
    let found = variables(path.as_ref());
    found.iter().fold(Environment::new(path, home), |environment, (name, value)| environment.with(name, &value.display().to_string()))
}

/// What the newest step did, as it is stored.
fn results(turn: &Turn<'_>) -> Result<Value, HandlerError> {
    let ran = turn.history.last().and_then(|step| step.ran.as_ref());
    Ok(serde_json::to_value(ran).context("the results are not JSON")?)
}
