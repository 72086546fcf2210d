//! A server that has to prove who it is, and a password that is replaced while it is used.

use std::time::Duration;

use domain::Secret;
use store::db::{Server, with_password};
use store::wake::{Listener, Signal};
use store::{Db, StoreError};
use testkit::TlsPostgres;

const PATIENCE: Duration = Duration::from_secs(5);

async fn refusal(url: &Secret) -> String {
    Db::connect(url, 1, PATIENCE).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_is_believed_by_its_authority_and_its_name_alone() {
    let server = TlsPostgres::start("first").await;
    let db = Db::connect(&server.url("localhost", "first", &server.authority()), 1, PATIENCE).await.unwrap();
    assert!(!db.server_version().await.unwrap().is_empty());
    let other = refusal(&server.url("localhost", "first", &server.other_authority())).await;
    assert!(other.contains("sslrootcert") && other.contains("global-bundle.pem"), "{other}");
    let name = refusal(&server.url("127.0.0.1", "first", &server.authority())).await;
    assert!(name.contains("write the host's name in DATABASE_URL as the certificate has it"), "{name}");
    let missing = refusal(&server.url("localhost", "first", "/nowhere/bundle.pem".as_ref())).await;
    assert!(missing.contains("No such file"), "{missing}");
    for told in [other, name, missing] {
        assert!(!told.contains("first"), "a password in {told}");
    }
}

#[tokio::test]
async fn a_password_that_is_replaced_is_refused_as_what_passes_and_the_next_one_is_taken() {
    let server = TlsPostgres::start("first").await;
    let url = |password| server.url("localhost", password, &server.authority());
    let db = Db::connect(&url("first"), 2, PATIENCE).await.unwrap();
    let listener = Listener::new(&url("first")).unwrap();
    let (mut connected, ear) = (listener.connected(), listener.subscribe([Signal::Triage]));
    let running = tokio::spawn({
        let listener = listener.clone();
        async move { listener.run().await }
    });
    connected.wait_for(|connected| *connected).await.unwrap();

    server.change_password("second").await;
    let refused = loop {
        match db.server_version().await {
            Err(error) if error.is_login_refused() => break error,
            // The session that was ended is found out first.
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    connected.wait_for(|connected| !*connected).await.unwrap();

    db.log_in_by(&url("second")).unwrap();
    listener.log_in_by(&url("second")).unwrap();
    assert!(!db.server_version().await.unwrap().is_empty());
    connected.wait_for(|connected| *connected).await.unwrap();
    drop(ear);
    running.abort();
}

#[test]
fn a_token_takes_the_place_of_a_password() {
    let url = Secret::new("postgres://app:hunter2@db.example:5433/codeteam?sslmode=verify-full");
    let token = Secret::new("db.example:5433/?Action=connect&DBUser=app&X-Amz-Signature=a%2Fb+c");
    let with = with_password(&url, &token);
    let server = Server { host: "db.example".into(), port: 5433, user: "app".into(), verified: true };
    assert_eq!(Server::of(&with).unwrap(), server);
    let expected = "&password=db.example%3A5433%2F%3FAction%3Dconnect%26DBUser%3Dapp%26X-Amz-Signature%3Da%252Fb%2Bc";
    assert_eq!(with.expose(), format!("{}{expected}", url.expose()));
    assert!(!Server::of(&Secret::new("postgres://app@db.example/codeteam?sslmode=require")).unwrap().verified);
    assert!(!Server::of(&Secret::new("postgres://app@localhost/codeteam?host=/run/db&sslmode=verify-full")).unwrap().verified);
}
