//! `codeteam eval SUITE --check`: whether the suite can be believed. Each task's solve script has to solve it; its wrong
//! script has to hand something in that does not, and a repository that nobody has touched must not count as solved.

use config::Settings;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::gather;
use super::score::{Score, Scored};
use super::session::Session;
use super::suite::Suite;
use super::task::{Check, Task};
use crate::cli::{Eval, Script};
use crate::commands::local::unless_interrupted;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, progress};

/// What is tried with a task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Trial {
    Solve,
    Wrong,
    Untouched,
}

/// One trial, done.
#[derive(Serialize)]
struct Tried {
    task: String,
    trial: Trial,
    /// What is wrong with the task; `None` = nothing.
    problem: Option<String>,
    /// The trial could not be made, so nothing is known.
    not_run: bool,
    result: Scored,
}

/// Checks `suite`.
pub(super) async fn run(args: &Eval, json: bool, suite: &Suite, settings: Settings, interrupt: &CancellationToken) -> Outcome {
    let session = unless_interrupted(interrupt, Session::start(args, &suite.tasks, settings)).await?;
    let trials = suite.tasks.iter().flat_map(trials);
    let tried = stream::iter(trials).map(|(task, trial)| attempt(&session, task, trial)).buffer_unordered(usize::from(args.parallel));
    let mut all = Vec::new();
    let whole = gather(tried, interrupt, |tried: Tried| {
        progress(&line(&tried));
        all.push(tried);
    })
    .await;
    session.close().await?;
    all.sort_by(|one, other| (&one.task, one.trial).cmp(&(&other.task, other.trial)));
    let (problems, not_run) = (count(&all, |tried| tried.problem.is_some()), count(&all, |tried| tried.not_run));
    screen::data(json, &all, || summary(suite, &all))?;
    if !whole {
        return Err(Failure::Job("interrupted: the suite was not checked to its end".to_owned()));
    }
    if problems > 0 {
        return Err(Failure::Job(format!("{problems} trials did not come out as they must")));
    }
    if not_run > 0 {
        return Err(Failure::Environment(anyhow::anyhow!("{not_run} trials could not be made, so not all of the suite is checked")));
    }
    Ok(())
}

fn trials(task: &Task) -> impl Iterator<Item = (&Task, Trial)> {
    // An answer that nobody gave needs no trial.
    let untouched = matches!(task.check, Check::Tests(_)).then_some(Trial::Untouched);
    [Trial::Solve, Trial::Wrong].into_iter().chain(untouched).map(move |trial| (task, trial))
}

async fn attempt(session: &Session, task: &Task, trial: Trial) -> Tried {
    let result = match trial {
        Trial::Solve => session.attempt(task, Some(Script::Solve)).await,
        Trial::Wrong => session.attempt(task, Some(Script::Wrong)).await,
        Trial::Untouched => session.untouched(task).await,
    };
    let not_run = result.score == Score::NotRun;
    let problem = if not_run { None } else { problem(trial, &result, task) };
    Tried { task: task.name.clone(), trial, problem, not_run, result }
}

/// What a trial says against its task. A script that breaks off, or whose edits do not apply, tests nothing.
fn problem(trial: Trial, result: &Scored, task: &Task) -> Option<String> {
    let handed_in = result.finished && (!result.produced.is_empty() || !matches!(task.check, Check::Tests(_)));
    match (trial, result.score) {
        (Trial::Solve | Trial::Wrong, _) if !result.finished => {
            Some(format!("the script does not reach finish: the job {}", result.outcome))
        }
        (Trial::Solve, Score::Unsolved) => Some(format!("the solve script does not solve it: {}", result.why.join("; "))),
        (Trial::Wrong, Score::Solved) => Some("the wrong script counts as solved".to_owned()),
        (Trial::Wrong, _) if !handed_in => Some("the wrong script hands nothing in".to_owned()),
        (Trial::Untouched, Score::Solved) => Some("it counts as solved before anybody has done anything".to_owned()),
        _ => None,
    }
}

fn line(tried: &Tried) -> String {
    let seconds = tried.result.duration_ms as f64 / 1000.0;
    let said = match (&tried.problem, tried.not_run) {
        (Some(problem), _) => format!("WRONG: {problem}"),
        (None, true) => format!("not run: {}", tried.result.why.join("; ")),
        (None, false) => "as it must be".to_owned(),
    };
    format!("  {:<32} {:<9} {:<8} {seconds:4.1} s  {said}", tried.task, name(tried.trial), tried.result.word())
}

fn name(trial: Trial) -> &'static str {
    match trial {
        Trial::Solve => "solve",
        Trial::Wrong => "wrong",
        Trial::Untouched => "untouched",
    }
}

fn count(all: &[Tried], what: impl Fn(&Tried) -> bool) -> usize {
    all.iter().filter(|tried| what(tried)).count()
}

fn summary(suite: &Suite, all: &[Tried]) -> String {
    let (problems, not_run) = (count(all, |tried| tried.problem.is_some()), count(all, |tried| tried.not_run));
    let right = all.len() - problems - not_run;
    format!(
        "{}: {} tasks, {right} of {} trials came out as they must, {problems} did not, {not_run} could not be made; scripted, so no solve rate",
        suite.name,
        suite.tasks.len(),
        all.len()
    )
}
