//! The one owner of child processes: every program that this project starts is started here.
//!
//! A [`Command`] says what to run and within which limits; its environment is built, never inherited.
//! [`run`] runs it to its end and keeps its output, [`Service`] keeps a server running beside us, and
//! [`run_attached`] lends it our terminal. Whatever is started dies with the future or the value that
//! owns it, together with its process group.
//!
//! [`sandbox`] has the walls around what untrusted code runs, [`spawner`] the process that starts it where this one has given up
//! root.
//!
//! [`workers`] has workers come and go on this machine.
//!
//! [`postgres`] starts private PostgreSQL servers for demonstrations, local use and tests.
//!
//! What is deliberately absent: a shell. Arguments reach programs as they are; who wants a shell names
//! one (`Command::new("/bin/sh").args(["-c", script])`).

mod capture;
mod command;
mod error;
mod handed;
mod host;
mod limits;
mod run;
mod service;
mod spawn;
mod undertaker;

pub mod postgres;
pub mod sandbox;
pub mod spawner;
pub mod workers;

pub use command::Command;
pub use error::ProcessError;
pub use handed::Handed;
pub use host::host_name;
pub use limits::Limits;
pub use postgres::{PostgresError, PostgresOptions, PrivatePostgres};
pub use run::{Exit, Output, run, run_attached};
pub use rustix::process::Signal;
pub use sandbox::Sandbox;
pub use service::Service;
pub use workers::Workers;
