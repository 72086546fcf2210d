//! Judges from outside: what nobody here wrote says whether our requests are what the vendors take.

mod aimock;
mod conversation;
mod types;
