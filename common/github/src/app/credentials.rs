//! What a GitHub App is known by: its number, its key, the secrets of its webhooks; and the file that holds them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use domain::Secret;
use serde::Deserialize;
use serde_json::json;
use tempfile::NamedTempFile;

use super::key::AppKey;
use super::site::{InvalidSite, Site};

/// What holds more is no file of credentials.
const FILE_LIMIT_BYTES: u64 = 64 << 10;

/// A GitHub App as this service needs to know it.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// Its number.
    pub app_id: u64,
    /// Its name in URLs; `None` = ask GitHub.
    pub slug: Option<String>,
    /// Its key.
    pub(crate) key: AppKey,
    pub(super) pem: Secret,
    /// What webhooks are signed with; `None` = it is configured elsewhere.
    pub webhook_secret: Option<Secret>,
    /// What they were signed with before, while it is being replaced.
    pub webhook_secret_previous: Option<Secret>,
    /// The GitHub it is an App of.
    pub site: Site,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Look at the file.
    #[error("the App's credentials in {path} cannot be read or written: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// Take away what others may do with it.
    #[error("{path} holds the App's key and others may read or write it (mode {mode:03o}): chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is not what `codeteam github setup` writes.
    #[error("the App's credentials are not as they should be: {0}")]
    Malformed(String),
}

impl From<InvalidSite> for CredentialsError {
    fn from(error: InvalidSite) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The text form, as it lies in the file or in Secrets Manager.
#[derive(Deserialize)]
struct Record {
    app_id: u64,
    slug: Option<String>,
    private_key: Secret,
    webhook_secret: Option<Secret>,
    webhook_secret_previous: Option<Secret>,
    web_url: Option<String>,
    api_url: Option<String>,
}

impl AppCredentials {
    /// The App `app_id` of `site` with the key in `pem`, without webhook secrets.
    ///
    /// # Errors
    /// [`CredentialsError::Malformed`] where `pem` holds no RSA key.
    pub fn new(site: Site, app_id: u64, pem: Secret) -> Result<Self, CredentialsError> {
        let key = AppKey::new(app_id, &pem).map_err(|what| CredentialsError::Malformed(format!("private_key: {what}")))?;
        Ok(Self { app_id, slug: None, key, pem, webhook_secret: None, webhook_secret_previous: None, site })
    }

    /// Reads the JSON text of credentials: `app_id` and `private_key` (PEM), and where they are known `slug`,
    /// `webhook_secret`, `webhook_secret_previous`, `web_url` and `api_url`.
    ///
    /// # Errors
    /// [`CredentialsError::Malformed`], without anything that may be secret.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        // The parser quotes what it stumbles over: only where it was is told.
        let record: Record = serde_json::from_str(text).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            CredentialsError::Malformed(match error.is_data() {
                true => format!("a field is missing or of the wrong type ({place}); app_id is a number, private_key a text"),
                false => format!("not JSON ({place})"),
            })
        })?;
        let site = match (&record.web_url, &record.api_url) {
            (None, None) => Site::github(),
            (Some(web), None) => Site::at(web)?,
            (Some(web), Some(api)) => Site::with_api(web, api)?,
            (None, Some(_)) => return Err(CredentialsError::Malformed("api_url without web_url: name both".into())),
        };
        let (slug, webhook_secret, webhook_secret_previous) = (record.slug, record.webhook_secret, record.webhook_secret_previous);
        Ok(Self { slug, webhook_secret, webhook_secret_previous, ..Self::new(site, record.app_id, record.private_key)? })
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// Above all [`CredentialsError::Exposed`] where somebody else than its owner may read or write it.
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        let failed = |error| CredentialsError::Io { path: path.to_owned(), error };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CredentialsError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(FILE_LIMIT_BYTES).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text)
    }

    /// Writes `path`, whole or not at all, so that only its owner may read it.
    ///
    /// # Errors
    /// [`CredentialsError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), CredentialsError> {
        let write = || {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            // A temporary file is made with mode 600.
            let mut file = NamedTempFile::new_in(folder)?;
            writeln!(file, "{}", self.to_json().expose())?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|error| CredentialsError::Io { path: path.to_owned(), error })
    }

    /// The text that [`Self::parse`] reads.
    pub fn to_json(&self) -> Secret {
        let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        let record = json!({
            "app_id": self.app_id,
            "slug": self.slug,
            "private_key": self.pem.expose(),
            "webhook_secret": text(&self.webhook_secret),
            "webhook_secret_previous": text(&self.webhook_secret_previous),
            "web_url": self.site.web(),
            "api_url": self.site.api(),
        });
        Secret::new(format!("{record:#}"))
    }

    /// Everything that must not be seen: for the redactor.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        let hooks = [("GITHUB_WEBHOOK_SECRET", &self.webhook_secret), ("GITHUB_WEBHOOK_SECRET_PREVIOUS", &self.webhook_secret_previous)];
        let hooks = hooks.into_iter().filter_map(|(name, secret)| Some((name, secret.as_ref()?)));
        std::iter::once(("GITHUB_APP_PRIVATE_KEY", &self.pem)).chain(hooks)
    }
}
