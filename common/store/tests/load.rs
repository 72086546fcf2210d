//! Load: what a worker would find, and since when there was nothing.

use std::time::Duration;

use domain::scale::{Load, PATIENCE};
use domain::{JobId, Mode, NewJob, OwnerId, Scope};
use store::queue::{self, LEASE};
use store::wake::{Signal, notify, rung};
use store::{Db, gates, lanes, load};
use testkit::{TestDb, new_job};

use crate::{claim, held, ready, seconds, waiting, write_job};

async fn mechanic(db: &Db) -> Load {
    load::of(db, Mode::Mechanic, 100).await.unwrap()
}

async fn job_of(db: &Db, repository: &str) -> JobId {
    write_job(db, &NewJob { repository: repository.to_owned(), ..new_job() }).await
}

#[tokio::test]
async fn what_is_ready_and_what_is_leased_counts_for_its_mode_alone() {
    let test = TestDb::new().await;
    assert_eq!(mechanic(&test.db).await, Load::default());
    held(&test.db).await;
    for _ in 0..3 {
        ready(&test.db).await;
    }
    waiting(&test.db).await;
    queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap().expect("one waits for triage");
    waiting(&test.db).await;
    write_job(&test.db, &NewJob { mode: Some(Mode::Genius), ..new_job() }).await;
    assert_eq!(mechanic(&test.db).await, Load { ready: 3, leased: 1, held_back: 0 });
    assert_eq!(load::of(&test.db, Mode::Genius, 100).await.unwrap(), Load { ready: 1, ..Load::default() });
    assert_eq!(
        load::of(&test.db, Mode::Mechanic, 2).await.unwrap(),
        Load { ready: 2, leased: 1, held_back: 0 },
        "no more than is asked for"
    );
    // A later try is work when its time has come.
    test.execute("update queue set run_at = now() + interval '1 minute' where state = 'ready'").await;
    assert_eq!(mechanic(&test.db).await, Load { ready: 0, leased: 1, held_back: 0 });
}

#[tokio::test]
async fn what_no_claim_would_take_is_held_back_and_counts_for_nothing() {
    for scope in [Scope::All, Scope::Mode(Mode::Mechanic), Scope::Repository("acme/shop".to_owned())] {
        let test = TestDb::new().await;
        let stopped = ready(&test.db).await;
        ready(&test.db).await;
        gates::pause(&test.db, &scope, None).await.unwrap();
        assert_eq!(mechanic(&test.db).await, Load { ready: 0, leased: 0, held_back: 2 }, "{scope}");
        queue::stop(&test.db, stopped).await.unwrap();
        assert_eq!(mechanic(&test.db).await, Load { ready: 1, leased: 0, held_back: 1 }, "{scope}: its end has to be told");
        gates::resume(&test.db, &scope).await.unwrap();
        assert_eq!(mechanic(&test.db).await, Load { ready: 2, leased: 0, held_back: 0 }, "{scope}");
    }
    let test = TestDb::new().await;
    let first = job_of(&test.db, "acme/shop").await;
    for repository in ["acme/shop", "acme/shop", "acme/shop", "acme/other"] {
        job_of(&test.db, repository).await;
    }
    claim(&test.db, first).await;
    lanes::limit(&test.db, "acme/shop", Some(2)).await.unwrap();
    assert_eq!(mechanic(&test.db).await, Load { ready: 2, leased: 1, held_back: 2 }, "one more of the limited one, and the other");
}

/// Random queues: what is counted as ready is what claims find, whatever holds jobs back.
#[tokio::test]
async fn as_many_jobs_are_ready_as_can_be_claimed() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let test = TestDb::new().await;
        for _ in 0..random.random_range(0..25) {
            let job_id = job_of(&test.db, &format!("acme/{}", random.random_range(0..4))).await;
            match random.random_range(0..6) {
                0 => drop(queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, None).await.unwrap()),
                1 => queue::stop(&test.db, job_id).await.unwrap(),
                2 => drop(test.execute(&format!("update queue set run_at = now() + interval '1 hour' where job_id = '{job_id}'")).await),
                _ => {}
            }
        }
        for lane in 0..4 {
            match random.random_range(0..4) {
                0 => gates::pause(&test.db, &Scope::Repository(format!("acme/{lane}")), None).await.unwrap(),
                1 => {
                    lanes::limit(&test.db, &format!("acme/{lane}"), Some(random.random_range(1..4))).await.unwrap();
                }
                _ => {}
            }
        }
        let counted = mechanic(&test.db).await.ready;
        let mut found = 0;
        loop {
            let claimed = queue::claim(&test.db, OwnerId::new(), Mode::Mechanic, 64, LEASE, None).await.unwrap().len() as u64;
            if claimed == 0 {
                break;
            }
            found += claimed;
        }
        assert_eq!(counted, found, "seed {seed}");
        assert_eq!(mechanic(&test.db).await.ready, 0, "seed {seed}: nothing is left for anybody");
    }
}

#[tokio::test]
async fn a_mode_is_idle_since_it_was_last_seen_with_work() {
    let test = TestDb::new().await;
    let idle_for = async |load| load::idle_for(&test.db, Mode::Genius, load).await.unwrap();
    let busy = Load { leased: 1, ..Load::default() };
    assert_eq!(idle_for(Load::default()).await, PATIENCE, "it never had any");
    assert_eq!(idle_for(busy).await, Duration::ZERO);
    test.execute("update scaling set busy_at = now() - interval '40 seconds'").await;
    let idle = idle_for(Load { held_back: 7, ..Load::default() }).await;
    assert!((seconds(40)..seconds(50)).contains(&idle), "{idle:?}");
    idle_for(busy).await;
    assert!(idle_for(Load::default()).await < seconds(10), "it had work again");
    assert_eq!(load::idle_for(&test.db, Mode::Mechanic, Load::default()).await.unwrap(), PATIENCE, "of the other mode nothing is known");
    test.execute("update scaling set busy_at = now() + interval '1 hour'").await;
    assert_eq!(idle_for(Load::default()).await, Duration::ZERO, "a clock that was set back keeps workers, it takes none");
}

#[tokio::test]
async fn a_message_names_a_job_that_is_ready() {
    let test = TestDb::new().await;
    let (job_id, _) = held(&test.db).await;
    assert_eq!(load::example(&test.db, Mode::Mechanic).await.unwrap(), None, "{job_id} is somebody's");
    let next = ready(&test.db).await;
    assert_eq!(load::example(&test.db, Mode::Mechanic).await.unwrap(), Some(next));
    assert_eq!(load::example(&test.db, Mode::Genius).await.unwrap(), None);
}

#[tokio::test]
async fn what_this_process_says_it_hears_itself_though_no_session_listens() {
    let test = TestDb::new().await;
    let (mut mechanic, mut genius) = (rung(&test.db, [Signal::Mechanic]), rung(&test.db, [Signal::Genius]));
    ready(&test.db).await;
    mechanic.woken().await;
    assert!(tokio::time::timeout(Duration::ZERO, genius.woken()).await.is_err(), "nothing was said of a genius");
    notify(&test.db, Mode::Genius).await;
    genius.woken().await;
}

#[tokio::test]
async fn a_job_that_is_held_and_stands_still_is_stuck() {
    let test = TestDb::new().await;
    let (job_id, _) = held(&test.db).await;
    ready(&test.db).await;
    let stuck = async || load::stuck(&test.db, seconds(600)).await.unwrap();
    assert_eq!(stuck().await, 0);
    // Events are append-only; what is asked is how old the last one is.
    assert_eq!(load::stuck(&test.db, Duration::ZERO).await.unwrap(), 1);
    queue::stop(&test.db, job_id).await.unwrap();
    assert_eq!(load::stuck(&test.db, Duration::ZERO).await.unwrap(), 1, "what others say is no progress");
    test.execute("update queue set state = 'ready', lease_until = null, owner = null").await;
    assert_eq!(load::stuck(&test.db, Duration::ZERO).await.unwrap(), 0, "nobody holds it");
}
