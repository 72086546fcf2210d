//! The published test suite of Signature Version 4 (key `AKIDEXAMPLE`, 2015-08-30 12:36 UTC, region
//! `us-east-1`, service `service`), a request that botocore signed, and everything that must be refused.

use axum::http::Request;
use time::macros::datetime;

use super::*;

const SIGNED_AT: OffsetDateTime = datetime!(2015-08-30 12:36:00 UTC);

fn keys() -> KeyPair {
    KeyPair { access_key: "AKIDEXAMPLE".into(), secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY") }
}

/// A request of the test suite, signed as `signature`.
struct Vector {
    method: &'static str,
    uri: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    signed: &'static str,
    body: &'static str,
    signature: &'static str,
}

/// `get-vanilla`.
fn vanilla() -> Vector {
    Vector {
        method: "GET",
        uri: "/",
        headers: vec![("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")],
        signed: "host;x-amz-date",
        body: "",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    }
}

impl Vector {
    fn head(&self) -> Parts {
        let Self { method, uri, headers, signed, signature, .. } = self;
        let scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
        let authorization = format!("{ALGORITHM} Credential={scope}, SignedHeaders={signed}, Signature={signature}");
        let request = Request::builder().method(*method).uri(*uri).header("authorization", authorization);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap().into_parts().0
    }

    fn check(&self) -> Result<(), SignatureError> {
        keys().begin_for("service", &self.head(), SIGNED_AT)?.finish(self.body.as_bytes())
    }
}

#[test]
fn the_published_test_suite_is_let_in() {
    let form = "application/x-www-form-urlencoded";
    let vectors = [
        vanilla(),
        Vector { method: "POST", signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", ..vanilla() },
        Vector {
            uri: "/?Param2=value2&Param1=value1",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ..vanilla()
        },
        Vector {
            uri: "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            ..vanilla()
        },
        Vector {
            headers: [vec![("my-header1", "value1"), ("my-header2", "\"a   b   c\"")], vanilla().headers].concat(),
            signed: "host;my-header1;my-header2;x-amz-date",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ..vanilla()
        },
        Vector {
            method: "POST",
            headers: [vec![("content-type", form)], vanilla().headers].concat(),
            signed: "content-type;host;x-amz-date",
            body: "Param1=value1",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ..vanilla()
        },
    ];
    for (index, vector) in vectors.iter().enumerate() {
        assert_eq!(vector.check(), Ok(()), "vector {index}: {} {}", vector.method, vector.uri);
    }
}

#[test]
fn any_change_of_a_signed_request_is_refused() {
    let with = |name, value| {
        let mut vector = vanilla();
        vector.headers.retain(|(other, _)| *other != name);
        vector.headers.push((name, value));
        vector
    };
    let changed = [
        Vector { method: "POST", ..vanilla() },
        Vector { uri: "/other", ..vanilla() },
        Vector { uri: "/?a=b", ..vanilla() },
        Vector { body: "{}", ..vanilla() },
        with("host", "evil.example.com"),
        with("x-amz-date", "20150830T123601Z"),
        Vector { signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf32", ..vanilla() },
        Vector { signature: "", ..vanilla() },
    ];
    for (index, vector) in changed.iter().enumerate() {
        assert!(matches!(vector.check(), Err(SignatureError::Invalid(_))), "change {index}: {:?}", vector.check());
    }
}

#[test]
fn another_secret_gives_another_signature() {
    let keys = KeyPair { secret: Secret::new("guessed"), ..keys() };
    let result = keys.begin_for("service", &vanilla().head(), SIGNED_AT).unwrap().finish(b"");
    assert!(matches!(result, Err(SignatureError::Invalid(_))), "{result:?}");
}

#[test]
fn another_access_key_or_service_is_refused_by_name() {
    let other = KeyPair { access_key: "AKIDOTHER".into(), ..keys() };
    let error = other.begin_for("service", &vanilla().head(), SIGNED_AT).unwrap_err();
    assert_eq!(error, SignatureError::UnknownKey("AKIDEXAMPLE".into()));
    let error = keys().begin(&vanilla().head(), SIGNED_AT).unwrap_err();
    assert_eq!(error.to_string(), r#"invalid signature: signed for the service "service", not "lambda""#);
}

#[test]
fn a_signature_lives_five_minutes_in_both_directions() {
    let at = |offset| keys().begin_for("service", &vanilla().head(), SIGNED_AT + offset).map(drop);
    assert_eq!([at(CLOCK_SKEW), at(-CLOCK_SKEW)], [Ok(()), Ok(())]);
    for offset in [CLOCK_SKEW + Duration::SECOND, -CLOCK_SKEW - Duration::SECOND] {
        let error = at(offset).unwrap_err().to_string();
        assert_eq!(error, "invalid signature: signed at 20150830T123600Z, more than 5 minutes from this door's clock");
    }
}

#[test]
fn what_speaks_to_the_service_must_be_signed() {
    let unsigned = |name| {
        let headers = [vanilla().headers, vec![("x-amz-invocation-type", "Event")]].concat();
        let vector = Vector { headers, signed: name, ..vanilla() };
        vector.check().unwrap_err().to_string()
    };
    assert_eq!(unsigned("host;x-amz-date"), "incomplete signature: the header x-amz-invocation-type must be signed");
    assert_eq!(unsigned("x-amz-date;x-amz-invocation-type"), "incomplete signature: the header host must be signed");
    assert_eq!(unsigned("host;x-amz-invocation-type"), "incomplete signature: the header x-amz-date must be signed");
}

#[test]
fn an_unsigned_or_half_signed_request_is_refused() {
    let with = |authorization: Option<&'static str>| {
        let mut head = vanilla().head();
        head.headers.remove("authorization");
        head.headers.extend(authorization.map(|value| (axum::http::header::AUTHORIZATION, value.parse().unwrap())));
        keys().begin_for("service", &head, SIGNED_AT).unwrap_err()
    };
    assert_eq!(with(None), SignatureError::Missing);
    let half = [
        "Bearer abc",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE, SignedHeaders=host;x-amz-date, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830, SignedHeaders=host;x-amz-date, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=zz",
    ];
    for authorization in half {
        let error = with(Some(authorization));
        assert!(matches!(error, SignatureError::Incomplete(_)), "{authorization}: {error:?}");
    }
}
