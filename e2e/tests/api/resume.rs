//! A stream that goes on where it was, on another server, after the first one was killed.

use process::Signal;
use testkit::TestDb;
use testkit::client::EventStream;

use super::{bearer, serve, start_job, token};

#[tokio::test]
async fn a_stream_goes_on_after_its_server_was_killed_without_loss_and_without_repetition() {
    let db = TestDb::new().await;
    let token = token(&db, "me", "admin").await;
    let (mut started, mut seen, mut last) = (Vec::new(), Vec::new(), String::new());
    for round in 0..4 {
        let up = serve(&db).await;
        let headers = if last.is_empty() { bearer(&token) } else { format!("{}last-event-id: {last}\r\n", bearer(&token)) };
        let mut stream = EventStream::open(&up.address, "/api/v1/events", &headers).await;
        assert_eq!(stream.status, 200);
        if last.is_empty() {
            last = stream.next().await.and_then(|block| block.id).unwrap();
        }
        for no in 0..5 {
            started.push(start_job(&up, &token, &format!("job {no} of round {round}")).await);
        }
        // Some are seen, the others come when nobody is there to show them.
        for _ in 0..round + 2 {
            let (id, event) = stream.event().await.unwrap();
            seen.push(event["job_id"].clone());
            last = id;
        }
        up.running.end(Signal::KILL).await;
    }
    let up = serve(&db).await;
    let mut stream = EventStream::open(&up.address, "/api/v1/events", &format!("{}last-event-id: {last}\r\n", bearer(&token))).await;
    while seen.len() < started.len() {
        seen.push(stream.event().await.unwrap().1["job_id"].clone());
    }
    assert_eq!(seen, started);
}
