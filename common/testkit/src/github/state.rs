//! Everything that the server keeps, and who may ask it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::hosted::{Ask, Hosted, Pages};
use super::reply::{Reply, created, missing, ok, said};
use super::{APP_ID, BOT, Fault, SLUG, app_key, git, key};
use crate::model::http::{Request, decoded};

/// Says what befalls a request, `POST /path?query`; `None` = nothing.
pub type Weather = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

/// Somebody with an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Its number.
    pub id: u64,
    /// Its login.
    pub login: String,
    /// The name that it gives itself.
    pub name: Option<String>,
    /// What it may do everywhere here, as `role_name` says it.
    pub role: String,
}

/// A push that was let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Push {
    /// When it came.
    pub at: Instant,
    /// `owner/name`.
    pub repository: String,
    /// The branches that it names.
    pub branches: Vec<String>,
}

/// What an access token was given out for.
#[derive(Clone, Debug)]
struct Token {
    owner: String,
    body: Value,
}

/// What the server keeps. Tests look at it and put things into it.
pub struct State {
    /// By `owner/name` in lower case.
    pub hosted: BTreeMap<String, Hosted>,
    /// The number of the App's installation, by owner in lower case.
    pub installations: BTreeMap<String, u64>,
    /// By login in lower case.
    pub people: BTreeMap<String, Account>,
    /// Attempts to deliver a webhook, newest first.
    pub deliveries: Vec<Value>,
    /// What access tokens were asked for.
    pub minted: Vec<Value>,
    /// Every request to the API, as `GET /path?query`.
    pub asked: Vec<String>,
    /// Every push.
    pub pushes: Vec<Push>,
    /// The App's keys, PEM: it is taken for the App who signs with one of them.
    pub keys: Vec<String>,
    /// Tokens that are not taken any more.
    pub revoked: Vec<String>,
    /// When tokens end.
    pub expires_at: String,
    /// The most items on a page.
    pub page: usize,
    /// What the next request that begins so is answered with, instead of being done.
    pub faults: Vec<(String, Reply)>,
    /// What befalls every other request.
    pub weather: Option<Weather>,
    tokens: BTreeMap<String, Token>,
    ids: Arc<AtomicU64>,
}

impl State {
    pub(super) fn new(ids_after: u64) -> Self {
        Self {
            hosted: BTreeMap::new(),
            installations: BTreeMap::new(),
            people: BTreeMap::new(),
            deliveries: Vec::new(),
            minted: Vec::new(),
            asked: Vec::new(),
            pushes: Vec::new(),
            keys: vec![app_key()],
            revoked: Vec::new(),
            expires_at: "2100-01-01T00:00:00Z".to_owned(),
            page: 100,
            faults: Vec::new(),
            weather: None,
            tokens: BTreeMap::new(),
            ids: Arc::new(AtomicU64::new(ids_after)),
        }
    }

    /// A repository, in which the App is installed as `installation`; git finds it at `git`.
    pub fn host(&mut self, name: &str, installation: u64, git: Option<PathBuf>) {
        let owner = name.split('/').next().unwrap_or_default();
        self.installations.insert(owner.to_lowercase(), installation);
        self.hosted.insert(name.to_lowercase(), Hosted::new(name, git, Arc::clone(&self.ids)));
    }

    /// Somebody with an account.
    pub fn account(&mut self, account: Account) {
        self.people.insert(account.login.to_lowercase(), account);
    }

    /// No token that was given out is taken any more.
    pub fn expire(&mut self) {
        self.revoked.extend(self.tokens.keys().cloned());
    }

    /// Answers a request to the API.
    pub(super) fn answer(&mut self, request: &Request) -> Reply {
        let asked = format!("{} {}", request.method, request.path);
        self.asked.push(asked.clone());
        if let Some(fault) = self.faults.iter().position(|(begin, _)| asked.starts_with(begin)) {
            return self.faults.remove(fault).1;
        }
        let token = request.header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        let fault = self.befalls(&asked, &token);
        if let Some(reply) = fault.and_then(Fault::instead) {
            return reply;
        }
        let reply = self.act(request, &token);
        match fault {
            Some(fault) => fault.spoil(reply),
            None => reply,
        }
    }

    /// Whether a request of git's is let in: where its repository is, and what becomes of the reply.
    pub(super) fn admit(&mut self, request: &Request, repository: &str) -> Result<(Option<PathBuf>, Option<Fault>), Reply> {
        let token = basic(request.header("authorization").unwrap_or_default()).unwrap_or_default();
        let who = || Reply::bytes(401, "").header("www-authenticate", "Basic realm=\"GitHub\"");
        if token.is_empty() {
            return Err(who());
        }
        let fault = self.befalls(&format!("{} {}", request.method, request.path), &token);
        if fault == Some(Fault::Revoked) {
            return Err(who());
        }
        if let Some(reply) = fault.and_then(Fault::instead) {
            return Err(reply);
        }
        let pushes = git::pushes(request.path.split('?').next().unwrap_or_default()) || request.path.ends_with("service=git-receive-pack");
        let level = if pushes { "write" } else { "read" };
        let of = self.token(&token).ok_or_else(who)?;
        let granted = of.body["permissions"]["contents"].as_str().unwrap_or_default();
        if !of.opens(repository) || (granted != "write" && granted != level) {
            return Err(said(403, &format!("this token does not {level} {repository}")));
        }
        if git::pushes(&request.path) {
            self.pushes.push(Push { at: Instant::now(), repository: repository.to_owned(), branches: git::branches(request) });
        }
        Ok((self.hosted.get(&repository.to_lowercase()).and_then(|hosted| hosted.git.clone()), fault))
    }

    /// What befalls a request; a token that is revoked by it is so for ever.
    fn befalls(&mut self, asked: &str, token: &str) -> Option<Fault> {
        let fault = self.weather.as_mut().and_then(|weather| weather(asked))?;
        if fault == Fault::Revoked {
            if !token.starts_with("ghs_") {
                return None;
            }
            self.revoked.push(token.to_owned());
        }
        Some(fault)
    }

    fn token(&self, token: &str) -> Option<&Token> {
        self.tokens.get(token).filter(|_| !self.revoked.iter().any(|gone| gone == token))
    }

    fn act(&mut self, request: &Request, token: &str) -> Reply {
        let (path, raw) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let query = request.query();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let wants_app = parts[0] == "app" || parts.last() == Some(&"installation");
        let is_taken = if wants_app { self.keys.iter().any(|pem| key::has_signed(pem, token)) } else { self.token(token).is_some() };
        if parts[0] != "app-manifests" && !is_taken {
            return said(401, "Bad credentials");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let method = request.method.as_str();
        let pages = Pages { host: request.header("host").unwrap_or_default(), path, query: &query, raw, most: self.page };
        match (method, parts.as_slice()) {
            ("GET", ["app"]) => ok(&json!({ "id": APP_ID, "slug": SLUG, "name": "Code Team", "permissions": {}, "events": [] })),
            ("GET", ["app", "installations"]) => {
                let installed = |(owner, id): (&String, &u64)| json!({ "id": id, "account": { "login": owner } });
                pages.of(self.installations.iter().map(installed).collect())
            }
            ("GET", ["app", "hook", "deliveries"]) => pages.of(self.deliveries.clone()),
            ("POST", ["app", "hook", "deliveries", _, "attempts"]) => Reply::json(202, &json!({})),
            ("POST", ["app-manifests", "good", "conversions"]) => created(
                &json!({ "id": APP_ID, "slug": SLUG, "pem": app_key(), "webhook_secret": "whsec_0123456789", "client_secret": "unused" }),
            ),
            ("POST", ["app", "installations", id, "access_tokens"]) => self.mint(id.parse().unwrap_or_default(), body),
            ("GET", ["users", login]) => self.user(&decoded(login)),
            ("GET", ["repos", owner, name, "installation"]) => {
                let there = self.hosted.contains_key(&format!("{owner}/{name}").to_lowercase());
                match self.installations.get(&owner.to_lowercase()).filter(|_| there) {
                    Some(id) => ok(&json!({ "id": id })),
                    None => missing(),
                }
            }
            (_, ["repos", owner, name, parts @ ..]) => {
                let repository = format!("{owner}/{name}");
                // GitHub does not say that there is something which the token does not open.
                if !self.token(token).is_some_and(|token| token.opens(&repository)) {
                    return missing();
                }
                if let ("GET", ["collaborators", login, "permission"]) = (method, parts) {
                    return match self.people.get(&decoded(login).to_lowercase()) {
                        Some(account) => ok(&json!({ "permission": "write", "role_name": account.role })),
                        None => missing(),
                    };
                }
                let Some(hosted) = self.hosted.get_mut(&repository.to_lowercase()) else { return missing() };
                hosted.answer(&Ask { method, path, parts, query: &query, body: &body, pages })
            }
            _ => missing(),
        }
    }

    fn mint(&mut self, installation: u64, body: Value) -> Reply {
        let owner = self.installations.iter().find(|(_, id)| **id == installation).map(|(owner, _)| owner.clone());
        let Some(owner) = owner else { return missing() };
        self.minted.push(body.clone());
        let token = format!("ghs_{:016}", self.minted.len());
        self.tokens.insert(token.clone(), Token { owner, body });
        created(&json!({ "token": token, "expires_at": self.expires_at }))
    }

    fn user(&self, login: &str) -> Reply {
        if login.eq_ignore_ascii_case(BOT) {
            return ok(&json!({ "id": 99, "login": BOT, "type": "Bot" }));
        }
        match self.people.get(&login.to_lowercase()) {
            Some(Account { id, login, name, .. }) => ok(&json!({ "id": id, "login": login, "name": name })),
            None => missing(),
        }
    }
}

impl Token {
    /// Whether it is for `owner/name`.
    fn opens(&self, repository: &str) -> bool {
        let Some((owner, name)) = repository.split_once('/') else { return false };
        let named = self.body["repositories"].as_array();
        let named =
            named.is_none_or(|names| names.iter().any(|known| known.as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))));
        self.owner.eq_ignore_ascii_case(owner) && named
    }
}

/// The password of `Basic …`.
fn basic(header: &str) -> Option<String> {
    let told = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    String::from_utf8(told).ok()?.split_once(':').map(|(_, password)| password.to_owned())
}
