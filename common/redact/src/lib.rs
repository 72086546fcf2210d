//! What must not pass: secrets on their way out, and characters and Markdown that do something a reader does not see.
//!
//! Every text that leaves the process goes through [`Redactor`] at one of a few places, which docs/architecture.md lists.
//! Every text that comes in from outside goes through [`hidden`], and every text of a model that people read on a
//! forge through [`told`].
//!
//! What is deliberately absent: a guard against a program that *wants* to hide a secret from us. Whoever can run code
//! beside a secret can encrypt it; so the sandbox holds none. This crate is the net below that.

mod find;
mod formats;
mod found;
pub mod hidden;
mod live;
pub mod markdown;
mod needles;
mod redactor;
pub mod told;

pub use found::Found;
pub use redactor::{Finding, Redactor, has_mark};
