//! What the suite takes from the person who runs it: programs are found by their `PATH`, a PostgreSQL by
//! their proxy and cache.

use std::ffi::OsString;

/// Their environment.
#[expect(clippy::disallowed_methods, reason = "the suite stands outside the product: no setting is read here")]
pub fn of_the_person() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// One variable of it as text.
pub fn variable(name: &str) -> Option<String> {
    let found = of_the_person().into_iter().find(|(key, _)| key == name);
    found.and_then(|(_, value)| value.into_string().ok()).filter(|value| !value.is_empty())
}
