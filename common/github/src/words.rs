//! What people read of a job on the forge while it goes on, in their language. Plain functions of plain values; whatever strangers
//! or models wrote has been made inert by the caller.

mod answer;
mod fault;
mod language;
mod notes;
mod progress;
mod sentences;
mod translated;

pub use answer::{Line, Place, Refusal, cost, help, hint_not_read, nothing_runs, nothing_to_repeat, status, still_runs};
pub use language::Language;
pub use notes::{KeptBack, Note};
pub use progress::{Link, Progress, Stage, check_run, comment, kept_of_stopped};
pub use translated::{outcome, translated};
