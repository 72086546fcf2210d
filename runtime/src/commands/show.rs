//! `codeteam show`.

use config::Services;
use domain::EventKind;
use serde_json::json;
use store::events::Recorded;
use store::gates::{self, Hold};
use store::jobs::Standing;
use store::{effects, events, jobs};

use crate::cli::JobRef;
use crate::commands::lanes::closed;
use crate::exit::Outcome;
use crate::screen::{self, thousands};

const MOST_EVENTS: u32 = 10_000;

/// Shows everything about a job.
pub(crate) async fn run(args: JobRef, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job_id = jobs::find(&db, &args.job).await?;
    let standing = jobs::get(&db, job_id).await?;
    let events = events::list(&db, job_id, 0, MOST_EVENTS).await?;
    let effects = effects::list(&db, job_id).await?;
    let holds = gates::holds(&db, job_id).await?;
    let all = json!({ "job": standing, "holds": holds, "events": events, "effects": effects });
    screen::data(json, &all, || {
        let mut lines = head(&standing);
        lines.extend(holds.iter().map(|hold| match hold {
            Hold::Gate(gate) => format!("held back     {}", closed(gate)),
            Hold::Full { max_running } => format!("held back     {max_running} jobs of the repository run already: its limit"),
        }));
        let handed_over = events.iter().filter(|event| event.kind == EventKind::HandedOver.to_string());
        lines.extend(handed_over.map(|event| {
            let field = |name: &str| event.data[name].as_str().unwrap_or_default();
            format!("handed over   to a {} after {} steps: {}", field("to"), event.data["spent"]["steps"], field("reason"))
        }));
        lines.push(String::new());
        lines.extend(events.iter().map(line));
        lines.join("\n")
    })?;
    Ok(())
}

fn head(standing: &Standing) -> Vec<String> {
    let job = &standing.job;
    let mode = job.mode.map_or_else(|| "no mode yet".to_owned(), |mode| mode.to_string());
    let mut lines = vec![
        format!("job           {}", job.job_id),
        format!("repository    {}  ({}, {mode})", job.repository, job.kind),
        format!("title         {}", job.input.title),
    ];
    let spent = match (&job.finished, &standing.queue) {
        (Some(finished), _) => {
            lines.push(format!("ended         {}", finished.outcome.sentence()));
            for (name, link) in finished.links.as_object().into_iter().flatten() {
                lines.push(format!("{:<12}  {}", name.replace('_', " "), link.as_str().unwrap_or_default()));
            }
            finished.spent
        }
        (None, Some(queue)) => {
            let waits = queue.waiting_for.as_ref().map(|what| format!(" for {what}")).unwrap_or_default();
            lines.push(format!("stands        {}{waits}, attempt {}, epoch {}", queue.state, queue.attempt, queue.epoch));
            queue.spent
        }
        (None, None) => return lines,
    };
    lines.push(format!(
        "took          {} steps, {} tokens, {}, {:.1} s",
        spent.steps,
        thousands(spent.tokens),
        spent.cost_microusd,
        spent.active_ms as f64 / 1000.0
    ));
    lines
}

fn line(event: &Recorded) -> String {
    let time = event.created_at.time();
    format!("{:>4}  {:02}:{:02}:{:02}  {:<14} {}", event.seq, time.hour(), time.minute(), time.second(), event.kind, event.data)
}
