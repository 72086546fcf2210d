//! Workers as people see them, and the one of many that leads.

use domain::{Mode, OwnerId};
use store::queue::{self, LEASE};
use store::workers::{self, Present};
use store::{Db, leaders};
use testkit::TestDb;

use crate::{ready, seconds};

fn present(owner: OwnerId) -> Present {
    Present { owner, host: "rack-7".to_owned(), task_arn: None, modes: vec![Mode::Mechanic], slots: 3, version: "0.1.0".to_owned() }
}

/// Owner, seconds since it was seen, whether it stopped, jobs.
async fn listed(db: &Db) -> Vec<(OwnerId, bool, i64)> {
    let all = workers::list(db).await.unwrap();
    all.into_iter().map(|worker| (OwnerId(worker.owner), worker.stopped_at.is_some(), worker.jobs)).collect()
}

#[tokio::test]
async fn a_worker_is_listed_from_its_start_with_the_jobs_it_holds() {
    let test = TestDb::new().await;
    let (busy, idle) = (OwnerId::new(), OwnerId::new());
    workers::seen(&test.db, &present(busy)).await.unwrap();
    for _ in 0..2 {
        ready(&test.db).await;
    }
    assert_eq!(queue::claim(&test.db, busy, Mode::Mechanic, 3, LEASE, None).await.unwrap().len(), 2);
    workers::seen(&test.db, &present(idle)).await.unwrap();
    assert_eq!(listed(&test.db).await, [(idle, false, 0), (busy, false, 2)]);
    let worker = workers::list(&test.db).await.unwrap().remove(0);
    assert_eq!(
        (worker.host.as_str(), worker.slots, worker.version.as_str(), worker.modes),
        ("rack-7", 3, "0.1.0", vec!["mechanic".to_owned()])
    );
}

#[tokio::test]
async fn a_worker_is_seen_again_and_ends_well_once() {
    let test = TestDb::new().await;
    let owner = OwnerId::new();
    workers::seen(&test.db, &present(owner)).await.unwrap();
    test.execute("update workers set seen_at = now() - interval '25 seconds', started_at = now() - interval '1 hour'").await;
    assert_eq!(workers::list(&test.db).await.unwrap()[0].seen_secs_ago, 25);
    workers::seen(&test.db, &present(owner)).await.unwrap();
    let again = workers::list(&test.db).await.unwrap().remove(0);
    assert_eq!((again.seen_secs_ago, again.seen_at - again.started_at >= seconds(3_600)), (0, true));
    workers::stopped(&test.db, owner).await.unwrap();
    assert_eq!(listed(&test.db).await, [(owner, true, 0)]);
}

#[tokio::test]
async fn workers_that_nobody_has_seen_for_a_day_are_forgotten() {
    let test = TestDb::new().await;
    let (old, new) = (OwnerId::new(), OwnerId::new());
    workers::seen(&test.db, &present(old)).await.unwrap();
    test.execute("update workers set seen_at = now() - interval '25 hours'").await;
    workers::seen(&test.db, &present(new)).await.unwrap();
    test.execute(&format!("update workers set seen_at = now() - interval '23 hours' where owner = '{}'", new.0)).await;
    assert_eq!((workers::forget(&test.db).await.unwrap(), workers::forget(&test.db).await.unwrap()), (1, 0));
    assert_eq!(listed(&test.db).await, [(new, false, 0)]);
}

#[tokio::test]
async fn one_of_many_leads_until_its_term_ends_or_it_resigns() {
    let test = TestDb::new().await;
    let (ada, bob) = (OwnerId::new(), OwnerId::new());
    let lead = async |owner| leaders::lead(&test.db, "depth", owner, seconds(90)).await.unwrap();
    assert!(lead(ada).await && lead(ada).await);
    assert!(!lead(bob).await);
    assert!(leaders::lead(&test.db, "another role", bob, seconds(90)).await.unwrap());
    test.execute("update leaders set until = now() where role = 'depth'").await;
    assert!(lead(bob).await);
    leaders::resign(&test.db, "depth", ada).await.unwrap();
    assert!(!lead(ada).await, "only the leader can resign");
    leaders::resign(&test.db, "depth", bob).await.unwrap();
    assert!(lead(ada).await);
}

#[tokio::test]
async fn the_depth_of_the_queue_is_what_waits_for_a_worker_now() {
    let test = TestDb::new().await;
    for _ in 0..3 {
        ready(&test.db).await;
    }
    let later = ready(&test.db).await;
    test.execute(&format!("update queue set run_at = now() + interval '1 hour' where job_id = '{later}'")).await;
    crate::waiting(&test.db).await;
    crate::held(&test.db).await;
    assert_eq!(queue::depth(&test.db).await.unwrap(), [(Mode::Mechanic, 3), (Mode::Genius, 0)]);
}
