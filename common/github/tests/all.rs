//! Payloads as GitHub sends them, its API and how it fails, and the local forge under concurrency and sudden death.

// `cfg(test)` tells clippy that the helpers in there are tests too.
#[cfg(test)]
mod hub;
#[cfg(test)]
mod local_forge;
#[cfg(test)]
mod triggers;
#[cfg(test)]
mod webhooks;
