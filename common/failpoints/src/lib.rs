//! Named places between the half-steps of a job, at which the chaos suite loses or freezes a process.
//!
//! [`fail_point!`](crate::fail_point) marks a place in the code. Without the feature `armed` it is no code at
//! all, and only `chaos/` turns the feature on. There a process is armed for one place at a time, by
//! `arm`: when it comes there for the n-th time it kills or stops itself, as `kill -9` and `kill -STOP` from
//! outside would, but exactly there.

#[cfg(feature = "armed")]
mod armed;

#[cfg(feature = "armed")]
pub use armed::{arm, reach};

/// Every place. `Before` and `After` are seen from the statement, call or file that is named: before it was
/// sent, or after it was answered and before anybody acts on the answer.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum Point {
    /// A request came in, nothing is written.
    BeforeEnqueue,
    /// The job is written, the caller has no answer.
    AfterEnqueue,
    /// Triage has its lease.
    AfterTriageClaim,
    /// The job is ready.
    AfterTriage,
    /// The worker has a free slot.
    BeforeClaim,
    /// Jobs are claimed, nobody works on them yet.
    AfterClaim,
    /// The checkout is made, which nobody knows.
    BeforePrepared,
    /// The base commit is fixed.
    AfterPrepared,
    /// The call is planned.
    BeforeReserve,
    /// Money is held back, nothing is sent.
    AfterReserve,
    /// The reply is here and paid for, and not stored.
    AfterCall,
    /// The reply is stored, nothing acted on it.
    AfterReply,
    /// The tools ran, their work is not kept.
    AfterTools,
    /// The workspace is packed, nothing is stored.
    AfterCheckpoint,
    /// The step is stored, the checkout is not marked.
    AfterResults,
    /// The work ended, nobody knows how.
    BeforeDecide,
    /// How it ends is written down.
    AfterDecide,
    /// The branch is intended.
    AfterBranchIntent,
    /// The branch is there, which nobody knows.
    AfterPush,
    /// The branch is confirmed.
    AfterBranch,
    /// The pull request is intended.
    AfterPullRequestIntent,
    /// The pull request is there, which nobody knows.
    AfterPullRequestOpened,
    /// The pull request is confirmed.
    AfterPullRequest,
    /// The comment is intended.
    AfterCommentIntent,
    /// The comment is there, which nobody knows.
    AfterCommentWritten,
    /// The comment is confirmed.
    AfterComment,
    /// Everything is published.
    BeforeFinish,
    /// The job ended, its checkout is still there.
    AfterFinish,
    /// The worker shuts down and still holds its job.
    BeforeRelease,
    /// The job is given back.
    AfterRelease,
    /// Something around the job is away.
    BeforeWait,
    /// The job waits for it.
    AfterWait,
    /// An attempt failed.
    BeforeFailure,
    /// The queue knows.
    AfterFailure,
    /// Leases are due.
    BeforeRenew,
    /// They are renewed, the worker does not know.
    AfterRenew,
    /// The sweeper is about to look.
    BeforeSweep,
    /// It took leases back and has not said so.
    AfterSweep,
    /// Something is to be said on the forge, and this process has taken it.
    AfterOutboxTake,
    /// It is said, which nobody knows.
    AfterOutboxSend,
    /// A command is held, nothing is done.
    AfterCommandClaim,
    /// A command is done, and whoever asked for it here has no answer.
    AfterCommandDone,
}

/// Marks a place: `fail_point!(AfterReply)`. No code at all unless the feature `armed` is on.
#[cfg(feature = "armed")]
#[macro_export]
macro_rules! fail_point {
    ($point:ident) => {
        $crate::reach($crate::Point::$point)
    };
}

/// Marks a place: `fail_point!(AfterReply)`. No code at all unless the feature `armed` is on.
#[cfg(not(feature = "armed"))]
#[macro_export]
macro_rules! fail_point {
    ($point:ident) => {
        const _: $crate::Point = $crate::Point::$point;
    };
}
