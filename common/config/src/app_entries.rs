//! The App's credentials in the entries of a deployment: looked for, and put in by whoever sets the App up.

use ::aws::secrets::{Entry, Vault};
use ::aws::{Aws, AwsError};
use anyhow::bail;
use domain::Secret;
use github::app::AppCredentials;

use crate::Settings;
use crate::secrets::{GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY, GITHUB_WEBHOOK_SECRET};

/// The entries that an App fills. Its number comes last: whoever finds that finds the others.
const ENTRIES: [&str; 3] = [GITHUB_WEBHOOK_SECRET, GITHUB_APP_PRIVATE_KEY, GITHUB_APP_ID];

/// The entries of one deployment.
#[derive(Clone, Debug)]
pub struct AppEntries {
    vault: Vault,
}

/// What became of one entry.
#[derive(Debug)]
pub struct Kept {
    /// Its whole name.
    pub entry: String,
    /// What came of it.
    pub outcome: EntryOutcome,
}

/// Whether an entry holds what it should.
#[derive(Debug)]
pub enum EntryOutcome {
    /// It does.
    Stored,
    /// It does not, for all that is known.
    Failed(AwsError),
    /// One before it failed.
    NotTried,
    /// There is nothing to put in: GitHub gave no such secret.
    Nothing,
}

impl Settings {
    /// The App's entries below `prefix` (`ai-coding-team/prod`) in `region`, or in the one that is set.
    ///
    /// # Errors
    /// No region is known, or the proxy is no URL.
    pub fn app_entries(&self, prefix: &str, region: Option<&str>) -> anyhow::Result<AppEntries> {
        let aws: Aws = match region {
            Some(region) => Settings { aws_region: Some(region.to_owned()), ..self.clone() }.aws()?,
            None => self.aws()?,
        };
        Ok(AppEntries { vault: Vault::new(&aws, prefix, self.deployment.endpoints.secrets_manager.as_ref()) })
    }
}

impl AppEntries {
    /// The number of the App that is there already; `None` = the entries are there and wait for one.
    ///
    /// # Errors
    /// An entry that is not there or may not be looked at, with its name.
    pub async fn app_id(&self) -> anyhow::Result<Option<Secret>> {
        for name in ENTRIES {
            match self.vault.look(name).await.map_err(told)? {
                Entry::There => {}
                Entry::Missing => {
                    let id = self.vault.id(name);
                    bail!("there is no secret {id} in this account and region: deploy first, which makes it, empty")
                }
                Entry::BeingDeleted => {
                    let id = self.vault.id(name);
                    bail!("secret {id} is being deleted: `aws secretsmanager restore-secret --secret-id {id}` takes that back")
                }
            }
        }
        self.vault.get(GITHUB_APP_ID).await.map_err(told)
    }

    /// The whole name of the entry that holds the App's number.
    pub fn id_entry(&self) -> String {
        self.vault.id(GITHUB_APP_ID)
    }

    /// Puts `credentials` in, one entry after the other up to the first that fails.
    pub async fn keep(&self, credentials: &AppCredentials) -> Vec<Kept> {
        let (mut kept, mut failed) = (Vec::new(), false);
        for name in ENTRIES {
            let value = match name {
                GITHUB_APP_ID => Some(Secret::new(credentials.app_id.to_string())),
                name => credentials.secrets().find(|(known, _)| *known == name).map(|(_, secret)| secret.clone()),
            };
            let outcome = match value {
                _ if failed => EntryOutcome::NotTried,
                None => EntryOutcome::Nothing,
                Some(value) => self.vault.put(name, &value).await.map_or_else(EntryOutcome::Failed, |()| EntryOutcome::Stored),
            };
            failed |= matches!(outcome, EntryOutcome::Failed(_));
            kept.push(Kept { entry: self.vault.id(name), outcome });
        }
        kept
    }
}

/// The error as whoever deploys understands it, who has no role of a task.
fn told(error: AwsError) -> anyhow::Error {
    let is_login = matches!(error, AwsError::Credentials { .. });
    let error = anyhow::Error::new(error);
    match is_login {
        true => error.context(
            "AWS is asked with the keys of the environment or of a profile in the credentials file, and `aws configure export-credentials \
             --format env` makes variables of any other login",
        ),
        false => error,
    }
}
