//! Hints: they reach the next model call, whoever holds the job, and nobody else's numbers suffer.

use std::sync::Arc;

use domain::{Epoch, JobId, Outcome, WaitingFor};
use serde_json::json;
use store::hints::{self, MOST_CHARS};
use store::steps::{self, Acted, Reserve, StoredHint, StoredStep, Work};
use store::{Db, StoreError, events, finish, queue};
use testkit::TestDb;
use tokio::task::JoinSet;

use crate::{act, answer, call, claim, count, dump, expire, held, ready, reserve, seconds, succeeded, take_step};

async fn before_step(db: &Db, job_id: JobId) -> i32 {
    hints::give(db, job_id, "look at money.py", "ada").await.unwrap().before_step
}

#[tokio::test]
async fn a_hint_is_read_by_the_next_model_call_that_has_not_begun() {
    let test = TestDb::new().await;
    let db = &test.db;
    let job_id = ready(db).await;
    assert_eq!(before_step(db, job_id).await, 1);
    let epoch = claim(db, job_id).await;
    assert_eq!(before_step(db, job_id).await, 1);
    let reservation = reserve(db, job_id, epoch, 1).await;
    assert_eq!(before_step(db, job_id).await, 2, "the first call is under way");
    steps::store_reply(db, job_id, epoch, &answer(1, reservation)).await.unwrap();
    assert_eq!(before_step(db, job_id).await, 2);
    act(db, job_id, epoch, 1).await;
    assert_eq!(before_step(db, job_id).await, 2);
    take_step(db, job_id, epoch, 2).await;
    assert_eq!(before_step(db, job_id).await, 3);
    let hints = steps::hints(db, job_id).await.unwrap();
    assert_eq!(hints.iter().map(|hint| hint.before_step).collect::<Vec<_>>(), [1, 1, 2, 2, 2, 3]);
    assert_eq!(hints[0], StoredHint { before_step: 1, text: "look at money.py".to_owned() });
}

#[tokio::test]
async fn a_call_that_died_with_its_worker_is_made_again_with_the_hint() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    reserve(&test.db, job_id, epoch, 1).await;
    expire(&test, job_id).await;
    assert_eq!(before_step(&test.db, job_id).await, 1);
    claim(&test.db, job_id).await;
    assert_eq!(before_step(&test.db, job_id).await, 1);
}

#[tokio::test]
async fn a_hint_says_who_gave_it_and_changes_nothing_of_the_lease() {
    let test = TestDb::new().await;
    let (job_id, _) = held(&test.db).await;
    let lease = "concat_ws(' ', state, epoch, owner, lease_until, attempt)";
    let before = crate::queued(&test, job_id, lease).await;
    let given = hints::give(&test.db, job_id, "  use \0 cents  ", "ada").await.unwrap();
    assert_eq!(crate::queued(&test, job_id, lease).await, before);
    let event = events::list(&test.db, job_id, given.seq - 1, 10).await.unwrap().remove(0);
    assert_eq!((event.seq, event.kind.as_str()), (given.seq, "hint"));
    assert_eq!(event.data, json!({ "text": "use \u{fffd} cents", "before_step": 1, "by": "ada" }));
}

fn texts(work: &Work) -> Vec<&str> {
    work.hints.iter().map(|hint| hint.text.as_str()).collect()
}

#[tokio::test]
async fn what_came_since_a_job_was_loaded_is_heard_once_and_in_order() {
    let test = TestDb::new().await;
    let db = &test.db;
    let (job_id, epoch) = held(db).await;
    let say = async |text: &str| hints::give(db, job_id, text, "ada").await.unwrap();
    say("one").await;
    let work = steps::load(db, job_id, epoch).await.unwrap();
    assert_eq!(texts(&work), ["one"]);
    say("two").await;
    take_step(db, job_id, epoch, 1).await;
    say("three").await;
    let work = steps::load_since(db, job_id, epoch, work).await.unwrap();
    assert_eq!((texts(&work), work.steps.len()), (vec!["one", "two", "three"], 1));
    assert_eq!(steps::load_since(db, job_id, epoch, work).await.unwrap().hints.len(), 3);
}

#[tokio::test]
async fn no_call_is_granted_to_a_holder_that_has_not_heard_what_was_said() {
    let test = TestDb::new().await;
    let db = &test.db;
    let (job_id, epoch) = held(db).await;
    let work = steps::load(db, job_id, epoch).await.unwrap();
    hints::give(db, job_id, "use cents", "ada").await.unwrap();
    let before = dump(&test).await;
    let heard = |work: &Work| Reserve { heard: Some(work.heard), ..call(1) };
    let refused = steps::reserve(db, job_id, epoch, heard(&work)).await;
    assert!(matches!(refused, Err(StoreError::Unheard(unheard)) if unheard == job_id), "{refused:?}");
    assert_eq!(dump(&test).await, before);
    let work = steps::load_since(db, job_id, epoch, work).await.unwrap();
    let granted = steps::reserve(db, job_id, epoch, heard(&work)).await.unwrap();
    assert_eq!(granted.event_seq.to_string(), crate::queued(&test, job_id, "event_seq").await);
    let lost = steps::reserve(db, job_id, Epoch(epoch.0 + 1), heard(&work)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    queue::stop(db, job_id).await.unwrap();
    let stopped = steps::reserve(db, job_id, epoch, heard(&work)).await;
    assert!(matches!(stopped, Err(StoreError::Stopped(_))), "a stop is more than a word: {stopped:?}");
}

#[tokio::test]
async fn of_a_hint_and_a_call_at_the_same_time_the_call_knows_the_hint_or_the_hint_knows_the_call() {
    let test = TestDb::new().await;
    let db = &test.db;
    let mut called = 0;
    for _ in 0..40 {
        let (job_id, epoch) = held(db).await;
        let work = steps::load(db, job_id, epoch).await.unwrap();
        let reserve = Reserve { heard: Some(work.heard), ..call(1) };
        let (granted, read_by) = tokio::join!(steps::reserve(db, job_id, epoch, reserve), before_step(db, job_id));
        match granted {
            Ok(_) => assert_eq!(read_by, 2),
            Err(StoreError::Unheard(_)) => assert_eq!(read_by, 1),
            Err(other) => panic!("{other:?}"),
        }
        called += i32::from(read_by == 2);
    }
    eprintln!("{called} of 40 calls were first");
}

/// Takes a step and what came of it into `work`, as its holder does.
async fn follow(db: &Db, epoch: Epoch, work: &mut Work, meanwhile: impl AsyncFnOnce()) {
    let job_id = work.job.job_id;
    let step_no = work.steps.len() as i32 + 1;
    let granted = steps::reserve(db, job_id, epoch, Reserve { heard: Some(work.heard), ..call(step_no) }).await.unwrap();
    work.heard = granted.event_seq;
    let answer = answer(step_no, granted.number);
    work.wrote(steps::store_reply(db, job_id, epoch, &answer).await.unwrap().event_seq);
    let (model, reply) = (answer.model.to_owned(), answer.reply.to_owned());
    work.steps.push(StoredStep { step_no, model, reply, results: None, tree: None });
    work.spent.steps += 1;
    meanwhile().await;
    let acted = Acted { step_no, results: &json!({ "said": "\0" }), checkpoint: Some(("tree", b"pack")), left_out: &[], took: seconds(1) };
    work.ended(steps::store_results(db, job_id, epoch, &acted).await.unwrap(), Some("tree"));
}

#[tokio::test]
async fn what_a_holder_knows_of_its_own_steps_is_what_a_load_would_find() {
    let test = TestDb::new().await;
    let db = &test.db;
    let (job_id, epoch) = held(db).await;
    let mut work = steps::load(db, job_id, epoch).await.unwrap();
    for _ in 0..3 {
        follow(db, epoch, &mut work, async || ()).await;
        assert_eq!(format!("{work:?}"), format!("{:?}", steps::load(db, job_id, epoch).await.unwrap()));
    }
    let say = async || _ = hints::give(db, job_id, "use cents", "ada").await.unwrap();
    follow(db, epoch, &mut work, say).await;
    assert_eq!(texts(&work), <[&str; 0]>::default());
    let work = steps::load_since(db, job_id, epoch, work).await.unwrap();
    assert_eq!(texts(&work), ["use cents"], "what was said in the middle of a step was not taken for one of its own events");
}

#[tokio::test]
async fn a_hint_that_nobody_would_read_is_refused_and_leaves_no_trace() {
    let test = TestDb::new().await;
    let db = &test.db;
    let (done, dead, stopped) = (ready(db).await, ready(db).await, ready(db).await);
    for (job_id, outcome) in [(done, succeeded()), (dead, Outcome::Dead { cause: "lost".to_owned() })] {
        let epoch = claim(db, job_id).await;
        finish::finish(db, job_id, epoch, &outcome, &json!({})).await.unwrap();
    }
    queue::stop(db, stopped).await.unwrap();
    let (decided, epoch) = held(db).await;
    queue::decide(db, decided, epoch, &succeeded()).await.unwrap();
    let open = ready(db).await;
    let before = dump(&test).await;
    for (job_id, text, said) in [
        (done, "x".to_owned(), format!("job {done} is finished already: succeeded")),
        (dead, "x".to_owned(), format!("job {dead} is finished already: dead")),
        (decided, "x".to_owned(), format!("job {decided} is about to end: no further step will read a hint")),
        (stopped, "x".to_owned(), format!("job {stopped} is about to end: no further step will read a hint")),
        (open, " \n".to_owned(), "the hint is empty: say what the next step should know".to_owned()),
        (open, "ä".repeat(MOST_CHARS + 1), format!("the hint has {} characters: at most {MOST_CHARS}", MOST_CHARS + 1)),
    ] {
        assert_eq!(hints::give(db, job_id, &text, "ada").await.unwrap_err().to_string(), said);
    }
    let nothing = JobId::new();
    assert_eq!(hints::give(db, nothing, "x", "ada").await.unwrap_err().to_string(), format!("no job {nothing}"));
    assert_eq!(dump(&test).await, before);
    hints::give(db, open, &"ä".repeat(MOST_CHARS), "ada").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hints_and_the_holders_own_events_share_their_numbers_without_gaps() {
    let test = Arc::new(TestDb::new().await);
    let (job_id, epoch) = held(&test.db).await;
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let test = test.clone();
        writers.spawn(async move {
            for _ in 0..20 {
                before_step(&test.db, job_id).await;
            }
        });
    }
    for step_no in 1..=10 {
        take_step(&test.db, job_id, epoch, step_no).await;
    }
    writers.join_all().await;
    let all = events::list(&test.db, job_id, 0, 1_000).await.unwrap();
    // Enqueued, claimed, three of each step, the hints.
    assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=2 + 30 + 80).collect::<Vec<_>>());
    assert_eq!(count(&test, "events where kind = 'hint'").await, 80);
}

#[tokio::test]
async fn a_hint_is_the_answer_of_a_job_that_waits_for_one_and_of_no_other() {
    let test = TestDb::new().await;
    let db = &test.db;
    for (what, stands) in [(WaitingFor::Answer, "ready"), (WaitingFor::Snooze, "waiting snooze"), (WaitingFor::Budget, "waiting budget")] {
        let (job_id, epoch) = held(db).await;
        take_step(db, job_id, epoch, 1).await;
        queue::wait_for(db, job_id, epoch, what, crate::now() + crate::seconds(3600)).await.unwrap();
        assert_eq!(hints::give(db, job_id, "in euros", "ada").await.unwrap().before_step, 2);
        assert_eq!(crate::queued(&test, job_id, "concat_ws(' ', state, waiting_for)").await, stands);
        let told = format!("select string_agg(kind, ' ' order by seq) from events where job_id = '{job_id}' and kind in ('hint', 'woken')");
        assert_eq!(test.value(&told).await, if what == WaitingFor::Answer { "hint woken" } else { "hint" });
        assert_eq!(
            count(&test, &format!("events where job_id = '{job_id}' and seq > (select event_seq from queue where job_id = '{job_id}')"))
                .await,
            0
        );
    }
    assert!(queue::wake_due(db, None).await.unwrap().is_empty(), "it is awake, and the others sleep on");
}
