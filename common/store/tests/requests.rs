//! Requests of a job, of which only what is new is kept, and which come back whole.

use std::time::Duration;

use domain::{Epoch, JobId};
use store::steps::{self, Answered};
use testkit::TestDb;

use crate::{act, answer, held, reserve};

/// A conversation grows before its end, and now and then it is shortened.
const SENT: [&str; 5] = [
    r#"{"messages":["fix ü"],"model":"m"}"#,
    r#"{"messages":["fix ü","look\u0000"],"model":"m"}"#,
    "{\"messages\":[\"fix ü\",\"look\\u0000\",\"é\0\"],\"model\":\"m\"}",
    r#"{"messages":["a summary"],"model":"m"}"#,
    r#"{"messages":["a summary"],"model":"m"}"#,
];

async fn step(test: &TestDb, (job_id, epoch): (JobId, Epoch), step_no: usize, before: Option<&str>) {
    let no = i32::try_from(step_no).unwrap();
    let reservation = reserve(&test.db, job_id, epoch, no).await;
    let answered = Answered { request: SENT[step_no - 1], before, took: Duration::ZERO, ..answer(no, reservation) };
    steps::store_reply(&test.db, job_id, epoch, &answered).await.unwrap();
    act(&test.db, job_id, epoch, no).await;
}

#[tokio::test]
async fn each_request_comes_back_whole_and_what_it_has_in_common_with_the_one_before_is_kept_once() {
    let test = TestDb::new().await;
    let held = held(&test.db).await;
    for step_no in 1..=SENT.len() {
        // Whoever goes on in another process does not have the one before.
        let before = (step_no > 1 && step_no != 4).then(|| SENT[step_no - 2]);
        step(&test, held, step_no, before).await;
    }
    for (no, sent) in (1..).zip(SENT) {
        let whole = test.value(&format!("select request_of('{}', {no})", held.0)).await;
        assert_eq!(whole, sent.replace('\0', "\u{fffd}"), "step {no}");
    }
    let kept = test.value("select string_agg(request, '|' order by step_no) from steps where half = 'reply'").await;
    assert_eq!(kept, format!("{}|{}|{}|{}|", SENT[0], r#","look\u0000""#, ",\"é\u{fffd}\"", SENT[3]));
}

#[tokio::test]
async fn of_a_step_without_a_reply_there_is_no_request() {
    let test = TestDb::new().await;
    let held = held(&test.db).await;
    step(&test, held, 1, None).await;
    let there =
        test.value(&format!("select concat_ws(' ', request_of('{0}', 0), request_of('{0}', 1), request_of('{0}', 2))", held.0)).await;
    assert_eq!(there, SENT[0]);
}
