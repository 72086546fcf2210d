//! What opens the database: the URL as it was set, or as it is now in Secrets Manager, or with a token for its password.

use std::time::Duration;

use ::aws::rds::Tokens;
use ::aws::secrets::Vault;
use anyhow::{Context, bail};
use domain::Secret;
use redact::Redactor;
use store::db::{Server, with_password};

use crate::{DatabaseAuth, Services};

/// How often what Secrets Manager holds is looked at.
const LOOK: Duration = Duration::from_secs(300);
/// How often there is a new token. It opens sessions for 15 min, and a pool opens some at any time.
const NEW_TOKEN: Duration = Duration::from_secs(600);

/// Gives the URL that opens the database now.
pub(crate) struct Login {
    url: Secret,
    /// Where the URL came from, by its name there.
    held: Option<(Vault, &'static str)>,
    tokens: Option<Tokens>,
}

impl Login {
    /// For `url`, which `name` gave.
    pub(crate) fn new(services: &Services, name: &'static str, url: &Secret) -> anyhow::Result<Self> {
        // A command may work in another database than the one that is set.
        let is_set = services.settings.secrets.iter().any(|(known, secret)| known == name && secret == url);
        let held = services.vault()?.filter(|_| is_set).map(|vault| (vault.clone(), name));
        let tokens = match services.settings.deployment.database_auth {
            DatabaseAuth::Password => None,
            DatabaseAuth::Iam => Some(Tokens::new(&services.settings.aws()?)),
        };
        Ok(Self { url: url.clone(), held, tokens })
    }

    /// The URL that opens the database now; `fresh` = whatever was known does not.
    ///
    /// # Errors
    /// Secrets Manager or the credentials of AWS.
    pub(crate) async fn url(&self, fresh: bool) -> anyhow::Result<Secret> {
        let url = match &self.held {
            Some((vault, name)) => {
                let held = if fresh { vault.read(name).await? } else { vault.get(name).await? };
                let url = held.with_context(|| format!("{name} is no longer in Secrets Manager"))?;
                Redactor::of_process().register(name, &url);
                url
            }
            None => self.url.clone(),
        };
        let Some(tokens) = &self.tokens else { return Ok(url) };
        let server = Server::of(&url)?;
        if !server.verified {
            bail!(
                "DATABASE_AUTH=iam shows a token that opens the database, so the server has to prove who it is: add \
                 sslmode=verify-full&sslrootcert=/path/to/global-bundle.pem to DATABASE_URL"
            );
        }
        Ok(with_password(&url, &tokens.token(&server.host, server.port, &server.user).await?))
    }

    /// How often it is asked again; `None` = it never changes.
    pub(crate) fn changes_every(&self) -> Option<Duration> {
        match (&self.tokens, &self.held) {
            (Some(_), _) => Some(NEW_TOKEN),
            (None, Some(_)) => Some(LOOK),
            (None, None) => None,
        }
    }
}
