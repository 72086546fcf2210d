//! The roles: the product runs as one that cannot change what is written, people read as one that cannot write.

use std::str::FromStr;
use std::time::Duration;

use domain::{Kind, MicroUsd, Mode, NewJob, OwnerId, Scope, Secret};
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use store::effects::{self, EffectName};
use store::enqueue::{Delivery, enqueue};
use store::ledger::{verify, verify_new};
use store::steps::Prepared;
use store::{Db, StoreError, anchors, budgets, cost, events, finish, jobs, queue, retention, roles, steps};
use testkit::{TestDb, new_job};

use crate::{call, claim, held, ready, take_step};

/// Two roles of this test alone, with their privileges: the application's and the readers'.
async fn granted(test: &TestDb) -> (String, String) {
    let database = test.value("select current_database()").await;
    let (app, reader) = (format!("{database}_app"), format!("{database}_read"));
    for role in [&app, &reader] {
        test.execute(&format!("create role {role} login")).await;
    }
    roles::grant(&test.db, std::slice::from_ref(&app), std::slice::from_ref(&reader)).await.unwrap();
    (app, reader)
}

async fn connect(test: &TestDb, role: &str) -> Db {
    let options = PgConnectOptions::from_str(test.url.expose()).unwrap().username(role);
    Db::connect(&Secret::new(options.to_url_lossy().to_string()), 4, Duration::from_secs(10)).await.unwrap()
}

/// Removes the roles again: they belong to the server, not to the database.
async fn forget(test: &TestDb, roles: [&str; 2]) {
    for role in roles {
        test.execute(&format!("drop owned by {role}; drop role {role}")).await;
    }
}

#[tokio::test]
async fn a_whole_job_runs_as_the_application() {
    let test = TestDb::new().await;
    let (app, reader) = granted(&test).await;
    let db = connect(&test, &app).await;
    db.check_schema().await.unwrap();
    db.create_partitions().await.unwrap();
    budgets::set(&db, &Scope::All, MicroUsd(1_000_000)).await.unwrap();
    let delivery = Delivery { delivery_id: "one", event: "issues", body: b"{}" };
    enqueue(&db, &NewJob { mode: None, ..new_job() }, Some("key"), Some(delivery), None).await.unwrap();
    let (job_id, epoch) = queue::claim_triage(&db, OwnerId::new(), None, queue::LEASE, None).await.unwrap().unwrap();
    queue::triaged(&db, job_id, epoch, (Kind::Change, Mode::Mechanic), None, "its label").await.unwrap();
    let epoch = queue::claim(&db, OwnerId::new(), Mode::Mechanic, 5, queue::LEASE, None).await.unwrap()[0].epoch;
    steps::prepared(&db, job_id, epoch, Prepared { base_commit: "c0ffee", notes: &[], took: Duration::ZERO, ..Prepared::default() })
        .await
        .unwrap();
    take_step(&db, job_id, epoch, 1).await;
    let number = steps::reserve(&db, job_id, epoch, call(2)).await.unwrap().number;
    steps::release_reservation(&db, job_id, epoch, 2, crate::MODEL, (number, crate::RESERVED), Duration::ZERO).await.unwrap();
    queue::renew(&db, &[(job_id, epoch)], queue::LEASE, None).await.unwrap();
    queue::release(&db, job_id, epoch, "the worker shuts down").await.unwrap();
    let epoch = claim(&db, job_id).await;
    effects::intend(&db, job_id, epoch, EffectName::Branch, &json!({})).await.unwrap();
    effects::confirm(&db, job_id, epoch, EffectName::Branch, &json!({})).await.unwrap();
    finish::finish(&db, job_id, epoch, &crate::succeeded(), &json!({})).await.unwrap();
    let again = jobs::retry(&db, job_id, None).await.unwrap();
    queue::stop(&db, again).await.unwrap();
    queue::sweep(&db, None).await.unwrap();
    anchors::anchor(&db, Duration::ZERO).await.unwrap();
    assert!(verify_new(&db).await.unwrap().holds());
    assert!(budgets::remove(&db, &Scope::All).await.unwrap());
    assert_eq!(cost::cost(&db, cost::By::Model, None, None).await.unwrap().len(), 1);
    retention::clear(&db).await.unwrap();
    assert!(!events::list(&db, job_id, 0, 100).await.unwrap().is_empty());
    assert!(!roles::may_change_ledger(&db).await.unwrap());
    assert!(roles::may_change_ledger(&test.db).await.unwrap());
    db.close().await;
    forget(&test, [&app, &reader]).await;
}

#[tokio::test]
async fn what_only_grows_is_kept_from_the_application_by_privilege_and_from_the_owner_by_trigger() {
    let test = TestDb::new().await;
    let (app, reader) = granted(&test).await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    anchors::anchor(&test.db, Duration::ZERO).await.unwrap();
    verify(&test.db, None).await.unwrap();
    let db = connect(&test, &app).await;
    let month = test.value("select to_char(now() at time zone 'UTC', 'YYYY_MM')").await;
    for table in ["steps", "events", "ledger", "anchors", "anchor_heads", "ledger_verified"] {
        let column = if table.starts_with("anchor") || table == "ledger_verified" { "anchor_no" } else { "job_id" };
        for statement in
            [format!("update {table} set {column} = {column}"), format!("delete from {table}"), format!("truncate {table} cascade")]
        {
            let said = sqlx::query(sqlx::AssertSqlSafe(statement.clone())).execute(db.pool()).await.unwrap_err().to_string();
            assert!(said.contains("permission denied"), "{statement}: {said}");
            let said = test.try_execute(&statement).await.unwrap_err();
            assert!(said.contains("append-only"), "{statement}: {said}");
        }
    }
    for statement in [
        format!("delete from ledger_{month}"),
        format!("drop table ledger_{month}"),
        "alter table ledger disable trigger all".to_owned(),
        "create table mine (a int)".to_owned(),
        "set session_replication_role = replica".to_owned(),
        "delete from _sqlx_migrations".to_owned(),
    ] {
        let refused = sqlx::query(sqlx::AssertSqlSafe(statement.clone())).execute(db.pool()).await;
        // Before PostgreSQL 15, whoever could connect could also create.
        assert!(refused.is_err(), "{statement}");
    }
    let said = roles::grant(&db, &[], &[]).await.unwrap_err();
    assert!(matches!(&said, StoreError::Refused(said) if said.starts_with("only the owner of the tables, ")), "{said}");
    db.close().await;
    let db = connect(&test, &reader).await;
    assert!(verify(&db, None).await.unwrap().holds(), "who reads may verify");
    assert_eq!(jobs::list(&db, None, 10).await.unwrap().len(), 1);
    assert!(enqueue(&db, &new_job(), None, None, None).await.is_err());
    assert!(db.create_partitions().await.is_err());
    db.close().await;
    forget(&test, [&app, &reader]).await;
}

#[tokio::test]
async fn months_of_events_and_steps_may_go_by_the_applications_hand_and_those_of_the_ledger_not() {
    let test = TestDb::new().await;
    let (app, reader) = granted(&test).await;
    for table in ["events", "ledger"] {
        let (lowest, below) = ("uuid_at('2021-01-01')", "uuid_at('2021-02-01')");
        test.execute(&format!("create table {table}_2021_01 partition of {table} for values from ({lowest}) to ({below})")).await;
    }
    let db = connect(&test, &app).await;
    let keep = retention::Keep { events: Some(1), ledger: Some(1), ..Default::default() };
    let months = retention::months(&db, keep).await.unwrap();
    retention::drop_month(&db, &months[0]).await.unwrap();
    let said = retention::drop_month(&db, &months[1]).await.unwrap_err();
    assert!(matches!(&said, StoreError::Refused(said) if said.contains("owner")), "{said}");
    db.close().await;
    retention::drop_month(&test.db, &months[1]).await.unwrap();
    forget(&test, [&app, &reader]).await;
}

#[tokio::test]
async fn tables_that_come_later_are_granted_to_those_who_have_the_others() {
    let test = TestDb::new().await;
    let (app, reader) = granted(&test).await;
    test.execute("create table later (a integer)").await;
    roles::grant(&test.db, &[], &[]).await.unwrap();
    let (writes, reads) = (connect(&test, &app).await, connect(&test, &reader).await);
    sqlx::query("insert into later values (1)").execute(writes.pool()).await.unwrap();
    sqlx::query("select a from later").execute(reads.pool()).await.unwrap();
    assert!(sqlx::query("insert into later values (1)").execute(reads.pool()).await.is_err());
    writes.close().await;
    reads.close().await;
    forget(&test, [&app, &reader]).await;
}

#[tokio::test]
async fn a_role_that_is_not_there_or_owns_everything_is_refused_by_name() {
    let test = TestDb::new().await;
    ready(&test.db).await;
    let refused = async |role: String| match roles::grant(&test.db, std::slice::from_ref(&role), &[]).await {
        Err(StoreError::Refused(said)) => said,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused("nobody_here".to_owned()).await,
        r#"no role "nobody_here": create it first, such as: create role nobody_here login"#
    );
    let owner = test.value("select current_user").await;
    assert!(refused(owner.clone()).await.starts_with(&format!("role \"{owner}\" owns the tables")));
}
