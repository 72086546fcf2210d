//! Checks AWS Signature Version 4 on requests to our Invoke API door
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
//!
//! A request is signed again with our secret and must give the same signature, over its method, path,
//! query, signed headers and the hash of the body that really arrived (`UNSIGNED-PAYLOAD` is refused). The
//! region is the client's choice; the service is `lambda`. Within the five minutes that a signature lives a
//! request can be replayed, which every handler is made to bear.

use std::fmt::Write;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use domain::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE_FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// How far the client's clock may be from ours, either way.
pub const CLOCK_SKEW: Duration = Duration::minutes(5);

/// The one key pair that opens the door.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// `AWS_ACCESS_KEY_ID` of the client.
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY` of the client.
    pub secret: Secret,
}

/// Why a request is not let in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    /// It is not signed.
    #[error("missing authentication token: sign the request with AWS Signature Version 4")]
    Missing,
    /// Something that a signature needs is not there or cannot be read.
    #[error("incomplete signature: {0}")]
    Incomplete(String),
    /// It is signed with another access key.
    #[error("the access key {0:?} is not the one of this door")]
    UnknownKey(String),
    /// The signature does not fit the request, or no longer.
    #[error("invalid signature: {0}")]
    Invalid(String),
}

impl SignatureError {
    /// The name that AWS gives to it.
    pub fn aws_name(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey(_) => "UnrecognizedClientException",
            Self::Invalid(_) => "InvalidSignatureException",
        }
    }
}

/// A request whose head is in order; whether it is genuine depends on its body.
#[derive(Debug)]
pub struct Pending {
    canonical_head: String,
    amz_date: String,
    scope: String,
    signing_key: [u8; 32],
    signature: Vec<u8>,
}

impl KeyPair {
    /// Checks all that can be checked before the body has arrived.
    ///
    /// # Errors
    /// When the head alone shows that the request cannot be let in.
    pub fn begin(&self, head: &Parts, now: OffsetDateTime) -> Result<Pending, SignatureError> {
        self.begin_for("lambda", head, now)
    }

    fn begin_for(&self, service: &str, head: &Parts, now: OffsetDateTime) -> Result<Pending, SignatureError> {
        let authorization = head.headers.get("authorization").ok_or(SignatureError::Missing)?;
        let claim = Claim::parse(&String::from_utf8_lossy(authorization.as_bytes()))?;
        if claim.access_key != self.access_key {
            return Err(SignatureError::UnknownKey(claim.access_key));
        }
        let [date, region, claimed_service, "aws4_request"] = claim.scope.split('/').collect::<Vec<_>>()[..] else {
            return Err(incomplete("Credential is not KEY/DATE/REGION/SERVICE/aws4_request"));
        };
        if claimed_service != service {
            return Err(SignatureError::Invalid(format!("signed for the service {claimed_service:?}, not {service:?}")));
        }
        check_signed_names(&head.headers, &claim.signed_headers)?;
        let amz_date = header_values(&head.headers, "x-amz-date").ok_or_else(|| incomplete("no header x-amz-date"))?;
        check_date(&amz_date, date, now)?;

        let mut canonical_head =
            format!("{}\n{}\n{}\n", head.method, encode(head.uri.path(), b"/"), canonical_query(head.uri.query().unwrap_or_default()));
        for name in &claim.signed_headers {
            let values = header_values(&head.headers, name).ok_or_else(|| incomplete(&format!("no header {name}, which is signed")))?;
            canonical_head.extend([name, ":", &values, "\n"]);
        }
        canonical_head.extend(["\n", &claim.signed_headers.join(";"), "\n"]);

        let key = format!("AWS4{}", self.secret.expose());
        let signing_key = [date, region, service, "aws4_request"].iter().fold(key.into_bytes(), |key, part| sign(&key, part).to_vec());
        let signing_key = signing_key.try_into().expect("HMAC-SHA256 gives 32 bytes");
        Ok(Pending { canonical_head, amz_date, scope: claim.scope, signing_key, signature: claim.signature })
    }
}

impl Pending {
    /// Lets the request in if its signature covers `body`. The comparison takes the same time wherever the
    /// signatures differ.
    ///
    /// # Errors
    /// [`SignatureError::Invalid`] when it does not.
    pub fn finish(self, body: &[u8]) -> Result<(), SignatureError> {
        let canonical = self.canonical_head + &hex::encode(Sha256::digest(body));
        let canonical_hash = hex::encode(Sha256::digest(canonical));
        let text = format!("{ALGORITHM}\n{}\n{}\n{canonical_hash}", self.amz_date, self.scope);
        let mac = mac(&self.signing_key).chain_update(text);
        mac.verify_slice(&self.signature).map_err(|_| {
            SignatureError::Invalid(
                "it does not match the request; check the secret key and that nothing changes the request on its way".to_owned(),
            )
        })
    }
}

/// What the header `Authorization` says.
struct Claim {
    access_key: String,
    scope: String,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

impl Claim {
    fn parse(authorization: &str) -> Result<Self, SignatureError> {
        let fields = authorization.strip_prefix(ALGORITHM).ok_or_else(|| incomplete(&format!("Authorization is not {ALGORITHM}")))?;
        let field = |name: &str| {
            let values = fields.split(',').filter_map(|field| field.trim().split_once('='));
            let mut values = values.filter(|(field, _)| *field == name).map(|(_, value)| value);
            values.next().ok_or_else(|| incomplete(&format!("Authorization has no {name}")))
        };
        let credential = field("Credential")?.split_once('/');
        let (access_key, scope) = credential.ok_or_else(|| incomplete("Credential has no scope"))?;
        Ok(Self {
            access_key: access_key.to_owned(),
            scope: scope.to_owned(),
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: hex::decode(field("Signature")?).map_err(|_| incomplete("Signature is not hexadecimal"))?,
        })
    }
}

/// The host, and whatever speaks to the service, must be signed, or somebody on the way could change it.
fn check_signed_names(headers: &HeaderMap, signed: &[String]) -> Result<(), SignatureError> {
    let meant_for_us = headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-amz-"));
    match meant_for_us.chain(["host", "x-amz-date"]).find(|name| !signed.iter().any(|signed| signed == name)) {
        Some(name) => Err(incomplete(&format!("the header {name} must be signed"))),
        None => Ok(()),
    }
}

fn check_date(amz_date: &str, scope_date: &str, now: OffsetDateTime) -> Result<(), SignatureError> {
    let signed_at = PrimitiveDateTime::parse(amz_date, DATE_FORMAT).map_err(|_| incomplete("x-amz-date is not like 20260102T030405Z"))?;
    if !amz_date.starts_with(scope_date) || scope_date.len() != 8 {
        return Err(SignatureError::Invalid(format!("Credential is of {scope_date}, x-amz-date of {amz_date}")));
    }
    if (now - signed_at.assume_utc()).abs() > CLOCK_SKEW {
        let minutes = CLOCK_SKEW.whole_minutes();
        return Err(SignatureError::Invalid(format!("signed at {amz_date}, more than {minutes} minutes from this door's clock")));
    }
    Ok(())
}

/// All values of a header as the signature sees them; `None` when it was not sent.
fn header_values(headers: &HeaderMap, name: &str) -> Option<String> {
    let one_value = |value: &[u8]| String::from_utf8_lossy(value).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let values: Vec<_> = headers.get_all(name).iter().map(|value| one_value(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (recode(name), recode(value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but unreserved characters and `keep`, once more if it is encoded already.
fn encode(text: impl AsRef<[u8]>, keep: &[u8]) -> String {
    text.as_ref().iter().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || keep.contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes everything");
        }
        encoded
    })
}

/// The one spelling of a part of a query: decoded, then encoded.
fn recode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| hex::decode(tail.get(..2)?).ok()).flatten();
        decoded.push(escaped.as_ref().map_or(*first, |byte| byte[0]));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    encode(decoded, b"")
}

fn sign(key: &[u8], text: &str) -> [u8; 32] {
    mac(key).chain_update(text).finalize().into_bytes().into()
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn incomplete(what: &str) -> SignatureError {
    SignatureError::Incomplete(what.to_owned())
}

#[cfg(test)]
mod tests;
