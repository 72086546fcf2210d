//! Payloads as GitHub sends them, and the local forge under concurrency and sudden death.

// `cfg(test)` tells clippy that the helpers in there are tests too.
#[cfg(test)]
mod local_forge;
#[cfg(test)]
mod webhooks;
