//! What GitHub says about the App, and whether that is what this service needs.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{App, Call};
use crate::ForgeError;

/// What the App has to be granted, and no more than that: above all not `workflows`.
pub const NEEDED_PERMISSIONS: &[(&str, &str)] =
    &[("checks", "write"), ("contents", "write"), ("issues", "write"), ("metadata", "read"), ("pull_requests", "write")];

/// What the App has to be told. What concerns itself (`installation`, `installation_repositories`, `ping`) it hears unasked.
pub const NEEDED_EVENTS: &[&str] =
    &["check_run", "issue_comment", "issues", "pull_request", "pull_request_review", "pull_request_review_comment"];

/// The App as GitHub describes it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct About {
    /// Its number.
    pub id: u64,
    /// Its name in URLs.
    #[serde(default)]
    pub slug: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Where people look at it and install it.
    #[serde(default)]
    pub html_url: String,
    /// What it asks for: `read` or `write`, by subject.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// What it is told.
    #[serde(default)]
    pub events: Vec<String>,
}

/// A place that the App is installed in.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Installation {
    /// Its number.
    pub id: u64,
    /// Whose it is; `None` = an account that is gone.
    #[serde(default)]
    pub account: Option<Owner>,
    /// What the owner has granted, which lags behind what the App asks for.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// What it is told from there.
    #[serde(default)]
    pub events: Vec<String>,
    /// `all` repositories of the owner, or `selected` ones.
    #[serde(default)]
    pub repository_selection: String,
    /// Since when it may do nothing; `None` = it may.
    #[serde(default)]
    pub suspended_at: Option<String>,
}

/// Who has an installation.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Owner {
    /// The user or organisation; an enterprise has none.
    #[serde(default)]
    pub login: Option<String>,
}

impl About {
    /// What the App lacks, a sentence for each; empty = it has all it needs.
    pub fn missing(&self) -> Vec<String> {
        missing(&self.permissions, &self.events)
    }

    /// What the App asks for and does not need, a sentence for each.
    pub fn needless(&self) -> Vec<String> {
        let is_needed = |(subject, level): &(&String, &String)| {
            NEEDED_PERMISSIONS.iter().any(|(needed, most)| needed == subject && rank(level) <= rank(most))
        };
        let surplus = self.permissions.iter().filter(|permission| !is_needed(permission));
        surplus.map(|(subject, level)| format!("the permission \"{subject}: {level}\" is not needed: take it away")).collect()
    }
}

impl Installation {
    /// What its owner has not granted yet, a sentence for each.
    pub fn missing(&self) -> Vec<String> {
        missing(&self.permissions, &self.events)
    }
}

fn missing(permissions: &BTreeMap<String, String>, events: &[String]) -> Vec<String> {
    let lacking = NEEDED_PERMISSIONS.iter().filter_map(|(subject, needed)| match permissions.get(*subject) {
        Some(level) if rank(level) >= rank(needed) => None,
        Some(level) => Some(format!("the permission \"{subject}\" is \"{level}\" and has to be \"{needed}\"")),
        None => Some(format!("the permission \"{subject}: {needed}\" is missing")),
    });
    let unheard = NEEDED_EVENTS.iter().filter(|event| !events.iter().any(|there| there == *event));
    lacking.chain(unheard.map(|event| format!("the App is not subscribed to the event \"{event}\""))).collect()
}

fn rank(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

impl App {
    /// What GitHub says about it.
    ///
    /// # Errors
    /// [`ForgeError::Denied`] where number and key do not belong together.
    pub async fn about(&self) -> Result<About, ForgeError> {
        self.as_app(&Call::get("/app")).await?.json()
    }

    /// Where it is installed.
    ///
    /// # Errors
    /// Those of every question to GitHub.
    pub async fn installations(&self) -> Result<Vec<Installation>, ForgeError> {
        let mut installations = Vec::new();
        let mut next = Some("/app/installations?per_page=100".to_owned());
        while let Some(path) = next {
            let reply = self.as_app(&Call::get(path)).await?;
            installations.extend(reply.json::<Vec<Installation>>()?);
            next = reply.next(self.inner.http.api());
        }
        Ok(installations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(permissions: &[(&str, &str)], events: &[&str]) -> About {
        let permissions = permissions.iter().map(|(subject, level)| ((*subject).to_owned(), (*level).to_owned())).collect();
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        About { id: 1, slug: String::new(), name: String::new(), html_url: String::new(), permissions, events }
    }

    #[test]
    fn an_app_with_all_it_needs_lacks_nothing_and_has_nothing_needless() {
        let about = about(NEEDED_PERMISSIONS, NEEDED_EVENTS);
        assert_eq!((about.missing(), about.needless()), (vec![], vec![]));
    }

    #[test]
    fn what_is_missing_too_little_or_too_much_is_named() {
        let mut permissions = NEEDED_PERMISSIONS.to_vec();
        permissions.retain(|(subject, _)| *subject != "checks" && *subject != "contents");
        permissions.extend([("contents", "read"), ("workflows", "write")]);
        let about = about(&permissions, &NEEDED_EVENTS[1..]);
        let missing = [
            "the permission \"checks: write\" is missing",
            "the permission \"contents\" is \"read\" and has to be \"write\"",
            "the App is not subscribed to the event \"check_run\"",
        ];
        assert_eq!(about.missing(), missing);
        assert_eq!(about.needless(), ["the permission \"workflows: write\" is not needed: take it away"]);
    }
}
