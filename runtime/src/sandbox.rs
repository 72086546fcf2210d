//! The walls around tools, as an operator sees them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use anyhow::anyhow;
use config::Settings;
use metrics::gauge;
use process::sandbox::{Level, Machine, Unreachable, unreachable};

use crate::exit::Failure;
use crate::telemetry::figures::SANDBOX;

/// Says which walls stand around the tools of this process, and refuses to go on when they are weaker than `least`.
pub(crate) fn check(settings: &Settings, least: Option<Level>) -> Result<(), Failure> {
    let (level, machine) = (settings.sandbox_level(), Machine::this());
    if let Some(least) = least.filter(|least| level < *least) {
        let wanted = match settings.sandbox {
            Level::Full => String::new(),
            most => format!(", and CODETEAM_SANDBOX asks for {most} at the most"),
        };
        return Err(Failure::Environment(anyhow!(
            "the sandbox is at level {level}, below --sandbox-min {least}: this machine has {machine}{wanted}; \
             docs/sandbox.md says what each level needs"
        )));
    }
    gauge!(SANDBOX).set(level as u8);
    tracing::info!(sandbox.level = level.name(), "tools run in a sandbox of level {level}: {machine}");
    Ok(())
}

/// The mode of a state directory that we make ourselves: the users of the sandbox may pass through to what is theirs,
/// and see nothing else in it.
pub(crate) fn passable() -> Permissions {
    Permissions::from_mode(0o711)
}

/// What tools could not reach, because a folder on the way is closed to the users they run as.
pub(crate) fn closed(settings: &Settings) -> Vec<Unreachable> {
    match settings.sandbox_level().has_own_user() {
        true => unreachable(&settings.readable()),
        false => Vec::new(),
    }
}
