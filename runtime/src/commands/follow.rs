//! `codeteam watch`, and the live view of `demo` and `run`: a job's events as they are written.

use std::time::Duration;

use config::Services;
use domain::{Caps, EventKind, JobId, MicroUsd, Outcome as JobOutcome};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use store::events::{self, Recorded};
use store::jobs::Finished;
use store::{Db, jobs};

use crate::cli::JobRef;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, thousands};

const LOOK: Duration = Duration::from_millis(100);
const PAGE: u32 = 500;

/// Follows a job until it ends.
pub(crate) async fn run(args: JobRef, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job_id = jobs::find(&db, &args.job).await?;
    let job = jobs::get(&db, job_id).await?.job;
    let caps = job.mode.map(|mode| services.settings.caps(mode).lowered_by(job.caps));
    let finished = follow(&db, job_id, caps, json).await?;
    ended(&finished)
}

/// What a finished job means for the exit code.
pub(crate) fn ended(finished: &Finished) -> Outcome {
    let sentence = finished.outcome.sentence();
    match finished.outcome {
        JobOutcome::Succeeded { .. } => Ok(()),
        JobOutcome::Capped { .. } => Err(Failure::Cap(format!("the job {sentence}"))),
        _ => Err(Failure::Job(format!("the job {sentence}"))),
    }
}

/// Shows a job's events until it ends: as JSON lines on standard output, or for people on standard error.
pub(crate) async fn follow(db: &Db, job_id: JobId, caps: Option<Caps>, json: bool) -> Result<Finished, Failure> {
    let mut view = View::new(caps);
    let (mut seen, mut finished) = (0, None);
    loop {
        let page = events::list(db, job_id, seen, PAGE).await?;
        for event in &page {
            seen = event.seq;
            if json {
                screen::data(true, event, String::new)?;
            } else {
                view.show(event);
            }
        }
        if page.is_empty() {
            if let Some(finished) = finished {
                view.bar.finish_and_clear();
                return Ok(finished);
            }
            // Its last events may be newer than this page: they are on the next one.
            finished = jobs::get(db, job_id).await?.job.finished;
            if finished.is_none() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// What was taken out of a text: `github-token 2, zero-width 1`.
fn cleaned(data: &Value) -> String {
    let counts = ["redacted", "hidden"].into_iter().filter_map(|part| data[part].as_object()).flatten();
    counts.map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}

/// The view for people: a line for what happened, and, on a terminal, one that moves for what is going on.
struct View {
    bar: ProgressBar,
    caps: Option<Caps>,
    steps: u64,
    tokens: u64,
    cost: MicroUsd,
    active_ms: u64,
}

impl View {
    fn new(caps: Option<Caps>) -> Self {
        let bar = if screen::is_live() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("  {spinner} {msg}").expect("the template is a constant"));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, caps, steps: 0, tokens: 0, cost: MicroUsd::ZERO, active_ms: 0 }
    }

    fn show(&mut self, event: &Recorded) {
        let data = &event.data;
        let number = |field: &str| data[field].as_u64().unwrap_or_default();
        let text = |field: &str| data[field].as_str().unwrap_or_default();
        let money = |field: &str| MicroUsd(data[field].as_i64().unwrap_or_default());
        let Ok(kind) = event.kind.parse::<EventKind>() else { return };
        match kind {
            EventKind::Enqueued => self.line("queued"),
            EventKind::Triaged => self.line(&format!("goes to a {}: {}", text("mode"), text("reason"))),
            EventKind::HandedOver => self.line(&format!("handed over to a {}: {}", text("to"), text("reason"))),
            EventKind::Claimed if data["finalizing"] == true => self.line("claimed by a worker, to finalize it"),
            EventKind::Claimed if number("attempt") > 1 => self.line(&format!("claimed, attempt {}", number("attempt"))),
            EventKind::Claimed => self.line("claimed by a worker"),
            EventKind::Prepared => {
                let base = text("base");
                self.line(&format!("checked out at {}", &base[..base.len().min(10)]));
                for note in data["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    self.line(&format!("note: {note}"));
                }
            }
            EventKind::ModelCalled => self.going_on(&format!("{}: waiting for {}", self.step(number("step_no")), text("model"))),
            EventKind::ModelReplied => self.replied(data),
            EventKind::Cleaned => self.line(&format!("taken out of the task: {}", cleaned(data))),
            EventKind::ToolsRan => {
                if !data["cleaned"].is_null() {
                    self.line(&format!("taken out of what the tools said: {}", cleaned(&data["cleaned"])));
                }
                self.active_ms += number("duration_ms");
                self.going_on(&self.totals());
            }
            EventKind::Effect if text("state") == "confirmed" => self.effect(text("effect"), &data["detail"]),
            EventKind::Effect => {}
            EventKind::Hint => self.line(&format!("hint: {}", text("text"))),
            EventKind::StopRequested => self.line("asked to stop"),
            EventKind::Released => self.line(&format!("given back: {}", text("reason"))),
            EventKind::LeaseExpired => self.line("its worker was lost; another may take it"),
            EventKind::AttemptFailed => self.line(&format!("attempt {} failed: {}", number("attempt"), text("cause"))),
            EventKind::BudgetWarning => self.line(&format!("{} of the day's budget are used: {}", money("used_microusd"), text("scope"))),
            EventKind::BudgetRefused => self.line(&format!("waits for the day's budget: {}", text("scope"))),
            EventKind::Snoozed if !text("question").is_empty() => self.line(&format!("asks, and waits for a hint: {}", text("question"))),
            EventKind::Snoozed => self.line(&format!("waits for {}", text("waiting_for"))),
            EventKind::Woken => self.line("waits no longer"),
            EventKind::Requeued => self.line("put back into the queue"),
            EventKind::Redriven => self.line("given another chance"),
            EventKind::Discarded => self.line("put away for good"),
            EventKind::Finalized => self.line(&format!("{} after {}", text("outcome"), self.totals())),
        }
    }

    fn replied(&mut self, data: &Value) {
        let usage: domain::Usage = serde_json::from_value(data["usage"].clone()).unwrap_or_default();
        self.steps = data["step_no"].as_u64().unwrap_or_default();
        self.tokens += usage.new_tokens();
        self.cost += MicroUsd(data["cost_microusd"].as_i64().unwrap_or_default());
        self.active_ms += data["duration_ms"].as_u64().unwrap_or_default();
        let tools: Vec<&str> = data["tools"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let tools = if tools.is_empty() { "(no tool)".to_owned() } else { tools.join(", ") };
        self.line(&format!("{:<11} {tools:<28} {}", self.step(self.steps), self.totals()));
        self.going_on(&format!("{tools} …"));
    }

    fn effect(&self, name: &str, detail: &Value) {
        let text = |field: &str| detail[field].as_str().unwrap_or_default();
        match name {
            "branch" => self.line(&format!("pushed {}", text("branch"))),
            "pull_request" => self.line(&format!("opened draft pull request #{}", detail["number"])),
            "review" => self.line(&format!("reviewed #{} with {} comments at lines", detail["number"], detail["comments"])),
            _ => self.line(&format!("wrote a comment on #{}", detail["number"])),
        }
    }

    fn step(&self, step_no: u64) -> String {
        match self.caps {
            Some(caps) => format!("step {step_no}/{}", caps.steps),
            None => format!("step {step_no}"),
        }
    }

    fn totals(&self) -> String {
        format!("{} tokens, {}, {:.1} s", thousands(self.tokens), self.cost, self.active_ms as f64 / 1000.0)
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| screen::progress(&format!("  {text}")));
    }

    fn going_on(&self, text: &str) {
        self.bar.set_message(screen::shown(text));
    }
}
