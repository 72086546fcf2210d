//! How fast `codeteam ledger verify` is, against reading the same rows and against hashing as many.

use std::time::Duration;

use anyhow::{Result, ensure};
use domain::ledger::{ChainHash, Entry, EntryKind};
use domain::{JobId, MicroUsd, Usage};
use testkit::TestDb;
use tokio::time::Instant;

use crate::figures::{say, show, table, verdict};

const JOBS: u32 = 10_000;
/// Rows of a job: twenty steps, reserved and settled.
const ROWS: u32 = 40;
/// Of three runs of everything, the fastest counts.
const RUNS: usize = 3;
/// Rows a second.
const GOAL: f64 = 50_000.0;

/// Finished jobs with whole chains, and an anchor over all of them.
const FILL: &str = "do $$
declare
    job uuid;
    head bytea;
    row_kind text;
    cost bigint;
begin
    for j in 1..JOBS loop
        job := overlay(uuid_at(now() - interval '1 hour' + j * interval '1 millisecond')::text placing lpad(to_hex(j), 12, '0') from 25)::uuid;
        head := decode(repeat('00', 32), 'hex');
        for n in 1..ROWS loop
            row_kind := case n % 2 when 1 then 'reserved' else 'settled' end;
            cost := case n % 2 when 1 then 1000 else 150 end;
            head := ledger_hash(head, job, n, now(), row_kind, (n + 1) / 2, case n % 2 when 0 then n - 1 end, 'claude-haiku-4-5', 100, 0, 0, 20, cost);
            insert into ledger (job_id, seq, at, kind, step_no, reservation_seq, model, uncached_input, cache_read, cache_write, output, cost_microusd, hash)
            values (job, n, now(), row_kind, (n + 1) / 2, case n % 2 when 0 then n - 1 end, 'claude-haiku-4-5', 100, 0, 0, 20, cost, head);
        end loop;
        insert into jobs (job_id, repository, kind, mode, trigger, input, finished_at, outcome, ledger_seq, ledger_head, cost_microusd)
        values (job, 'acme/shop', 'change', 'mechanic', '{}', '{}', now(), 'stopped', ROWS, head, ROWS / 2 * 150);
    end loop;
end $$";

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let test = TestDb::new().await;
    say(&format!("ledger: writing {JOBS} jobs of {ROWS} rows"));
    test.execute(&FILL.replace("JOBS", &JOBS.to_string()).replace("ROWS", &ROWS.to_string())).await;
    test.execute("vacuum analyze").await;
    store::anchors::anchor(&test.db, Duration::ZERO).await?;
    let rows = u64::from(JOBS) * u64::from(ROWS);
    let (mut verifying, mut reading, mut hashing) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for _ in 0..RUNS {
        let started = Instant::now();
        test.value("select count(*) from (select * from ledger order by job_id, seq offset 0) as all_rows where all_rows::text <> ''")
            .await;
        reading = reading.min(started.elapsed());
        let started = Instant::now();
        hash(rows);
        hashing = hashing.min(started.elapsed());
        let started = Instant::now();
        let verified = store::ledger::verify(&test.db, None).await?;
        verifying = verifying.min(started.elapsed());
        ensure!(verified.holds() && verified.rows == rows && verified.anchors == 1, "the ledger does not hold: {verified:?}");
    }
    let started = Instant::now();
    store::ledger::verify_new(&test.db).await?;
    let nothing_new = started.elapsed();
    let speed = |time: Duration| rows as f64 / time.as_secs_f64();
    let line = |name: &str, time: Duration| {
        vec![name.to_owned(), format!("{:.2}", verifying.as_secs_f64() / time.as_secs_f64()), format!("{:.0}", speed(time))]
    };
    show(&format!("\nLedger: {rows} rows of {JOBS} jobs, one anchor over all"));
    table(&[
        ["", "verification : this", "rows/s"].map(str::to_owned).to_vec(),
        line("the server reads the rows, in order", reading),
        line("SHA-256 over as many rows in memory", hashing),
        line("ledger verify", verifying),
    ]);
    show(&format!("  with nothing new since then, --incremental takes {:.1} ms", nothing_new.as_secs_f64() * 1e3));
    show(&format!("  goal: at least {GOAL} rows a second: {:.0}: {}", speed(verifying), verdict(speed(verifying) >= GOAL)));
    Ok(())
}

/// Hashes that many rows, each after the one before.
fn hash(rows: u64) {
    let entry = Entry {
        job_id: JobId::new(),
        seq: 2,
        at_us: 1_700_000_000_000_000,
        kind: EntryKind::Settled,
        step_no: 1,
        reservation_seq: Some(1),
        model: "claude-haiku-4-5".to_owned(),
        usage: Usage { uncached_input: 100, output: 20, ..Usage::default() },
        cost_microusd: MicroUsd(150),
    };
    let mut hash = ChainHash::GENESIS;
    for _ in 0..rows {
        hash = entry.hash(hash);
    }
    assert_ne!(hash, ChainHash::GENESIS);
}
