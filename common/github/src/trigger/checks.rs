//! Buttons of check runs, and what only tells that something happened.

use std::str::FromStr;

use domain::{Command, JobId, NewCommand, StopCause};

use super::subject::{Place, steer};
use super::{Answer, nothing};
use crate::CheckAction;
use crate::webhook::{Payload, Repository};

/// `check_run`: a button, or GitHub's own "Re-run".
pub(super) fn pressed(payload: &Payload) -> Answer {
    let action = match payload.action.as_deref() {
        Some("rerequested") => CheckAction::Retry,
        Some("requested_action") => {
            let pressed = payload.requested_action.as_ref().and_then(|action| action.identifier.as_deref());
            let pressed = pressed.ok_or("the payload names no button")?;
            CheckAction::from_str(pressed).map_err(|_| format!("no check run of ours has a button {pressed:?}"))?
        }
        action => return Err(nothing("check_run", action)),
    };
    let run = payload.check_run.as_ref().ok_or("the payload holds no check run")?;
    let job_id = run.external_id.as_deref().and_then(|id| JobId::from_str(id).ok()).ok_or("the check run is of no job of ours")?;
    let place = Place::of_person(payload)?;
    let id = run.id.ok_or("the payload gives the check run no id")?;
    // The payload does not say when the button was pressed: as long as nothing happened since, it is the same press of that person's.
    // Another's is another: the first one may have been refused.
    let suite = run.check_suite.as_ref().and_then(|suite| suite.updated_at.as_deref());
    let at = run.completed_at.as_deref().or(suite).or(run.started_at.as_deref()).unwrap_or_default();
    let natural_key = format!("{}:check_run:{id}:{action}:{}:{at}", place.key, place.actor.to_lowercase());
    let command = match action {
        CheckAction::Stop => Command::Stop { because: StopCause::Asked },
        CheckAction::Retry => Command::Retry { mode: None },
    };
    let number = run.pull_requests.iter().flatten().find_map(|pull| pull.number);
    Ok(steer(NewCommand { job_id: Some(job_id), ..place.command(number, command, None) }, natural_key))
}

/// `installation` and `installation_repositories`: who was given what is asked of GitHub each time, so nothing is kept here.
pub(super) fn installed(event: &str, payload: &Payload) -> String {
    let account = payload.installation.as_ref().and_then(|installation| installation.account.as_ref()?.login.as_deref());
    let count = |list: &Option<Vec<Repository>>| list.as_ref().map_or(0, Vec::len);
    let (here, more, fewer) = (count(&payload.repositories), count(&payload.repositories_added), count(&payload.repositories_removed));
    format!(
        "{event} {} at {} ({here} repositories, {more} more, {fewer} fewer): nothing is kept of that here",
        payload.action.as_deref().unwrap_or("without an action"),
        account.unwrap_or("nobody"),
    )
}
