//! Wake-ups: heard by those who wait, few for many, and nothing lost that matters when the session is.

use std::time::Duration;

use domain::{Kind, Mode, NewJob, Scope, Secret};
use sqlx::postgres::PgListener;
use store::wake::{Ear, Listener, Signal, notify};
use store::{budgets, gates, lanes, queue};
use testkit::{TestDb, new_job};
use tokio::task::JoinSet;

use crate::{held, write_job};

/// A listener that hears.
async fn listening(test: &TestDb) -> (Listener, JoinSet<()>) {
    let listener = Listener::new(&test.url).unwrap();
    let mut tasks = JoinSet::new();
    let running = listener.clone();
    tasks.spawn(async move { running.run().await });
    listener.connected().wait_for(|connected| *connected).await.unwrap();
    (listener, tasks)
}

async fn is_woken(ear: &mut Ear) {
    tokio::time::timeout(Duration::from_secs(20), ear.woken()).await.expect("the ear is woken");
}

async fn sleeps(ear: &mut Ear) {
    assert!(tokio::time::timeout(Duration::ZERO, ear.woken()).await.is_err(), "the ear was woken");
}

#[tokio::test]
async fn a_signal_wakes_those_who_wait_for_it_and_nobody_else() {
    let test = TestDb::new().await;
    let (listener, _tasks) = listening(&test).await;
    let (mut mechanic, mut genius) = (listener.subscribe([Signal::Mechanic]), listener.subscribe([Signal::Genius]));
    let mut both = listener.subscribe([Signal::Mechanic, Signal::Genius]);
    // Before anybody waits: what was said after the subscription is heard.
    notify(&test.db, Mode::Mechanic).await;
    is_woken(&mut mechanic).await;
    is_woken(&mut both).await;
    sleeps(&mut mechanic).await;
    sleeps(&mut genius).await;
    notify(&test.db, Mode::Genius).await;
    is_woken(&mut genius).await;
    is_woken(&mut both).await;
    sleeps(&mut mechanic).await;
}

#[tokio::test]
async fn who_holds_a_job_hears_of_its_stop_and_workers_of_one_that_nobody_holds() {
    let test = TestDb::new().await;
    let (listener, _tasks) = listening(&test).await;
    let (mut holders, mut workers) = (listener.subscribe([Signal::Stop]), listener.subscribe([Signal::Mechanic]));
    let (job_id, _) = held(&test.db).await;
    // By the job itself.
    is_woken(&mut workers).await;
    queue::stop(&test.db, job_id).await.unwrap();
    is_woken(&mut holders).await;
    sleeps(&mut workers).await;
    let waiting = write_job(&test.db, &NewJob { mode: None, ..new_job() }).await;
    queue::stop(&test.db, waiting).await.unwrap();
    is_woken(&mut workers).await;
    sleeps(&mut holders).await;
}

#[tokio::test]
async fn garbage_wakes_nobody() {
    let test = TestDb::new().await;
    let (listener, _tasks) = listening(&test).await;
    let (mut others, mut genius) = (listener.subscribe([Signal::Mechanic, Signal::Triage]), listener.subscribe([Signal::Genius]));
    test.execute("notify codeteam_ready").await;
    test.execute("notify codeteam_ready, 'wizard'").await;
    test.execute("notify codeteam_other, 'mechanic'").await;
    // Heard in the order in which they were sent.
    notify(&test.db, Signal::Genius).await;
    is_woken(&mut genius).await;
    sleeps(&mut others).await;
}

#[tokio::test]
async fn whatever_makes_a_job_ready_says_so_after_its_commit() {
    let test = TestDb::new().await;
    let (listener, _tasks) = listening(&test).await;
    let (mut mechanic, mut triage) = (listener.subscribe([Signal::Mechanic]), listener.subscribe([Signal::Triage]));
    let waiting = write_job(&test.db, &NewJob { mode: None, ..new_job() }).await;
    is_woken(&mut triage).await;
    sleeps(&mut mechanic).await;
    let (job_id, epoch) = queue::claim_triage(&test.db, domain::OwnerId::new(), None, queue::LEASE, None).await.unwrap().unwrap();
    assert_eq!(job_id, waiting);
    queue::triaged(&test.db, job_id, epoch, (Kind::Change, Mode::Mechanic), None, "asked for").await.unwrap();
    is_woken(&mut mechanic).await;
    let (job_id, epoch) = held(&test.db).await;
    is_woken(&mut mechanic).await;
    queue::release(&test.db, job_id, epoch, "the worker shuts down").await.unwrap();
    is_woken(&mut mechanic).await;
}

#[tokio::test]
async fn whoever_steers_wakes_those_who_have_something_to_do_now() {
    let test = TestDb::new().await;
    let (listener, _tasks) = listening(&test).await;
    let mut mechanic = listener.subscribe([Signal::Mechanic]);
    let job_id = write_job(&test.db, &new_job()).await;
    is_woken(&mut mechanic).await;
    queue::requeue(&test.db, job_id).await.unwrap();
    is_woken(&mut mechanic).await;
    gates::resume(&test.db, &Scope::All).await.unwrap();
    is_woken(&mut mechanic).await;
    lanes::limit(&test.db, "acme/shop", None).await.unwrap();
    is_woken(&mut mechanic).await;
    budgets::remove(&test.db, &Scope::All).await.unwrap();
    is_woken(&mut mechanic).await;
    queue::stop(&test.db, job_id).await.unwrap();
    is_woken(&mut mechanic).await;
}

#[tokio::test]
async fn hundreds_of_calls_at_once_are_few_notifications() {
    let test = TestDb::new().await;
    let mut channel = PgListener::connect(test.url.expose()).await.unwrap();
    channel.listen("codeteam_ready").await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..300 {
        let db = test.db.clone();
        calls.spawn(async move { notify(&db, Mode::Mechanic).await });
    }
    calls.join_all().await;
    test.execute("notify codeteam_ready, 'the end'").await;
    let mut count = 0;
    while channel.recv().await.unwrap().payload() != "the end" {
        count += 1;
    }
    assert!((1..=5).contains(&count), "{count}");
}

#[tokio::test]
async fn a_lost_session_is_replaced_and_everybody_is_woken_since_something_may_have_been_missed() {
    let test = TestDb::new().await;
    let (listener, _tasks) = listening(&test).await;
    let mut ear = listener.subscribe([Signal::Mechanic]);
    let session = "select pg_terminate_backend(pid) from pg_stat_activity
                   where application_name = 'codeteam listen' and datname = current_database()";
    assert_eq!(test.execute(session).await, 1);
    is_woken(&mut ear).await;
    listener.connected().wait_for(|connected| *connected).await.unwrap();
    notify(&test.db, Mode::Mechanic).await;
    is_woken(&mut ear).await;
}

#[tokio::test]
async fn a_listener_without_a_server_hears_nothing_and_goes_on_trying() {
    let listener = Listener::new(&Secret::new("postgres://codeteam@127.0.0.1:1/none")).unwrap();
    let mut ear = listener.subscribe([Signal::Mechanic]);
    assert!(tokio::time::timeout(Duration::from_millis(300), listener.run()).await.is_err(), "it does not give up");
    assert!(!*listener.connected().borrow());
    sleeps(&mut ear).await;
}
