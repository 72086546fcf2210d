//! The one reader of environment and secrets. Everything else is given what it needs: a handler says how it
//! is built from [`Services`] by implementing [`Configured`], and both its own Lambda binary ([`run`]) and
//! the runtime's registry build it that way.

mod app;
mod app_entries;
mod aws;
mod cloud;
mod deployment;
mod environment;
pub mod failure;
pub mod logging;
mod login;
mod networks;
mod permission;
mod probe;
mod remote;
mod root;
mod rotation;
mod run;
mod secrets;
mod services;
mod settings;
mod start;

pub use app_entries::{AppEntries, EntryOutcome, Kept};
pub use deployment::{ByMode, DatabaseAuth, Deployment, Endpoints, Stage};
pub use environment::Environment;
pub use networks::Networks;
pub use permission::permission;
pub use probe::Probe;
pub use remote::mirror;
pub use root::{Root, begin, first, give_to_service, is_root, prepare_service_folders};
pub use run::{install_crypto, run};
pub use secrets::Need;
pub use services::{Configured, Services};
pub use settings::{Settings, SettingsError};
pub use start::StartError;
