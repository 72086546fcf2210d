//! The first half of a step: the model call.

use std::time::Duration;

use agent::{Hint, PastStep, Prompt};
use config::failure;
use dispatch::{Ctx, HandlerError};
use domain::{CapReached, Caps, Event, EventKind, MicroUsd, Outcome, Reservation};
use failpoints::fail_point;
use llm::{LlmError, ModelInfo, ModelRequest, Reply};
use store::ledger::{self, LateSettlement};
use store::steps::{self, Answered, Replied, StoredHint, StoredStep};
use store::{Db, StoreError, events};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use crate::stops::Objection;
use crate::{Step, StepResponse, Turn, decode};

/// How often a call that was asked to end looks whether a person asked, and how often a write is repeated
/// while the database is away.
const LOOK: Duration = Duration::from_millis(200);
/// How long a paid reply waits for a database that is away.
const PERSISTENCE: Duration = Duration::from_secs(60);

/// What came of thinking.
pub(crate) enum Thought {
    /// A reply is stored and is the newest step of the history.
    Stored,
    /// The job ends here, or waits.
    End(StepResponse),
}

/// A call that may be made: its body and what is held back for it.
struct Call {
    request: ModelRequest,
    body: String,
    reservation: Reservation,
    asks_summary: bool,
}

/// A call whose money is held back.
struct Granted {
    call: Call,
    /// When the database was asked for it.
    asked: Instant,
    /// Its reservation in the ledger.
    number: i64,
}

impl Step {
    /// Reserves, calls, stores. The reply and its settlement are one statement.
    pub(crate) async fn think(&self, ctx: &Ctx, turn: &mut Turn<'_>) -> Result<Thought, HandlerError> {
        if turn.history.is_empty() {
            self.tell_cleaned(turn).await?;
        }
        let Granted { call, asked, number } = match self.grant(turn).await? {
            Ok(granted) => granted,
            Err(end) => return Ok(Thought::End(end)),
        };
        fail_point!(AfterReserve);
        let stopped = || Ok(Thought::End(StepResponse::Done { outcome: Outcome::Stopped }));
        let (job_id, epoch, step_no) = (turn.job_id(), turn.epoch, call.request.step_no as i32);
        let (model, reserved) = (turn.model.name.as_str(), call.reservation.cost_microusd);
        if let Some(objection) = self.objection(ctx, job_id, asked).await {
            steps::give_back(&self.db, job_id, epoch, (step_no, model), (number, reserved), Duration::ZERO)
                .await
                .map_err(failure::of_store)?;
            return match objection {
                Objection::Stopped => stopped(),
                Objection::Interrupted => {
                    Err(HandlerError::RetryAfter { after: Duration::ZERO, message: "interrupted before the model was called".to_owned() })
                }
            };
        }
        let started = Instant::now();
        let deadline = ctx.deadline.min(started + turn.active_left());
        let provider = turn.provider.name().as_str();
        let span = tracing::info_span!(
            "model_call",
            job.id = %job_id,
            step_no,
            model,
            provider,
            tokens = Empty,
            cost_microusd = Empty,
            otel.kind = "client",
            otel.status_code = Empty
        );
        self.breakers.begins(turn.provider.name(), started);
        let called = self.call(ctx, turn, &call, deadline).instrument(span.clone()).await;
        let took = started.elapsed();
        metrics::histogram!("codeteam_model_call_duration_seconds", "provider" => provider).record(took.as_secs_f64());
        if !matches!(called, Some(Ok(_))) {
            span.record("otel.status_code", "ERROR");
        }
        let raw = match called {
            Some(Ok(raw)) => raw,
            None => {
                // Stopped by a person. It may be billed: the reservation stays open and counts in full.
                steps::spent_time(&self.db, job_id, epoch, took).await.map_err(failure::of_store)?;
                return stopped();
            }
            Some(Err(error)) => {
                if error.may_cost() {
                    steps::spent_time(&self.db, job_id, epoch, took).await
                } else {
                    steps::give_back(&self.db, job_id, epoch, (step_no, model), (number, reserved), took).await
                }
                .map_err(failure::of_store)?;
                self.breakers.failed(turn.provider.name(), &error, Instant::now());
                if matches!(error, LlmError::NoModel { .. }) {
                    self.breakers.absent(turn.model, Instant::now());
                }
                return match error {
                    LlmError::Timeout { .. } if deadline < ctx.deadline => {
                        Ok(Thought::End(StepResponse::CapReached { cap: CapReached::Time }))
                    }
                    error => Err(self.next_model(turn, &error).unwrap_or_else(|| failure::of_llm(error))),
                };
            }
        };
        let reply = match decode(turn.provider, turn.model, &raw) {
            Ok(reply) => reply,
            Err(error) => {
                steps::spent_time(&self.db, job_id, epoch, took).await.map_err(failure::of_store)?;
                self.breakers.failed(turn.provider.name(), &error, Instant::now());
                // Each such reply is paid for at an unknown price; once more may be bad luck, twice is not.
                let again = turn.work.attempt < 2;
                return Err(if again { failure::of_llm(error) } else { HandlerError::Invalid(error.to_string()) });
            }
        };
        self.breakers.succeeded(turn.provider.name());
        let cost = turn.model.price.cost(&reply.usage);
        span.record("tokens", reply.usage.new_tokens());
        span.record("cost_microusd", cost.0);
        drop(span);
        let answer = Answered {
            step_no,
            model,
            request: &call.body,
            before: turn.sent.as_deref(),
            reply: &raw,
            took,
            reservation: (number, reserved),
            usage: reply.usage,
            cost_microusd: cost,
            tools: match call.asks_summary {
                true => vec!["summary".to_owned()],
                false => reply.tool_calls.iter().map(|call| call.name.clone()).collect(),
            },
        };
        fail_point!(AfterCall);
        let asked = Instant::now();
        let replied = store(&self.db, turn, &answer).await?;
        fail_point!(AfterReply);
        let stored = StoredStep { step_no, model: model.to_owned(), reply: raw, results: None, tree: None };
        turn.unstopped = replied.filter(|replied| !replied.cancel_requested).map(|_| asked);
        turn.asks_summary = Some(call.asks_summary);
        turn.sent = Some(call.body);
        remember(turn, (stored, reply), replied, cost, took);
        Ok(Thought::Stored)
    }

    /// Plans the next call on all that was said to the job, and holds its money back; or what the job ends with, or waits for.
    async fn grant(&self, turn: &mut Turn<'_>) -> Result<Result<Granted, StepResponse>, HandlerError> {
        let (job_id, epoch) = (turn.job_id(), turn.epoch);
        loop {
            let planned = match turn.caps.left(&turn.work.spent_in_mode()) {
                Ok(left) => self.plan(turn, &left)?,
                Err(cap) => Err(cap),
            };
            let call = match planned {
                Ok(call) => call,
                Err(cap) => return Ok(Err(StepResponse::CapReached { cap })),
            };
            let reserve = steps::Reserve {
                step_no: call.request.step_no as i32,
                model: &turn.model.name,
                cost_microusd: call.reservation.cost_microusd,
                max_output: call.reservation.max_output,
                heard: Some(turn.work.heard),
            };
            fail_point!(BeforeReserve);
            let asked = Instant::now();
            match steps::reserve(&self.db, job_id, epoch, reserve).await {
                Ok(granted) => {
                    turn.work.heard = granted.event_seq;
                    return Ok(Ok(Granted { call, asked, number: granted.number }));
                }
                Err(StoreError::Unheard(_)) => {
                    turn.work = steps::load_since(&self.db, job_id, epoch, turn.work.clone()).await.map_err(failure::of_store)?;
                }
                Err(refused @ StoreError::OverBudget(_)) => return Ok(Err(StepResponse::Waits { reason: refused.to_string() })),
                Err(StoreError::Stopped(_)) => return Ok(Err(StepResponse::Done { outcome: Outcome::Stopped })),
                Err(error) => return Err(failure::of_store(error)),
            }
        }
    }

    /// Tells people what the model does not see of its task, where there is something.
    async fn tell_cleaned(&self, turn: &Turn<'_>) -> Result<(), HandlerError> {
        let cleaned = agent::cleaned(&turn.brief);
        if cleaned.is_empty() {
            return Ok(());
        }
        let data = serde_json::to_value(&cleaned).map_err(|error| HandlerError::Internal(error.into()))?;
        let event = Event::new(EventKind::Cleaned, data);
        events::append(&self.db, turn.job_id(), turn.epoch, &event).await.map_err(failure::of_store)
    }

    /// Builds the request and fits it into what is left: output is cut to the caps.
    fn plan(&self, turn: &Turn<'_>, left: &Caps) -> Result<Result<Call, CapReached>, HandlerError> {
        let hint = |hint: &StoredHint| Hint { before_step: hint.before_step.unsigned_abs(), text: hint.text.clone() };
        let hints: Vec<Hint> = turn.work.hints.iter().map(hint).collect();
        let prompt = agent::request(&turn.brief, self.tools.of(turn.brief.kind), &turn.history, &hints, turn.model);
        let body = turn.provider.encode(&prompt.request).map_err(failure::of_llm)?;
        let estimate = agent::estimate(&prompt, &body, turn.model).map_err(|full| HandlerError::Invalid(full.to_string()))?;
        let Prompt { mut request, asks_summary, .. } = prompt;
        let reservation = match Reservation::plan(left, &estimate, &turn.model.price) {
            Ok(reservation) => reservation,
            Err(cap) => return Ok(Err(cap)),
        };
        // A long conversation takes as long to encode as a commit takes: once, unless the caps cut it.
        let body = if request.max_output == reservation.max_output {
            body
        } else {
            request.max_output = reservation.max_output;
            turn.provider.encode(&request).map_err(failure::of_llm)?
        };
        Ok(Ok(Call { request, body, reservation, asks_summary }))
    }

    /// What a failed call means where another model can take over: the next attempt may begin at once.
    fn next_model(&self, turn: &Turn<'_>, error: &LlmError) -> Option<HandlerError> {
        let is_absent = matches!(error, LlmError::NoModel { .. });
        let may_pass = error.is_transient() || is_absent || matches!(error, LlmError::Auth { .. });
        if !turn.replaceable || !may_pass {
            return None;
        }
        let is_other = |next: &&ModelInfo| if is_absent { next.name != turn.model.name } else { next.provider != turn.model.provider };
        let next = self.first_that_is_up(turn.brief.mode).ok().filter(is_other)?;
        let message = format!("{error}; the next call goes to {}", next.name);
        Some(HandlerError::RetryAfter { after: Duration::ZERO, message })
    }

    /// Makes the call. A person's stop ends it at once (`None`); a shutdown or a lost lease lets it end, since
    /// it is paid for, for as long as the dispatcher's grace allows.
    async fn call(&self, ctx: &Ctx, turn: &Turn<'_>, call: &Call, deadline: Instant) -> Option<Result<String, LlmError>> {
        let abort = CancellationToken::new();
        let reply = turn.provider.call(&call.body, &call.request, deadline, &abort);
        tokio::pin!(reply);
        tokio::select! {
            reply = &mut reply => return Some(reply),
            () = ctx.cancel.cancelled() => {}
        }
        loop {
            // A database that does not answer has not said stop.
            if self.stop_requested(turn.job_id()).await.unwrap_or(false) {
                return None;
            }
            tokio::select! {
                reply = &mut reply => return Some(reply),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// Stores a paid reply, through a database that is away for a while if need be; `None` = what the database said to that was lost.
/// Without the lease only what it cost is written.
async fn store(db: &Db, turn: &Turn<'_>, answer: &Answered<'_>) -> Result<Option<Replied>, HandlerError> {
    let (job_id, epoch) = (turn.job_id(), turn.epoch);
    let until = Instant::now() + PERSISTENCE;
    let refused = loop {
        match steps::store_reply(db, job_id, epoch, answer).await {
            Ok(replied) => return Ok(Some(replied)),
            Err(StoreError::Unavailable(error)) if Instant::now() < until => {
                tracing::warn!(job.id = %job_id, "a paid reply waits for the database: {error}");
                tokio::time::sleep(LOOK).await;
            }
            Err(error) => break error,
        }
    };
    let late = LateSettlement {
        step_no: answer.step_no,
        model: answer.model,
        reservation_seq: answer.reservation.0,
        usage: answer.usage,
        cost_microusd: answer.cost_microusd,
    };
    match (refused, ledger::settle_late(db, job_id, late).await) {
        // It was stored by a statement whose confirmation was lost: its reservation is closed.
        (StoreError::Duplicate, Ok(false)) => Ok(None),
        // Somebody else took the same step under the same lease.
        (StoreError::Duplicate, Ok(true)) => Err(failure::of_store(StoreError::LeaseLost { job_id, epoch })),
        (refused, Ok(_)) => Err(failure::of_store(refused)),
        (refused, Err(error)) => {
            tracing::error!(job.id = %job_id, "reservation {} of job {job_id} stays open: {error}", answer.reservation.0);
            Err(failure::of_store(refused))
        }
    }
}

/// Takes the stored reply into the turn, as a later worker would load it.
fn remember(turn: &mut Turn<'_>, (stored, reply): (StoredStep, Reply), replied: Option<Replied>, cost: MicroUsd, took: Duration) {
    let spent = &mut turn.work.spent;
    spent.steps += 1;
    spent.tokens += reply.usage.new_tokens();
    spent.cost_microusd += cost;
    spent.active_ms += u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if let Some(replied) = replied {
        turn.work.wrote(replied.event_seq);
    }
    turn.history.push(PastStep::new(stored.step_no.unsigned_abs(), reply, None));
    turn.work.steps.push(stored);
}
