//! GitHub's own description of its REST API judges every request that our client sends, and its examples are read by it.

mod description;

// The server that the client's own tests have: what it is asked here goes before the judge.
#[path = "../../../common/github/tests/hub/server.rs"]
mod server;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The key that the client's own tests have, as GitHub gives keys out.
fn pem() -> String {
    let der = STANDARD.encode(include_bytes!("../../../common/github/tests/hub/app-key.der"));
    let kind = ["RSA", "PRIVATE", "KEY"].join(" ");
    format!("-----BEGIN {kind}-----\n{der}\n-----END {kind}-----\n")
}
