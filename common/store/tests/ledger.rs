//! The ledger as it is written: what is in it, and that its chain is the one that the domain computes.

use domain::ledger::{ChainHash, EntryKind};
use domain::{MicroUsd, Usage};
use serde_json::json;
use store::ledger::{Verified, entries, verify};
use store::steps::Reserve;
use store::{StoreError, finish, steps};
use testkit::TestDb;

use crate::{COST, MODEL, RESERVED, answer, call, held, queued, reserve, succeeded, take_step};

#[tokio::test]
async fn the_chain_that_the_database_computes_is_the_domains() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    reserve(&test.db, job_id, epoch, 2).await;
    steps::release_reservation(&test.db, job_id, epoch, 2, MODEL, (3, RESERVED), crate::seconds(0)).await.unwrap();
    let reservation = reserve(&test.db, job_id, epoch, 2).await;
    let usage = Usage { uncached_input: 7, cache_read: 8, cache_write: 9, output: i64::MAX as u64 / 2 };
    steps::store_reply(&test.db, job_id, epoch, &steps::Answered { usage, ..answer(2, reservation) }).await.unwrap();
    let mut hash = ChainHash::GENESIS;
    for entry in entries(&test.db, job_id).await.unwrap() {
        hash = entry.hash(hash);
        let stored = test.value(&format!("select encode(hash, 'hex') from ledger where seq = {}", entry.seq)).await;
        assert_eq!(format!("{hash:?}"), stored, "row {}", entry.seq);
    }
    assert_eq!(queued(&test, job_id, "encode(ledger_head, 'hex')").await, format!("{hash:?}"));
    assert_eq!(verify(&test.db, None).await.unwrap(), Verified { jobs: 1, rows: 6, ..Verified::default() });
}

#[tokio::test]
async fn a_reservation_counts_in_full_until_it_is_settled_or_released() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    let mut costs = Vec::new();
    reserve(&test.db, job_id, epoch, 1).await;
    costs.push(queued(&test, job_id, "cost_microusd").await);
    steps::store_reply(&test.db, job_id, epoch, &answer(1, 1)).await.unwrap();
    costs.push(queued(&test, job_id, "cost_microusd").await);
    crate::act(&test.db, job_id, epoch, 1).await;
    reserve(&test.db, job_id, epoch, 2).await;
    costs.push(queued(&test, job_id, "cost_microusd").await);
    steps::release_reservation(&test.db, job_id, epoch, 2, MODEL, (3, RESERVED), crate::seconds(0)).await.unwrap();
    costs.push(queued(&test, job_id, "cost_microusd").await);
    assert_eq!(costs, ["1000", "150", "1150", "150"]);
    let rows: Vec<_> =
        entries(&test.db, job_id).await.unwrap().into_iter().map(|row| (row.kind, row.reservation_seq, row.cost_microusd)).collect();
    let expected = [
        (EntryKind::Reserved, None, RESERVED),
        (EntryKind::Settled, Some(1), COST),
        (EntryKind::Reserved, None, RESERVED),
        (EntryKind::Released, Some(3), MicroUsd::ZERO),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn what_is_no_ledger_row_gets_no_hash_and_is_not_written() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    let before = crate::dump(&test).await;
    let reserve = call(1);
    for no_row in [
        Reserve { cost_microusd: MicroUsd(-1), ..reserve },
        Reserve { model: "", ..reserve },
        // The fields are hashed with line ends between them.
        Reserve { model: "a\n1", ..reserve },
    ] {
        let refused = steps::reserve(&test.db, job_id, epoch, no_row).await;
        assert!(matches!(refused, Err(StoreError::Database(_))), "{no_row:?}: {refused:?}");
        assert_eq!(crate::dump(&test).await, before, "{no_row:?}");
    }
    let hashes = "concat_ws(' ', ledger_hash('', gen_random_uuid(), 1, now(), kind, 1, closes, 'm', tokens, 0, 0, 0, 0) is not null)";
    let rows = "(values ('reserved', null::bigint, 0), ('settled', 1, 0), ('reserved', 1, 0), ('settled', null, 0), ('spent', 1, 0), ('settled', 1, -1))";
    let hashed = test.value(&format!("select string_agg({hashes}, ' ') from {rows} as rows (kind, closes, tokens)")).await;
    assert_eq!(hashed, "t t f f f f");
}

#[tokio::test]
async fn a_reservation_is_settled_once() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    reserve(&test.db, job_id, epoch, 1).await;
    steps::store_reply(&test.db, job_id, epoch, &answer(1, 1)).await.unwrap();
    let before = crate::dump(&test).await;
    assert!(steps::store_reply(&test.db, job_id, epoch, &answer(2, 1)).await.is_err_and(|error| matches!(error, StoreError::Duplicate)));
    assert!(
        steps::release_reservation(&test.db, job_id, epoch, 1, MODEL, (1, RESERVED), crate::seconds(0))
            .await
            .is_err_and(|error| matches!(error, StoreError::Duplicate))
    );
    assert_eq!(crate::dump(&test).await, before);
}

#[tokio::test]
async fn a_step_has_each_of_its_halves_once() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    let reservation = reserve(&test.db, job_id, epoch, 2).await;
    let before = crate::dump(&test).await;
    assert!(
        steps::store_reply(&test.db, job_id, epoch, &answer(1, reservation))
            .await
            .is_err_and(|error| matches!(error, StoreError::Duplicate))
    );
    let acted = steps::Acted { step_no: 1, results: &json!({}), checkpoint: None, left_out: &[], took: crate::seconds(0) };
    assert!(steps::store_results(&test.db, job_id, epoch, &acted).await.is_err_and(|error| matches!(error, StoreError::Duplicate)));
    assert_eq!(crate::dump(&test).await, before);
}

#[tokio::test]
async fn totals_go_with_the_job_when_it_ends() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    take_step(&test.db, job_id, epoch, 2).await;
    let spent = finish::finish(&test.db, job_id, epoch, &succeeded(), &json!({ "branch": "codeteam/x" })).await.unwrap();
    assert_eq!((spent.steps, spent.tokens, spent.cost_microusd, spent.active_ms), (2, 240, MicroUsd(300), 300));
    let finished = store::jobs::get(&test.db, job_id).await.unwrap();
    assert!(finished.queue.is_none());
    let finished = finished.job.finished.unwrap();
    assert_eq!((finished.outcome, finished.links, finished.spent), (succeeded(), json!({ "branch": "codeteam/x" }), spent));
    assert_eq!(verify(&test.db, Some(job_id)).await.unwrap(), Verified { jobs: 1, rows: 4, ..Verified::default() });
}

#[tokio::test]
async fn a_clean_database_verifies_with_and_without_rows() {
    let test = TestDb::new().await;
    assert_eq!(verify(&test.db, None).await.unwrap(), Verified::default());
    crate::ready(&test.db).await;
    assert_eq!(verify(&test.db, None).await.unwrap(), Verified::default());
    for _ in 0..3 {
        let (job_id, epoch) = held(&test.db).await;
        take_step(&test.db, job_id, epoch, 1).await;
    }
    assert_eq!(verify(&test.db, None).await.unwrap(), Verified { jobs: 3, rows: 6, ..Verified::default() });
}
