//! The queue beside those of others: draining, waking, durable steps, and what each costs the server.

mod others;
mod ours;
mod server;

use std::time::Duration;

use anyhow::{Context, Result};
use config::Settings;
use process::{Command, Service};
use testkit::TestDb;

use crate::figures::{Figures, micros, say, show, table, verdict};
use crate::peers::{said, start};
use others::Script;
use server::{Observer, Usage};

/// Jobs of a drain.
const JOBS: usize = 20_000;
/// Jobs of a drain with default settings, which take one at a time, or one in two seconds.
const JOBS_ONE_BY_ONE: usize = 2_000;
const JOBS_BY_POLL: usize = 5;
/// Our slots and sessions for it.
const SLOTS: u16 = 1024;
const SESSIONS: u32 = 4;
/// Wake-ups that count.
const WAKES: usize = 300;
/// Between two of them.
const IDLE: Duration = Duration::from_millis(10);
/// Jobs at the same time, and steps of each, where durable steps are counted.
const WIDE: u16 = 64;
const STEPS: i32 = 50;
const STEP_SESSIONS: u32 = 24;
/// How long an idle worker is watched.
const WATCH: Duration = Duration::from_secs(40);
/// An idle session tells its statistics ten seconds late: until then they tell of how the worker started.
const SETTLED: Duration = Duration::from_secs(12);

/// Settings of graphile-worker that its documents recommend for throughput; the fastest counts.
const GRAPHILE: &[&str] = &[
    r#"{"concurrentJobs":24,"maxPoolSize":25,"localQueue":{"size":500},"completeJobBatchDelay":0,"failJobBatchDelay":0}"#,
    r#"{"concurrentJobs":100,"maxPoolSize":25,"localQueue":{"size":1000},"completeJobBatchDelay":0,"failJobBatchDelay":0}"#,
    r#"{"concurrentJobs":500,"maxPoolSize":25,"localQueue":{"size":2000},"completeJobBatchDelay":5,"failJobBatchDelay":5}"#,
];
/// The same of pg-boss.
const PG_BOSS: &[&str] = &[
    r#"{"batchSize":500,"pollingIntervalSeconds":0.5,"burstWhenBatchFull":true}"#,
    r#"{"batchSize":2000,"pollingIntervalSeconds":0.5,"burstWhenBatchFull":true}"#,
    r#"{"batchSize":1000,"localConcurrency":4,"pollingIntervalSeconds":0.5,"burstWhenBatchFull":true}"#,
];

/// One drain.
struct Drain {
    name: String,
    jobs: usize,
    took: Duration,
    usage: Usage,
}

impl Drain {
    fn rate(&self) -> f64 {
        self.jobs as f64 / self.took.as_secs_f64()
    }
}

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let observer = Observer::new().await?;
    let (graphile, pg_boss, dbos) = (Script::node("graphile.mjs"), Script::node("pg-boss.mjs"), Script::python("dbos_steps.py"));
    for (name, missing) in [("graphile-worker", graphile.is_none()), ("pg-boss", pg_boss.is_none()), ("DBOS", dbos.is_none())] {
        if missing {
            say(&format!("benches: {name} is not installed (benches/peers/install.sh): it is skipped"));
        }
    }
    drains(&observer, graphile.as_ref(), pg_boss.as_ref()).await?;
    wakes(graphile.as_ref()).await?;
    steps(dbos.as_ref()).await?;
    idle(&observer).await
}

async fn drains(observer: &Observer, graphile: Option<&Script>, pg_boss: Option<&Script>) -> Result<()> {
    let mut ours: Vec<Drain> = Vec::new();
    let mut tuned_graphile = Vec::new();
    let mut tuned_boss = Vec::new();
    // In turns, so that what else the machine does hits all.
    for round in 0..GRAPHILE.len() {
        ours.push(our_drain(observer).await?);
        if let Some(script) = graphile {
            tuned_graphile.push(their_drain(observer, script, "graphile-worker, tuned", GRAPHILE[round], JOBS).await?);
        }
        if let Some(script) = pg_boss {
            tuned_boss.push(their_drain(observer, script, "pg-boss, tuned", PG_BOSS[round], JOBS).await?);
        }
    }
    ours.sort_by_key(|drain| drain.took);
    // The median of ours against the best of theirs.
    let ours = ours.remove(ours.len() / 2);
    let best = |mut drains: Vec<Drain>| {
        drains.sort_by_key(|drain| drain.took);
        drains.into_iter().next()
    };
    let (tuned_graphile, tuned_boss) = (best(tuned_graphile), best(tuned_boss));
    let mut rows = vec![ours];
    if let Some(script) = graphile {
        rows.push(their_drain(observer, script, "graphile-worker, default", "default", JOBS_ONE_BY_ONE).await?);
    }
    if let Some(script) = pg_boss {
        rows.push(their_drain(observer, script, "pg-boss, default", "default", JOBS_BY_POLL).await?);
    }
    let goals = [(&tuned_graphile, 1.5, "graphile-worker tuned"), (&tuned_boss, 2.0, "pg-boss tuned")];
    let goals: Vec<String> = goals
        .iter()
        .filter_map(|(peer, goal, name)| {
            let ratio = rows[0].rate() / peer.as_ref()?.rate();
            Some(format!("  goal: at least {goal} times {name}: {ratio:.2} times: {}", verdict(ratio >= *goal)))
        })
        .collect();
    rows.extend(tuned_graphile.into_iter().chain(tuned_boss));
    print_drains(&rows);
    goals.iter().for_each(|line| show(line));
    let (ours, jobs) = (rows[0].usage, rows[0].jobs as f64);
    for (what, each, goal) in [
        ("transactions", ours.transactions / jobs, 0.02),
        ("KB of log", ours.wal_bytes / jobs / 1000.0, 1.0),
        ("ms of the server's processors", ours.cpu_ms / jobs, 0.05),
    ] {
        show(&format!("  goal: at most {goal} {what} a job: {each:.3}: {}", verdict(each <= goal)));
    }
    Ok(())
}

async fn our_drain(observer: &Observer) -> Result<Drain> {
    let test = TestDb::new().await;
    ours::load(&test, JOBS).await?;
    let name = test.value("current_database()").await;
    let before = observer.usage(&name).await?;
    let took = ours::drain(&test, JOBS, SLOTS, SESSIONS).await?;
    let usage = observer.usage(&name).await? - before;
    say(&format!("  ours: {:.2} s", took.as_secs_f64()));
    Ok(Drain { name: format!("ours, {SLOTS} slots"), jobs: JOBS, took, usage })
}

async fn their_drain(observer: &Observer, script: &Script, name: &str, settings: &str, jobs: usize) -> Result<Drain> {
    let (test, count) = (TestDb::new().await, jobs.to_string());
    script.run(&test, &["load", &count]).await?;
    let database = test.value("current_database()").await;
    let before = observer.usage(&database).await?;
    let answer = script.run(&test, &["drain", settings, &count]).await?;
    let usage = observer.usage(&database).await? - before;
    let took = Duration::from_secs_f64(answer["seconds"].as_f64().context("the script told no time")?);
    say(&format!("  {name}: {:.2} s for {jobs} with {settings}", took.as_secs_f64()));
    Ok(Drain { name: name.to_owned(), jobs, took, usage })
}

fn print_drains(rows: &[Drain]) {
    show(&format!("\nDrain: {JOBS} jobs that do nothing, one PostgreSQL with default durability"));
    let first = rows[0].rate();
    let mut cells = vec![["", "jobs/s", "ours :", "transactions/job", "log bytes/job", "server CPU ms/job"].map(str::to_owned).to_vec()];
    for row in rows {
        let jobs = row.jobs as f64;
        cells.push(vec![
            row.name.clone(),
            format!("{:.0}", row.rate()),
            format!("{:.2}", first / row.rate()),
            format!("{:.3}", row.usage.transactions / jobs),
            format!("{:.0}", row.usage.wal_bytes / jobs),
            format!("{:.3}", row.usage.cpu_ms / jobs),
        ]);
    }
    table(&cells);
}

async fn wakes(graphile: Option<&Script>) -> Result<()> {
    let ours = Figures::of(&ours::wake(&TestDb::new().await, WAKES).await?);
    let mut rows = vec![["", "p50", "p99"].map(str::to_owned).to_vec(), vec!["ours".to_owned(), micros(ours.p50), micros(ours.p99)]];
    let mut goal = None;
    if let Some(script) = graphile {
        let test = TestDb::new().await;
        script.run(&test, &["load", "0"]).await?;
        let answer = script.run(&test, &["wake", &WAKES.to_string()]).await?;
        let times: Vec<u64> = serde_json::from_value(answer["micros"].clone())?;
        let theirs = Figures::of(&times.into_iter().map(Duration::from_micros).collect::<Vec<_>>());
        rows.push(vec!["graphile-worker, default".to_owned(), micros(theirs.p50), micros(theirs.p99)]);
        let (p50, p99) = ours.over(&theirs);
        let reached = verdict(p50 <= 1.0 && p99 <= 1.0);
        goal = Some(format!("  goal: not above graphile-worker: {p50:.2} times at p50, {p99:.2} times at p99: {reached}"));
    }
    show(&format!("\nWake: from enqueue to the start of the job, {WAKES} jobs one at a time, the worker idle"));
    table(&rows);
    goal.iter().for_each(|line| show(line));
    Ok(())
}

async fn steps(dbos: Option<&Script>) -> Result<()> {
    let ours = ours::steps(&TestDb::new().await, WIDE, STEPS, STEP_SESSIONS).await?;
    show(&format!("\nDurable steps: {WIDE} jobs at the same time, {STEPS} steps each, nothing done in them"));
    let mut rows =
        vec![["", "steps/s"].map(str::to_owned).to_vec(), vec!["ours: reserve, reply, results".to_owned(), format!("{ours:.0}")]];
    let mut goal = None;
    if let Some(script) = dbos {
        let answer = script.run(&TestDb::new().await, &[&WIDE.to_string(), &STEPS.to_string()]).await?;
        let rate = |way: &str| answer[way].as_f64().with_context(|| format!("DBOS told no rate of {way}"));
        let (threads, asynchronous) = (rate("threads")?, rate("async")?);
        rows.push(vec!["DBOS, @DBOS.step in threads".to_owned(), format!("{threads:.0}")]);
        rows.push(vec!["DBOS, @DBOS.step async".to_owned(), format!("{asynchronous:.0}")]);
        let ratio = ours / threads.max(asynchronous);
        goal = Some(format!("  goal: at least 4 times DBOS: {ratio:.2} times: {}", verdict(ratio >= 4.0)));
    }
    table(&rows);
    goal.iter().for_each(|line| show(line));
    Ok(())
}

/// What a worker asks while it has nothing to do, as `codeteam work` runs it.
async fn idle(observer: &Observer) -> Result<()> {
    let binary = std::env::current_exe()?.with_file_name("codeteam");
    let (settings, folder, test) = (Settings::from_env(&[])?, tempfile::tempdir()?, TestDb::new().await);
    let name = test.value("current_database()").await;
    let log = folder.path().join("work.log");
    let command = Command::new(&binary).arg("work").path(&settings.path);
    let command = command.env("DATABASE_URL", test.url.expose()).env("CODETEAM_STATE_DIR", folder.path()).env("CODETEAM_USER", "root");
    let mut work: Service = start(&command, &log)?;
    said(&mut work, &log, "listening for notifications").await?;
    tokio::time::sleep(SETTLED).await;
    let before = observer.usage(&name).await?;
    tokio::time::sleep(WATCH).await;
    let asked = (observer.usage(&name).await? - before).transactions / WATCH.as_secs_f64();
    show(&format!("\nIdle: `codeteam work`, both modes, {} s", WATCH.as_secs()));
    show(&format!("  goal: at most 2 queries a second: {asked:.2}: {}", verdict(asked <= 2.0)));
    Ok(())
}
