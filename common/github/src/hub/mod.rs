//! GitHub as a [`Forge`], seen by an [`App`].
//!
//! What is written carries a marker, or has a head or an external id, and is ours only if the App's own account wrote it: a
//! marker that somebody copied into a comment of theirs is not touched. Where a process that was frozen has written
//! something a second time, the next `put` keeps the oldest and removes the others.

mod checks;
mod comments;
mod people;
mod pulls;
mod reactions;
mod replies;
mod reviews;

use async_trait::async_trait;
use serde::Deserialize;

use crate::app::{App, Repository, Scope};
use crate::{
    Access, CheckRun, Comment, Credential, Emotion, Forge, ForgeError, LineComment, NewPullRequest, NewReview, Permission, Person,
    PullRequest, RepositoryName, Review, Subject,
};

/// GitHub. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GitHub {
    app: App,
    author: std::sync::Arc<tokio::sync::OnceCell<Person>>,
}

/// Who wrote something.
#[derive(Deserialize, Clone, Debug, Default)]
struct User {
    #[serde(default)]
    login: String,
}

impl GitHub {
    /// GitHub as `app` sees it.
    pub fn new(app: App) -> Self {
        Self { app, author: std::sync::Arc::default() }
    }

    /// The App it is seen by.
    pub fn app(&self) -> &App {
        &self.app
    }

    fn repository<'a>(&'a self, repository: &'a str) -> Result<Repository<'a>, ForgeError> {
        self.app.repository(repository)
    }

    /// Whether the App's own account is `user`; an account that is gone is nobody's.
    async fn is_own(&self) -> Result<impl Fn(&Option<User>) -> bool + Send + Sync + use<>, ForgeError> {
        let own = self.app.login().await?;
        Ok(move |user: &Option<User>| user.as_ref().is_some_and(|user| user.login.eq_ignore_ascii_case(&own)))
    }
}

/// What git needs a token for.
fn scope(access: Access) -> Scope {
    match access {
        Access::Read => Scope::Clone,
        Access::Write => Scope::Push,
    }
}

#[async_trait]
impl Forge for GitHub {
    async fn permission(&self, repository: &str, login: &str) -> Result<Permission, ForgeError> {
        people::permission(self.repository(repository)?, login).await
    }

    async fn remote(&self, repository: &str) -> Result<String, ForgeError> {
        let name = RepositoryName::parse(repository).map_err(|error| ForgeError::Invalid(error.to_string()))?;
        Ok(format!("{}/{name}.git", self.app.site().web()))
    }

    async fn credential(&self, repository: &str, access: Access) -> Result<Option<Credential>, ForgeError> {
        let password = self.app.token(self.repository(repository)?.name(), scope(access)).await?;
        Ok(Some(Credential { user: "x-access-token".to_owned(), password }))
    }

    async fn refused(&self, repository: &str, access: Access) {
        // What is no repository never had one.
        if let Ok(repository) = self.repository(repository) {
            self.app.forget_token(repository.name(), scope(access));
        }
    }

    async fn author(&self) -> Result<Person, ForgeError> {
        self.author.get_or_try_init(|| people::author(&self.app)).await.cloned()
    }

    async fn person(&self, login: &str) -> Result<Option<Person>, ForgeError> {
        people::person(&self.app, login).await
    }

    async fn find_pull_request(&self, repository: &str, head: &str) -> Result<Option<PullRequest>, ForgeError> {
        pulls::find(self.repository(repository)?, head).await
    }

    async fn pull_request(&self, repository: &str, number: u64) -> Result<Option<PullRequest>, ForgeError> {
        pulls::get(self.repository(repository)?, number).await
    }

    async fn put_pull_request(&self, repository: &str, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        pulls::put(self.repository(repository)?, new).await
    }

    async fn find_comment(&self, repository: &str, number: u64, marker: &str) -> Result<Option<Comment>, ForgeError> {
        let (repository, is_own) = (self.repository(repository)?, self.is_own().await?);
        comments::find(repository, is_own, number, marker).await
    }

    async fn put_comment(&self, repository: &str, number: u64, marker: &str, body: &str) -> Result<Comment, ForgeError> {
        let (repository, is_own) = (self.repository(repository)?, self.is_own().await?);
        comments::put(repository, is_own, number, marker, body).await
    }

    async fn edit_comment(&self, repository: &str, _number: u64, id: u64, body: &str) -> Result<(), ForgeError> {
        comments::edit(self.repository(repository)?, id, body).await
    }

    async fn put_reply(&self, repository: &str, number: u64, to: u64, marker: &str, body: &str) -> Result<Comment, ForgeError> {
        let (repository, is_own) = (self.repository(repository)?, self.is_own().await?);
        replies::put(repository, is_own, replies::Thread { number, to }, marker, body).await
    }

    async fn review_comments(&self, repository: &str, number: u64, id: u64) -> Result<Vec<LineComment>, ForgeError> {
        reviews::comments(self.repository(repository)?, number, id).await
    }

    async fn react(&self, repository: &str, subject: Subject, emotion: Emotion) -> Result<(), ForgeError> {
        reactions::react(self.repository(repository)?, subject, emotion).await
    }

    async fn put_check_run(&self, repository: &str, id: Option<u64>, run: &CheckRun) -> Result<u64, ForgeError> {
        checks::put(self.repository(repository)?, self.app.id(), id, run).await
    }

    async fn find_review(&self, repository: &str, number: u64, marker: &str) -> Result<Option<Review>, ForgeError> {
        let (repository, is_own) = (self.repository(repository)?, self.is_own().await?);
        reviews::find(repository, is_own, number, marker).await
    }

    async fn put_review(&self, repository: &str, number: u64, marker: &str, new: &NewReview) -> Result<Review, ForgeError> {
        let (repository, is_own) = (self.repository(repository)?, self.is_own().await?);
        reviews::put(repository, is_own, number, marker, new).await
    }
}
