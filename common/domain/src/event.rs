//! What happened to a job, as data: events are read after restarts, by people, by the dashboard and by
//! tests, so they carry fields and not sentences.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kinds of events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EventKind {
    /// Written: `{trigger, mode?}`.
    Enqueued,
    /// Triage let it pass: `{kind, mode, reason}`.
    Triaged,
    /// A worker took it: `{owner, epoch, attempt}`.
    Claimed,
    /// Its checkout is ready: `{base, against?, duration_ms, notes, caps}`, those that the repository lowers.
    Prepared,
    /// A model call is about to be made: `{step_no, model, max_output, reserved_microusd}`.
    ModelCalled,
    /// A reply is stored and paid for: `{step_no, model, usage, cost_microusd, duration_ms, tools}`.
    ModelReplied,
    /// The tools of a step are done: `{step_no, duration_ms, checkpoint, left_out, cleaned?}`.
    ToolsRan,
    /// Secrets or hidden characters were taken out of the texts of its task: `{redacted?, hidden?}`, counts by kind. What
    /// tools said has the same under `cleaned` in [`Self::ToolsRan`].
    Cleaned,
    /// Something is on its way to the forge, or there: `{effect, state, …}`.
    Effect,
    /// A person's hint for the next model call: `{text, before_step, by}`.
    Hint,
    /// Somebody asked it to stop.
    StopRequested,
    /// The worker gave it back: `{reason}`.
    Released,
    /// Its lease ran out, or its worker was lost, and it was taken back: `{owner, attempt, alarm?}`, the number of the alarm that did it.
    LeaseExpired,
    /// An attempt failed and another follows: `{cause, attempt, run_at, alarm?}`, the number of the alarm that took it from its worker.
    AttemptFailed,
    /// Its call brought a scope above 80 % of the day's budget, once a day: `{scope, used_microusd, limit_microusd}`.
    BudgetWarning,
    /// A budget had no room for its call, and it waits: `{scope, used_microusd, limit_microusd, asked_microusd, run_at}`.
    BudgetRefused,
    /// It ended: `{outcome, …}`.
    Finalized,
    /// It waits without holding a worker: `{waiting_for, until, question?}`.
    Snoozed,
    /// Its wait is over: `{waited_for, by}`, by `time`, `request` or `hint`.
    Woken,
    /// It goes on in a larger mode, with fresh caps: `{from, to, reason, account, spent}`.
    HandedOver,
    /// An operator made it ready again, whoever held it: `{from}`, the state it was in.
    Requeued,
    /// A dead job is tried again from where it stood.
    Redriven,
    /// A dead job was taken out of the dead-letter queue; it stays dead.
    Discarded,
}

/// One event, before it has a number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The fields that the kind names.
    pub data: Value,
}

impl Event {
    /// An event of `kind` with its fields as a JSON object.
    pub fn new(kind: EventKind, data: Value) -> Self {
        Self { kind, data }
    }
}
