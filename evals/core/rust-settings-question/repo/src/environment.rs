//! The environment.

/// `BEACON_PORT` for `port`; empty counts as unset.
pub fn value(name: &str) -> Option<String> {
    let variable = format!("BEACON_{}", name.to_uppercase());
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}
