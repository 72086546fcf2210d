//! `ledger verify` against somebody who may do anything to the tables.

use domain::JobId;
use serde_json::json;
use store::finish;
use store::ledger::{Fault, verify};
use testkit::TestDb;

use crate::{held, succeeded, take_step};

/// A job with rows 1 to 6 in its ledger, beside another one.
async fn job(test: &TestDb, finished: bool) -> JobId {
    let (other, epoch) = held(&test.db).await;
    take_step(&test.db, other, epoch, 1).await;
    let (job_id, epoch) = held(&test.db).await;
    for step_no in 1..=3 {
        take_step(&test.db, job_id, epoch, step_no).await;
    }
    if finished {
        finish::finish(&test.db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
    }
    job_id
}

/// Changes tables with the triggers out of the way; `:job` stands for the job.
async fn tamper(test: &TestDb, job_id: JobId, statements: &str) {
    let statements = statements.replace(":job", &format!("'{job_id}'"));
    test.execute(&format!("begin; set local session_replication_role = replica; {statements}; commit")).await;
}

/// `statements` are found: in this job, at row `seq`, in these words; whoever looks at the other job sees nothing.
async fn is_found(finished: bool, statements: &str, seq: i64, words: &str) {
    let test = TestDb::new().await;
    let job_id = job(&test, finished).await;
    assert_eq!(verify(&test.db, None).await.unwrap().faults, []);
    tamper(&test, job_id, statements).await;
    let faults = verify(&test.db, None).await.unwrap().faults;
    let [Fault { job_id: named, seq: at, what }] = &faults[..] else { panic!("{statements}: {faults:?}") };
    assert_eq!((*named, *at), (job_id, seq), "{statements}: {what}");
    assert!(what.contains(words), "{statements}: {what}");
    assert_eq!(verify(&test.db, Some(job_id)).await.unwrap().faults, faults);
    let other = test.value(&format!("select job_id from jobs where job_id <> '{job_id}'")).await.parse().unwrap();
    assert_eq!(verify(&test.db, Some(other)).await.unwrap().faults, []);
}

#[tokio::test]
async fn an_edited_amount_is_found() {
    for finished in [false, true] {
        is_found(finished, "update ledger set cost_microusd = 149 where job_id = :job and seq = 4", 4, "was changed").await;
    }
}

#[tokio::test]
async fn every_edited_field_is_found() {
    for change in ["model = 'other'", "step_no = 9", "at = at + interval '1 microsecond'", "output = output + 1", "cache_read = 1"] {
        is_found(true, &format!("update ledger set {change} where job_id = :job and seq = 2"), 2, "was changed").await;
    }
    is_found(true, "update ledger set hash = sha256('') where job_id = :job and seq = 3", 3, "was changed").await;
}

#[tokio::test]
async fn a_deleted_row_is_found() {
    is_found(true, "delete from ledger where job_id = :job and seq = 3", 3, "row 3 is missing").await;
    is_found(false, "delete from ledger where job_id = :job and seq = 1", 1, "row 1 is missing").await;
}

#[tokio::test]
async fn a_cut_tail_is_found_in_a_running_and_in_a_finished_job() {
    for finished in [false, true] {
        is_found(finished, "delete from ledger where job_id = :job and seq >= 5", 5, "the ledger ends at row 4 and the job says 6").await;
        is_found(finished, "delete from ledger where job_id = :job", 1, "the ledger ends at row 0 and the job says 6").await;
    }
}

/// Appends a row whose hash is right.
const FORGED: &str = "insert into ledger (job_id, seq, at, kind, step_no, model, cost_microusd, hash)
    select job_id, seq + 1, at, 'reserved', 4, model, 0, ledger_hash(hash, job_id, seq + 1, at, 'reserved', 4, null, model, 0, 0, 0, 0, 0)
    from ledger where job_id = :job and seq = 6";

#[tokio::test]
async fn an_inserted_row_is_found_even_with_the_right_hash() {
    for finished in [false, true] {
        is_found(finished, FORGED, 7, "the ledger ends at row 7 and the job says 6").await;
    }
}

#[tokio::test]
async fn swapped_rows_are_found() {
    let swap = "update ledger set seq = seq + 100 where job_id = :job and seq in (2, 4);
                update ledger set seq = case seq when 102 then 4 else 2 end where job_id = :job and seq > 100";
    is_found(true, swap, 2, "was changed").await;
}

#[tokio::test]
async fn a_changed_total_or_head_is_found() {
    for (finished, table) in [(false, "queue"), (true, "jobs")] {
        let change = |change: &str| format!("update {table} set {change} where job_id = :job");
        is_found(finished, &change("cost_microusd = 0"), 6, "the rows add up to $0.0005 and the job says $0.0000").await;
        is_found(finished, &change("ledger_head = sha256('')"), 6, "not the one that the job was closed with").await;
        is_found(finished, &change("ledger_seq = 5"), 6, "the ledger ends at row 6 and the job says 5").await;
    }
}

#[tokio::test]
async fn rows_of_a_job_that_never_was_are_found() {
    let test = TestDb::new().await;
    job(&test, true).await;
    let ghost = JobId::new();
    tamper(
        &test,
        ghost,
        "insert into ledger (job_id, seq, at, kind, step_no, model, cost_microusd, hash)
         select :job, 1, now(), 'reserved', 1, 'x', 5, ledger_hash(decode(repeat('00', 32), 'hex'), :job, 1, now(), 'reserved', 1, null, 'x', 0, 0, 0, 0, 5)",
    )
    .await;
    let faults = verify(&test.db, None).await.unwrap().faults;
    let what = "the ledger has rows of a job that is not in the database".to_owned();
    assert_eq!(faults, [Fault { job_id: ghost, seq: 1, what }]);
}

#[tokio::test]
async fn each_broken_job_is_named_once() {
    let test = TestDb::new().await;
    let (first, second) = (job(&test, true).await, job(&test, false).await);
    tamper(&test, first, "update ledger set cost_microusd = 1 where job_id = :job").await;
    tamper(&test, second, "delete from ledger where job_id = :job and seq = 2").await;
    let verified = verify(&test.db, None).await.unwrap();
    let found: Vec<_> = verified.faults.iter().map(|fault| (fault.job_id, fault.seq)).collect();
    assert_eq!(found, [(first, 1), (second, 2)]);
    assert_eq!((verified.jobs, verified.rows), (4, 15));
}
