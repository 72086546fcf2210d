//! Databases for a while: nobody waits for ever for their end.

use futures_util::StreamExt;
use sqlx::Executor;
use sqlx::postgres::{PgPool, PgRow};
use store::StoreError;
use store::scratch::Scratch;
use testkit::{TestDb, TestServer};
use tokio::time::Instant;

use crate::seconds;

#[tokio::test]
async fn a_database_that_the_server_does_not_let_go_is_named_with_what_to_type_and_any_other_is_gone() {
    // Whoever else made or removed a database there would have to wait, too; and to remove one among hundreds takes a while by itself.
    let server = TestServer::start().await;
    let pool = PgPool::connect(server.url().expose()).await.unwrap();
    let scratch = Scratch::create(&server.url()).await.unwrap();
    let name = name(&scratch);
    // A session of another database whose client reads no further: the server waits until it has heard.
    let mut rows = sqlx::query("select repeat('x', 1000000) from generate_series(1, 50)").fetch(&pool);
    let first: Option<Result<PgRow, sqlx::Error>> = rows.next().await;
    assert!(matches!(first, Some(Ok(_))));
    let started = Instant::now();
    let refused = scratch.remove().await.unwrap_err();
    let removal = format!("drop database if exists {name} with (force)");
    let StoreError::Refused(said) = &refused else { panic!("{refused:?}") };
    assert!(said.starts_with(&format!("the database {name} is still there: ")) && said.ends_with(&removal), "{said}");
    assert!(started.elapsed() < seconds(20), "{:?}", started.elapsed());
    while let Some(row) = rows.next().await {
        row.unwrap();
    }
    drop(rows);
    pool.execute(sqlx::AssertSqlSafe(removal)).await.unwrap();
    let other = Scratch::create(&server.url()).await.unwrap();
    let name = self::name(&other);
    let there = async || {
        let named = sqlx::query("select from pg_database where datname = $1").bind(&name).fetch_optional(&pool);
        named.await.unwrap().is_some()
    };
    assert!(there().await);
    other.remove().await.unwrap();
    assert!(!there().await);
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_session_that_somebody_keeps() {
    let test = TestDb::new().await;
    let open = test.open().await;
    let started = Instant::now();
    test.db.close().await;
    assert!(started.elapsed() < seconds(10), "{:?}", started.elapsed());
    open.end(false).await;
}

fn name(scratch: &Scratch) -> String {
    let url = scratch.url();
    let address = url.expose().split('?').next().unwrap_or_default();
    address.rsplit('/').next().unwrap().to_owned()
}
