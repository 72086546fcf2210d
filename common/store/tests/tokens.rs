//! Tokens of the REST API.

use std::time::Duration;

use domain::TokenScope;
use store::tokens::{self, NewToken};
use store::{Db, StoreError};
use testkit::TestDb;

const ID: &str = "0123456789ab";

fn token<'a>(token_id: &'a str, name: &'a str) -> NewToken<'a> {
    NewToken { token_id, name, hash: [7; 32], scopes: &[TokenScope::JobsRead, TokenScope::JobsWrite], lifetime: None }
}

async fn opens(db: &Db, token_id: &str) -> bool {
    tokens::find(db, token_id).await.unwrap().is_some_and(|credential| !credential.ended)
}

#[tokio::test]
async fn a_token_opens_until_it_is_revoked_by_its_id_or_name() {
    let test = TestDb::new().await;
    for (token_id, by) in [(ID, ID), ("ffffffffffff", "ci")] {
        tokens::create(&test.db, token(token_id, "ci")).await.unwrap();
        let credential = tokens::find(&test.db, token_id).await.unwrap().unwrap();
        assert_eq!(
            (credential.hash.as_slice(), credential.scopes.as_slice()),
            ([7; 32].as_slice(), [TokenScope::JobsRead, TokenScope::JobsWrite].as_slice())
        );
        assert!(opens(&test.db, token_id).await);
        assert_eq!(tokens::revoke(&test.db, by).await.unwrap(), token_id);
        assert!(!opens(&test.db, token_id).await, "revoked by {by}");
        assert!(matches!(tokens::revoke(&test.db, by).await, Err(StoreError::Refused(_))), "twice");
    }
    assert_eq!(tokens::find(&test.db, "000000000000").await.unwrap(), None);
    let all = tokens::list(&test.db).await.unwrap();
    assert_eq!(
        all.iter().map(|token| (token.token_id.as_str(), token.in_force)).collect::<Vec<_>>(),
        [("ffffffffffff", false), (ID, false)]
    );
}

#[tokio::test]
async fn one_name_stands_for_one_token_in_force() {
    let test = TestDb::new().await;
    tokens::create(&test.db, token(ID, "ci")).await.unwrap();
    let error = tokens::create(&test.db, token("ffffffffffff", "ci")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(said) if said.starts_with("a token named \"ci\" is in force")), "{error}");
    assert_eq!(tokens::list(&test.db).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    let test = TestDb::new().await;
    let written = tokens::create(&test.db, NewToken { lifetime: Some(Duration::from_secs(86_400)), ..token(ID, "ci") }).await.unwrap();
    assert_eq!(written.expires_at.unwrap() - written.created_at, time::Duration::DAY);
    assert!(opens(&test.db, ID).await);
    test.execute("update api_tokens set expires_at = now()").await;
    assert!(!opens(&test.db, ID).await);
    assert!(!tokens::list(&test.db).await.unwrap()[0].in_force);
}

#[tokio::test]
async fn a_token_in_use_is_written_once_in_five_minutes() {
    let test = TestDb::new().await;
    tokens::create(&test.db, token(ID, "ci")).await.unwrap();
    let due = async || tokens::find(&test.db, ID).await.unwrap().unwrap().touch;
    let used = async || tokens::list(&test.db).await.unwrap()[0].last_used_at;
    assert!(due().await && used().await.is_none());
    tokens::touch(&test.db, ID).await.unwrap();
    let first = used().await;
    assert!(first.is_some() && !due().await);
    tokens::touch(&test.db, ID).await.unwrap();
    assert_eq!(used().await, first);
    test.execute("update api_tokens set last_used_at = now() - interval '301 seconds'").await;
    assert!(due().await);
    tokens::touch(&test.db, ID).await.unwrap();
    assert!(used().await > first);
}
