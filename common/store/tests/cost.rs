//! What was paid, added up and row by row.

use domain::{MicroUsd, Mode, NewJob};
use futures_util::TryStreamExt;
use store::cost::{By, Cost, cost};
use store::ledger::export;
use testkit::{TestDb, new_job};
use time::Duration;

use crate::{claim, reserve, take_step, write_job};

/// Two jobs that paid, one of them with a call that nobody settled.
async fn spent() -> TestDb {
    let test = TestDb::new().await;
    for (repository, mode, steps) in [("acme/shop", Mode::Mechanic, 2), ("acme/tally", Mode::Genius, 1)] {
        let job_id = write_job(&test.db, &NewJob { repository: repository.to_owned(), mode: Some(mode), ..new_job() }).await;
        let epoch = claim(&test.db, job_id).await;
        for step_no in 1..=steps {
            take_step(&test.db, job_id, epoch, step_no).await;
        }
        if mode == Mode::Genius {
            reserve(&test.db, job_id, epoch, 2).await;
        }
    }
    test
}

fn line(key: &str, calls: i64, held: i64) -> Cost {
    Cost {
        key: Some(key.to_owned()),
        calls,
        uncached_input: 100 * calls,
        cache_read: 0,
        cache_write: 0,
        output: 20 * calls,
        paid_microusd: MicroUsd(150 * calls),
        held_microusd: MicroUsd(held),
    }
}

#[tokio::test]
async fn costs_add_up_by_repository_model_mode_and_day() {
    let test = spent().await;
    let of = async |by| cost(&test.db, by, None, None).await.unwrap();
    assert_eq!(of(By::Repository).await, [line("acme/shop", 2, 0), line("acme/tally", 1, 1_000)]);
    assert_eq!(of(By::Mode).await, [line("genius", 1, 1_000), line("mechanic", 2, 0)]);
    assert_eq!(of(By::Model).await, [line("scripted", 3, 1_000)]);
    let today = test.value("select (now() at time zone 'UTC')::date").await;
    assert_eq!(of(By::Day).await, [line(&today, 3, 1_000)]);
    let names = ["repo", "repository", "model", "mode", "day"].map(|name| name.parse::<By>().unwrap());
    assert_eq!(names, [By::Repository, By::Repository, By::Model, By::Mode, By::Day]);
}

#[tokio::test]
async fn only_the_days_that_were_asked_for_count_and_both_ends_are_included() {
    let test = spent().await;
    let today = crate::now().date();
    let days = |from: i64, to: i64| (Some(today + Duration::days(from)), Some(today + Duration::days(to)));
    for ((from, to), paid, rows) in [(days(0, 0), 450, 7), (days(-3, -1), 0, 0), (days(1, 3), 0, 0), ((None, None), 450, 7)] {
        let costs = cost(&test.db, By::Model, from, to).await.unwrap();
        assert_eq!(costs.iter().map(|line| line.paid_microusd).sum::<MicroUsd>(), MicroUsd(paid), "{from:?} {to:?}");
        let exported: Vec<_> = export(&test.db, from, to).try_collect().await.unwrap();
        assert_eq!(exported.len(), rows);
    }
}

#[tokio::test]
async fn every_row_is_exported_with_its_repository_and_hash() {
    let test = spent().await;
    let rows: Vec<_> = export(&test.db, None, None).try_collect().await.unwrap();
    let kinds: Vec<_> = rows.iter().map(|row| (row.seq, row.kind.as_str(), row.repository.as_deref().unwrap())).collect();
    assert_eq!(kinds[..3], [(1, "reserved", "acme/shop"), (2, "settled", "acme/shop"), (3, "reserved", "acme/shop")]);
    assert_eq!(kinds[6], (3, "reserved", "acme/tally"));
    let hashes = test.value("select string_agg(encode(hash, 'hex'), ' ' order by job_id, seq) from ledger").await;
    assert_eq!(rows.iter().map(|row| row.hash.as_str()).collect::<Vec<_>>().join(" "), hashes);
    assert_eq!(rows[1].tokens, [100, 0, 0, 20]);
}
