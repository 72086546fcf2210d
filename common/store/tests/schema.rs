//! Migrations: forward, once, however many start at the same time.

use std::str::FromStr;
use std::time::Duration;

use domain::Secret;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use store::{Db, StoreError};
use testkit::TestDb;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(10);

/// A database without any table, beside the test's own.
async fn empty(test: &TestDb) -> Secret {
    let name = format!("{}_empty", test.value("select current_database()").await);
    test.execute(&format!("create database {name}")).await;
    let options = PgConnectOptions::from_str(test.url.expose()).unwrap().database(&name);
    Secret::new(options.to_url_lossy().to_string())
}

async fn connect(url: &Secret) -> Db {
    Db::connect(url, 2, PATIENCE).await.unwrap()
}

fn refused(result: Result<(), StoreError>) -> String {
    match result {
        Err(StoreError::Refused(said)) => said,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_older_schema_is_told_with_what_to_type() {
    let test = TestDb::new().await;
    test.db.check_schema().await.unwrap();
    let older = "the database's schema is older than this program: run `codeteam migrate`";
    let db = connect(&empty(&test).await).await;
    assert_eq!(refused(db.check_schema().await), older);
    db.migrate().await.unwrap();
    db.check_schema().await.unwrap();
    test.execute("delete from _sqlx_migrations where version = 2").await;
    assert_eq!(refused(test.db.check_schema().await), older);
}

#[tokio::test]
async fn a_newer_schema_is_worked_with_and_left_alone() {
    let test = TestDb::new().await;
    test.execute(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9000, 'later', true, '', 0)",
    )
    .await;
    let before = crate::dump(&test).await;
    test.db.check_schema().await.unwrap();
    test.db.migrate().await.unwrap();
    assert_eq!((crate::dump(&test).await, test.value("select max(version) from _sqlx_migrations").await.as_str()), (before, "9000"));
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let test = TestDb::new().await;
    let job_id = crate::ready(&test.db).await;
    let applied = "select string_agg(m::text, ' ') from _sqlx_migrations m";
    let before = (test.value(applied).await, crate::dump(&test).await);
    test.db.migrate().await.unwrap();
    assert_eq!((test.value(applied).await, crate::dump(&test).await), before);
    crate::claim(&test.db, job_id).await;
}

#[tokio::test]
async fn four_that_migrate_at_once_all_succeed() {
    let test = TestDb::new().await;
    let url = empty(&test).await;
    let mut starting = JoinSet::new();
    for _ in 0..4 {
        let url = url.clone();
        starting.spawn(async move {
            let db = connect(&url).await;
            db.migrate().await.unwrap();
            db.check_schema().await.unwrap();
        });
    }
    starting.join_all().await;
    crate::ready(&connect(&url).await).await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_unavailable_and_its_url_stays_secret() {
    let url = Secret::new("postgres://someone:hunter2@127.0.0.1:1/nothing");
    let error = Db::connect(&url, 1, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn the_texts_of_steps_are_compressed_by_lz4_in_every_partition_where_the_server_has_it() {
    let test = TestDb::new().await;
    test.value("select create_partitions(5)").await;
    let has_lz4 = test.value("select 'lz4' = any (enumvals) from pg_settings where name = 'default_toast_compression'").await == "true";
    let how = |column: &str| {
        format!(
            "select string_agg(distinct concat(attcompression, attstorage), ' ') from pg_attribute
             where attname = '{column}' and attrelid in (select relid from pg_partition_tree('steps'))"
        )
    };
    for column in ["request", "reply", "results"] {
        assert_eq!(test.value(&how(column)).await, if has_lz4 { "lx" } else { "x" }, "{column}");
    }
    assert_eq!(test.value(&how("pack")).await, if has_lz4 { "e" } else { "x" }, "a git pack is compressed by itself");
}
