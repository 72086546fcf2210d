//! Anchors: each head that moved is in one, whoever commits when, and nothing behind them can be cut off unseen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::JobId;
use serde_json::json;
use store::ledger::{AnchorFault, verify, verify_new};
use store::{anchors, finish};
use testkit::TestDb;
use tokio::task::JoinSet;

use crate::{count, held, reserve, succeeded, take_step};

/// Anchors all that is written, once no other test of this server holds the horizon any more.
pub(crate) async fn anchor(test: &TestDb) -> Option<i64> {
    horizon(test).await;
    anchor_now(test).await
}

/// Until nothing that is written now is above the horizon any more.
async fn horizon(test: &TestDb) {
    let highest = test.value("select pg_snapshot_xmax(pg_current_snapshot())").await;
    while test.value(&format!("select pg_snapshot_xmin(pg_current_snapshot()) >= '{highest}'::xid8")).await != "true" {
        tokio::task::yield_now().await;
    }
}

/// Anchors what is below the horizon now.
async fn anchor_now(test: &TestDb) -> Option<i64> {
    anchors::anchor(&test.db, Duration::ZERO).await.unwrap().map(|anchored| anchored.anchor_no)
}

/// Every head of the ledger, and the newest that an anchor has of it.
async fn heads(test: &TestDb) -> (String, String) {
    let line = "string_agg(job_id || ' ' || seq || ' ' || encode(head, 'hex'), ', ' order by job_id)";
    let ledger = "select distinct on (job_id) job_id, seq, hash as head from ledger order by job_id, seq desc";
    let anchored = "select distinct on (job_id) job_id, seq, head from anchor_heads order by job_id, anchor_no desc";
    (test.value(&format!("select {line} from ({ledger}) l")).await, test.value(&format!("select {line} from ({anchored}) a")).await)
}

/// Changes tables with the triggers out of the way.
async fn tamper(test: &TestDb, statements: &str) {
    test.execute(&format!("begin; set local session_replication_role = replica; {statements}; commit")).await;
}

#[tokio::test]
async fn an_anchor_holds_the_heads_that_moved_and_only_those() {
    let test = TestDb::new().await;
    assert_eq!(anchor(&test).await, None, "nothing moved");
    let (first, epoch) = held(&test.db).await;
    take_step(&test.db, first, epoch, 1).await;
    let (second, second_epoch) = held(&test.db).await;
    reserve(&test.db, second, second_epoch, 1).await;
    assert_eq!(anchor(&test).await, Some(1));
    assert_eq!(anchor(&test).await, None);
    take_step(&test.db, first, epoch, 2).await;
    assert_eq!(anchor(&test).await, Some(2));
    let held = "select string_agg(anchor_no || ' ' || job_id || ' ' || seq, ', ' order by anchor_no, job_id) from anchor_heads";
    assert_eq!(test.value(held).await, format!("1 {first} 2, 1 {second} 1, 2 {first} 4"));
    let (ledger, anchored) = heads(&test).await;
    assert_eq!(ledger, anchored);
    let verified = verify(&test.db, None).await.unwrap();
    assert!(verified.holds(), "{verified:?}");
    assert_eq!(verified.anchors, 2);
}

#[tokio::test]
async fn an_anchor_is_not_written_twice_in_a_period() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    assert_eq!(anchor(&test).await, Some(1));
    take_step(&test.db, job_id, epoch, 2).await;
    assert_eq!(anchors::anchor(&test.db, anchors::PERIOD).await.unwrap(), None);
    test.execute("begin; set local session_replication_role = replica; update anchors set at = at - interval '61 seconds'; commit").await;
    horizon(&test).await;
    assert!(anchors::anchor(&test.db, anchors::PERIOD).await.unwrap().is_some());
}

#[tokio::test]
async fn a_row_that_commits_late_is_in_the_next_anchor() {
    let test = TestDb::new().await;
    let (late, late_epoch) = held(&test.db).await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    assert_eq!(anchor(&test).await, Some(1), "the first one takes everything that there is");
    // A transaction that has written, and holds the horizon, while others come and go.
    let mut open = test.db.pool().begin().await.unwrap();
    sqlx::query("insert into deliveries (delivery_id, event) values ('open', 'ping')").execute(&mut *open).await.unwrap();
    take_step(&test.db, job_id, epoch, 2).await;
    assert_eq!(anchor_now(&test).await, None, "what is above the horizon may still be followed by something lower");
    assert!(anchors::lag(&test.db).await.unwrap().is_some());
    open.commit().await.unwrap();
    assert_eq!(anchor(&test).await, Some(2));
    assert_eq!(anchors::lag(&test.db).await.unwrap(), None);
    take_step(&test.db, late, late_epoch, 1).await;
    assert_eq!(anchor(&test).await, Some(3));
    let (ledger, anchored) = heads(&test).await;
    assert_eq!(ledger, anchored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_anchor_while_jobs_run_write_one_whole_chain_and_miss_no_head() {
    let test = Arc::new(TestDb::new().await);
    // Another test's transaction on this server may hold the horizon for a while: they run until some anchors are written.
    let anchored = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let (test, anchored) = (test.clone(), anchored.clone());
        workers.spawn(async move {
            let mut jobs = 0;
            while jobs < 6 || anchored.load(Ordering::Relaxed) < 3 {
                let (job_id, epoch) = held(&test.db).await;
                for step_no in 1..=3 {
                    take_step(&test.db, job_id, epoch, step_no).await;
                }
                finish::finish(&test.db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
                jobs += 1;
            }
            jobs
        });
    }
    let mut jobs = 0;
    while !workers.is_empty() {
        let (one, other) = tokio::join!(anchor_now(&test), anchor_now(&test));
        anchored.fetch_add(usize::from(one.is_some()) + usize::from(other.is_some()), Ordering::Relaxed);
        while let Some(ended) = workers.try_join_next() {
            jobs += ended.unwrap();
        }
    }
    while anchors::lag(&test.db).await.unwrap().is_some() {
        anchor(&test).await;
    }
    let (ledger, anchored) = heads(&test).await;
    assert_eq!(ledger, anchored);
    let verified = verify(&test.db, None).await.unwrap();
    assert!(verified.holds(), "{verified:?}");
    assert_eq!((verified.jobs, verified.rows), (jobs, 6 * jobs));
}

#[tokio::test]
async fn a_database_that_was_moved_to_another_server_goes_on_anchoring() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    assert_eq!(anchor(&test).await, Some(1));
    // The server before had counted further.
    tamper(&test, "update anchors set below_xid = '9000000000'; update ledger set xid = '8999999999'").await;
    take_step(&test.db, job_id, epoch, 2).await;
    assert_eq!(anchor(&test).await, Some(2));
    let (ledger, anchored) = heads(&test).await;
    assert_eq!(ledger, anchored);
}

/// Anchor faults after `statements`, and whether an incremental verification after a good one finds them as well.
async fn broken_anchor(statements: &str) -> Vec<AnchorFault> {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    for step_no in 1..=3 {
        take_step(&test.db, job_id, epoch, step_no).await;
        assert_eq!(anchor(&test).await, Some(step_no.into()));
    }
    tamper(&test, statements).await;
    let verified = verify(&test.db, None).await.unwrap();
    assert!(!verified.holds(), "{statements}");
    verified.anchor_faults
}

#[tokio::test]
async fn an_anchor_that_was_changed_or_taken_away_is_found() {
    for (statements, anchor_no, words) in [
        ("update anchors set at = at + interval '1 second' where anchor_no = 2", 2, "does not match"),
        ("update anchors set retired = 'ledger_2026_01' where anchor_no = 2", 2, "does not match"),
        ("update anchors set hash = sha256('') where anchor_no = 2", 2, "does not match"),
        ("update anchors set previous = sha256('') where anchor_no = 3", 3, "does not follow"),
        ("delete from anchor_heads where anchor_no = 2; delete from anchors where anchor_no = 2", 2, "is missing"),
        ("delete from anchor_heads where anchor_no = 2", 2, "does not match"),
        ("update anchor_heads set seq = 3 where anchor_no = 2", 2, "does not match"),
        ("insert into anchor_heads select 2, gen_random_uuid(), 1, head from anchor_heads where anchor_no = 1", 2, "does not match"),
    ] {
        let faults = broken_anchor(statements).await;
        let [fault] = &faults[..] else { panic!("{statements}: {faults:?}") };
        assert!(fault.anchor_no == anchor_no && fault.what.contains(words), "{statements}: {fault:?}");
    }
}

#[tokio::test]
async fn an_incremental_verification_goes_on_from_the_last_good_one() {
    let test = TestDb::new().await;
    let (old, epoch) = held(&test.db).await;
    take_step(&test.db, old, epoch, 1).await;
    finish::finish(&test.db, old, epoch, &succeeded(), &json!({})).await.unwrap();
    anchor(&test).await;
    let verified = verify_new(&test.db).await.unwrap();
    assert_eq!((verified.jobs, verified.rows, verified.anchors), (1, 2, 1), "the first one looks at everything");
    let (new, epoch) = held(&test.db).await;
    take_step(&test.db, new, epoch, 1).await;
    anchor(&test).await;
    let verified = verify_new(&test.db).await.unwrap();
    assert_eq!((verified.jobs, verified.rows, verified.anchors, verified.holds()), (1, 2, 1, true));
    let verified = verify_new(&test.db).await.unwrap();
    assert_eq!((verified.jobs, verified.anchors, verified.holds()), (0, 0, true));
    take_step(&test.db, new, epoch, 2).await;
    anchor(&test).await;
    tamper(&test, &format!("update ledger set cost_microusd = 0 where job_id = '{new}' and seq = 2")).await;
    for _ in 0..2 {
        let faults = verify_new(&test.db).await.unwrap().faults;
        assert_eq!(faults.iter().map(|fault| (fault.job_id, fault.seq)).collect::<Vec<_>>(), [(new, 2)], "and it says so again");
    }
    // What was verified must still be there.
    tamper(&test, "delete from anchor_heads where anchor_no > 1; delete from anchors where anchor_no > 1").await;
    let faults = verify_new(&test.db).await.unwrap().anchor_faults;
    assert_eq!(faults, [AnchorFault { anchor_no: 2, what: "it was verified before, and is gone or another one".to_owned() }]);
}

/// Cuts the last two rows of a job off and makes its own head and totals fit, as somebody would who knows the tables.
pub(crate) fn cut_and_cover(job_id: JobId) -> String {
    format!(
        "delete from ledger where job_id = '{job_id}' and seq > (select max(seq) - 2 from ledger where job_id = '{job_id}');
         update queue set ledger_seq = tail.seq, ledger_head = tail.hash, cost_microusd = queue.cost_microusd - 150
         from (select seq, hash from ledger where job_id = '{job_id}' order by seq desc limit 1) tail where job_id = '{job_id}';
         update jobs set ledger_seq = tail.seq, ledger_head = tail.hash, cost_microusd = jobs.cost_microusd - 150
         from (select seq, hash from ledger where job_id = '{job_id}' order by seq desc limit 1) tail
         where job_id = '{job_id}' and finished_at is not null"
    )
}

#[tokio::test]
async fn a_tail_that_was_cut_and_covered_up_is_found_by_the_anchor() {
    for finished in [false, true] {
        let test = TestDb::new().await;
        let (job_id, epoch) = held(&test.db).await;
        for step_no in 1..=3 {
            take_step(&test.db, job_id, epoch, step_no).await;
        }
        if finished {
            finish::finish(&test.db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
        }
        anchor(&test).await;
        tamper(&test, &cut_and_cover(job_id)).await;
        let faults = verify(&test.db, None).await.unwrap().faults;
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].what, "the ledger ends at row 4 and anchor 1 holds row 6");
    }
}

#[tokio::test]
async fn a_job_that_was_taken_away_with_all_its_rows_is_found_by_the_anchor() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    assert_eq!(anchor(&test).await, Some(1));
    let hash = test.value("select encode(hash, 'hex') from anchors").await;
    assert!(anchors::matches(&test.db, 1, &hash).await.unwrap());
    assert!(!anchors::matches(&test.db, 1, &"0".repeat(64)).await.unwrap());
    assert!(!anchors::matches(&test.db, 2, &hash).await.unwrap());
    let all = ["ledger", "queue", "jobs"].map(|table| format!("delete from {table} where job_id = '{job_id}'")).join("; ");
    tamper(&test, &all).await;
    let faults = verify(&test.db, None).await.unwrap().faults;
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].job_id, faults[0].what.as_str()), (job_id, "anchor 1 holds row 2 of a job that is not in the database"));
    assert_eq!(count(&test, "ledger").await, 0);
}
