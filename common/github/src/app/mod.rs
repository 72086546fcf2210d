//! The GitHub App: how this service proves who it is, and what it may do where.
//!
//! As the App itself ([`AppCredentials`]' key) it asks about itself, its installations and its webhooks' deliveries. For everything in
//! a repository it has tokens for that repository alone, each with the permissions of one kind of work (`tokens`). Whatever
//! changes something waits for its turn first ([`Pacer`]). Nothing is tried again here but a request whose token was not taken.

mod about;
mod credentials;
mod deliveries;
mod http;
mod key;
mod manifest;
mod pacer;
mod refusal;
mod repository;
mod site;
mod tokens;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use domain::{Clock, Secret, SystemClock};
use serde::Deserialize;
use tokio::sync::OnceCell;

pub use about::{About, Installation, NEEDED_EVENTS, NEEDED_PERMISSIONS};
pub use credentials::{AppCredentials, CredentialsError};
pub use deliveries::{Delivery, to_redeliver};
pub use http::HttpOptions;
pub use manifest::{Manifest, exchange};
pub use pacer::{LocalPacer, Pacer, Turn};
pub use site::{InvalidSite, Site};

use crate::ForgeError;
pub(crate) use http::{Call, encoded};
use http::{Http, Reply};
use refusal::Refusal;
pub(crate) use repository::Repository;
pub(crate) use tokens::Scope;

/// What a token is called where one is taken out of a text.
pub const TOKEN_NAME: &str = "GITHUB_TOKEN";

/// Is told every token, before it is used: it must not be seen anywhere.
type OnToken = Box<dyn Fn(&Secret) + Send + Sync>;

/// What an [`App`] stands on beside its credentials.
pub struct AppOptions {
    /// How GitHub is reached.
    pub http: HttpOptions,
    /// Who may change something when.
    pub pacer: Arc<dyn Pacer>,
    /// Is told every token that GitHub gives out: for the redactor.
    pub on_token: OnToken,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl AppOptions {
    /// Directly, with turns of this process alone, telling tokens to `on_token`.
    pub fn new(on_token: impl Fn(&Secret) + Send + Sync + 'static) -> Self {
        let pacer = Arc::new(LocalPacer::default());
        Self { http: HttpOptions::default(), pacer, on_token: Box::new(on_token), clock: Arc::new(SystemClock) }
    }
}

/// A GitHub App, logged in. Cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    app_id: u64,
    key: RwLock<key::AppKey>,
    site: Site,
    slug: OnceCell<String>,
    http: Http,
    tokens: tokens::Tokens,
    pacer: Arc<dyn Pacer>,
    on_token: OnToken,
    clock: Arc<dyn Clock>,
}

impl App {
    /// The App with `credentials`. Nothing is asked yet.
    ///
    /// # Errors
    /// Where the HTTP client cannot be set up.
    pub fn new(credentials: &AppCredentials, options: AppOptions) -> anyhow::Result<Self> {
        let inner = Inner {
            app_id: credentials.app_id,
            key: RwLock::new(credentials.key.clone()),
            site: credentials.site.clone(),
            slug: OnceCell::new_with(credentials.slug.clone()),
            http: Http::new(credentials.site.api(), &options.http)?,
            tokens: tokens::Tokens::default(),
            pacer: options.pacer,
            on_token: options.on_token,
            clock: options.clock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Proves who it is with the key in `pem` from now on, in all clones: another key of the same App.
    ///
    /// # Errors
    /// [`CredentialsError::Malformed`] where `pem` holds no RSA key; then the one before is used on.
    pub fn replace_key(&self, pem: &Secret) -> Result<(), CredentialsError> {
        let key = key::AppKey::new(self.inner.app_id, pem).map_err(|what| CredentialsError::Malformed(format!("private_key: {what}")))?;
        *self.inner.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// The GitHub it is an App of.
    pub fn site(&self) -> &Site {
        &self.inner.site
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.inner.app_id
    }

    /// The login of its own account, such as `ai-code-team[bot]`. Nobody else can have one with brackets.
    pub(crate) async fn login(&self) -> Result<String, ForgeError> {
        let slug = self.inner.slug.get_or_try_init(|| async { Ok::<_, ForgeError>(self.about().await?.slug) }).await?;
        Ok(format!("{slug}[bot]"))
    }

    /// What may be done in `repository`.
    pub(crate) fn repository<'a>(&'a self, repository: &'a str) -> Result<Repository<'a>, ForgeError> {
        Repository::new(self, repository)
    }

    /// Sends `call` as the App itself.
    async fn as_app(&self, call: &Call) -> Result<Reply, ForgeError> {
        let now = self.inner.clock.now();
        let token = self.inner.key.read().unwrap_or_else(PoisonError::into_inner).token(now);
        let sent = self.inner.http.send(call, Some(&token), now).await;
        sent.map_err(|refusal| match refusal {
            Refusal::Unauthorized(text) => {
                let id = self.inner.app_id;
                ForgeError::Denied(format!("{text}: is {id} the App's number, the key one of its own, and the machine's clock right?"))
            }
            Refusal::Limited(after) => ForgeError::RetryAfter { after },
            Refusal::Other(error) => error,
        })
    }

    /// What GitHub knows of the account `login`; `None` = it knows none.
    pub(crate) async fn account(&self, login: &str) -> Result<Option<Account>, ForgeError> {
        let call = Call::get(format!("/users/{}", encoded(login)));
        match self.with_token(&call, || self.token_for_accounts()).await.map_err(denied) {
            Ok(reply) => Ok(Some(reply.json()?)),
            Err(ForgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends `call` with a token that `token` gets: with a fresh one once more, where GitHub does not take it.
    async fn with_token<F>(&self, call: &Call, token: impl Fn() -> F) -> Result<Reply, Refusal>
    where
        F: Future<Output = Result<Secret, ForgeError>>,
    {
        let first = token().await?;
        match self.inner.http.send(call, Some(&first), self.inner.clock.now()).await {
            Err(Refusal::Unauthorized(_)) => {}
            other => return other,
        }
        self.inner.tokens.forget(&first);
        let second = token().await?;
        self.inner.http.send(call, Some(&second), self.inner.clock.now()).await
    }
}

/// A refusal after which nothing more can be tried here.
fn denied(refusal: Refusal) -> ForgeError {
    match refusal {
        Refusal::Unauthorized(text) => ForgeError::Denied(text),
        Refusal::Limited(after) => ForgeError::RetryAfter { after },
        Refusal::Other(error) => error,
    }
}

/// An account: a person's, or a bot's.
#[derive(Deserialize)]
pub(crate) struct Account {
    pub id: u64,
    pub login: String,
    #[serde(default)]
    pub name: Option<String>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App({} of {})", self.inner.app_id, self.inner.site.web())
    }
}
