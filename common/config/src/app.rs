//! GitHub as the settings name it: the App, and whose turn it is to write there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use domain::Secret;
use github::app::{App, AppCredentials, AppOptions, HttpOptions, LocalPacer, Pacer, TOKEN_NAME, Turn};
use github::{ForgeError, Triggers};
use redact::Redactor;
use store::{Db, outbox};

use crate::Settings;

/// The longest that a caller waits for its turn; it comes again then.
const PATIENCE: Duration = Duration::from_secs(20);

/// GitHub's tokens are good for an hour.
const TOKEN_LIFE: Duration = Duration::from_secs(2 * 3_600);

/// The credentials of the App that is set up; `None` = none is.
///
/// # Errors
/// A file that others may read, or that is damaged.
pub(crate) fn credentials(settings: &Settings) -> anyhow::Result<Option<AppCredentials>> {
    if let Some((id, key)) = &settings.github_app {
        let credentials = AppCredentials::new(settings.github_site.clone(), *id, key.clone());
        return Ok(Some(credentials.context("GITHUB_APP_PRIVATE_KEY is no key of an App")?));
    }
    let file = settings.github_app_file();
    if settings.github_app_file.is_none() && !file.exists() {
        return Ok(None);
    }
    let credentials = AppCredentials::load(&file)?;
    for (name, secret) in credentials.secrets() {
        Redactor::of_process().register(name, secret);
    }
    Ok(Some(credentials))
}

/// The App, whose changes `pacer` keeps apart.
pub(crate) fn app(settings: &Settings, credentials: &AppCredentials, pacer: Arc<dyn Pacer>) -> anyhow::Result<App> {
    let on_token = |token: &Secret| Redactor::of_process().register_for(TOKEN_NAME, token, TOKEN_LIFE);
    let http = HttpOptions { proxy: settings.proxy_url(), ..HttpOptions::default() };
    App::new(credentials, AppOptions { http, pacer, ..AppOptions::new(on_token) }).context("cannot set up the GitHub App")
}

impl Settings {
    /// The App with `credentials`, whichever is set up, for what is asked of GitHub about itself.
    ///
    /// # Errors
    /// Where the HTTP client cannot be set up.
    pub fn app_with(&self, credentials: &AppCredentials) -> anyhow::Result<App> {
        for (name, secret) in credentials.secrets() {
            Redactor::of_process().register(name, secret);
        }
        app(self, credentials, Arc::new(LocalPacer::default()))
    }
}

/// Which labels and commands start jobs.
pub(crate) fn triggers(settings: &Settings, credentials: Option<&AppCredentials>) -> Triggers {
    let usual = Triggers::default();
    let (mechanic, genius) = settings.labels.clone();
    Triggers {
        mechanic: mechanic.unwrap_or(usual.mechanic),
        genius: genius.unwrap_or(usual.genius),
        login: credentials.and_then(|credentials| credentials.slug.as_ref().map(|slug| format!("{slug}[bot]"))),
    }
}

/// Turns over all processes that share a database, each a second after the one before.
pub(crate) struct SharedPacer {
    db: Db,
    /// One at a time within this process.
    local: LocalPacer,
}

impl SharedPacer {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, local: LocalPacer::new(Duration::ZERO, PATIENCE) }
    }
}

#[async_trait]
impl Pacer for SharedPacer {
    async fn turn(&self, channel: &str) -> Result<Turn, ForgeError> {
        let turn = self.local.turn(channel).await?;
        let wait = outbox::turn(&self.db, channel, PATIENCE).await.map_err(|error| ForgeError::Unavailable(error.into()))?;
        match wait {
            Ok(wait) => tokio::time::sleep(wait).await,
            Err(after) => return Err(ForgeError::RetryAfter { after }),
        }
        Ok(turn)
    }

    async fn hold(&self, channel: &str, wait: Duration) {
        if let Err(error) = outbox::hold(&self.db, channel, wait).await {
            tracing::warn!("cannot tell other processes that GitHub asks to leave {channel} alone for {wait:?}: {error}");
        }
    }
}
