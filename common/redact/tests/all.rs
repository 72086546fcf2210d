//! The redactor from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod forms;
mod speed;
mod this_repository;
