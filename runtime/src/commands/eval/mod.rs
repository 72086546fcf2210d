//! `codeteam eval`: a folder of tasks goes through the real pipeline, and hidden tests say which it solves.
//!
//! Each task's repository is made anew, its job enqueued as a label on an issue would be, triaged, claimed by a worker,
//! stepped and finalized; what was pushed is then cloned and tested where the job never was. Without `--live` the replies
//! come from the tasks' own scripts: that says whether harness and suite work, and nothing about a model, so such a run
//! has no solve rate.

mod answer;
mod attempt;
mod compare;
mod hidden;
mod performer;
mod purse;
mod report;
mod repository;
mod results;
mod score;
mod selfcheck;
mod session;
mod source;
mod suite;
mod task;
mod tree;
mod verdict;

use config::Settings;
use domain::{Clock, SystemClock};
use futures_util::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;

use self::report::{How, Report};
use self::results::Results;
use self::score::{Score, Scored};
use self::session::Session;
use self::suite::Suite;
use super::local::unless_interrupted;
use crate::cli::Eval;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, progress, thousands};
use crate::shutdown;

/// Runs or checks a suite.
pub(crate) async fn run(args: Eval, json: bool, settings: Settings) -> Outcome {
    let interrupt = shutdown::on_signal()?;
    let suite = Suite::read(&args, &settings)?;
    progress(&format!("{}: {} tasks, {} at a time", suite.name, suite.tasks.len(), args.parallel));
    if !args.live {
        progress("scripted: the replies come from the tasks' own files, no model is called, tokens and cost are nominal");
    }
    if args.check {
        return selfcheck::run(&args, json, &suite, settings, &interrupt).await;
    }
    let how = How::of(&args);
    let results = Results::open(args.out.clone(), &suite)?;
    let last = results.last(how)?;
    let started_at = SystemClock.now();
    let session = unless_interrupted(&interrupt, Session::start(&args, &suite.tasks, settings)).await?;
    let script = (!args.live).then_some(args.script);
    let attempts = stream::iter(&suite.tasks).map(|task| session.attempt(task, script)).buffer_unordered(usize::from(args.parallel));
    let mut tasks = Vec::new();
    let whole = gather(attempts, &interrupt, |scored: Scored| {
        progress(&line(&scored));
        tasks.push(scored);
    })
    .await;
    let cost_microusd = session.close().await?;
    for task in &suite.tasks {
        if !tasks.iter().any(|scored| scored.task == task.name) {
            tasks.push(Scored::of(task).not_run("interrupted"));
        }
    }
    tasks.sort_by(|one, other| one.task.cmp(&other.task));
    let report = Report::new(&args, &suite, started_at, whole, cost_microusd, tasks, last.as_ref());
    let written = results.write(how, started_at, &report)?;
    screen::data(json, &report, || report.text())?;
    progress(&format!("results: {} and .md", written.display()));
    ended(&args, &report)
}

/// Hands on what `stream` yields, until its end or an interruption; `false` = interrupted.
async fn gather<T>(stream: impl Stream<Item = T>, interrupt: &CancellationToken, mut found: impl FnMut(T)) -> bool {
    tokio::pin!(stream);
    loop {
        tokio::select! {
            biased;
            next = stream.next() => match next {
                Some(next) => found(next),
                None => return true,
            },
            () = interrupt.cancelled() => return false,
        }
    }
}

/// What one task came to, on a line.
fn line(scored: &Scored) -> String {
    let Scored { task, steps, tokens, cost_microusd, duration_ms, .. } = scored;
    let seconds = *duration_ms as f64 / 1000.0;
    let why = scored.why.first().map(|why| format!(": {}", screen::one_line(why, 100))).unwrap_or_default();
    format!("  {task:<32} {:<9} {steps} steps, {} tokens, {cost_microusd}, {seconds:.1} s{why}", scored.word(), thousands(*tokens))
}

/// What a run means for the exit code: that it ran is enough, unless somebody asked for more.
fn ended(args: &Eval, report: &Report) -> Outcome {
    if report.interrupted {
        return Err(Failure::Job("interrupted: what was done until then is in the results".to_owned()));
    }
    let not_run: Vec<&Scored> = report.tasks.iter().filter(|task| task.score == Score::NotRun).collect();
    if let Some(first) = not_run.first() {
        let message = format!("{} tasks were not run, {} among them: {}", not_run.len(), first.task, first.why.join("; "));
        return Err(match report.budget_is_used_up() {
            true => Failure::Cap(message),
            false => Failure::Environment(anyhow::anyhow!(message)),
        });
    }
    match (args.fail_under, report.solved_percent()) {
        (Some(wanted), Some(percent)) if percent < wanted => {
            Err(Failure::Job(format!("{percent:.1} % of the tasks are solved, less than {wanted} %")))
        }
        _ => Ok(()),
    }
}
