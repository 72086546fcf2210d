//! The same handlers, the same events, every way to call them: `cargo lambda`, the AWS command line, plain HTTP,
//! `codeteam invoke`.

mod both_ways;
mod events;
mod signed;

use testkit::client::{self as http, HttpAnswer as Answer};

/// Where the Lambda Invoke API answers for `function`.
fn path_of(function: &str) -> String {
    format!("/2015-03-31/functions/{function}/invocations")
}

/// Invokes `function` at `address` over plain HTTP.
async fn invoke(address: &str, function: &str, event: &str) -> Answer {
    http::post(address, &path_of(function), &[("content-type", "application/json")], event.as_bytes()).await
}
