//! A forge that is a directory: it keeps what would go to GitHub as files that a person can read.
//!
//! ```text
//! <root>/acme/tally/repository.json             {"remote": "/srv/tally.git", "collaborators": {"octocat": "write"}}
//! <root>/acme/tally/pulls/1.json                a pull request
//! <root>/acme/tally/issues/7/comments/1.json    a comment on issue (or pull request) 7
//! <root>/acme/tally/pulls/1/reviews/1.json      a review of pull request 1, with its comments at lines
//! ```
//!
//! Several processes may use one directory at once, and any of them may be killed at any moment: files
//! appear whole or not at all, and numbers are given out under a lock that dies with its holder.
//! Unlike on GitHub, issues and pull requests do not share their numbers.

mod directory;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Comment, Forge, ForgeError, NewPullRequest, NewReview, Permission, PullRequest, RepositoryName, Review};
use directory::Directory;

/// What happens to repositories that nobody registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unregistered {
    /// They do not exist, as on GitHub.
    Refuse,
    /// They exist from the first pull request or comment on, without a remote and without
    /// collaborators: for jobs that carry their own remote, as those of `codeteam run` do. Nobody has a
    /// permission there, since nobody was given one; such jobs name their mode and need no triage.
    Record,
}

/// A directory that stands in for GitHub. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalForge {
    root: PathBuf,
    unregistered: Unregistered,
}

/// `repository.json`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Repository {
    /// Where its commits live.
    remote: Option<String>,
    /// Who may do what, by login; everybody else may do nothing.
    collaborators: BTreeMap<String, Permission>,
}

impl LocalForge {
    /// The forge below `root`, which is created with its first file.
    pub fn new(root: impl Into<PathBuf>, unregistered: Unregistered) -> Self {
        Self { root: root.into(), unregistered }
    }

    /// Makes `repository` known, or replaces what was known about it; its pull requests and comments
    /// stay.
    ///
    /// # Errors
    /// [`ForgeError::Invalid`] where `repository` is not `owner/name`; [`ForgeError::Unavailable`] where
    /// the directory cannot be written.
    pub async fn register(
        &self,
        repository: &str,
        remote: &str,
        collaborators: impl IntoIterator<Item = (String, Permission)>,
    ) -> Result<(), ForgeError> {
        let record = Repository { remote: Some(remote.to_owned()), collaborators: collaborators.into_iter().collect() };
        let directory = self.directory(repository)?;
        blocking(move || Ok(directory.lock()?.replace("repository.json", &record)?)).await
    }

    fn directory(&self, repository: &str) -> Result<Directory, ForgeError> {
        let name = RepositoryName::parse(repository).map_err(|error| ForgeError::Invalid(error.to_string()))?;
        Ok(Directory::new(self.root.join(name.owner()).join(name.name())))
    }

    /// What is known about `repository`.
    async fn repository(&self, repository: &str) -> Result<Repository, ForgeError> {
        let directory = self.directory(repository)?;
        let unregistered = self.unregistered;
        let missing = self.not_registered(repository);
        blocking(move || match (directory.read("repository.json")?, unregistered) {
            (Some(record), _) => Ok(record),
            (None, Unregistered::Record) => Ok(Repository::default()),
            (None, Unregistered::Refuse) => Err(missing),
        })
        .await
    }

    fn not_registered(&self, repository: &str) -> ForgeError {
        ForgeError::NotFound(format!("no repository {repository:?} in {}: register it with its remote first", self.root.display()))
    }
}

#[async_trait]
impl Forge for LocalForge {
    async fn permission(&self, repository: &str, login: &str) -> Result<Permission, ForgeError> {
        let collaborators = self.repository(repository).await?.collaborators;
        let given = collaborators.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(login));
        Ok(given.map(|(_, permission)| permission).unwrap_or_default())
    }

    async fn remote(&self, repository: &str) -> Result<String, ForgeError> {
        let known = self.repository(repository).await?.remote;
        known.ok_or_else(|| ForgeError::NotFound(format!("{repository} has no remote here: give the job a `remote` of its own")))
    }

    async fn find_pull_request(&self, repository: &str, head: &str) -> Result<Option<PullRequest>, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let head = head.to_owned();
        blocking(move || Ok(directory.records("pulls")?.into_values().find(|pull: &PullRequest| pull.request.head == head))).await
    }

    async fn pull_request(&self, repository: &str, number: u64) -> Result<Option<PullRequest>, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        blocking(move || Ok(directory.read(&format!("pulls/{number}.json"))?)).await
    }

    async fn put_pull_request(&self, repository: &str, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        self.repository(repository).await?;
        if new.head == new.base {
            return Err(ForgeError::Invalid(format!("a pull request from {:?} into itself changes nothing", new.head)));
        }
        let directory = self.directory(repository)?;
        let request = new.clone();
        blocking(move || {
            let locked = directory.lock()?;
            locked.create("repository.json", &Repository::default())?;
            let pulls: BTreeMap<u64, PullRequest> = directory.records("pulls")?;
            let there = pulls.values().find(|pull| pull.request.head == request.head);
            let number = there.map_or_else(|| next(&pulls), |pull| pull.number);
            // Whether it is a draft, and where it is to be merged, may have been decided by a person since.
            let request = match there {
                Some(pull) => NewPullRequest { title: request.title, body: request.body, ..pull.request.clone() },
                None => request,
            };
            let file = format!("pulls/{number}.json");
            let pull = PullRequest { number, url: directory.url(&file), request };
            if there != Some(&pull) {
                locked.replace(&file, &pull)?;
            }
            Ok(pull)
        })
        .await
    }

    async fn find_comment(&self, repository: &str, number: u64, marker: &str) -> Result<Option<Comment>, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let marker = marker.to_owned();
        blocking(move || {
            let comments: BTreeMap<u64, Comment> = directory.records(&comments_of(number))?;
            Ok(comments.into_values().find(|comment| comment.body.contains(&marker)))
        })
        .await
    }

    async fn put_comment(&self, repository: &str, number: u64, marker: &str, body: &str) -> Result<Comment, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let (marker, body) = (marker.to_owned(), body.to_owned());
        blocking(move || {
            let locked = directory.lock()?;
            locked.create("repository.json", &Repository::default())?;
            let folder = comments_of(number);
            let comments: BTreeMap<u64, Comment> = directory.records(&folder)?;
            let there = comments.values().find(|comment| comment.body.contains(&marker));
            let id = there.map_or_else(|| next(&comments), |comment| comment.id);
            let file = format!("{folder}/{id}.json");
            let comment = Comment { id, url: directory.url(&file), body };
            if there != Some(&comment) {
                locked.replace(&file, &comment)?;
            }
            Ok(comment)
        })
        .await
    }

    async fn find_review(&self, repository: &str, number: u64, marker: &str) -> Result<Option<Review>, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let marker = marker.to_owned();
        blocking(move || {
            let reviews: BTreeMap<u64, Review> = directory.records(&reviews_of(number))?;
            Ok(reviews.into_values().find(|there| there.review.body.contains(&marker)))
        })
        .await
    }

    async fn put_review(&self, repository: &str, number: u64, marker: &str, new: &NewReview) -> Result<Review, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let (marker, new) = (marker.to_owned(), new.clone());
        blocking(move || {
            let locked = directory.lock()?;
            locked.create("repository.json", &Repository::default())?;
            let folder = reviews_of(number);
            let reviews: BTreeMap<u64, Review> = directory.records(&folder)?;
            let there = reviews.values().find(|there| there.review.body.contains(&marker));
            let id = there.map_or_else(|| next(&reviews), |there| there.id);
            let file = format!("{folder}/{id}.json");
            let review = match there {
                Some(there) => NewReview { body: new.body, ..there.review.clone() },
                None => new,
            };
            let review = Review { id, url: directory.url(&file), review };
            if there != Some(&review) {
                locked.replace(&file, &review)?;
            }
            Ok(review)
        })
        .await
    }
}

fn reviews_of(number: u64) -> String {
    format!("pulls/{number}/reviews")
}

fn comments_of(number: u64) -> String {
    format!("issues/{number}/comments")
}

fn next<T>(records: &BTreeMap<u64, T>) -> u64 {
    records.last_key_value().map_or(1, |(number, _)| number + 1)
}

/// Runs file work where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, ForgeError> + Send + 'static) -> Result<T, ForgeError> {
    tokio::task::spawn_blocking(work).await.context("the local forge's file work did not end")?
}
