//! Lanes: turns between repositories, limits, and where claims look.

use std::collections::BTreeMap;

use domain::{JobId, Mode, NewJob, OwnerId};
use store::queue::{self, LEASE};
use store::{Db, lanes};
use testkit::{TestDb, new_job};

use crate::{queued, succeeded, waiting, write_job};

async fn job_of(db: &Db, repository: &str) -> JobId {
    write_job(db, &NewJob { repository: repository.to_owned(), ..new_job() }).await
}

/// Repositories of what one claim takes, with how many of each.
async fn claim(db: &Db, slots: u16) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for job in queue::claim(db, OwnerId::new(), Mode::Mechanic, slots, LEASE, None).await.unwrap() {
        *shares.entry(job.repository).or_default() += 1;
    }
    shares
}

fn shares<const N: usize>(of: [(&str, usize); N]) -> BTreeMap<String, usize> {
    of.into_iter().map(|(repository, count)| (repository.to_owned(), count)).collect()
}

#[tokio::test]
async fn repositories_share_a_batch_equally() {
    let test = TestDb::new().await;
    for _ in 0..20 {
        job_of(&test.db, "acme/large").await;
    }
    for _ in 0..3 {
        job_of(&test.db, "acme/small").await;
    }
    job_of(&test.db, "acme/tiny").await;
    assert_eq!(claim(&test.db, 6).await, shares([("acme/large", 3), ("acme/small", 2), ("acme/tiny", 1)]));
    assert_eq!(claim(&test.db, 6).await, shares([("acme/large", 5), ("acme/small", 1)]));
    assert_eq!(claim(&test.db, 6).await, shares([("acme/large", 6)]));
}

#[tokio::test]
async fn who_was_served_longest_ago_comes_first() {
    let test = TestDb::new().await;
    for repository in ["acme/a", "acme/b", "acme/c"] {
        job_of(&test.db, repository).await;
        job_of(&test.db, repository).await;
    }
    let ages = [("acme/a", 2), ("acme/b", 9), ("acme/c", 5)];
    for (lane, minutes) in ages {
        test.execute(&format!("update lanes set served_at = now() - interval '{minutes} minutes' where lane = '{lane}'")).await;
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        order.extend(claim(&test.db, 1).await.into_keys());
    }
    assert_eq!(order, ["acme/b", "acme/c", "acme/a"]);
    assert_eq!(test.value("select count(*) from lanes where served_at > now() - interval '1 minute'").await, "3");
}

#[tokio::test]
async fn a_lane_with_a_limit_never_runs_more_than_that() {
    let test = TestDb::new().await;
    let jobs = 24;
    for _ in 0..jobs {
        job_of(&test.db, "acme/limited").await;
        job_of(&test.db, "acme/free").await;
    }
    lanes::limit(&test.db, "acme/limited", Some(3)).await.unwrap();
    let workers = (0..8).map(|_| {
        let db = test.db.clone();
        async move {
            let owner = OwnerId::new();
            let mut most = 0;
            while unfinished(&db).await > 0 {
                let claimed = queue::claim(&db, owner, Mode::Mechanic, 4, LEASE, None).await.unwrap();
                let running = lanes::list(&db).await.unwrap();
                most = most.max(running.iter().find(|lane| lane.repository == "acme/limited").unwrap().running);
                for job in claimed {
                    let links = serde_json::json!({});
                    store::finish::finish(&db, job.job_id, job.epoch, &succeeded(), &links).await.unwrap();
                }
            }
            most
        }
    });
    let most = futures_util::future::join_all(workers).await.into_iter().max().unwrap();
    assert!((1..=3).contains(&most), "{most} at the same time");
    assert_eq!(test.value("select count(*) from jobs where finished_at is null").await, "0");
}

async fn unfinished(db: &Db) -> i64 {
    lanes::list(db).await.unwrap().iter().map(|lane| lane.ready + lane.running).sum()
}

#[tokio::test]
async fn a_named_job_waits_for_room_in_its_lane_too() {
    let test = TestDb::new().await;
    lanes::limit(&test.db, "acme/shop", Some(1)).await.unwrap();
    let (first, second) = (job_of(&test.db, "acme/shop").await, job_of(&test.db, "acme/shop").await);
    let claim = async |job_id| queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, None).await.unwrap();
    let held = claim(first).await.unwrap();
    assert_eq!(claim(second).await, None);
    queue::release(&test.db, first, held.epoch, "test").await.unwrap();
    assert!(claim(second).await.is_some());
}

#[tokio::test]
async fn triage_does_not_fill_a_lane() {
    let test = TestDb::new().await;
    lanes::limit(&test.db, "acme/shop", Some(1)).await.unwrap();
    waiting(&test.db).await;
    queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap().unwrap();
    job_of(&test.db, "acme/shop").await;
    assert_eq!(claim(&test.db, 5).await, shares([("acme/shop", 1)]));
}

#[tokio::test]
async fn what_is_decided_already_waits_for_no_room() {
    let test = TestDb::new().await;
    lanes::limit(&test.db, "acme/shop", Some(1)).await.unwrap();
    let (_running, stopped) = (job_of(&test.db, "acme/shop").await, job_of(&test.db, "acme/shop").await);
    assert_eq!(claim(&test.db, 1).await, shares([("acme/shop", 1)]));
    queue::stop(&test.db, stopped).await.unwrap();
    assert_eq!(claim(&test.db, 5).await, shares([("acme/shop", 1)]));
    assert_eq!(queued(&test, stopped, "state").await, "leased");
}

#[tokio::test]
async fn a_lane_that_rests_is_woken_by_its_next_job() {
    let test = TestDb::new().await;
    job_of(&test.db, "acme/shop").await;
    assert_eq!(claim(&test.db, 5).await, shares([("acme/shop", 1)]));
    test.execute("update lanes set served_at = now() - interval '2 hours'").await;
    lanes::tend(&test.db).await.unwrap();
    assert_eq!(test.value("select active from lane_queues").await, "false");
    job_of(&test.db, "acme/shop").await;
    assert_eq!(claim(&test.db, 5).await, shares([("acme/shop", 1)]));
}

#[tokio::test]
async fn a_job_that_a_resting_lane_or_a_floor_hides_is_found_at_the_next_look() {
    let test = TestDb::new().await;
    let job_id = job_of(&test.db, "acme/shop").await;
    for hidden in ["active = false", "floor_at = now() + interval '1 hour'"] {
        test.execute(&format!("update lane_queues set {hidden}")).await;
        assert_eq!(claim(&test.db, 5).await, shares([]), "{hidden}");
        lanes::tend(&test.db).await.unwrap();
        let claimed = queue::claim(&test.db, OwnerId::new(), Mode::Mechanic, 5, LEASE, None).await.unwrap();
        assert_eq!(claimed.iter().map(|job| job.job_id).collect::<Vec<_>>(), [job_id], "{hidden}");
        queue::release(&test.db, job_id, claimed[0].epoch, "test").await.unwrap();
    }
}

#[tokio::test]
async fn the_floor_follows_the_oldest_ready_job() {
    let test = TestDb::new().await;
    let old = job_of(&test.db, "acme/shop").await;
    test.execute(&format!("update queue set run_at = now() - interval '1 hour' where job_id = '{old}'")).await;
    let below = async |seconds: u64| {
        lanes::tend(&test.db).await.unwrap();
        test.value(&format!("select floor_at < now() - interval '{seconds} s' from lane_queues")).await
    };
    assert_eq!(below(3_600).await, "true");
    assert_eq!(claim(&test.db, 1).await, shares([("acme/shop", 1)]));
    assert_eq!((below(30).await.as_str(), below(14).await.as_str()), ("false", "true"));
}

#[tokio::test]
async fn a_limit_of_nothing_is_refused_with_what_to_do() {
    let test = TestDb::new().await;
    let refused = lanes::limit(&test.db, "acme/shop", Some(0)).await.unwrap_err().to_string();
    assert!(refused.contains("pause repository:acme/shop"), "{refused}");
}

#[tokio::test]
async fn a_lane_is_listed_with_what_its_jobs_do() {
    let test = TestDb::new().await;
    lanes::limit(&test.db, "acme/idle", Some(2)).await.unwrap();
    waiting(&test.db).await;
    for _ in 0..3 {
        job_of(&test.db, "acme/shop").await;
    }
    claim(&test.db, 1).await;
    let lane =
        |repository: &str| lanes::Lane { repository: repository.to_owned(), max_running: None, ready: 0, running: 0, waiting: 0, dead: 0 };
    let listed = lanes::list(&test.db).await.unwrap();
    assert_eq!(
        listed,
        [lanes::Lane { max_running: Some(2), ..lane("acme/idle") }, lanes::Lane { ready: 2, running: 1, waiting: 1, ..lane("acme/shop") },]
    );
}
