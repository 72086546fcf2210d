//! What requests bring: bodies and parameters, with errors that name the bad field.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::{HeaderMap, header, request::Parts};
use domain::JobId;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path as Place, Segment};

use super::problem::{Kind, Problem};
use super::{BODY_DEADLINE, MOST_BODY_BYTES};

/// A body of JSON. An empty one is refused.
pub(crate) struct Body<T>(pub(crate) T);

/// A body of JSON that may be left out.
pub(crate) struct OptionalBody<T>(pub(crate) T);

/// The parameters of the query. One that the endpoint does not know is refused.
pub(crate) struct Query<T>(pub(crate) T);

/// The id of a job in the path: whole, not the end of one as at the command line.
pub(crate) struct JobPath(pub(crate) JobId);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        is_json(request.headers())?;
        from_json(&read(request).await?).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let typed = is_json(request.headers());
        let body = read(request).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        from_json(&body).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map(Self).map_err(|error| {
            let name = match error.path().to_string() {
                root if root == "." => "query".to_owned(),
                name => name,
            };
            Problem::parameter(name, error.into_inner().to_string())
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong = || Problem::parameter("job_id", "expected the whole id of a job, a UUID");
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| wrong())?;
        text.parse().map(Self).map_err(|_| wrong())
    }
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(Kind::UnsupportedMediaType, format!("content-type is {given:?}: expected application/json")))
}

async fn read(request: Request) -> Result<axum::body::Bytes, Problem> {
    match tokio::time::timeout(BODY_DEADLINE, to_bytes(request.into_body(), MOST_BODY_BYTES)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) => {
            Err(Problem::new(Kind::TooLarge, format!("the body has more than {MOST_BODY_BYTES} bytes")))
        }
        Ok(Err(error)) => Err(Problem::new(Kind::InvalidRequest, format!("the body cannot be read: {error}"))),
        Err(_) => Err(Problem::new(Kind::RequestTimeout, format!("the body did not arrive within {} s", BODY_DEADLINE.as_secs()))),
    }
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| Problem::field(pointer(error.path()), error.inner().to_string()))?;
    deserializer.end().map_err(|error| Problem::field("", error.to_string()))?;
    Ok(value)
}

/// A place in JSON as RFC 6901 writes it: `/caps/steps`.
fn pointer(place: &Place) -> String {
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    place.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_pointer_escapes_what_stands_in_names() {
        let error = from_json::<BTreeMap<String, BTreeMap<String, Vec<u8>>>>(br#"{"a/b": {"c~d": [1, "x"]}}"#).unwrap_err();
        assert!(error.detail().starts_with("/a~1b/c~0d/1: invalid type"), "{}", error.detail());
    }

    #[test]
    fn json_is_one_document() {
        assert!(from_json::<u8>(b"1 ").is_ok());
        assert!(from_json::<u8>(b"1 2").unwrap_err().detail().starts_with("the body: trailing characters"));
        assert!(from_json::<u8>(b"").unwrap_err().detail().starts_with("the body: EOF"));
    }
}
