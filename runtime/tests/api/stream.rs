//! Live events.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use codeteam::api::Options;
use domain::{JobId, NewJob};
use serde_json::Value;
use store::tokens;
use testkit::client::Block;
use testkit::new_job;
use tokio::task::JoinSet;

use super::World;

/// Job and number of an event.
fn key(event: &Value) -> (String, i64) {
    (event["job_id"].as_str().unwrap().to_owned(), event["seq"].as_i64().unwrap())
}

/// An insert of one event.
fn event(job_id: JobId, seq: u64) -> String {
    format!("insert into events (job_id, seq, kind, data) values ('{job_id}', {seq}, 'hint', '{{\"text\": \"so\"}}')")
}

#[tokio::test]
async fn a_stream_shows_what_happens_from_now_on_or_from_where_it_was_left() {
    let world = World::new().await;
    let mut stream = world.stream("", None).await;
    assert_eq!((stream.headers["content-type"].as_str(), stream.headers["cache-control"].as_str()), ("text/event-stream", "no-store"));
    let (first, second) = (world.job().await, world.job().await);
    let (id, seen) = stream.event().await.unwrap();
    assert_eq!(
        (key(&seen), seen["kind"].as_str(), seen["repository"].as_str()),
        ((first.to_string(), 1), Some("enqueued"), Some("acme/shop"))
    );
    assert_eq!(key(&stream.event().await.unwrap().1), (second.to_string(), 1));
    drop(stream);
    let third = world.job().await;
    let mut resumed = world.stream("", Some(&id)).await;
    assert_eq!(key(&resumed.event().await.unwrap().1), (second.to_string(), 1), "it goes on after the id it was given");
    assert_eq!(key(&resumed.event().await.unwrap().1), (third.to_string(), 1));
    let mut fresh = world.stream("", None).await;
    let fourth = world.job().await;
    assert_eq!(key(&fresh.event().await.unwrap().1), (fourth.to_string(), 1), "without an id nothing of the past is shown");
}

#[tokio::test]
async fn a_stream_shows_what_its_filter_names_in_past_and_present() {
    let world = World::new().await;
    let mut all = world.open("", None).await;
    let start = all.next().await.unwrap().id.unwrap();
    let till = NewJob { repository: "acme/till".to_owned(), ..new_job() };
    let (mine, other) = (world.job().await, world.job_like(&till).await);
    let mut by_job = world.stream(&format!("?job={mine}"), Some(&start)).await;
    let mut by_repository = world.stream("?repository=acme/till", Some(&start)).await;
    assert_eq!(key(&by_job.event().await.unwrap().1), (mine.to_string(), 1));
    assert_eq!(key(&by_repository.event().await.unwrap().1), (other.to_string(), 1));
    let later = world.job_like(&till).await;
    world.finish(mine).await;
    assert_eq!(key(&by_repository.event().await.unwrap().1), (later.to_string(), 1));
    assert_eq!(
        [by_job.event().await.unwrap().1["kind"].clone(), by_job.event().await.unwrap().1["kind"].clone()],
        ["claimed", "finalized"]
    );
}

#[tokio::test]
async fn a_quiet_stream_is_kept_open_and_moves_its_client_along() {
    let world = World::with(Options { heartbeat: Duration::from_millis(100), ..Options::default() }).await;
    let mut quiet = world.open(&format!("?job={}", JobId::new()), None).await;
    let start = quiet.next().await.unwrap().id;
    assert_eq!(quiet.next().await.unwrap(), Block::default(), "a comment");
    world.job().await;
    // The events of others are not shown, but who comes back need not look through them again.
    let moved = loop {
        if let Some(id) = quiet.next().await.unwrap().id {
            break id;
        }
    };
    assert_ne!(Some(moved), start);
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked_or_the_server_stops() {
    let world = World::with(Options { heartbeat: Duration::from_millis(100), ..Options::default() }).await;
    let ended = async |mut stream: testkit::client::EventStream| while stream.next().await.is_some() {};
    let stream = world.stream("", None).await;
    tokens::revoke(&world.test.db, "everything").await.unwrap();
    ended(stream).await;
    let world = World::new().await;
    let stream = world.stream("", None).await;
    world.shutdown.cancel();
    ended(stream).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_and_loses_nothing() {
    // More than the server and the sockets keep for it.
    const EVENTS: usize = 30_000;
    let world = World::new().await;
    let job_id = world.job().await;
    let mut idle = world.open("", None).await;
    let mut last = idle.next().await.unwrap().id.unwrap();
    let mut busy = world.stream("", Some(&last)).await;
    let many = format!(
        "insert into events (job_id, seq, kind, data)
         select '{job_id}', n + 1, 'hint', jsonb_build_object('text', repeat('x', 1000)) from generate_series(1, {EVENTS}) as n"
    );
    world.test.execute(&many).await;
    let whole: Vec<_> = (2..=EVENTS as i64 + 1).map(|seq| (job_id.to_string(), seq)).collect();
    let mut seen = Vec::new();
    for _ in 0..EVENTS {
        seen.push(key(&busy.event().await.unwrap().1));
    }
    assert!(seen == whole, "the one that reads sees all");
    let mut got = Vec::new();
    while got.len() < EVENTS {
        match idle.event().await {
            Some((id, event)) => {
                got.push(key(&event));
                last = id;
            }
            // It took nothing for so long that it was cut off.
            None => idle = world.stream("", Some(&last)).await,
        }
    }
    assert!(got == whole, "and so does the other, later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_come_and_go_see_every_event_of_slow_writers_once() {
    const WRITERS: u64 = 6;
    const ROUNDS: u64 = 40;
    let world = Arc::new(World::new().await);
    let mut opening = world.open("", None).await;
    let start = opening.next().await.unwrap().id.unwrap();
    let mut jobs = Vec::new();
    for _ in 0..WRITERS {
        jobs.push(world.job().await);
    }
    let total = Arc::new(OnceLock::new());
    let mut writers = JoinSet::new();
    for (writer, job_id) in jobs.iter().copied().enumerate() {
        let world = world.clone();
        writers.spawn(async move {
            let mut random = Random(writer as u64 + 1);
            for round in 0..ROUNDS {
                let mut open = world.test.open().await;
                open.execute(&event(job_id, 100 + round)).await;
                // The number is taken: now others overtake, or not.
                tokio::time::sleep(Duration::from_millis(random.below(40))).await;
                open.end(round % 5 != 2).await;
            }
        });
    }
    let mut readers = JoinSet::new();
    for reader in 0..4 {
        let (world, total, start) = (world.clone(), total.clone(), start.clone());
        readers.spawn(async move {
            let mut random = Random(50 + reader);
            let mut seen = Vec::new();
            let mut last = start;
            while total.get().is_none_or(|total| seen.len() < *total) {
                let mut stream = world.stream("", Some(&last)).await;
                for _ in 0..random.below(30) {
                    // Leaves in the middle of things, above all when nothing comes.
                    let Ok(Some((id, event))) = tokio::time::timeout(Duration::from_millis(300), stream.event()).await else { break };
                    seen.push(key(&event));
                    last = id;
                }
            }
            seen
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let text = world.test.value("select string_agg(job_id || ' ' || seq, ',') from events").await;
    let written: BTreeSet<_> =
        text.split(',').map(|pair| pair.split_once(' ').map(|(job, seq)| (job.to_owned(), seq.parse::<i64>().unwrap())).unwrap()).collect();
    assert_eq!(written.len() as u64, WRITERS * (1 + ROUNDS * 4 / 5));
    total.set(written.len()).unwrap();
    while let Some(seen) = tokio::time::timeout(Duration::from_secs(60), readers.join_next()).await.expect("every event is seen") {
        let seen = seen.unwrap();
        let once: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len(), "none twice");
        assert_eq!(once, written, "none missing");
    }
}

/// A small generator: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
