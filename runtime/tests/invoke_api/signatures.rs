//! The door with a key. The request was signed by botocore 1.43.

use codeteam::invoke_api::Options;
use codeteam::sigv4::KeyPair;
use domain::Secret;
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::door::{Answer, Door};

const SIGNED_AT: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
const FUNCTION: &str = "work%3Alive?Qualifier=%24LATEST";
const BODY: &str = r#"{"do":"echo","text":"hi"}"#;
const HEADERS: &str = "Host: codeteam.test\r\nX-Amz-Invocation-Type: RequestResponse\r\nX-Amz-Log-Type: Tail\r\nX-Amz-Date: 20260102T030405Z\r\n\
    Authorization: AWS4-HMAC-SHA256 Credential=AKIDCODETEAM/20260102/sa-east-1/lambda/aws4_request, \
    SignedHeaders=host;x-amz-date;x-amz-invocation-type;x-amz-log-type, \
    Signature=515899118f5e3404b400dd1f3bd77468a2134030873ababdcd6d35fe2340346f\r\n";

async fn locked(secret: &str, now: OffsetDateTime) -> Door {
    let keys = KeyPair { access_key: "AKIDCODETEAM".into(), secret: Secret::new(secret) };
    Door::at(Options { keys: Some(keys), ..Options::default() }, now).await
}

/// Status, error type and message, of a door that called nothing.
fn refusal(door: &Door, answer: &Answer) -> (u16, String, Value) {
    assert_eq!(door.work.counts(), (0, 0));
    (answer.status, answer.header("x-amzn-errortype").unwrap().to_owned(), answer.json()["Message"].clone())
}

#[tokio::test]
async fn a_request_signed_by_an_aws_client_is_let_in() {
    let answer = locked("a secret", SIGNED_AT).await.invoke(FUNCTION, HEADERS, BODY).await;
    assert_eq!((answer.status, answer.json()), (200, json!("hi")), "{answer:?}");
}

#[tokio::test]
async fn an_unsigned_request_is_refused() {
    let door = locked("a secret", SIGNED_AT).await;
    let (status, kind, _) = refusal(&door, &door.invoke("work", "", BODY).await);
    assert_eq!((status, kind.as_str()), (403, "MissingAuthenticationTokenException"));
    assert_eq!(door.invoke("unknown", "", BODY).await.status, 403, "a stranger does not learn which functions there are");
}

#[tokio::test]
async fn another_body_secret_or_header_is_refused() {
    let door = locked("a secret", SIGNED_AT).await;
    let answers = [
        door.invoke(FUNCTION, HEADERS, r#"{"do":"echo","text":"ho"}"#).await,
        door.invoke(FUNCTION, &HEADERS.replace("RequestResponse", "Event"), BODY).await,
        door.invoke("work%3Alive", HEADERS, BODY).await,
    ];
    for answer in answers {
        let (status, kind, _) = refusal(&door, &answer);
        assert_eq!((status, kind.as_str()), (403, "InvalidSignatureException"));
    }
    let other = locked("another secret", SIGNED_AT).await;
    let (status, kind, _) = refusal(&other, &other.invoke(FUNCTION, HEADERS, BODY).await);
    assert_eq!((status, kind.as_str()), (403, "InvalidSignatureException"));
}

#[tokio::test]
async fn an_expired_signature_is_refused() {
    let door = locked("a secret", SIGNED_AT + Duration::minutes(6)).await;
    let (status, kind, message) = refusal(&door, &door.invoke(FUNCTION, HEADERS, BODY).await);
    assert_eq!((status, kind.as_str()), (403, "InvalidSignatureException"));
    assert_eq!(message, "invalid signature: signed at 20260102T030405Z, more than 5 minutes from this door's clock");
}
