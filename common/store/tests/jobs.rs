//! Jobs as people look for them.

use domain::{JobId, NewJob, QueueState};
use serde_json::json;
use store::{StoreError, finish, jobs};
use testkit::{TestDb, new_job};

use crate::{claim, ready, succeeded, take_step, waiting, write_job};

#[tokio::test]
async fn a_job_is_found_by_its_id_or_by_the_end_of_it() {
    let test = TestDb::new().await;
    let job_id = ready(&test.db).await;
    let whole = job_id.to_string();
    for text in [whole.as_str(), &job_id.short(), &whole[28..], &whole[28..].to_uppercase(), &whole[20..]] {
        assert_eq!(jobs::find(&test.db, text).await.unwrap(), job_id, "{text}");
    }
}

#[tokio::test]
async fn what_ends_like_no_job_or_like_several_is_told_apart() {
    let test = TestDb::new().await;
    let twins = ["0198cb5e-7a40-7c21-9f3e-5b6d8a2cbeef", "0198cb5e-7a41-7c21-9f3e-5b6d8a2cbeef"];
    for twin in twins {
        test.execute(&format!("insert into jobs (job_id, repository, kind, trigger, input) values ('{twin}', 'a/b', 'change', '{{\"by\": \"api\"}}', '{{\"title\": \"x\"}}')")).await;
    }
    let several = jobs::find(&test.db, "beef").await.unwrap_err();
    assert!(matches!(&several, StoreError::Refused(said) if said == "several jobs end in beef: give more digits"), "{several}");
    assert_eq!(jobs::find(&test.db, &twins[0][10..]).await.unwrap().to_string(), twins[0]);
    for text in ["dead", "eef", "", "%", "____", "no such job", "beef'--"] {
        let error = jobs::find(&test.db, text).await.unwrap_err();
        assert!(matches!(error, StoreError::NoJob(_)), "{text}: {error}");
    }
    let unknown = JobId::new();
    assert_eq!(jobs::get(&test.db, unknown).await.unwrap_err().to_string(), format!("no job {unknown}"));
}

#[tokio::test]
async fn a_list_goes_from_the_newest_backwards_page_by_page() {
    let test = TestDb::new().await;
    let mut written = Vec::new();
    for no in 0..7 {
        let mut job = new_job();
        job.input.title = format!("job {no}");
        written.push(write_job(&test.db, &job).await);
    }
    written.reverse();
    let mut seen = Vec::new();
    let mut pages = Vec::new();
    loop {
        let page = jobs::list(&test.db, seen.last().copied(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        pages.push(page.len());
        seen.extend(page.into_iter().map(|job| job.job_id));
    }
    assert_eq!((seen, pages), (written, vec![3, 3, 1]));
}

#[tokio::test]
async fn a_line_of_the_list_says_where_the_job_stands_and_what_it_took() {
    let test = TestDb::new().await;
    let (done, dead) = (ready(&test.db).await, ready(&test.db).await);
    let epoch = claim(&test.db, done).await;
    take_step(&test.db, done, epoch, 1).await;
    finish::finish(&test.db, done, epoch, &succeeded(), &json!({})).await.unwrap();
    let epoch = claim(&test.db, dead).await;
    finish::finish(&test.db, dead, epoch, &domain::Outcome::Dead { cause: "lost".to_owned() }, &json!({})).await.unwrap();
    let running = ready(&test.db).await;
    let epoch = claim(&test.db, running).await;
    take_step(&test.db, running, epoch, 1).await;
    waiting(&test.db).await;
    let lines = jobs::list(&test.db, None, 10).await.unwrap();
    let lines: Vec<_> = lines.iter().map(|job| (job.state.as_str(), job.mode.as_deref(), job.steps, job.cost_microusd.0)).collect();
    let mechanic = Some("mechanic");
    assert_eq!(lines, [("waiting", None, 0, 0), ("leased", mechanic, 1, 150), ("dead", mechanic, 0, 0), ("succeeded", mechanic, 1, 150)]);
}

#[tokio::test]
async fn a_job_is_read_as_it_was_written() {
    let test = TestDb::new().await;
    let job = NewJob { remote: Some("/srv/shop.git".to_owned()), model: Some("scripted".to_owned()), ..new_job() };
    let job_id = write_job(&test.db, &job).await;
    let standing = jobs::get(&test.db, job_id).await.unwrap();
    let read = standing.job;
    assert_eq!((read.repository, read.remote, read.input, read.kind), (job.repository, job.remote, job.input, job.kind));
    assert_eq!((read.mode, read.model, read.trigger, read.caps), (job.mode, job.model, job.trigger, job.caps));
    assert!(read.finished.is_none() && read.base_commit.is_none() && read.retry_of.is_none());
    assert_eq!(standing.queue.unwrap().state, QueueState::Ready);
}

#[tokio::test]
async fn a_row_of_a_newer_release_is_named_and_not_guessed_at() {
    let test = TestDb::new().await;
    let job_id = ready(&test.db).await;
    test.execute("alter table jobs drop constraint jobs_mode_check; update jobs set mode = 'wizard'").await;
    let error = jobs::get(&test.db, job_id).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { column: "jobs.mode", value } if value == "wizard"), "{error}");
}
