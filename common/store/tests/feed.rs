//! The feed: one order for everybody, nothing missing, nothing twice, whoever writes how slowly.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::{Event, EventKind, NewJob};
use serde_json::json;
use store::feed::{self, Cursor, Fed, Filter};
use store::{Db, events};
use testkit::{TestDb, new_job};
use tokio::task::JoinSet;

use crate::{held, ready, write_job};

/// The whole feed between two places.
async fn between(db: &Db, after: Cursor, until: Cursor, filter: &Filter, limit: u32) -> Vec<Fed> {
    let (mut events, mut after) = (Vec::new(), after);
    loop {
        let page = feed::page(db, after, Some(until), filter, limit).await.unwrap();
        events.extend(page.events);
        after = page.next;
        if !page.more {
            return events;
        }
    }
}

/// The feed from `after`, once nothing that was written before is held back any more: other tests' transactions
/// on this server hold it back too.
async fn settled(test: &TestDb, after: Cursor, filter: &Filter) -> Vec<Fed> {
    let written: i64 = test.value("select max(xid)::text::bigint + 1 from events").await.parse().unwrap();
    while test.value("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint").await.parse::<i64>().unwrap() < written {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let head = feed::head(&test.db).await.unwrap();
    between(&test.db, after, head, filter, 3).await
}

fn keys(events: &[Fed]) -> Vec<(String, i64)> {
    events.iter().map(|event| (event.job_id.to_string(), event.seq)).collect()
}

async fn everything(test: &TestDb) -> BTreeSet<(String, i64)> {
    let text = test.value("select string_agg(job_id || ' ' || seq, ',') from events").await;
    let pair = |pair: &str| pair.split_once(' ').map(|(job, seq)| (job.to_owned(), seq.parse().unwrap())).unwrap();
    text.split(',').map(pair).collect()
}

#[tokio::test]
async fn a_reader_that_starts_at_the_head_sees_what_comes_after_it_and_only_that() {
    let test = TestDb::new().await;
    let start = feed::head(&test.db).await.unwrap();
    let early = ready(&test.db).await;
    assert_eq!(keys(&settled(&test, start, &Filter::default()).await), [(early.to_string(), 1)]);
    let later = feed::head(&test.db).await.unwrap();
    let late = ready(&test.db).await;
    assert_eq!(keys(&settled(&test, later, &Filter::default()).await), [(late.to_string(), 1)]);
    assert_eq!(settled(&test, start, &Filter::default()).await.len(), 2, "and from the beginning both");
}

#[tokio::test]
async fn a_filter_passes_the_events_of_its_job_or_repository() {
    let test = TestDb::new().await;
    let start = feed::head(&test.db).await.unwrap();
    let (mine, epoch) = held(&test.db).await;
    let other = write_job(&test.db, &NewJob { repository: "acme/till".to_owned(), ..new_job() }).await;
    events::append(&test.db, mine, epoch, &Event::new(EventKind::Hint, json!({ "text": "so" }))).await.unwrap();
    let by_job = Filter { job_id: Some(mine), repository: None };
    let found = settled(&test, start, &by_job).await;
    assert_eq!(keys(&found), [(mine.to_string(), 1), (mine.to_string(), 2), (mine.to_string(), 3)]);
    assert_eq!((found[2].kind.as_str(), &found[2].data, found[2].repository.as_str()), ("hint", &json!({ "text": "so" }), "acme/shop"));
    let by_repository = Filter { job_id: None, repository: Some("acme/till".to_owned()) };
    let found_there = settled(&test, start, &by_repository).await;
    assert_eq!(keys(&found_there), [(other.to_string(), 1)]);
    for event in found.iter().chain(&found_there) {
        assert_eq!((by_job.passes(event), by_repository.passes(event)), (event.job_id == mine, event.job_id == other));
    }
}

#[tokio::test]
async fn an_event_is_not_shown_while_an_earlier_transaction_may_still_commit() {
    let test = TestDb::new().await;
    let start = feed::head(&test.db).await.unwrap();
    let (slow, _) = held(&test.db).await;
    let before = settled(&test, start, &Filter::default()).await;
    let mut open = test.open().await;
    open.execute(&format!("insert into events (job_id, seq, kind, data) values ('{slow}', 3, 'hint', '{{}}')")).await;
    let fast = ready(&test.db).await;
    let at = before.last().unwrap().cursor;
    assert_eq!(feed::page(&test.db, at, None, &Filter::default(), 10).await.unwrap().events, [], "{fast} comes later than what is open");
    open.end(true).await;
    assert_eq!(keys(&settled(&test, at, &Filter::default()).await), [(slow.to_string(), 3), (fast.to_string(), 1)]);
}

/// Writers that hold transactions open for as long as they like, and readers that forget everything but their
/// place at random moments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_back_at_random_moments_see_every_event_of_many_slow_writers_once() {
    const WRITERS: usize = 8;
    const ROUNDS: u64 = 60;
    let test = Arc::new(TestDb::new().await);
    // The writers hold every session of the test's own pool.
    let db = Db::connect(&test.url, 2, Duration::from_secs(30)).await.unwrap();
    let start = feed::head(&db).await.unwrap();
    let writing = Arc::new(AtomicBool::new(true));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS as u64 {
        let test = test.clone();
        writers.spawn(async move {
            let mut random = Random(writer + 1);
            for round in 0..ROUNDS {
                let job_id = domain::JobId::new();
                let mut open = test.open().await;
                let job = format!(
                    "insert into jobs (job_id, repository, kind, trigger, input)
                     values ('{job_id}', 'acme/shop', 'change', '{{\"by\": \"api\"}}', '{{\"title\": \"x\"}}')"
                );
                open.execute(&job).await;
                for seq in 1..=random.below(4) {
                    let event = format!("insert into events (job_id, seq, kind, data) values ('{job_id}', {seq}, 'hint', '{{}}')");
                    open.execute(&event).await;
                    // The number is taken: now others overtake, or not.
                    tokio::time::sleep(Duration::from_millis(random.below(12))).await;
                }
                open.end(round % 7 != 3).await;
            }
        });
    }
    let mut readers = JoinSet::new();
    for reader in 0..2_u64 {
        let (test, db, writing) = (test.clone(), db.clone(), writing.clone());
        readers.spawn(async move {
            let mut random = Random(77 + reader);
            let mut seen: Vec<Fed> = Vec::new();
            let mut place = start;
            loop {
                let last_round = !writing.load(Ordering::SeqCst);
                // Comes back: everything up to now from history, as the place was printed and read again.
                place = place.to_string().parse().unwrap();
                let until = feed::head(&db).await.unwrap();
                let limit = 1 + random.below(5) as u32;
                seen.extend(between(&db, place, until, &Filter::default(), limit).await);
                place = until.max(place);
                // Then follows for a while.
                for _ in 0..random.below(6) {
                    let page = feed::page(&db, place, None, &Filter::default(), limit).await.unwrap();
                    seen.extend(page.events);
                    place = page.next;
                }
                // Sometimes the last events it saw are all it remembers.
                if let Some(last) = seen.last().filter(|_| random.below(2) == 0) {
                    place = last.cursor.max(start);
                }
                if last_round {
                    seen.extend(settled(&test, place, &Filter::default()).await);
                    return seen;
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    writing.store(false, Ordering::SeqCst);
    let written = everything(&test).await;
    assert!(written.len() > WRITERS * ROUNDS as usize, "{} events", written.len());
    while let Some(seen) = readers.join_next().await {
        let seen = seen.unwrap();
        assert!(seen.is_sorted_by(|a, b| a.cursor < b.cursor), "one order, and nothing twice");
        assert_eq!(keys(&seen).into_iter().collect::<BTreeSet<_>>(), written);
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
