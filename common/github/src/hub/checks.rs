//! Check runs: one for each job, found by the job's id, which GitHub keeps with it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::app::{Repository, encoded};
use crate::{CheckAction, CheckRun, CheckState, ForgeError};

/// The most that GitHub takes for a summary, in characters.
const SUMMARY: usize = 65_535;

#[derive(Deserialize)]
struct Page {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    id: u64,
}

/// Renews run `id`, else looks up, then renews or creates; of several the oldest stays.
pub(super) async fn put(repository: Repository<'_>, app_id: u64, id: Option<u64>, run: &CheckRun) -> Result<u64, ForgeError> {
    if let Some(id) = id {
        match change(repository, id, told(run)).await {
            Err(ForgeError::NotFound(_)) => {}
            other => return other.map(|()| id),
        }
    }
    let mut there = ours(repository, app_id, run).await?.into_iter();
    let Some(first) = there.next() else {
        let mut body = told(run);
        body["head_sha"] = json!(run.commit);
        return Ok(repository.post::<Run>("/check-runs", body).await?.id);
    };
    for late in there {
        supersede(repository, late, first, run).await?;
    }
    change(repository, first, told(run)).await?;
    Ok(first)
}

/// The runs of the job at its commit, oldest first.
async fn ours(repository: Repository<'_>, app_id: u64, run: &CheckRun) -> Result<Vec<u64>, ForgeError> {
    let path = format!("/commits/{}/check-runs?filter=all&app_id={app_id}", encoded(&run.commit));
    let pages: Vec<Page> = repository.pages(&path).await?;
    let job = run.job_id.to_string();
    let of_job = |there: &Run| there.external_id.as_deref() == Some(&job) && there.app.as_ref().is_none_or(|app| app.id == app_id);
    let mut ids: Vec<u64> = pages.into_iter().flat_map(|page| page.check_runs).filter(of_job).map(|run| run.id).collect();
    ids.sort_unstable();
    Ok(ids)
}

async fn change(repository: Repository<'_>, id: u64, body: Value) -> Result<(), ForgeError> {
    repository.patch::<IgnoredAny>(&format!("/check-runs/{id}"), body).await.map(drop)
}

/// Takes a second run of the job out of the way: nobody can delete one. Without the job's id it is not found again.
async fn supersede(repository: Repository<'_>, late: u64, first: u64, run: &CheckRun) -> Result<(), ForgeError> {
    let output = json!({ "title": run.title, "summary": format!("→ {first}") });
    let body = json!({
        "external_id": format!("superseded:{}", run.job_id),
        "status": "completed",
        "conclusion": "skipped",
        "output": output,
        "actions": [],
    });
    change(repository, late, body).await
}

/// What GitHub is told of `run`.
fn told(run: &CheckRun) -> Value {
    let summary: String = run.summary.chars().take(SUMMARY).collect();
    let mut body = json!({
        "name": run.name,
        "external_id": run.job_id.to_string(),
        "output": { "title": run.title, "summary": summary },
        "actions": run.actions.iter().map(|action| button(*action)).collect::<Vec<_>>(),
    });
    let conclusion = match run.state {
        CheckState::Queued | CheckState::InProgress => {
            body["status"] = json!(if run.state == CheckState::Queued { "queued" } else { "in_progress" });
            return body;
        }
        CheckState::Success => "success",
        CheckState::Neutral => "neutral",
        CheckState::ActionRequired => "action_required",
        CheckState::Cancelled => "cancelled",
    };
    body["status"] = json!("completed");
    body["conclusion"] = json!(conclusion);
    body
}

/// At most 20 characters for label and identifier, 40 for the description.
fn button(action: CheckAction) -> Value {
    let (label, description) = match action {
        CheckAction::Stop => ("Stop", "End this job and keep what it has"),
        CheckAction::Retry => ("Retry", "Do this job again from the beginning"),
    };
    let identifier: &str = action.into();
    json!({ "label": label, "description": description, "identifier": identifier })
}
