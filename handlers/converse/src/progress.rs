//! How a job stands, for people, out of what is stored of it.

use std::collections::HashMap;

use domain::project::LowerCaps;
use domain::{Caps, EventKind, Mode, QueueState, WaitingFor};
use github::words::{self, Language, Link, Progress, Stage};
use redact::told;
use serde_json::Value;
use store::events::Recorded;
use store::jobs::{InQueue, Standing};

/// The events that say something which neither the job nor its queue row does.
pub(crate) const NEWS: &[EventKind] =
    &[EventKind::Prepared, EventKind::ModelReplied, EventKind::Snoozed, EventKind::AttemptFailed, EventKind::LeaseExpired];

/// The job as people see it. `caps` are those of its mode, where nobody lowered them.
pub(crate) fn of(standing: &Standing, news: &HashMap<String, Recorded>, mode: Mode, caps: Caps) -> Progress {
    let Standing { job, queue } = standing;
    let data = |kind: EventKind| news.get(<&str>::from(kind)).map(|event| &event.data);
    let replied = data(EventKind::ModelReplied);
    // What the repository lowers is known once it was read.
    let lowered: LowerCaps =
        data(EventKind::Prepared).and_then(|data| serde_json::from_value(data["caps"].clone()).ok()).unwrap_or_default();
    Progress {
        job_id: job.job_id,
        kind: job.kind,
        mode,
        model: replied.and_then(|data| data["model"].as_str()).map(told::line),
        stage: stage(standing, news),
        spent: match (&job.finished, queue) {
            (Some(finished), _) => finished.spent,
            (None, Some(queue)) => queue.spent,
            (None, None) => domain::Spent::default(),
        },
        caps: lowered.lower(caps.lowered_by(job.caps)),
        base: job.base_commit.clone(),
        tools: replied.map(|data| tools(&data["tools"])).unwrap_or_default(),
        notes: data(EventKind::Prepared).map(|data| notes(&data["notes"])).unwrap_or_default(),
        links: job.finished.as_ref().map(|finished| links(&finished.links)).unwrap_or_default(),
    }
}

fn stage(Standing { job, queue }: &Standing, news: &HashMap<String, Recorded>) -> Stage {
    let language = Language::of(&job.input);
    if let Some(finished) = &job.finished {
        return Stage::Ended { outcome: told::outcome(&words::outcome(&finished.outcome, language)) };
    }
    let event = |kind: EventKind| news.get(<&str>::from(kind));
    match queue {
        Some(InQueue { cancel_requested: true, .. }) | None => Stage::Stopping,
        Some(InQueue { state: QueueState::Leased, .. }) => Stage::Working,
        Some(InQueue { state: QueueState::Waiting, waiting_for, .. }) => {
            let question = event(EventKind::Snoozed).and_then(|event| event.data["question"].as_str());
            match (waiting_for.as_deref().and_then(|what| what.parse().ok()), question) {
                (Some(WaitingFor::Budget), _) => Stage::WaitsForBudget,
                (Some(WaitingFor::Answer), Some(question)) => Stage::Asks { question: told::text(question) },
                _ => Stage::Sleeps,
            }
        }
        Some(InQueue { attempt, .. }) => {
            let failed = event(EventKind::AttemptFailed).filter(|_| *attempt > 0);
            match failed.and_then(|event| event.data["cause"].as_str()) {
                Some(cause) => Stage::TriedAgain { cause: told::text(&words::translated(cause, language)) },
                None => Stage::Queued,
            }
        }
    }
}

/// The names of tools as people read them: a model may have invented them.
fn tools(names: &Value) -> Vec<String> {
    const MOST: usize = 6;
    let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut tools: Vec<String> = Vec::new();
    for name in names {
        let plain: String = name.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '_').take(40).collect();
        if !plain.is_empty() && !tools.contains(&plain) {
            tools.push(plain);
        }
    }
    tools.truncate(MOST);
    tools
}

fn notes(notes: &Value) -> Vec<String> {
    const MOST: usize = 10;
    notes.as_array().into_iter().flatten().filter_map(Value::as_str).take(MOST).map(told::line).collect()
}

fn links(links: &Value) -> Vec<Link> {
    let of = |name: &str| links[name].as_str().map(str::to_owned);
    let pull_request = of("pull_request").map(Link::PullRequest);
    // Of a branch with a pull request that one says everything.
    let branch = of("branch").filter(|_| pull_request.is_none()).map(Link::Branch);
    [pull_request, of("review").map(Link::Review), of("comment").map(Link::Comment), branch].into_iter().flatten().collect()
}
