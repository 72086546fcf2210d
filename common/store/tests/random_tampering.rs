//! Thousands of random tampers with the ledger, each found. `TAMPERS=10000` for the long run.

use std::time::Duration;

use domain::JobId;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use store::ledger::verify;
use store::{anchors, finish};
use testkit::TestDb;

use crate::anchors::cut_and_cover;
use crate::{held, reserve, succeeded, take_step};

/// The tables that somebody may touch, and whose copy undoes it.
const TOUCHED: [&str; 5] = ["ledger", "queue", "jobs", "anchors", "anchor_heads"];

#[expect(clippy::disallowed_methods, reason = "tests have no `config`: the length of the run is the environment's")]
fn tampers() -> usize {
    std::env::var("TAMPERS").ok().and_then(|number| number.parse().ok()).unwrap_or(200)
}

/// What somebody does, in words and in SQL.
fn tamper(random: &mut StdRng, jobs: &[(JobId, i64)]) -> (&'static str, String) {
    let (job, rows) = *jobs.choose(random).unwrap();
    let (other, _) = *jobs.iter().filter(|(id, _)| *id != job).collect::<Vec<_>>().choose(random).unwrap();
    let seq = random.random_range(1..=rows);
    let row = format!("job_id = '{job}' and seq = {seq}");
    let by = random.random_range(1..1_000);
    match random.random_range(0..9) {
        0 | 1 => {
            let edits = [
                format!("cost_microusd = cost_microusd + {by}"),
                format!("uncached_input = uncached_input + {by}"),
                format!("cache_read = cache_read + {by}"),
                format!("cache_write = cache_write + {by}"),
                format!("output = output + {by}"),
                format!("at = at + interval '{by} microseconds'"),
                format!("step_no = step_no + {by}"),
                format!("model = model || '{by}'"),
                format!("hash = sha256('{by}')"),
                format!("kind = case kind when 'settled' then 'settled_late' when 'settled_late' then 'released' else 'settled' end, reservation_seq = coalesce(reservation_seq, {})", 1_000 + by),
            ];
            ("edit", format!("update ledger set {} where {row}", edits.choose(random).unwrap()))
        }
        2 => ("delete", format!("delete from ledger where {row}")),
        3 => (
            "insert",
            format!(
                "update ledger set seq = seq + 1000 where job_id = '{job}' and seq > {seq};
                 insert into ledger (job_id, seq, at, kind, step_no, model, cost_microusd, hash)
                 select job_id, seq + 1, at, 'reserved', 9, model, {by}, ledger_hash(hash, job_id, seq + 1, at, 'reserved', 9, null, model, 0, 0, 0, 0, {by})
                 from ledger where {row};
                 update ledger set seq = seq - 999 where job_id = '{job}' and seq > 1000"
            ),
        ),
        4 => {
            let second = if seq == rows { 1 } else { seq + 1 };
            (
                "swap",
                format!(
                    "update ledger set seq = seq + 1000 where job_id = '{job}' and seq in ({seq}, {second});
                     update ledger set seq = case seq when {} then {second} else {seq} end where job_id = '{job}' and seq > 1000",
                    seq + 1_000
                ),
            )
        }
        5 => ("cut tail", format!("delete from ledger where job_id = '{job}' and seq >= {seq}")),
        6 => ("cut tail and cover it up", cut_and_cover(job)),
        7 => (
            // Every hash after an edited amount is computed anew, and the head with them.
            "rewrite",
            format!(
                "update ledger set cost_microusd = cost_microusd + {by} where {row};
                 do $$ declare r record; h bytea := decode(repeat('00', 32), 'hex'); begin
                     for r in select * from ledger where job_id = '{job}' order by seq loop
                         h := ledger_hash(h, r.job_id, r.seq, r.at, r.kind, r.step_no, r.reservation_seq, r.model,
                                          r.uncached_input, r.cache_read, r.cache_write, r.output, r.cost_microusd);
                         update ledger set hash = h where job_id = r.job_id and seq = r.seq;
                     end loop;
                     update queue set ledger_head = h, cost_microusd = cost_microusd + {by} where job_id = '{job}';
                     update jobs set ledger_head = h, cost_microusd = cost_microusd + {by} where job_id = '{job}' and finished_at is not null;
                 end $$"
            ),
        ),
        _ => ("give a row to another job", format!("update ledger set job_id = '{other}', seq = seq + 1000, reservation_seq = reservation_seq + 1000 where {row}")),
    }
}

#[tokio::test]
async fn every_random_tamper_is_found() {
    let test = TestDb::new().await;
    let mut jobs = Vec::new();
    for no in 0..8 {
        let (job_id, epoch) = held(&test.db).await;
        for step_no in 1..=2 + no % 3 {
            take_step(&test.db, job_id, epoch, step_no).await;
        }
        let mut rows = i64::from(2 * (2 + no % 3));
        if no % 2 == 0 {
            finish::finish(&test.db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
        } else if no == 3 {
            reserve(&test.db, job_id, epoch, 3 + no % 3).await;
            rows += 1;
        }
        jobs.push((job_id, rows));
        if no == 3 {
            anchors::anchor(&test.db, Duration::ZERO).await.unwrap();
        }
    }
    while anchors::lag(&test.db).await.unwrap().is_some() {
        anchors::anchor(&test.db, Duration::ZERO).await.unwrap();
    }
    test.execute(&TOUCHED.map(|table| format!("create table copy_{table} as select * from {table}")).join("; ")).await;
    let undo: String = TOUCHED.map(|table| format!("delete from {table};")).concat()
        + &["jobs", "queue", "ledger", "anchors", "anchor_heads"]
            .map(|table| format!("insert into {table} select * from copy_{table};"))
            .concat();
    let quick = "set local synchronous_commit = off; set local session_replication_role = replica;";
    let mut random = StdRng::seed_from_u64(20_261_123);
    let mut found = std::collections::BTreeMap::<&str, usize>::new();
    for number in 0..tampers() {
        let (what, statements) = tamper(&mut random, &jobs);
        test.execute(&format!("begin; {quick} {statements}; commit")).await;
        let verified = verify(&test.db, None).await.unwrap();
        assert!(!verified.holds(), "tamper {number} was not found: {what}: {statements}");
        *found.entry(what).or_default() += 1;
        test.execute(&format!("begin; {quick} {undo} commit")).await;
    }
    let verified = verify(&test.db, None).await.unwrap();
    assert!(verified.holds(), "all was undone: {verified:?}");
    eprintln!("found: {found:?}");
}
