//! How much and how often somebody may ask.

use std::time::Duration;

use codeteam::api::Options;
use domain::TokenScope;
use testkit::client::request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{World, make_token, problem};

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_to_wait_before_its_token_is_looked_at() {
    let world = World::with(Options { address_rate: (1, 3), ..Options::default() }).await;
    for _ in 0..3 {
        assert_eq!(request(&world.address, "GET", "/api/v1/jobs", "", b"").await.status, 401);
    }
    let answer = world.get("/jobs").await;
    assert_eq!((problem(&answer, 429), answer.header("retry-after")), ("too-many-requests".to_owned(), "1"));
}

#[tokio::test]
async fn behind_a_balancer_each_client_has_a_rate_of_its_own() {
    let world = World::with(Options { address_rate: (1, 2), forwarded_for: true, ..Options::default() }).await;
    let ask = async |from: &str| {
        request(&world.address, "GET", "/api/v1/openapi.json", &format!("x-forwarded-for: {from}\r\n"), b"").await.status
    };
    // What stands before the last address was sent by the client itself.
    assert_eq!([ask("192.0.2.1").await, ask("10.9.9.9, 192.0.2.1").await, ask("10.7.7.7, 192.0.2.1").await], [200, 200, 429]);
    assert_eq!(ask("192.0.2.2").await, 200);
}

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let mut world = World::with(Options { token_rate: (1, 2), ..Options::default() }).await;
    let statuses = [world.get("/jobs").await.status, world.get("/jobs").await.status, world.get("/jobs").await.status];
    assert_eq!(statuses, [200, 200, 429]);
    // Somebody who knows only the public part of a token cannot use up its rate.
    let victim = make_token(&world.test, "victim", &[TokenScope::JobsRead]).await;
    let forged = format!("authorization: Bearer {}{}\r\n", &victim[..22], "0".repeat(64));
    for _ in 0..3 {
        assert_eq!(request(&world.address, "GET", "/api/v1/jobs", &forged, b"").await.status, 401);
    }
    world.token = victim;
    assert_eq!(world.get("/jobs").await.status, 200);
}

#[tokio::test]
async fn a_body_beyond_one_mebibyte_is_refused() {
    let world = World::new().await;
    let body = format!("{{\"repository\": \"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(problem(&world.send("POST", "/jobs", "content-type: application/json\r\n", &body).await, 413), "too-large");
}

#[tokio::test]
async fn there_are_no_more_streams_than_permitted() {
    let world = World::with(Options { streams: 2, ..Options::default() }).await;
    let (first, _second) = (world.stream("", None).await, world.stream("", None).await);
    let refused = world.get("/events").await;
    assert_eq!((problem(&refused, 503), refused.header("retry-after")), ("unavailable".to_owned(), "5"));
    drop(first);
    // The server notices at its next write, or when it reads the end of the connection.
    let again = tokio::time::timeout(Duration::from_secs(30), async {
        while world.open("", None).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    again.await.expect("a stream that ended makes room for another");
}

#[tokio::test]
async fn requests_beyond_the_load_are_put_off() {
    let world = World::with(Options { requests: 1, ..Options::default() }).await;
    // A body that does not come holds its place.
    let mut slow = TcpStream::connect(&world.address).await.unwrap();
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n",
        world.token
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let put_off = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let answer = world.get("/jobs").await;
            if answer.status != 200 {
                return answer;
            }
        }
    });
    assert_eq!(problem(&put_off.await.unwrap(), 503), "unavailable");
    slow.write_all(b"{}").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(world.get("/jobs").await.status, 200);
}
