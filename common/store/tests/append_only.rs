//! Steps, events and ledger grow and never change, whichever way somebody tries.

use testkit::TestDb;

use crate::{dump, held, take_step};

async fn names(test: &TestDb, query: &str) -> Vec<String> {
    test.value(&format!("select string_agg(name::text, ' ' order by name::text) from ({query}) as names (name)"))
        .await
        .split(' ')
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn neither_the_tables_nor_their_partitions_can_be_changed_or_emptied() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    let before = dump(&test).await;
    for parent in ["steps", "events", "ledger"] {
        let partitions = names(&test, &format!("select inhrelid::regclass from pg_inherits where inhparent = '{parent}'::regclass")).await;
        assert_eq!(partitions.len(), 4, "{partitions:?}");
        for table in partitions.iter().map(String::as_str).chain([parent]) {
            let refused = async |statement: String| {
                let said = test.try_execute(&statement).await.expect_err(&statement);
                assert!(said.contains(&format!("{table} is append-only")) || said.contains(&format!("{parent}_")), "{statement}: {said}");
            };
            refused(format!("truncate {table}")).await;
            refused(format!("truncate {table} cascade")).await;
            // A rule about rows shows only where there are some.
            if test.value(&format!("select exists (select from {table})")).await == "true" {
                refused(format!("delete from {table}")).await;
                refused(format!("update {table} set job_id = job_id")).await;
            }
        }
    }
    assert_eq!(dump(&test).await, before);
}

#[tokio::test]
async fn the_partitions_of_the_coming_months_exist_and_rows_lie_in_that_of_their_month() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    for parent in ["steps", "events", "ledger"] {
        for ahead in 0..=2 {
            let name = test
                .value(&format!("select '{parent}_' || to_char(now() at time zone 'UTC' + interval '{ahead} months', 'YYYY_MM')"))
                .await;
            assert_eq!(test.value(&format!("select to_regclass('{name}') is not null")).await, "true", "{name}");
        }
        let month = test.value("select to_char(now() at time zone 'UTC', 'YYYY_MM')").await;
        assert_eq!(names(&test, &format!("select distinct tableoid::regclass from {parent}")).await, [format!("{parent}_{month}")]);
    }
}

#[tokio::test]
async fn a_job_whose_month_has_no_partition_is_late_but_not_lost() {
    let test = TestDb::new().await;
    let old = "0198cb5e-7a40-7c21-9f3e-5b6d8a2c4e10";
    test.execute(&format!("insert into events (job_id, seq, kind, data) values ('{old}', 1, 'enqueued', '{{}}')")).await;
    assert_eq!(names(&test, "select tableoid::regclass from events").await, ["events_other"]);
}

#[tokio::test]
async fn partitions_border_on_each_other_to_the_millisecond() {
    let test = TestDb::new().await;
    let month = "date_trunc('month', timestamptz '2026-12-15 UTC', 'UTC')";
    let id = test.value(&format!("select uuid_at({month})")).await;
    assert_eq!(id, "01a22ee6-b000-7000-8000-000000000000");
    let moment = test.value(&format!("select extract(epoch from {month}) * 1000")).await.parse::<f64>().unwrap();
    assert_eq!(i64::from_str_radix(&id.replace('-', "")[..12], 16).unwrap(), moment as i64);
}
