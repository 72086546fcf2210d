//! The first half of a step: the model call.

use std::time::Duration;

use agent::PastStep;
use config::failure;
use dispatch::{Ctx, HandlerError};
use domain::{CapReached, MicroUsd, Outcome, Reservation};
use llm::{LlmError, ModelRequest, Reply};
use store::ledger::{self, LateSettlement};
use store::{StoreError, steps};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Step, StepResponse, Turn};

/// How often a call that was asked to end looks whether a person asked.
const LOOK: Duration = Duration::from_millis(200);

/// What came of thinking.
pub(crate) enum Thought {
    /// A reply is stored and is the newest step of the history.
    Stored,
    /// The job ends here.
    End(StepResponse),
}

/// A call that may be made: its body and what is held back for it.
struct Call {
    request: ModelRequest,
    body: String,
    reservation: Reservation,
}

impl Step {
    /// Reserves, calls, stores. The reply and its settlement are one statement.
    pub(crate) async fn think(&self, ctx: &Ctx, turn: &mut Turn<'_>) -> Result<Thought, HandlerError> {
        let left = match turn.caps.left(&turn.work.spent) {
            Ok(left) => left,
            Err(cap) => return Ok(Thought::End(StepResponse::CapReached { cap })),
        };
        let call = match self.plan(turn, &left)? {
            Ok(call) => call,
            Err(cap) => return Ok(Thought::End(StepResponse::CapReached { cap })),
        };
        let (job_id, epoch, step_no) = (turn.job_id(), turn.epoch, call.request.step_no as i32);
        let model = turn.model.name.as_str();
        let reserved = call.reservation.cost_microusd;
        let reserve = steps::Reserve { step_no, model, cost_microusd: reserved, max_output: call.reservation.max_output };
        let number = steps::reserve(&self.db, job_id, epoch, reserve).await.map_err(failure::of_store)?;
        let started = Instant::now();
        let deadline = ctx.deadline.min(started + left.active());
        let raw = match self.call(ctx, turn, &call, deadline).await? {
            Some(Ok(raw)) => raw,
            Some(Err(LlmError::Timeout { .. })) if deadline < ctx.deadline => {
                // It may be billed; its reservation stays open and counts in full.
                return Ok(Thought::End(StepResponse::CapReached { cap: CapReached::Time }));
            }
            Some(Err(error)) => {
                if !error.may_cost() {
                    let closed = steps::release_reservation(&self.db, job_id, epoch, step_no, model, (number, reserved)).await;
                    closed.map_err(failure::of_store)?;
                }
                return Err(failure::of_llm(error));
            }
            None => return Ok(Thought::End(StepResponse::Done { outcome: Outcome::Stopped })),
        };
        let took = started.elapsed();
        let reply = turn.provider.decode(&raw).map_err(failure::of_llm)?;
        let cost = turn.model.price.cost(&reply.usage);
        let answer = steps::Answered {
            step_no,
            model,
            request: &call.body,
            reply: &raw,
            took,
            reservation: (number, reserved),
            usage: reply.usage,
            cost_microusd: cost,
            tools: reply.tool_calls.iter().map(|call| call.name.clone()).collect(),
        };
        match steps::store_reply(&self.db, job_id, epoch, &answer).await {
            Ok(()) => {}
            Err(lost @ StoreError::LeaseLost { .. }) => {
                let late = LateSettlement { step_no, model, reservation_seq: number, usage: reply.usage, cost_microusd: cost };
                if let Err(error) = ledger::settle_late(&self.db, job_id, late).await {
                    tracing::error!(job.id = %job_id, "reservation {number} of job {job_id} stays open: {error}");
                }
                return Err(failure::of_store(lost));
            }
            Err(error) => return Err(failure::of_store(error)),
        }
        remember(turn, step_no.unsigned_abs(), reply, cost, took);
        Ok(Thought::Stored)
    }

    /// Builds the request and fits it into what is left: output is cut to the caps.
    fn plan(&self, turn: &Turn<'_>, left: &domain::Caps) -> Result<Result<Call, CapReached>, HandlerError> {
        let mut request = agent::request(&turn.brief, &self.tools, &turn.history, &turn.hints(), turn.model);
        let body = turn.provider.encode(&request).map_err(failure::of_llm)?;
        let estimate = agent::estimate(&request, &body, turn.model).map_err(|full| HandlerError::Invalid(full.to_string()))?;
        let reservation = match Reservation::plan(left, &estimate, &turn.model.price) {
            Ok(reservation) => reservation,
            Err(cap) => return Ok(Err(cap)),
        };
        request.max_output = reservation.max_output;
        let body = turn.provider.encode(&request).map_err(failure::of_llm)?;
        Ok(Ok(Call { request, body, reservation }))
    }

    /// Makes the call. A person's stop ends it at once (`None`); a shutdown or a lost lease lets it end, since
    /// it is paid for, for as long as the dispatcher's grace allows.
    async fn call(
        &self,
        ctx: &Ctx,
        turn: &Turn<'_>,
        call: &Call,
        deadline: Instant,
    ) -> Result<Option<Result<String, LlmError>>, HandlerError> {
        let abort = CancellationToken::new();
        let reply = turn.provider.call(&call.body, &call.request, deadline, &abort);
        tokio::pin!(reply);
        tokio::select! {
            reply = &mut reply => return Ok(Some(reply)),
            () = ctx.cancel.cancelled() => {}
        }
        loop {
            if self.stop_requested(turn.job_id()).await? {
                return Ok(None);
            }
            tokio::select! {
                reply = &mut reply => return Ok(Some(reply)),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// Takes the stored reply into the turn, as a later worker would load it.
fn remember(turn: &mut Turn<'_>, step_no: u32, reply: Reply, cost: MicroUsd, took: Duration) {
    let spent = &mut turn.work.spent;
    spent.steps += 1;
    spent.tokens += reply.usage.new_tokens();
    spent.cost_microusd += cost;
    spent.active_ms += u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    turn.history.push(PastStep { step_no, reply, ran: None });
}
