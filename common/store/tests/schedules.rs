//! Schedules: every run is one job, whoever looks and however often.

use std::sync::Arc;

use domain::schedule::Missed;
use domain::{JobId, NewJob, Trigger};
use store::schedules::{self, NewSchedule, Ran};
use store::{Db, jobs};
use testkit::{TestDb, new_job};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::task::JoinSet;

use crate::count;

fn hourly(name: &str, missed: Missed) -> NewSchedule {
    NewSchedule { name: name.to_owned(), cron: "0 * * * *".to_owned(), time_zone: "UTC".to_owned(), missed, job: new_job() }
}

/// A schedule that is due at `planned`.
async fn due_at(test: &TestDb, name: &str, missed: Missed, planned: OffsetDateTime) {
    schedules::add(&test.db, &hourly(name, missed)).await.unwrap();
    test.execute(&format!("update schedules set next_run_at = '{planned}' where name = '{name}'")).await;
}

async fn trigger(db: &Db, job_id: JobId) -> Trigger {
    jobs::get(db, job_id).await.unwrap().job.trigger
}

#[tokio::test]
async fn a_run_writes_the_job_and_says_when_the_next_is_due() {
    let test = TestDb::new().await;
    let planned = datetime!(2026-03-01 10:00 UTC);
    due_at(&test, "nightly", Missed::Once, planned).await;
    assert_eq!(schedules::run_due(&test.db, Some(datetime!(2026-03-01 09:59:59 UTC))).await.unwrap(), []);
    let ran = schedules::run_due(&test.db, Some(datetime!(2026-03-01 10:00:03 UTC))).await.unwrap();
    let [Ran { name, jobs, left_out: 0, problem: None }] = &ran[..] else { panic!("{ran:?}") };
    assert_eq!((name.as_str(), jobs.len()), ("nightly", 1));
    assert_eq!(trigger(&test.db, jobs[0]).await, Trigger::Schedule { name: "nightly".to_owned(), at: planned });
    let schedule = schedules::get(&test.db, "nightly").await.unwrap();
    let expected = (Some(datetime!(2026-03-01 11:00 UTC)), Some(planned), Some(jobs[0]));
    assert_eq!((schedule.next_run_at, schedule.last_run_at, schedule.last_job_id), expected);
    assert_eq!(crate::queued(&test, jobs[0], "state").await, "ready");
}

#[tokio::test]
async fn a_missed_day_is_skipped_stood_for_or_made_up_for() {
    let test = TestDb::new().await;
    let (planned, now) = (datetime!(2026-03-01 10:00 UTC), datetime!(2026-03-02 09:30 UTC));
    for (name, missed) in [("a-skip", Missed::Skip), ("b-once", Missed::Once), ("c-all", Missed::All)] {
        due_at(&test, name, missed, planned).await;
    }
    let mut ran = schedules::run_due(&test.db, Some(now)).await.unwrap();
    ran.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(ran.iter().map(|ran| (ran.jobs.len(), ran.left_out)).collect::<Vec<_>>(), [(0, 24), (1, 23), (24, 0)]);
    let last = datetime!(2026-03-02 09:00 UTC);
    assert_eq!(trigger(&test.db, ran[1].jobs[0]).await, Trigger::Schedule { name: "b-once".to_owned(), at: last });
    let ats = schedules::list(&test.db).await.unwrap().into_iter().map(|schedule| (schedule.next_run_at, schedule.last_run_at));
    let next = Some(datetime!(2026-03-02 10:00 UTC));
    assert_eq!(ats.collect::<Vec<_>>(), [(next, None), (next, Some(last)), (next, Some(last))]);
    assert_eq!(schedules::run_due(&test.db, Some(now)).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_services_write_each_run_once() {
    let test = Arc::new(TestDb::new().await);
    for number in 0..10 {
        due_at(&test, &format!("s{number}"), Missed::All, datetime!(2026-03-01 10:00 UTC)).await;
    }
    let mut services = JoinSet::new();
    for _ in 0..8 {
        let test = test.clone();
        services.spawn(async move {
            let ran = schedules::run_due(&test.db, Some(datetime!(2026-03-01 14:30 UTC))).await.unwrap();
            ran.iter().map(|ran| ran.jobs.len()).sum::<usize>()
        });
    }
    assert_eq!(services.join_all().await.into_iter().sum::<usize>(), 50);
    assert_eq!(count(&test, "jobs").await, 50);
}

#[tokio::test]
async fn a_run_that_is_looked_at_twice_is_the_same_job() {
    let test = TestDb::new().await;
    let planned = datetime!(2026-03-01 10:00 UTC);
    due_at(&test, "nightly", Missed::Once, planned).await;
    let first = schedules::run_due(&test.db, Some(planned)).await.unwrap().remove(0).jobs;
    test.execute("update schedules set next_run_at = '2026-03-01 10:00Z'").await;
    assert_eq!(schedules::run_due(&test.db, Some(planned)).await.unwrap().remove(0).jobs, first);
    assert_eq!(count(&test, "jobs").await, 1);
}

#[tokio::test]
async fn a_run_whose_job_cannot_be_written_stays_due() {
    let test = TestDb::new().await;
    let planned = datetime!(2026-03-01 10:00 UTC);
    due_at(&test, "nightly", Missed::Once, planned).await;
    test.execute("alter table events add constraint nothing check (kind <> 'enqueued') not valid").await;
    schedules::run_due(&test.db, Some(planned)).await.unwrap_err();
    assert_eq!(schedules::get(&test.db, "nightly").await.unwrap().next_run_at, Some(planned));
    assert_eq!(count(&test, "jobs").await, 0);
}

#[tokio::test]
async fn one_that_can_no_longer_be_understood_rests_and_holds_nobody_up() {
    let test = TestDb::new().await;
    let planned = datetime!(2026-03-01 10:00 UTC);
    for name in ["bad-job", "bad-zone", "good"] {
        due_at(&test, name, Missed::Once, planned).await;
    }
    test.execute("update schedules set next_run_at = '2026-03-01 09:00Z' where name <> 'good'").await;
    test.execute("update schedules set time_zone = 'Mars/Olympus' where name = 'bad-zone'").await;
    test.execute(r#"update schedules set job = '{"repository": 7}' where name = 'bad-job'"#).await;
    let mut ran = schedules::run_due(&test.db, Some(planned)).await.unwrap();
    ran.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(ran.iter().map(|ran| (ran.jobs.len(), ran.problem.is_some())).collect::<Vec<_>>(), [(0, true), (0, true), (1, false)]);
    let zone = schedules::get(&test.db, "bad-zone").await.unwrap();
    assert_eq!((zone.enabled, zone.next_run_at, zone.problem.unwrap().contains("Mars/Olympus")), (false, None, true));
    assert!(schedules::set_enabled(&test.db, "bad-zone", true).await.unwrap_err().to_string().contains("Mars/Olympus"));
}

#[tokio::test]
async fn one_that_rests_misses_nothing_that_it_would_make_up_for() {
    let test = TestDb::new().await;
    due_at(&test, "nightly", Missed::All, datetime!(2026-03-01 10:00 UTC)).await;
    let resting = schedules::set_enabled(&test.db, "nightly", false).await.unwrap();
    assert_eq!((resting.enabled, resting.next_run_at), (false, None));
    assert_eq!(schedules::run_due(&test.db, Some(datetime!(2026-03-05 10:00 UTC))).await.unwrap(), []);
    let again = schedules::set_enabled(&test.db, "nightly", true).await.unwrap();
    assert!(again.enabled && again.next_run_at.unwrap() > crate::now());
    test.execute("update schedules set next_run_at = '2026-03-01 10:00Z'").await;
    let asked_twice = schedules::set_enabled(&test.db, "nightly", true).await.unwrap();
    assert_eq!(asked_twice.next_run_at, Some(datetime!(2026-03-01 10:00 UTC)), "what is due stays due");
}

#[tokio::test]
async fn running_one_now_leaves_its_times_alone() {
    let test = TestDb::new().await;
    let before = schedules::add(&test.db, &hourly("nightly", Missed::Once)).await.unwrap();
    let (one, other) = (schedules::run_now(&test.db, "nightly").await.unwrap(), schedules::run_now(&test.db, "nightly").await.unwrap());
    assert_ne!(one, other);
    let after = schedules::get(&test.db, "nightly").await.unwrap();
    assert_eq!((after.next_run_at, after.last_job_id), (before.next_run_at, Some(other)));
    assert!(matches!(trigger(&test.db, one).await, Trigger::Schedule { name, .. } if name == "nightly"));
}

#[tokio::test]
async fn what_cannot_be_a_schedule_is_refused_by_name_and_reason() {
    let test = TestDb::new().await;
    schedules::add(&test.db, &hourly("nightly", Missed::Once)).await.unwrap();
    let base = || hourly("other", Missed::Once);
    let cases = [
        (hourly("nightly", Missed::Once), r#"there is a schedule "nightly" already"#),
        (hourly("Nightly", Missed::Once), r#"the name "Nightly" does not fit"#),
        (NewSchedule { cron: "0 25 * * *".to_owned(), ..base() }, r#"cron "0 25 * * *", character 3: the hour "25""#),
        (NewSchedule { time_zone: "Nowhere".to_owned(), ..base() }, r#"no time zone "Nowhere""#),
        (NewSchedule { cron: "0 0 30 2 *".to_owned(), ..base() }, r#"schedule "other" would never run"#),
    ];
    for (schedule, said) in cases {
        let error = schedules::add(&test.db, &schedule).await.unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    assert_eq!(schedules::list(&test.db).await.unwrap().len(), 1);
    for error in [
        schedules::get(&test.db, "x").await.unwrap_err(),
        schedules::remove(&test.db, "x").await.unwrap_err(),
        schedules::run_now(&test.db, "x").await.unwrap_err(),
    ] {
        assert!(error.to_string().starts_with(r#"no schedule "x""#), "{error}");
    }
    schedules::remove(&test.db, "nightly").await.unwrap();
    assert_eq!(schedules::list(&test.db).await.unwrap(), []);
}

#[tokio::test]
async fn a_job_keeps_everything_of_its_template_but_key_and_trigger() {
    let test = TestDb::new().await;
    let job = NewJob { mode: None, priority: 3, idempotency_key: Some("mine".to_owned()), ..new_job() };
    schedules::add(&test.db, &NewSchedule { job: job.clone(), ..hourly("nightly", Missed::Once) }).await.unwrap();
    let job_id = schedules::run_now(&test.db, "nightly").await.unwrap();
    let written = jobs::get(&test.db, job_id).await.unwrap().job;
    assert_eq!((written.repository, written.input, written.mode), (job.repository, job.input, None));
    assert_eq!(crate::queued(&test, job_id, "concat_ws(' ', state, waiting_for, priority)").await, "waiting triage 3");
}
