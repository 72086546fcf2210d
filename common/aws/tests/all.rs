//! The crate against stubs of AWS that refuse malformed requests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod access;
mod ecs;
mod protection;
mod rds;
mod secrets;
mod sns;
mod sqs;
mod stub;

use aws::{Access, Aws, Http};
use domain::Secret;

const REGION: &str = "us-east-1";

/// Keys that the stub takes.
fn keys() -> Access {
    Access::Keys { id: "AKIDEXAMPLE".to_owned(), secret: Secret::new("wJalrXUtnFEMI-K7MDENG"), session: None }
}

fn with_keys() -> Aws {
    Aws::new(&Http::new(None).unwrap(), REGION, Some(keys()))
}
