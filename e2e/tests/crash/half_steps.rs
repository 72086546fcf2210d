//! A worker is lost at every statement that it writes with: killed before, killed after, frozen after.

use process::Signal;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use super::halt::Halt;
use super::scene::{STEPS, Scene, Tables, Wait, ends_well, freeze};

/// Scenes at the same time: more than there are cores, since much of it is waiting.
const AT_ONCE: u32 = 6;
static SLOTS: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// Holds back all scenes of this file, for a test in which time counts.
pub async fn quiet() -> SemaphorePermit<'static> {
    SLOTS.acquire_many(AT_ONCE).await.unwrap()
}

/// Claim; prepare; reserve, store the reply, store the results of each step; decide the outcome; intend and
/// confirm the branch and the pull request; finish.
const STATEMENTS: usize = 2 + 3 * STEPS + 1 + 4 + 1;

#[tokio::test]
async fn a_job_writes_as_many_statements_as_it_has_half_steps() {
    let scene = Scene::new(Wait::Nowhere).await;
    let halt = Halt::at(&scene.db, 0).await;
    let taken = scene.taken().await;
    scene.take_over().await;
    assert_eq!(halt.statements().await, STATEMENTS, "the other tests lose a worker at each of them");
    scene.is_whole(&taken).await;
}

#[tokio::test]
async fn a_worker_killed_before_any_write_loses_at_most_the_call_in_flight() {
    at_every_statement(STATEMENTS, async |at| {
        let scene = Scene::new(Wait::Nowhere).await;
        let halt = Halt::at(&scene.db, at).await;
        let worker = scene.worker();
        halt.reached().await;
        worker.end(Signal::KILL).await;
        halt.undo().await;
        let taken = scene.taken().await;
        scene.take_over().await;
        scene.is_whole(&taken).await;
    })
    .await;
}

#[tokio::test]
async fn a_worker_killed_after_any_write_loses_nothing() {
    at_every_statement(STATEMENTS, async |at| {
        let scene = Scene::new(Wait::Nowhere).await;
        let halt = Halt::at(&scene.db, at).await;
        let worker = scene.worker();
        halt.reached().await;
        worker.end(Signal::KILL).await;
        halt.let_go().await;
        let taken = scene.taken().await;
        scene.take_over().await;
        scene.is_whole(&taken).await;
        assert_eq!(scene.model.calls(), [1; STEPS], "what was called was stored, and the reverse");
    })
    .await;
}

/// Whatever the next write of the frozen worker is, it comes too late.
#[tokio::test]
async fn a_worker_frozen_before_any_write_wakes_to_write_nothing_but_its_late_settlement() {
    at_every_statement(STATEMENTS - 1, async |at| {
        let scene = Scene::new(Wait::Nowhere).await;
        let halt = Halt::at(&scene.db, at).await;
        let frozen = scene.worker();
        halt.reached().await;
        freeze(&frozen).await;
        halt.let_go().await;
        let open = scene.db.value("select count(*) from ledger where reservation_seq is null").await;
        let closed = scene.db.value("select count(*) from ledger where reservation_seq is not null").await;
        scene.is_taken().await;
        let before = scene.tables().await;
        frozen.signal(Signal::CONT);
        frozen.says("lost the lease").await;
        ends_well(frozen).await;
        let mut after = scene.tables().await;
        // It had reserved and not called yet, and nothing had told it: it called, and owns up to it.
        let late = take_late_settlement(&mut after, &before);
        assert_eq!(late, open != closed, "a late settlement follows exactly an open reservation");
        assert_eq!(after, before);
        scene.take_over().await;
        assert_eq!(scene.model.calls().iter().sum::<usize>(), STEPS + usize::from(late));
        scene.is_published_once().await;
    })
    .await;
}

/// Takes one late settlement and its traces in the job's totals out of `after`; whether there was one.
pub fn take_late_settlement(after: &mut Tables, before: &Tables) -> bool {
    let ledger = after.get_mut("ledger").unwrap();
    let Some(late) = ledger.iter().position(|row| row["kind"] == "settled_late" && !before["ledger"].contains(row)) else { return false };
    let late = ledger.remove(late);
    let reserved = ledger.iter().find(|row| row["seq"] == late["reservation_seq"]).unwrap()["cost_microusd"].as_i64().unwrap();
    let number = |row: &Value, field: &str| row[field].as_i64().unwrap();
    let holder = if before["queue"].is_empty() { "jobs" } else { "queue" };
    let (job, was) = (&mut after.get_mut(holder).unwrap()[0], &before[holder][0]);
    assert_eq!(number(job, "cost_microusd"), number(was, "cost_microusd") - reserved + number(&late, "cost_microusd"));
    assert_eq!((&job["ledger_seq"], &job["ledger_head"]), (&late["seq"], &late["hash"]));
    for field in ["tokens", "cost_microusd", "ledger_seq", "ledger_head"] {
        job[field] = was[field].clone();
    }
    true
}

/// Plays `scene` with every number from 1 to `last`, several at a time.
async fn at_every_statement<F>(last: usize, scene: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let local = tokio::task::LocalSet::new();
    let mut scenes = JoinSet::new();
    for at in 1..=last {
        let play = scene(at);
        scenes.spawn_local_on(
            async move {
                let _slot = SLOTS.acquire().await.unwrap();
                play.await;
                eprintln!("statement {at} of {last}: ok");
            },
            &local,
        );
    }
    local.run_until(scenes.join_all()).await;
}
