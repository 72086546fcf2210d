//! Plans: no statement reads the whole queue, whatever the planner knows or does not know of its parameters.

use std::fs;
use std::path::Path;

use sqlx::{Executor, PgConnection, Row};
use testkit::TestDb;

/// Statements that count everything, for a person who asked for that.
const COUNTS: &[&str] = &["full join"];

/// Every statement of the store, as it was checked at compile time, that names the queue.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let mut statements: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let described: serde_json::Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
            described["query"].as_str().unwrap().to_owned()
        })
        .filter(|statement| statement.split(|char: char| !char.is_ascii_alphanumeric() && char != '_').any(|word| word == "queue"))
        .filter(|statement| !COUNTS.iter().any(|count| statement.contains(count)))
        .collect();
    statements.sort();
    statements
}

/// A hundred thousand rows in every state, over lanes of very different lengths.
async fn fill(test: &TestDb) {
    test.execute(
        "insert into jobs (job_id, repository, kind, mode, trigger, input)
         select gen_random_uuid(), 'acme/lane' || (case when n % 2 = 0 then 0 else n % 500 end), 'change', 'mechanic', '{}', '{}'
         from generate_series(1, 100000) n",
    )
    .await;
    test.execute(
        "insert into queue (job_id, lane, mode, state, waiting_for, run_at, owner, lease_until)
         select job_id, repository, case n % 10 when 0 then 'genius' else 'mechanic' end, state,
                case state when 'waiting' then case n % 3 when 0 then 'triage' when 1 then 'budget' else 'answer' end end,
                now() - make_interval(secs => n),
                case state when 'leased' then gen_random_uuid() end, case state when 'leased' then now() + interval '30 s' end
         from (
             select job_id, repository, n,
                    case when n % 20 < 15 then 'ready' when n % 20 < 17 then 'leased' when n % 20 < 19 then 'waiting' else 'dead' end as state
             from (select job_id, repository, row_number() over () as n from jobs) as numbered
         ) as jobs",
    )
    .await;
    test.execute("analyze").await;
}

async fn plan(connection: &mut PgConnection, statement: &str) -> String {
    let parameters = (1..=30).rev().find(|no| statement.contains(&format!("${no}"))).unwrap_or(0);
    let nulls = vec!["null"; parameters].join(", ");
    let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
    connection
        .execute(sqlx::AssertSqlSafe(format!("prepare asked as {statement}")))
        .await
        .unwrap_or_else(|error| panic!("{error}: {statement}"));
    let rows = connection.fetch_all(sqlx::AssertSqlSafe(format!("explain (costs off) execute asked{arguments}"))).await.unwrap();
    connection.execute("deallocate asked").await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn no_statement_reads_the_whole_queue_under_a_generic_plan() {
    let test = TestDb::new().await;
    fill(&test).await;
    let mut connection = test.db.pool().acquire().await.unwrap();
    for setting in ["plan_cache_mode = force_generic_plan", "jit = off", "enable_seqscan = on"] {
        connection.execute(sqlx::AssertSqlSafe(format!("set {setting}"))).await.unwrap();
    }
    let statements = statements();
    assert!(statements.len() > 25, "{}", statements.len());
    let mut wrong = Vec::new();
    for statement in &statements {
        let plan = plan(&mut connection, statement).await;
        if plan.contains("Seq Scan on queue") {
            wrong.push(format!("{statement}\n\n{plan}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n=====\n"));
}

#[tokio::test]
async fn looking_after_the_lanes_reads_the_queue_by_index() {
    let test = TestDb::new().await;
    fill(&test).await;
    let mut tx = test.db.pool().begin().await.unwrap();
    tx.execute("select tend_lanes()").await.unwrap();
    let scans = "select seq_scan, idx_scan from pg_stat_xact_user_tables where relname = 'queue'";
    let row = tx.fetch_one(scans).await.unwrap();
    let (whole, by_index): (i64, i64) = (row.get(0), row.get(1));
    assert!(whole == 0 && by_index > 0, "{whole} scans of everything, {by_index} by index");
}
