//! The App's private key, and the token that it signs: how GitHub knows that it speaks with the App.
//!
//! The signature comes from the TLS library that is there anyway: an RS256 token is two lines of JSON and one call of it.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Secret;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde_json::json;
use time::OffsetDateTime;

/// GitHub takes no token that lives longer than ten minutes.
const LIFETIME_S: i64 = 540;
/// Clocks differ: a token from the future is refused.
const SKEW_S: i64 = 60;

/// An RSA key that signs for one App.
#[derive(Clone)]
pub(crate) struct AppKey {
    app_id: u64,
    key: Arc<dyn SigningKey>,
}

impl AppKey {
    /// Reads `pem`: the file that GitHub gives out (PKCS #1), or what openssl made of it (PKCS #8).
    ///
    /// # Errors
    /// What is wrong with it, and nothing of it.
    pub(crate) fn new(app_id: u64, pem: &Secret) -> Result<Self, &'static str> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| "it is not the PEM text of a private key")?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| "no key can be read from it")?;
        let key = Self { app_id, key };
        key.sign(b"").ok_or("it is not an RSA key")?;
        Ok(key)
    }

    /// A token that says to be the App, good from a minute before `now` until nine minutes after.
    pub(crate) fn token(&self, now: OffsetDateTime) -> Secret {
        let now = now.unix_timestamp();
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let claims = json!({ "iat": now - SKEW_S, "exp": now + LIFETIME_S, "iss": self.app_id.to_string() });
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.sign(signed.as_bytes()).expect("the key signed when it was read");
        Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?.sign(message).ok()
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppKey({}, ***)", self.app_id)
    }
}
