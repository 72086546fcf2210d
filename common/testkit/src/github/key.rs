//! Who has signed a token of the App's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Whether `token` was signed with the key in `pem`. A signature of this kind has nothing random in it, so whoever has the key makes the
/// same one again.
pub(super) fn has_signed(pem: &str, token: &str) -> bool {
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key of the tests is PEM");
    let key = any_supported_type(&key).expect("a key of the tests is one of RSA");
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).expect("a key of RSA signs so");
    URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).expect("it signs what it is given")) == signature
}
