//! What handlers are built from, each piece made once and only when somebody needs it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ::aws::secrets::Vault;
use anyhow::{Context, bail};
use dispatch::Handler;
use domain::{Capacity, OwnerId, Secret};
use git::{Git, GitOptions};
use github::app::{App, AppCredentials, LocalPacer, Pacer};
use github::{Forge, GitHub, LocalForge, Triggers, Unregistered, WebhookSecrets};
use llm::{
    Anthropic, Bedrock, Breakers, Chat, Google, Http, HttpOptions, LlmError, Models, OpenAi, Provider, Providers, Scripted, SelfHosted,
};
use store::wake::Listener;
use store::{Db, Route};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::app::{self, SharedPacer};
use crate::login::Login;
use crate::rotation::{self, Rekeyed};
use crate::secrets::{self, Need};
use crate::{Settings, aws};

/// How long a start waits for the database.
const DATABASE_PATIENCE: Duration = Duration::from_secs(10);

/// A handler that can be built from the settings.
pub trait Configured: Handler {
    /// What it needs of a deployment's secrets, where it runs alone.
    const NEEDS: &'static [Need];

    /// Takes from `services` exactly what the handler needs.
    ///
    /// # Errors
    /// What is missing and how to provide it.
    fn configure(services: &Services) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// What the handler has done as the users of its sandbox's slots, beside commands.
    fn work() -> process::spawner::Work {
        crate::root::no_work
    }
}

/// The settings and what is made from them.
pub struct Services {
    /// The settings.
    pub settings: Settings,
    owner: OwnerId,
    db: OnceCell<Db>,
    listener: OnceCell<Listener>,
    credentials: OnceLock<Option<AppCredentials>>,
    forge: OnceCell<Arc<dyn Forge>>,
    capacity: OnceCell<Option<Arc<dyn Capacity>>>,
    breakers: Breakers,
    vault: OnceLock<Option<Vault>>,
    webhooks: OnceLock<Option<WebhookSecrets>>,
    /// What keeps secrets current; it ends with this.
    keepers: Mutex<JoinSet<()>>,
}

impl Services {
    /// Nothing is connected yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            owner: OwnerId::new(),
            db: OnceCell::new(),
            listener: OnceCell::new(),
            credentials: OnceLock::new(),
            forge: OnceCell::new(),
            capacity: OnceCell::new(),
            breakers: Breakers::default(),
            vault: OnceLock::new(),
            webhooks: OnceLock::new(),
            keepers: Mutex::default(),
        }
    }

    /// Uses `forge` in the place of the one that the settings name.
    #[must_use]
    pub fn with_forge(mut self, forge: Arc<dyn Forge>) -> Self {
        self.forge = OnceCell::new_with(Some(forge));
        self
    }

    /// Asks `capacity` for workers, in the place of the cluster that the settings name.
    #[must_use]
    pub fn with_capacity(mut self, capacity: Arc<dyn Capacity>) -> Self {
        self.capacity = OnceCell::new_with(Some(Some(capacity)));
        self
    }

    /// The identity of this process: every lease it takes carries it.
    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    /// The database, connected at the first call, its schema checked.
    ///
    /// # Errors
    /// When `DATABASE_URL` is not set, nobody answers there, or the schema is another release's.
    pub async fn db(&self) -> anyhow::Result<Db> {
        let connect = async {
            let Some(url) = &self.settings.database_url else {
                bail!("DATABASE_URL is not set: give one, or start everything at once with `codeteam up` (it brings its own PostgreSQL)");
            };
            let login = Login::new(self, secrets::DATABASE_URL, url)?;
            let url = login.url(false).await?;
            let db = Db::connect_by(self.settings.database_route, &url, self.settings.database_connections, DATABASE_PATIENCE)
                .await
                .context("cannot reach the database that DATABASE_URL names")?;
            db.check_schema().await?;
            let pool = db.clone();
            self.keep(rotation::keep_open(login, url, move |url| pool.log_in_by(url)));
            Ok(db)
        };
        self.db.get_or_try_init(|| connect).await.cloned()
    }

    /// What hears notifications of the database. It hears nothing before somebody runs it.
    ///
    /// # Errors
    /// When no URL is set, or it is none.
    pub async fn listener(&self) -> anyhow::Result<Listener> {
        let make = async {
            let (name, url) = match (&self.settings.database_listen_url, &self.settings.database_url) {
                (Some(url), _) => (secrets::DATABASE_LISTEN_URL, url),
                (None, Some(url)) => (secrets::DATABASE_URL, url),
                (None, None) => bail!("DATABASE_URL is not set"),
            };
            let login = Login::new(self, name, url)?;
            let url = login.url(false).await?;
            let listener = Listener::new(&url)?;
            let ear = listener.clone();
            self.keep(rotation::keep_open(login, url, move |url| ear.log_in_by(url)));
            Ok(listener)
        };
        self.listener.get_or_try_init(|| make).await.cloned()
    }

    /// The URL that opens the database now; `None` = `DATABASE_URL` is not set.
    ///
    /// # Errors
    /// Secrets Manager, or the credentials of AWS.
    pub async fn database_url(&self) -> anyhow::Result<Option<Secret>> {
        let Some(url) = &self.settings.database_url else { return Ok(None) };
        Login::new(self, secrets::DATABASE_URL, url)?.url(false).await.map(Some)
    }

    /// The deployment's entries in Secrets Manager; `None` = the environment holds the secrets.
    ///
    /// # Errors
    /// No region is set, or the proxy is no URL.
    pub(crate) fn vault(&self) -> anyhow::Result<Option<&Vault>> {
        if self.vault.get().is_none() {
            let vault = self.settings.vault()?;
            self.vault.get_or_init(|| vault);
        }
        Ok(self.vault.get().and_then(Option::as_ref))
    }

    /// Has `keeper` run as long as this is there.
    fn keep(&self, keeper: impl Future<Output = ()> + Send + 'static) {
        // Without a runtime nothing lives long enough for a secret to be replaced.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.keepers.lock().unwrap_or_else(PoisonError::into_inner).spawn(keeper);
        }
    }

    /// Whether there is a session to listen on: a pooler in transaction mode has none.
    pub fn can_listen(&self) -> bool {
        self.settings.database_route == Route::Session || self.settings.database_listen_url.is_some()
    }

    /// Where repositories live: GitHub, where an App is set up, else the local forge, a directory that keeps what would
    /// go there.
    ///
    /// # Errors
    /// The App's credentials cannot be read, or the database that deals out turns cannot be reached.
    pub async fn forge(&self) -> anyhow::Result<Arc<dyn Forge>> {
        let open = async {
            let forge: Arc<dyn Forge> = match self.credentials()? {
                Some(credentials) => {
                    let pacer = Arc::new(SharedPacer::new(self.db().await?));
                    Arc::new(GitHub::new(self.app(credentials, pacer)?))
                }
                None => Arc::new(LocalForge::new(self.settings.state_dir.join("forge"), Unregistered::Record)),
            };
            Ok::<_, anyhow::Error>(forge)
        };
        self.forge.get_or_try_init(|| open).await.cloned()
    }

    /// Who can be asked for workers; `None` = nobody, they are started by hand.
    ///
    /// # Errors
    /// What is missing to ask the cluster that the settings name.
    pub async fn capacity(&self) -> anyhow::Result<Option<Arc<dyn Capacity>>> {
        self.capacity.get_or_try_init(|| async { self.cluster() }).await.cloned()
    }

    /// The App's credentials, read at the first call; `None` = none is set up.
    fn credentials(&self) -> anyhow::Result<Option<&AppCredentials>> {
        let known = match self.credentials.get() {
            Some(known) => known,
            None => {
                let read = app::credentials(&self.settings)?;
                self.credentials.get_or_init(|| read)
            }
        };
        Ok(known.as_ref())
    }

    /// The App that is set up, for what is asked of GitHub about itself; `None` = none is.
    ///
    /// # Errors
    /// Its credentials cannot be read.
    pub fn github_app(&self) -> anyhow::Result<Option<App>> {
        let Some(credentials) = self.credentials()? else { return Ok(None) };
        self.app(credentials, Arc::new(LocalPacer::default())).map(Some)
    }

    /// The App with `credentials`, whose key is kept current.
    fn app(&self, credentials: &AppCredentials, pacer: Arc<dyn Pacer>) -> anyhow::Result<App> {
        let app = app::app(&self.settings, credentials, pacer)?;
        if let (Some(vault), Some((_, key))) = (self.vault()?, &self.settings.github_app) {
            let kept = app.clone();
            let changed = move |[key]: &[Option<Secret>; 1]| {
                let key = key.as_ref().context("GITHUB_APP_PRIVATE_KEY is no longer in Secrets Manager")?;
                Ok(kept.replace_key(key)?)
            };
            self.keep(rotation::keep_current(vault.clone(), [secrets::GITHUB_APP_PRIVATE_KEY], [Some(key.clone())], changed));
        }
        Ok(app)
    }

    /// Which labels and commands start jobs.
    ///
    /// # Errors
    /// The App's credentials cannot be read.
    pub fn triggers(&self) -> anyhow::Result<Triggers> {
        Ok(app::triggers(&self.settings, self.credentials()?))
    }

    /// Who may sign webhooks: whoever has a secret of the settings, or else of the App. `None` = nobody, since no secret is set.
    ///
    /// # Errors
    /// An empty secret, or credentials that cannot be read.
    pub fn webhook_secrets(&self) -> anyhow::Result<Option<WebhookSecrets>> {
        if let Some(known) = self.webhooks.get() {
            return Ok(known.clone());
        }
        let of_app = self.credentials()?.map(|known| [known.webhook_secret.clone(), known.webhook_secret_previous.clone()]);
        let secrets = match self.settings.webhook_secrets.as_slice() {
            [] => of_app.into_iter().flatten().flatten().collect(),
            set => set.to_vec(),
        };
        let mut secrets = secrets.into_iter();
        let secrets = secrets.next().map(|current| WebhookSecrets::new(current, secrets.next())).transpose()?;
        if let (Some(vault), Some(secrets)) = (self.vault()?, &secrets) {
            let kept = secrets.clone();
            // An entry that was deleted is no reason to believe nobody any more, or everybody.
            let changed = move |[current, previous]: &[Option<Secret>; 2]| match (current, previous) {
                (None, None) => bail!("GITHUB_WEBHOOK_SECRET is no longer in Secrets Manager"),
                (Some(current), previous) => Ok(kept.replace(current.clone(), previous.clone())?),
                (None, Some(previous)) => Ok(kept.replace(previous.clone(), None)?),
            };
            let names = [secrets::GITHUB_WEBHOOK_SECRET, secrets::GITHUB_WEBHOOK_SECRET_PREVIOUS];
            self.keep(rotation::keep_current(vault.clone(), names, [const { None }; 2], changed));
        }
        Ok(self.webhooks.get_or_init(|| secrets).clone())
    }

    /// The price table: what is built in, and the rows of the file that `CODETEAM_MODELS` names.
    ///
    /// # Errors
    /// A file that cannot be read, or a bad row, with its line.
    pub fn models(&self) -> anyhow::Result<Models> {
        Ok(self.table()?.0)
    }

    fn table(&self) -> anyhow::Result<(Models, Vec<SelfHosted>)> {
        let Some(file) = &self.settings.models_file else { return Ok((Models::builtin(), Vec::new())) };
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}, which CODETEAM_MODELS names", file.display()))?;
        Ok(Models::builtin().with_rows(&file.display().to_string(), &text)?)
    }

    /// What this process knows about providers that are down; the same for all that ask.
    pub fn breakers(&self) -> Breakers {
        self.breakers.clone()
    }

    /// The providers that have what they need.
    ///
    /// # Errors
    /// A file of replies or models that cannot be read, a server whose key is not set, or a proxy that is no URL.
    pub fn providers(&self) -> anyhow::Result<Providers> {
        let mut providers = Providers::new();
        if let Some(script) = &self.settings.script {
            providers = providers.with(Scripted::load(script)?);
        }
        let base = self.settings.anthropic_base_url.clone();
        providers = self.with_keyed(providers, secrets::ANTHROPIC_API_KEY, &self.settings.anthropic_api_key, move |http, key| {
            let anthropic = Anthropic::new(http, key);
            match &base {
                Some(base) => anthropic.with_base_url(base.expose()),
                None => anthropic,
            }
        })?;
        let base = self.settings.google_base_url.clone();
        providers = self.with_keyed(providers, secrets::GOOGLE_API_KEY, &self.settings.google_api_key, move |http, key| {
            let google = Google::new(http, key);
            match &base {
                Some(base) => google.with_base_url(base.expose()),
                None => google,
            }
        })?;
        let access = aws::access(|name| self.settings.environment.text(name).map(str::to_owned));
        if let Some((region, access)) = self.settings.aws_region.as_ref().zip(access) {
            let bedrock = Bedrock::new(self.http()?, region, access);
            providers = providers.with(match &self.settings.deployment.endpoints.bedrock_runtime {
                Some(endpoint) => bedrock.with_base_url(endpoint.expose()),
                None => bedrock,
            });
        }
        let base = self.settings.openai_base_url.clone();
        providers = self.with_keyed(providers, secrets::OPENAI_API_KEY, &self.settings.openai_api_key, move |http, key| {
            let openai = OpenAi::new(http, key);
            match &base {
                Some(base) => openai.with_base_url(base.expose()),
                None => openai,
            }
        })?;
        for SelfHosted { name, base_url, key_setting } in self.table()?.1 {
            let key = key_setting.map(|setting| {
                let key = self.settings.environment.secret(&setting);
                key.with_context(|| {
                    format!("{setting} is not set: the [[provider]] {name} in the file of CODETEAM_MODELS takes its key from it")
                })
            });
            providers = providers.with(Chat::new(self.http()?, name, base_url.expose(), key.transpose()?));
        }
        Ok(providers)
    }

    /// Adds the provider that `make` makes with `key`, where there is one; where `name` is in Secrets Manager, with the key as it is there.
    fn with_keyed<P: Provider + 'static>(
        &self,
        providers: Providers,
        name: &'static str,
        key: &Option<Secret>,
        make: impl Fn(Http, Secret) -> P + Send + Sync + 'static,
    ) -> anyhow::Result<Providers> {
        let (Some(key), http) = (key, self.http()?) else { return Ok(providers) };
        Ok(match self.vault()? {
            Some(vault) => providers.with(Rekeyed::new(vault.clone(), name, key, move |key| make(http.clone(), key))),
            None => providers.with(make(http, key.clone())),
        })
    }

    fn http(&self) -> Result<Http, LlmError> {
        Http::new(HttpOptions { proxy: self.settings.proxy_url(), ..HttpOptions::default() })
    }

    /// Git, with the trusted configuration.
    pub fn git(&self) -> Git {
        self.git_in(self.settings.state_dir.join("mirrors"))
    }

    /// Git with its mirrors in another folder: of somebody who looks at a job and is not the service's user.
    pub fn git_in(&self, mirrors: PathBuf) -> Git {
        let network_environment = self.settings.environment.only(&["HOME", "HTTPS_PROXY", "SSH_AUTH_SOCK", "SSL_CERT_FILE"]);
        let options = GitOptions::new(&self.settings.path, mirrors);
        Git::new(GitOptions { network_environment, limits: self.settings.repository_limits, ..options })
    }

    /// Where jobs are checked out: a folder for each database, since what no lease of this one holds is
    /// cleared away.
    pub fn checkouts(&self) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        self.settings.database_url.as_ref().map(Secret::expose).hash(&mut hasher);
        self.settings.state_dir.join("checkouts").join(format!("{:016x}", hasher.finish()))
    }
}
