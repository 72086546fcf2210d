//! The words and rules of AI Code Team: identifiers, job states, caps, money, the ledger's hash
//! chain, the clock. Plain values and plain functions; no I/O and no async runtime.

pub mod alarm;
pub mod allowed;
pub mod anchor;
pub mod capacity;
pub mod caps;
pub mod clock;
pub mod command;
pub mod conversation;
pub mod diff;
pub mod event;
pub mod id;
pub mod job;
pub mod ledger;
pub mod money;
pub mod notice;
pub mod project;
pub mod review;
pub mod scale;
pub mod schedule;
pub mod scope;
pub mod secret;
pub mod sensitive;
pub mod token_scope;
pub mod usage;

pub use alarm::{AlarmAction, AlarmChange, AlarmMetric, AlarmState, Period, Spending};
pub use allowed::{AllowedPaths, GlobFault};
pub use capacity::{Capacity, CapacityError, Counts};
pub use caps::{CapReached, Caps, Reservation, Spent};
pub use clock::{Clock, SystemClock};
pub use command::{Command, NewCommand, StopCause};
pub use conversation::{Emotion, Subject};
pub use event::{Event, EventKind};
pub use id::{CommandId, Epoch, JobId, OwnerId};
pub use job::{CommentRef, Finish, JobInput, Kind, Mode, NewJob, Outcome, OutcomeName, QueueState, Trigger, WaitingFor};
pub use money::{MicroUsd, Price};
pub use notice::{NoticeError, Notices};
pub use project::Project;
pub use review::ReviewComment;
pub use scope::{NoScope, Scope};
pub use secret::Secret;
pub use sensitive::Sensitive;
pub use token_scope::TokenScope;
pub use usage::Usage;
