//! What a step costs beside its model and its tools, against the commits that it cannot do without.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use config::{Services, Settings};
use dispatch::{Ctx, Registry};
use process::{Command, Exit};
use serde_json::{Value, json};
use testkit::TestDb;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::figures::{Figures, micros, show, table, verdict};

/// Jobs that count; one more before them warms up.
const JOBS: usize = 10;
/// Steps of a job: all that a mechanic has. The first is not counted, since it makes the checkout.
const STEPS: usize = 20;
/// The most that a step may cost, in sums of its commits.
const GOAL: f64 = 2.0;
const DEADLINE: Duration = Duration::from_secs(60);

/// The spans in which a step is the model's or a tool's.
const THEIRS: [&str; 2] = ["model_call", "tool"];

/// What one step took.
struct Sample {
    /// Without its model and its tool.
    step: Duration,
    /// Its model, which is a script, and its tool.
    theirs: Duration,
    /// One-row commits, made right before it.
    commits: Vec<Duration>,
    /// Transactions that wrote while it ran.
    transactions: u64,
}

/// Adds up how long the spans of [`THEIRS`] last.
#[derive(Clone, Default)]
struct Stopwatch(Arc<AtomicU64>);

impl Stopwatch {
    /// What was added up since it was last asked.
    fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Stopwatch {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Instant::now());
        }
    }

    fn on_close(&self, id: Id, context: LayerContext<'_, S>) {
        let began = context.span(&id).and_then(|span| span.extensions().get::<Instant>().copied());
        let took = began.map_or(0, |began| u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        self.0.fetch_add(took, Ordering::Relaxed);
    }
}

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings::from_env(&[])?;
    let remote = repository(folder.path(), &settings.path).await?;
    let script = folder.path().join("replies.json");
    std::fs::write(&script, script_of(STEPS).to_string())?;
    let url = TestDb::new().await.url;
    let settings = Settings {
        database_url: Some(url.clone()),
        anthropic_api_key: None,
        script: Some(script),
        model: Some("scripted".to_owned()),
        local_remotes: true,
        state_dir: folder.path().join("state"),
        ..settings
    };
    let services = Services::new(settings);
    // Commits go through the very pool that the handlers use.
    let db = TestDb { db: services.db().await?, url };
    db.execute("create table one_row (number bigint not null)").await;
    let registry = codeteam::registry::all(&services).await?;
    let stopwatch = Stopwatch::default();
    let theirs = stopwatch.clone().with_filter(filter_fn(|span| THEIRS.contains(&span.name())));
    let listener = Dispatch::new(tracing_subscriber::registry().with(theirs));
    let mut samples = Vec::new();
    for job in 0..=JOBS {
        let measured = drive(&registry, &db, &remote, &stopwatch).with_subscriber(listener.clone()).await?;
        if job > 0 {
            samples.extend(measured);
        }
    }
    print(&samples);
    Ok(())
}

/// Takes one job through all its steps.
async fn drive(registry: &Registry, db: &TestDb, remote: &Path, stopwatch: &Stopwatch) -> Result<Vec<Sample>> {
    let invoke = |name, event| async move { registry.invoke(name, Ctx::with_timeout(DEADLINE), event).await };
    let job = json!({ "repository": "acme/bench", "remote": remote, "mode": "mechanic", "input": { "title": "Read the notes" } });
    let job_id = invoke("enqueue", job).await?["job_id"].clone();
    let claimed = invoke("claim", json!({ "mode": "mechanic", "job_id": job_id })).await?;
    let request = json!({ "job_id": job_id, "epoch": claimed[0]["epoch"] });
    let mut samples = Vec::new();
    for step_no in 1..=STEPS {
        let mut commits = Vec::new();
        for _ in 0..3 {
            let started = Instant::now();
            db.execute("insert into one_row values (1)").await;
            commits.push(started.elapsed());
        }
        let before = transactions(db).await?;
        stopwatch.take();
        let started = Instant::now();
        let answer = invoke("step", request.clone()).await?;
        let took = started.elapsed();
        let theirs = stopwatch.take();
        let sample = Sample { step: took.saturating_sub(theirs), theirs, commits, transactions: transactions(db).await? - before };
        let next = if step_no == STEPS { "done" } else { "continue" };
        ensure!(answer["next"] == next, "step {step_no} answered {answer}");
        if step_no > 1 {
            samples.push(sample);
        }
    }
    Ok(samples)
}

/// How many transactions have written so far: only those get a number.
async fn transactions(db: &TestDb) -> Result<u64> {
    db.value("pg_snapshot_xmax(pg_current_snapshot())").await.parse().context("the number of a transaction")
}

fn print(samples: &[Sample]) {
    let step = Figures::of(&samples.iter().map(|sample| sample.step).collect::<Vec<_>>());
    let commit = Figures::of(&samples.iter().flat_map(|sample| sample.commits.clone()).collect::<Vec<_>>());
    let theirs = Figures::of(&samples.iter().map(|sample| sample.theirs).collect::<Vec<_>>());
    let total: u64 = samples.iter().map(|sample| sample.transactions).sum();
    let transactions = total as f64 / samples.len() as f64;
    let (p50, p99) = step.over(&commit);
    show(&format!(
        "\nStep: {} steps of {JOBS} jobs, default durability; the reply of a script and one tool call (read a line) took {} each, which is not counted",
        samples.len(),
        micros(theirs.p50)
    ));
    table(&[
        ["", "p50 : a one-row commit", "p99 : a one-row commit", "p50", "p99"].map(str::to_owned).to_vec(),
        vec!["a one-row commit".to_owned(), "1.00".to_owned(), "1.00".to_owned(), micros(commit.p50), micros(commit.p99)],
        vec!["a step without model and tool".to_owned(), format!("{p50:.2}"), format!("{p99:.2}"), micros(step.p50), micros(step.p99)],
    ]);
    let ratio = p50 / transactions;
    show(&format!(
        "  goal: a step takes at most {GOAL} times the sum of its {transactions:.2} commits: {ratio:.2} times at p50: {}",
        verdict(ratio <= GOAL)
    ));
}

/// Replies of which each reads another line, and the last finishes.
fn script_of(steps: usize) -> Value {
    let read = |line: usize| json!({ "name": "read_file", "input": { "path": "notes.txt", "offset": line, "limit": 1 } });
    let finish =
        json!({ "name": "finish", "input": { "title": "Read", "summary": "Nothing to do.", "tests_run": [], "confidence": "high" } });
    let usage = json!({ "uncached_input": 10, "cache_read": 0, "cache_write": 0, "output": 5 });
    let calls = (1..steps).map(read).chain([finish]);
    let replies: Vec<Value> = calls.map(|call| json!({ "text": "On.", "tool_calls": [call], "usage": usage })).collect();
    json!({ "name": "read line by line", "replies": replies })
}

/// A bare repository with one file of as many lines as there are steps.
async fn repository(folder: &Path, path: &str) -> Result<PathBuf> {
    let (bare, source) = (folder.join("bench.git"), folder.join("bench"));
    std::fs::create_dir(&source)?;
    std::fs::write(source.join("notes.txt"), (1..=STEPS).map(|line| format!("line {line}\n")).collect::<String>())?;
    let location = bare.display().to_string();
    git(folder, path, &["init", "--quiet", "--bare", "--initial-branch=main", &location]).await?;
    git(&source, path, &["init", "--quiet", "--initial-branch=main"]).await?;
    git(&source, path, &["add", "--all"]).await?;
    git(&source, path, &["commit", "--quiet", "--message", "Take notes"]).await?;
    git(&source, path, &["push", "--quiet", &location, "main"]).await?;
    Ok(bare)
}

async fn git(folder: &Path, path: &str, arguments: &[&str]) -> Result<()> {
    let names = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "octocat"));
    let mails = ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "octocat@users.noreply.github.com"));
    let alone = [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")];
    let command = Command::new("git").args(arguments).cwd(folder).path(path).envs(names).envs(mails).envs(alone);
    let output = process::run(command, &CancellationToken::new()).await?;
    ensure!(output.exit == Exit::Code(0), "git {} failed: {}", arguments.join(" "), output.stderr_text().trim());
    Ok(())
}
