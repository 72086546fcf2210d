//! Requests in one repository: with its own token, each change in its turn.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http::Reply;
use super::{App, Call, Scope, denied};
use crate::{ForgeError, RepositoryName};

/// More pages than this are no conversation any more: ten thousand comments.
const MOST_PAGES: usize = 100;

/// One repository. Paths given to it begin behind `/repos/owner/name`.
#[derive(Clone, Copy)]
pub(crate) struct Repository<'a> {
    app: &'a App,
    name: RepositoryName<'a>,
}

impl<'a> Repository<'a> {
    pub(super) fn new(app: &'a App, repository: &'a str) -> Result<Self, ForgeError> {
        let name = RepositoryName::parse(repository).map_err(|error| ForgeError::Invalid(error.to_string()))?;
        Ok(Self { app, name })
    }

    pub(crate) fn name(&self) -> RepositoryName<'a> {
        self.name
    }

    /// What is at `path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ForgeError> {
        self.ask(&Call::get(self.path(path))).await?.json()
    }

    /// What is at `path`; `None` = nothing.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ForgeError> {
        // Without a token there is no telling whether it is the comment that is missing or the repository.
        self.app.token(self.name, Scope::Talk).await?;
        match self.get(path).await {
            Ok(there) => Ok(Some(there)),
            Err(ForgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All pages of the list at `path`, one after the other.
    pub(crate) async fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ForgeError> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{}{separator}per_page=100", self.path(path)));
        let mut pages = Vec::new();
        while let Some(path) = next {
            if pages.len() == MOST_PAGES {
                return Err(ForgeError::Invalid(format!("{} has more than {MOST_PAGES} pages at {path}", self.name)));
            }
            let reply = self.ask(&Call::get(path)).await?;
            pages.push(reply.json()?);
            next = reply.next(self.app.inner.http.api());
        }
        Ok(pages)
    }

    /// All items of the list at `path`.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ForgeError> {
        Ok(self.pages::<Vec<T>>(path).await?.into_iter().flatten().collect())
    }

    /// Creates something below `path`.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, ForgeError> {
        self.change(&Call::post(self.path(path), Some(body))).await?.json()
    }

    /// Changes fields of what is at `path`.
    pub(crate) async fn patch<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, ForgeError> {
        self.change(&Call::new(Method::PATCH, self.path(path), Some(body))).await?.json()
    }

    /// Replaces what is at `path`.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, ForgeError> {
        self.change(&Call::new(Method::PUT, self.path(path), Some(body))).await?.json()
    }

    /// Removes what is at `path`, unless somebody has already.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), ForgeError> {
        match self.change(&Call::new(Method::DELETE, self.path(path), None)).await {
            Ok(_) | Err(ForgeError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn path(&self, path: &str) -> String {
        format!("/repos/{}{path}", self.name)
    }

    fn channel(&self) -> String {
        domain::conversation::channel(&self.name.to_string())
    }

    async fn change(&self, call: &Call) -> Result<Reply, ForgeError> {
        let turn = self.app.inner.pacer.turn(&self.channel()).await?;
        let reply = self.ask(call).await;
        drop(turn);
        reply
    }

    async fn ask(&self, call: &Call) -> Result<Reply, ForgeError> {
        let reply = self.app.with_token(call, || self.app.token(self.name, Scope::Talk)).await.map_err(denied);
        if let Err(ForgeError::RetryAfter { after }) = &reply {
            self.app.inner.pacer.hold(&self.channel(), *after).await;
        }
        reply
    }
}
