//! The port to where repositories live: GitHub, or a directory that stands in for it.

use std::time::Duration;

use async_trait::async_trait;
use domain::review::Side;
use domain::{JobId, Secret};
use serde::{Deserialize, Serialize};

use crate::{CheckRun, Emotion, Subject};

/// What a login may do in a repository, from least to most (GitHub's repository roles).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Nothing that everybody may not do as well.
    #[default]
    None,
    /// See it.
    Read,
    /// Sort its issues and pull requests.
    Triage,
    /// Push to it: from here on somebody may start jobs.
    Write,
    /// Manage it without the dangerous parts.
    Maintain,
    /// Everything.
    Admin,
}

/// What a job's comment and pull request carry, invisibly: they are found again by it, and never written twice.
pub fn job_marker(job_id: JobId) -> String {
    hidden_marker(&format!("job:{job_id}"))
}

/// The same for whatever else is written: `what` tells it from everything else that this service writes.
pub fn hidden_marker(what: &str) -> String {
    format!("<!-- codeteam:{what} -->")
}

/// A pull request to open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewPullRequest {
    /// The branch with the change, without `refs/heads/`. A repository has at most one pull request per
    /// head.
    pub head: String,
    /// The branch it should be merged into.
    pub base: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Whether it asks for no review yet.
    pub draft: bool,
}

/// A pull request as the forge has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// Where a person looks at it.
    pub url: String,
    /// Whether it may still be merged.
    #[serde(default = "yes")]
    pub open: bool,
    /// `owner/name` of the repository that its head is a branch of, where that is another one; an empty one is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<String>,
    /// The commit of its head, where the forge says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_commit: Option<String>,
    /// See [`NewPullRequest`].
    #[serde(flatten)]
    pub request: NewPullRequest,
}

fn yes() -> bool {
    true
}

/// What git may do with a credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// Clone and fetch.
    Read,
    /// Push as well.
    Write,
}

/// What git shows to get in. It is good for one repository, and for an hour at most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// The user of the URL.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// A name and an address as commits carry them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// What people read.
    pub name: String,
    /// The address that the forge knows them by.
    pub email: String,
}

/// A comment on an issue or pull request as the forge has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Comment {
    /// Its id: unique on GitHub, unique per issue in a directory.
    pub id: u64,
    /// Where a person looks at it.
    pub url: String,
    /// Markdown.
    pub body: String,
}

/// A comment at a line of a pull request's change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LineComment {
    /// The file.
    pub path: String,
    /// From 1, in the text that `side` says; it must be part of the change.
    pub line: u32,
    /// The text the line is of.
    pub side: Side,
    /// Markdown.
    pub body: String,
}

/// A review to write. It neither approves nor requests changes: that is for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewReview {
    /// The commit that was looked at.
    pub commit: String,
    /// Markdown, with a marker.
    pub body: String,
    /// At lines of the change.
    pub comments: Vec<LineComment>,
}

/// A review as the forge has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Review {
    /// Its id: unique on GitHub, unique per pull request in a directory.
    pub id: u64,
    /// Where a person looks at it.
    pub url: String,
    /// See [`NewReview`].
    #[serde(flatten)]
    pub review: NewReview,
}

/// Why a forge did not do what it was asked. The variants say what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// Give up and tell the person: what was named does not exist, or may not be seen.
    #[error("{0}")]
    NotFound(String),
    /// Give up and tell the operator: the credentials do not suffice.
    #[error("{0}")]
    Denied(String),
    /// Ask again, not before `after`.
    #[error("the forge asks to wait {} s", after.as_secs())]
    RetryAfter {
        /// How long to wait.
        after: Duration,
    },
    /// Give up: the request makes no sense, and will make none next time.
    #[error("{0}")]
    Invalid(String),
    /// Ask again later: the forge, the network or the disk failed.
    #[error(transparent)]
    Unavailable(#[from] anyhow::Error),
}

/// A place with repositories, permissions, pull requests, comments and reviews.
///
/// A caller may die after any call and its successor call again, so what is written is found again: a pull request by
/// its head, a comment or review by a marker that the caller put into it. Who looks first and then writes leaves room for a second
/// one, since a process may be frozen in between and another do its work meanwhile: so each `put` does both.
#[async_trait]
pub trait Forge: Send + Sync + 'static {
    /// What `login` may do in `repository`. Asked each time, since it may have been taken away.
    async fn permission(&self, repository: &str, login: &str) -> Result<Permission, ForgeError>;

    /// Where to clone `repository` from and push to: a URL without credentials, or a path.
    async fn remote(&self, repository: &str) -> Result<String, ForgeError>;

    /// What git shows there; `None` = it need show nothing.
    async fn credential(&self, repository: &str, access: Access) -> Result<Option<Credential>, ForgeError>;

    /// Git was refused with what [`Forge::credential`] gave it: the next one is another.
    async fn refused(&self, _repository: &str, _access: Access) {}

    /// Who makes commits: the forge's own account for this service.
    async fn author(&self) -> Result<Person, ForgeError>;

    /// Who `login` is; `None` = nobody that the forge knows.
    async fn person(&self, login: &str) -> Result<Option<Person>, ForgeError>;

    /// The pull request whose head is the branch `head`, if there is one.
    async fn find_pull_request(&self, repository: &str, head: &str) -> Result<Option<PullRequest>, ForgeError>;

    /// Pull request `number`, if there is one.
    async fn pull_request(&self, repository: &str, number: u64) -> Result<Option<PullRequest>, ForgeError>;

    /// Opens a pull request. Where its head has one already, that gets the title and body of `new`.
    async fn put_pull_request(&self, repository: &str, new: &NewPullRequest) -> Result<PullRequest, ForgeError>;

    /// The first comment on issue or pull request `number` whose body contains `marker`.
    async fn find_comment(&self, repository: &str, number: u64, marker: &str) -> Result<Option<Comment>, ForgeError>;

    /// Writes a comment on issue or pull request `number`. Where one contains `marker` already, that gets `body`, which
    /// contains it too.
    async fn put_comment(&self, repository: &str, number: u64, marker: &str, body: &str) -> Result<Comment, ForgeError>;

    /// Gives comment `id` another body; [`ForgeError::NotFound`] where somebody deleted it.
    async fn edit_comment(&self, repository: &str, number: u64, id: u64, body: &str) -> Result<(), ForgeError>;

    /// Answers the comment `to` at a line of pull request `number`, in its thread. Where an answer there contains `marker`
    /// already, that gets `body`.
    async fn put_reply(&self, repository: &str, number: u64, to: u64, marker: &str, body: &str) -> Result<Comment, ForgeError>;

    /// The comments at lines that review `id` of pull request `number` holds, as they are now.
    async fn review_comments(&self, repository: &str, number: u64, id: u64) -> Result<Vec<LineComment>, ForgeError>;

    /// Shows what is thought of an issue or comment. The same twice is once.
    async fn react(&self, repository: &str, subject: Subject, emotion: Emotion) -> Result<(), ForgeError>;

    /// Writes or renews the check run of `run.job_id` at `run.commit`; `id` is what the call before answered, where there was
    /// one. Returns its id.
    async fn put_check_run(&self, repository: &str, id: Option<u64>, run: &CheckRun) -> Result<u64, ForgeError>;

    /// The first review of pull request `number` whose body contains `marker`.
    async fn find_review(&self, repository: &str, number: u64, marker: &str) -> Result<Option<Review>, ForgeError>;

    /// Writes a review of pull request `number`, with all of its comments or not at all. Where one contains `marker` already,
    /// that gets the body of `new`; its comments stay, since people may have answered them.
    async fn put_review(&self, repository: &str, number: u64, marker: &str, new: &NewReview) -> Result<Review, ForgeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_grow_from_none_to_admin() {
        use Permission::*;
        assert!([None, Read, Triage, Write, Maintain, Admin].is_sorted());
        assert_eq!(serde_json::from_str::<Permission>(r#""maintain""#).unwrap(), Maintain);
    }
}
