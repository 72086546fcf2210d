//! The store on a real PostgreSQL, a fresh database each test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod alarms;
mod anchors;
mod append_only;
mod budgets;
mod claim;
mod commands;
mod concurrency;
mod cost;
mod enqueue;
mod feed;
mod fence;
mod finish;
mod gates;
mod hand_over;
mod hints;
mod jobs;
mod lanes;
mod late;
mod ledger;
mod listing;
mod load;
mod login;
mod model;
mod outbox;
mod plans;
mod pooler;
mod random_tampering;
mod requests;
mod retention;
mod roles;
mod schedules;
mod schema;
mod scratch;
mod steer;
mod sweep;
mod tampering;
mod tls;
mod tokens;
mod waits;
mod wake;
mod workers;

use std::time::Duration;

use domain::{Clock, Epoch, Finish, JobId, MicroUsd, NewJob, Outcome, OwnerId, SystemClock};
use serde_json::json;
use store::enqueue::{Enqueued, enqueue};
use store::steps::{Acted, Answered, Reserve};
use store::{Db, queue, steps};
use testkit::{TestDb, new_job, usage};
use time::OffsetDateTime;

/// The model of every call here.
const MODEL: &str = "scripted";
/// What a reservation holds back, and what its call then costs.
const RESERVED: MicroUsd = MicroUsd(1_000);
const COST: MicroUsd = MicroUsd(150);

/// The tables, whole: nothing may differ after a write that was refused.
const TABLES: [&str; 12] =
    ["jobs", "queue", "steps", "events", "ledger", "effects", "deliveries", "job_keys", "budget_days", "lanes", "lane_queues", "gates"];

/// Everything that the database holds, one row a line.
async fn dump(test: &TestDb) -> String {
    let mut text = String::new();
    for table in TABLES {
        let query = format!("select string_agg(line, E'\\n' order by line) from (select t::text as line from {table} t) as lines");
        let rows = test.value(&query).await;
        text.push_str(&format!("-- {table}\n{}\n", rows));
    }
    text
}

async fn count(test: &TestDb, rows: &str) -> i64 {
    test.value(&format!("select count(*) from {rows}")).await.parse().unwrap()
}

/// A field of a job's queue row, as text.
async fn queued(test: &TestDb, job_id: JobId, field: &str) -> String {
    test.value(&format!("select {field} from queue where job_id = '{job_id}'")).await
}

/// What is asked and comes back as a row at once: nothing else decides the time in a test.
fn now() -> OffsetDateTime {
    // PostgreSQL keeps microseconds.
    let now = SystemClock.now();
    now.replace_nanosecond(now.microsecond() * 1_000).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn write_job(db: &Db, job: &NewJob) -> JobId {
    match enqueue(db, job, None, None, None).await.unwrap() {
        Enqueued::New(job_id) => job_id,
        other => panic!("{other:?}"),
    }
}

/// A job that is ready.
async fn ready(db: &Db) -> JobId {
    write_job(db, &new_job()).await
}

/// A job that waits for triage.
async fn waiting(db: &Db) -> JobId {
    write_job(db, &NewJob { mode: None, ..new_job() }).await
}

async fn claim(db: &Db, job_id: JobId) -> Epoch {
    queue::claim_one(db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().expect("the job is ready").epoch
}

/// A job that the test holds.
async fn held(db: &Db) -> (JobId, Epoch) {
    let job_id = ready(db).await;
    (job_id, claim(db, job_id).await)
}

/// Takes the job from whoever holds it, as if the holder had been silent for too long.
async fn expire(test: &TestDb, job_id: JobId) {
    test.execute(&format!("update queue set lease_until = now() - interval '1 second' where job_id = '{job_id}'")).await;
    assert_eq!(queue::sweep(&test.db, None).await.unwrap(), [job_id]);
}

async fn reserve(db: &Db, job_id: JobId, epoch: Epoch, step_no: i32) -> i64 {
    steps::reserve(db, job_id, epoch, call(step_no)).await.unwrap().number
}

fn call(step_no: i32) -> Reserve<'static> {
    Reserve { step_no, model: MODEL, cost_microusd: RESERVED, max_output: 500, heard: None }
}

fn answer(step_no: i32, reservation: i64) -> Answered<'static> {
    Answered {
        step_no,
        model: MODEL,
        request: "the request",
        before: None,
        reply: "the reply",
        took: Duration::from_millis(120),
        reservation: (reservation, RESERVED),
        usage: usage(100, 20),
        cost_microusd: COST,
        tools: vec!["shell".to_owned()],
    }
}

/// A whole step: reserved, answered, acted.
async fn take_step(db: &Db, job_id: JobId, epoch: Epoch, step_no: i32) {
    let reservation = reserve(db, job_id, epoch, step_no).await;
    steps::store_reply(db, job_id, epoch, &answer(step_no, reservation)).await.unwrap();
    act(db, job_id, epoch, step_no).await;
}

async fn act(db: &Db, job_id: JobId, epoch: Epoch, step_no: i32) {
    let results = json!({ "said": step_no });
    let acted = Acted { step_no, results: &results, checkpoint: Some(("tree", b"pack")), left_out: &[], took: Duration::from_millis(30) };
    steps::store_results(db, job_id, epoch, &acted).await.unwrap();
}

fn succeeded() -> Outcome {
    let finish = Finish {
        summary: "Rounded once.".to_owned(),
        title: "Round once".to_owned(),
        tests_run: Vec::new(),
        confidence: domain::job::Confidence::High,
        needs_human: None,
        comments: Vec::new(),
    };
    Outcome::Succeeded { finish }
}
