//! The one reader of environment and secrets. Everything else is given what it needs: a handler says how it
//! is built from [`Services`] by implementing [`Configured`], and both its own Lambda binary ([`run`]) and
//! the runtime's registry build it that way.

mod app;
mod aws;
mod environment;
pub mod failure;
pub mod logging;
mod networks;
mod permission;
mod probe;
mod remote;
mod root;
mod run;
mod services;
mod settings;

pub use environment::Environment;
pub use networks::Networks;
pub use permission::permission;
pub use probe::Probe;
pub use remote::mirror;
pub use root::{Root, begin, first, prepare_service_folders};
pub use run::{install_crypto, run};
pub use services::{Configured, Services};
pub use settings::{Settings, SettingsError};
