//! What a claim costs while the database is full: of finished jobs, of one repository's jobs, of versions of rows that a
//! forgotten transaction keeps from being cleared away. Each is compared with a database without that, in turns.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use domain::{Finish, Mode, NewJob, Outcome, OwnerId};
use serde_json::json;
use store::enqueue::enqueue;
use store::queue::{self, Claimed, LEASE};
use store::{Db, finish, lanes};
use testkit::{TestDb, new_job};
use tokio::time::Instant;

use crate::figures::{Figures, micros, say, show, table, verdict};

const SAMPLES: usize = 2_000;
/// Before a database is measured.
const WARM_UP: usize = 200;
/// Claims of one database before it is the other's turn.
const TURN: usize = 20;
const FINISHED_JOBS: u32 = 1_000_000;
const WAITING_JOBS: u32 = 100_000;
const JOBS_A_SECOND: u64 = 100;
/// What is compared of the time under a pinned snapshot: its end.
const LAST: Duration = Duration::from_secs(20);
/// How often the processes of an installation look after the lanes and sweep.
const TEND: Duration = Duration::from_secs(5);

const SMALL: &str = "acme/small";
const HUGE: &str = "acme/huge";

/// Measures and prints; `pinned_minutes` is how long the snapshot is held.
pub(crate) async fn run(pinned_minutes: u64) -> Result<()> {
    show("\nClaims: the p99 under load : without it, in the same run");
    let mut rows = vec![["", "p50", "p99", ": p50", ": p99", "goal"].map(str::to_owned).to_vec()];
    let mut reached = true;
    let mut compare = |what: &str, without: Figures, with: Figures, most: f64| {
        let (p50, p99) = with.over(&without);
        reached &= p99 <= most;
        rows.push(vec![what.to_owned(), micros(without.p50), micros(without.p99), "1".to_owned(), "1".to_owned(), String::new()]);
        let goal = format!("<= {most}: {}", verdict(p99 <= most));
        rows.push(vec!["  with it".to_owned(), micros(with.p50), micros(with.p99), format!("{p50:.2}"), format!("{p99:.2}"), goal]);
    };

    let (empty, full) = (database().await?, database().await?);
    say(&format!("writing {FINISHED_JOBS} finished jobs"));
    full.execute(&finished_jobs()).await;
    settle(&full).await;
    let (without, with) = in_turns(&empty, &full).await?;
    compare("empty; 1,000,000 finished jobs", without, with, 1.2);
    drop(full);

    let crowded = database().await?;
    say(&format!("writing {WAITING_JOBS} waiting jobs of one repository"));
    crowded.execute(&waiting_jobs("waiting", WAITING_JOBS)).await;
    // The other database has that repository too, with just enough work that none is missing.
    empty.execute(&waiting_jobs("few", (SAMPLES + 2 * WARM_UP) as u32)).await;
    for test in [&empty, &crowded] {
        settle(test).await;
    }
    let (without, with) = in_turns(&empty, &crowded).await?;
    compare("few jobs of another repository; 100,000", without, with, 2.0);
    drop((empty, crowded));

    let test = database().await?;
    say(&format!("{JOBS_A_SECOND} jobs a second, then the same for {pinned_minutes} min with a snapshot pinned"));
    let free = steady(&test, LAST * 2).await?;
    let pin = test.pin_snapshot().await;
    let pinned = steady(&test, Duration::from_secs(60 * pinned_minutes)).await?;
    drop(pin);
    let last = (LAST.as_secs() * JOBS_A_SECOND / 2) as usize;
    let end = |times: &[Duration]| Figures::of(&times[times.len().saturating_sub(last)..]);
    compare(&format!("100 jobs/s; snapshot pinned for {pinned_minutes} min"), end(&free), end(&pinned), 3.0);

    table(&rows);
    show(&format!("  all goals: {}", verdict(reached)));
    Ok(())
}

async fn database() -> Result<TestDb> {
    let test = TestDb::new().await;
    test.db.check_schema().await?;
    Ok(test)
}

fn finished_jobs() -> String {
    format!(
        "with done as (
             insert into jobs (job_id, repository, kind, mode, trigger, input, finished_at, outcome, outcome_detail, links, steps, tokens,
                               cost_microusd, active_ms)
             select uuid_at(now() - make_interval(secs => 86400 + n * 0.01)), 'acme/done' || n % 100, 'change', 'mechanic', '{{\"by\": \"api\"}}',
                    '{{\"title\": \"Round once\"}}', now(), 'succeeded', '{{}}', '{{}}', 3, 1000, 1000, 1000
             from generate_series(1, {FINISHED_JOBS}) n
             returning job_id
         )
         insert into events (job_id, seq, kind, data) select job_id, 1, 'enqueued', '{{}}' from done"
    )
}

fn waiting_jobs(name: &str, count: u32) -> String {
    format!(
        "with {name} as (
             insert into jobs (job_id, repository, kind, mode, trigger, input)
             select gen_random_uuid(), '{HUGE}', 'change', 'mechanic', '{{\"by\": \"api\"}}', '{{\"title\": \"Round once\"}}'
             from generate_series(1, {count})
             returning job_id
         )
         insert into queue (job_id, lane, mode, state) select job_id, '{HUGE}', 'mechanic', 'ready' from {name}"
    )
}

/// What an installation does by itself sooner or later: nothing of the loading is measured.
async fn settle(test: &TestDb) {
    for statement in ["vacuum analyze", "checkpoint"] {
        test.execute(statement).await;
    }
}

/// Claims of both, in turns.
async fn in_turns(one: &TestDb, other: &TestDb) -> Result<(Figures, Figures)> {
    let mut times = [Vec::new(), Vec::new()];
    for no in 0..(WARM_UP + SAMPLES).div_ceil(TURN) {
        for (test, times) in [one, other].into_iter().zip(&mut times) {
            if no % 20 == 0 {
                lanes::tend(&test.db).await?;
            }
            for _ in 0..TURN {
                times.push(sample(&test.db).await?);
            }
        }
    }
    Ok((Figures::of(&times[0][WARM_UP..]), Figures::of(&times[1][WARM_UP..])))
}

/// How long it takes to claim a job that was just written. Two slots: there may be another repository's.
async fn sample(db: &Db) -> Result<Duration> {
    write(db).await?;
    let start = Instant::now();
    let claimed = queue::claim(db, OwnerId::new(), Mode::Mechanic, 2, LEASE, None).await?;
    let took = start.elapsed();
    ensure!(claimed.iter().any(|job| job.repository == SMALL), "a claim passed over the repository that waits longest: {claimed:?}");
    for job in &claimed {
        end(db, job).await?;
    }
    Ok(took)
}

async fn write(db: &Db) -> Result<()> {
    let job = NewJob { repository: SMALL.to_owned(), ..new_job() };
    enqueue(db, &job, None, None, None).await.context("a job can be written")?;
    Ok(())
}

async fn end(db: &Db, job: &Claimed) -> Result<()> {
    let finish = Finish {
        summary: "Done.".to_owned(),
        title: "Done".to_owned(),
        tests_run: Vec::new(),
        confidence: domain::job::Confidence::High,
        needs_human: None,
        comments: Vec::new(),
    };
    finish::finish(db, job.job_id, job.epoch, &Outcome::Succeeded { finish }, &json!({})).await?;
    Ok(())
}

/// Jobs come at a steady rate and are claimed and ended; the times of the claims. Beside it runs what every process of an
/// installation does every few seconds.
async fn steady(test: &TestDb, length: Duration) -> Result<Vec<Duration>> {
    let writer = test.db.clone();
    let background = test.db.clone();
    let start = Instant::now();
    let writing = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(1_000 / JOBS_A_SECOND));
        while start.elapsed() < length {
            tick.tick().await;
            write(&writer).await?;
        }
        anyhow::Ok(())
    });
    let tending = tokio::spawn(async move {
        loop {
            lanes::tend(&background).await?;
            queue::sweep(&background, None).await?;
            tokio::time::sleep(TEND).await;
        }
        #[expect(unreachable_code, reason = "it names the type of the errors")]
        anyhow::Ok(())
    });
    let mut times = Vec::new();
    while !writing.is_finished() {
        let asked = Instant::now();
        let claimed = queue::claim(&test.db, OwnerId::new(), Mode::Mechanic, 4, LEASE, None).await?;
        let took = asked.elapsed();
        if claimed.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        times.push(took);
        for job in &claimed {
            end(&test.db, job).await?;
        }
    }
    tending.abort();
    writing.await??;
    Ok(times)
}
