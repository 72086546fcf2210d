//! The environment as a whole: for other programs, and for what a handler asks by name.

use std::ffi::OsString;

use domain::Secret;
use redact::Redactor;

/// A whole environment. `Debug` shows no value, since any of them may be a secret.
#[derive(Clone, Default)]
pub struct Environment(pub Vec<(OsString, OsString)>);

impl Environment {
    /// The process's own.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The variables that hold secrets, by their names. A path or a number (`TOKEN_CAP`) is none.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&str, Secret)> {
        const SECRET: &[&str] = &["secret", "password", "passwd", "token", "api_key", "apikey", "access_key", "private_key", "credential"];
        self.0.iter().filter_map(|(name, value)| {
            let (name, value) = (name.to_str()?, value.to_str()?);
            let is_secret = SECRET.iter().any(|word| name.to_ascii_lowercase().contains(word))
                && value.len() >= 16
                && !value.starts_with(['/', '.', '~']);
            is_secret.then(|| (name, Secret::new(value)))
        })
    }

    /// What the variable `name` holds; `None` where it is not set, empty or no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.to_str()?.trim()).filter(|value| !value.is_empty())
    }

    /// The same for a secret, which is kept out of everything that leaves from now on, whatever its name.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        let secret = self.text(name).map(Secret::new)?;
        Redactor::of_process().register(name, &secret);
        Some(secret)
    }

    /// The variables of these names that are set.
    pub fn only(&self, names: &[&str]) -> Vec<(OsString, OsString)> {
        self.0.iter().filter(|(name, _)| names.iter().any(|wanted| name == wanted)).cloned().collect()
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}
