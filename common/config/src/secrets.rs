//! The secrets of a deployment: entries of Secrets Manager in the place of variables.
//!
//! A process asks for those that it needs ([`Need`]) and for no others, so the role of its task permits no others either. They are read
//! when the settings are, after root was given up. Where one is used it is looked at again every five minutes, and at
//! once when somebody did not take it ([`refused`]): so a secret is replaced without a restart.

use std::collections::HashMap;

use ::aws::AwsError;
use ::aws::secrets::Vault;
use domain::Secret;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// The entries that there can be, by the names of the variables in whose place they are.
pub(crate) const NAMES: [&str; 10] = [
    DATABASE_URL,
    DATABASE_LISTEN_URL,
    DATABASE_APP_URL,
    OPENAI_API_KEY,
    ANTHROPIC_API_KEY,
    GOOGLE_API_KEY,
    GITHUB_APP_ID,
    GITHUB_APP_PRIVATE_KEY,
    GITHUB_WEBHOOK_SECRET,
    GITHUB_WEBHOOK_SECRET_PREVIOUS,
];

pub(crate) const DATABASE_URL: &str = "DATABASE_URL";
pub(crate) const DATABASE_LISTEN_URL: &str = "DATABASE_LISTEN_URL";
pub(crate) const DATABASE_APP_URL: &str = "DATABASE_APP_URL";
pub(crate) const OPENAI_API_KEY: &str = "OPENAI_API_KEY";
pub(crate) const ANTHROPIC_API_KEY: &str = "ANTHROPIC_API_KEY";
pub(crate) const GOOGLE_API_KEY: &str = "GOOGLE_API_KEY";
pub(crate) const GITHUB_APP_ID: &str = "GITHUB_APP_ID";
pub(crate) const GITHUB_APP_PRIVATE_KEY: &str = "GITHUB_APP_PRIVATE_KEY";
pub(crate) const GITHUB_WEBHOOK_SECRET: &str = "GITHUB_WEBHOOK_SECRET";
pub(crate) const GITHUB_WEBHOOK_SECRET_PREVIOUS: &str = "GITHUB_WEBHOOK_SECRET_PREVIOUS";

/// Something for which a process needs secrets of its deployment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// To open the database.
    Database,
    /// To hear the database's notifications, past a pooler.
    Notifications,
    /// To make the role that the services are.
    AppRole,
    /// To ask providers of models.
    Models,
    /// To be the GitHub App.
    GitHubApp,
    /// To know who may sign webhooks.
    Webhooks,
}

impl Need {
    /// The entries that it is about.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Database => &[DATABASE_URL],
            Self::Notifications => &[DATABASE_LISTEN_URL],
            Self::AppRole => &[DATABASE_APP_URL],
            Self::Models => &[OPENAI_API_KEY, ANTHROPIC_API_KEY, GOOGLE_API_KEY],
            Self::GitHubApp => &[GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY],
            Self::Webhooks => &[GITHUB_WEBHOOK_SECRET, GITHUB_WEBHOOK_SECRET_PREVIOUS],
        }
    }
}

/// Rung when somebody did not take a secret of ours.
static REFUSED: Notify = Notify::const_new();

/// Says that somebody did not take a secret: it may have been replaced.
pub(crate) fn refused() {
    REFUSED.notify_waiters();
}

/// Waits until somebody does not take a secret.
pub(crate) async fn refusal() {
    REFUSED.notified().await;
}

/// What there is of the entries that `needs` are about. It is called before there is a runtime, or within one, and takes as long as the slowest answer.
///
/// # Errors
/// The first entry that cannot be read: its name, the region, the right that is missing.
pub(crate) fn fetch(vault: &Vault, needs: &[Need]) -> Result<HashMap<&'static str, Secret>, AwsError> {
    if needs.is_empty() {
        return Ok(HashMap::new());
    }
    let vault = vault.clone();
    let fetched = std::thread::scope(|scope| {
        let asking = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime needs memory alone");
            runtime.block_on(all(&vault, needs))
        });
        asking.join()
    });
    fetched.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn all(vault: &Vault, needs: &[Need]) -> Result<HashMap<&'static str, Secret>, AwsError> {
    let mut asking = JoinSet::new();
    for name in needs.iter().flat_map(|need| need.names()).copied() {
        let vault = vault.clone();
        asking.spawn(async move { vault.read(name).await.map(|secret| secret.map(|secret| (name, secret))) });
    }
    let mut found = HashMap::new();
    while let Some(answer) = asking.join_next().await {
        found.extend(answer.expect("it neither panics nor is aborted")?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_is_there_for_one_need() {
        let needs = [Need::Database, Need::Notifications, Need::AppRole, Need::Models, Need::GitHubApp, Need::Webhooks];
        assert_eq!(needs.iter().flat_map(|need| need.names()).copied().collect::<Vec<_>>(), NAMES);
    }
}
