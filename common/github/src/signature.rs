//! Webhook signatures: HMAC-SHA-256 over the raw body, as GitHub sends it in `X-Hub-Signature-256`
//! (<https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>).
//!
//! The older SHA-1 header is not read at all: whoever could choose it would choose the weaker hash.

use std::sync::{Arc, PoisonError, RwLock};

use domain::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header that carries the signature, in lower case.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// The secret of the webhook, and while it is being rotated the one before it. Clones share them.
#[derive(Clone, Debug)]
pub struct WebhookSecrets(Arc<RwLock<Held>>);

#[derive(Clone, Debug)]
struct Held {
    current: Secret,
    previous: Option<Secret>,
}

/// A webhook secret of no characters, under which anybody could sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the webhook secret is empty: anybody could sign with it; set the one that the webhook has on GitHub")]
pub struct EmptySecret;

/// Why a body is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("no {SIGNATURE_HEADER} header: give the webhook a secret on GitHub")]
    Missing,
    /// There is something else in its place.
    #[error("the {SIGNATURE_HEADER} header is not `sha256=` and 64 hexadecimal digits")]
    Malformed,
    /// It was made with another secret, or over another body.
    #[error("the signature in {SIGNATURE_HEADER} does not fit the body: compare the secret here with the one on GitHub")]
    Wrong,
}

impl WebhookSecrets {
    /// The secret that GitHub signs with now, and the `previous` one while deliveries signed with it
    /// may still arrive.
    ///
    /// # Errors
    /// [`EmptySecret`] where either is empty.
    pub fn new(current: Secret, previous: Option<Secret>) -> Result<Self, EmptySecret> {
        Ok(Self(Arc::new(RwLock::new(Held::new(current, previous)?))))
    }

    /// Believes these from now on, and no others, in all clones.
    ///
    /// # Errors
    /// [`EmptySecret`] where either is empty; then those before are believed on.
    pub fn replace(&self, current: Secret, previous: Option<Secret>) -> Result<(), EmptySecret> {
        let held = Held::new(current, previous)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
    }

    fn held(&self) -> Held {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether `header` signs exactly these bytes. The comparison takes the same time wherever it fails.
    ///
    /// # Errors
    /// Why not; the caller answers 401 and writes nothing.
    pub fn verify(&self, header: Option<&str>, body: &[u8]) -> Result<(), SignatureError> {
        let header = header.ok_or(SignatureError::Missing)?;
        let digits = header.strip_prefix("sha256=").ok_or(SignatureError::Malformed)?;
        let mut signature = [0; 32];
        hex::decode_to_slice(digits, &mut signature).map_err(|_| SignatureError::Malformed)?;
        let signed_with = |secret: &Secret| mac(secret, body).verify_slice(&signature).is_ok();
        let Held { current, previous } = self.held();
        if signed_with(&current) || previous.as_ref().is_some_and(signed_with) { Ok(()) } else { Err(SignatureError::Wrong) }
    }

    /// The header's value for `body` under the current secret.
    pub fn sign(&self, body: &[u8]) -> String {
        sign(&self.held().current, body)
    }
}

impl Held {
    fn new(current: Secret, previous: Option<Secret>) -> Result<Self, EmptySecret> {
        let empty = |secret: &Secret| secret.expose().is_empty();
        match empty(&current) || previous.as_ref().is_some_and(empty) {
            true => Err(EmptySecret),
            false => Ok(Self { current, previous }),
        }
    }
}

/// The header's value for `body`, as GitHub makes it: what the demo, the command line and tests send.
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(mac(secret, body).finalize().into_bytes()))
}

fn mac(secret: &Secret, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> WebhookSecrets {
        WebhookSecrets::new(Secret::new("It's a Secret to Everybody"), None).unwrap()
    }

    /// The example of GitHub's documentation.
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_example_of_githubs_documentation_verifies() {
        assert_eq!(secrets().verify(Some(SIGNED), b"Hello, World!"), Ok(()));
        assert_eq!(secrets().sign(b"Hello, World!"), SIGNED);
    }

    #[test]
    fn one_changed_byte_of_the_body_or_of_the_signature_is_wrong() {
        let changed = SIGNED.replace("757107", "757108");
        assert_eq!(secrets().verify(Some(SIGNED), b"Hello, World?"), Err(SignatureError::Wrong));
        assert_eq!(secrets().verify(Some(SIGNED), b"Hello, World!\n"), Err(SignatureError::Wrong));
        assert_eq!(secrets().verify(Some(&changed), b"Hello, World!"), Err(SignatureError::Wrong));
    }

    #[test]
    fn a_header_that_is_not_a_sha256_signature_is_malformed() {
        let too_long = format!("{SIGNED}00");
        for header in ["", "sha256=", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", &SIGNED[..70], &SIGNED[7..], &too_long, "sha256=zz"]
        {
            assert_eq!(secrets().verify(Some(header), b"Hello, World!"), Err(SignatureError::Malformed), "{header}");
        }
        assert_eq!(secrets().verify(None, b"Hello, World!"), Err(SignatureError::Missing));
    }

    #[test]
    fn while_rotating_both_secrets_verify_and_afterwards_only_the_new_one() {
        let (old, new) = (Secret::new("old"), Secret::new("new"));
        let rotating = WebhookSecrets::new(new.clone(), Some(old.clone())).unwrap();
        let rotated = WebhookSecrets::new(new.clone(), None).unwrap();
        assert_eq!(rotating.verify(Some(&sign(&old, b"x")), b"x"), Ok(()));
        assert_eq!(rotating.verify(Some(&sign(&new, b"x")), b"x"), Ok(()));
        assert_eq!(rotated.verify(Some(&sign(&old, b"x")), b"x"), Err(SignatureError::Wrong));
        let shared = rotating.clone();
        assert_eq!(rotating.replace(new.clone(), Some(Secret::new(""))), Err(EmptySecret));
        assert_eq!(shared.verify(Some(&sign(&old, b"x")), b"x"), Ok(()), "what is of no use replaces nothing");
        rotating.replace(new.clone(), None).unwrap();
        assert_eq!(shared.verify(Some(&sign(&new, b"x")), b"x"), Ok(()));
        assert_eq!(shared.verify(Some(&sign(&old, b"x")), b"x"), Err(SignatureError::Wrong));
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert_eq!(WebhookSecrets::new(Secret::new(""), None).unwrap_err(), EmptySecret);
        assert_eq!(WebhookSecrets::new(Secret::new("x"), Some(Secret::new(""))).unwrap_err(), EmptySecret);
    }
}
