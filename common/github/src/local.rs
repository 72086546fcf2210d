//! A forge that is a directory: it keeps what would go to GitHub as files that a person can read.
//!
//! ```text
//! <root>/acme/tally/repository.json             {"remote": "/srv/tally.git", "collaborators": {"octocat": "write"}}
//! <root>/acme/tally/pulls/1.json                a pull request
//! <root>/acme/tally/issues/7/comments/1.json    a comment on issue (or pull request) 7
//! <root>/acme/tally/pulls/1/reviews/1.json      a review of pull request 1, with its comments at lines
//! <root>/acme/tally/pulls/1/threads/5/1.json    an answer to the comment 5 at a line of pull request 1
//! <root>/acme/tally/reactions/issue-7.json      the reactions to issue 7
//! <root>/acme/tally/checks/1.json               a check run
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

use crate::{
    Access, CheckRun, Comment, Credential, Emotion, Forge, ForgeError, LineComment, NewPullRequest, NewReview, Permission, Person,
    PullRequest, RepositoryName, Review, Subject,
};
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

    /// Writes `body` in the place of the text in `folder` that contains `marker`, or as a new one.
    async fn put_text(&self, repository: &str, folder: String, marker: &str, body: &str) -> Result<Comment, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let (marker, body) = (marker.to_owned(), body.to_owned());
        blocking(move || {
            let locked = directory.lock()?;
            locked.create("repository.json", &Repository::default())?;
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

    async fn credential(&self, _repository: &str, _access: Access) -> Result<Option<Credential>, ForgeError> {
        Ok(None)
    }

    async fn author(&self) -> Result<Person, ForgeError> {
        Ok(Person { name: "AI Code Team".to_owned(), email: "ai-code-team@localhost".to_owned() })
    }

    async fn person(&self, _login: &str) -> Result<Option<Person>, ForgeError> {
        Ok(None)
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
            let file = format!("pulls/{number}.json");
            let pull = match there.cloned() {
                Some(pull) => PullRequest { request: NewPullRequest { title: request.title, body: request.body, ..pull.request }, ..pull },
                None => PullRequest { number, url: directory.url(&file), open: true, fork: None, head_commit: None, request },
            };
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
        self.put_text(repository, comments_of(number), marker, body).await
    }

    async fn edit_comment(&self, repository: &str, number: u64, id: u64, body: &str) -> Result<(), ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let body = body.to_owned();
        let gone = ForgeError::NotFound(format!("no comment {id} on {repository}#{number}"));
        blocking(move || {
            let file = format!("{}/{id}.json", comments_of(number));
            let locked = directory.lock()?;
            let there: Comment = directory.read(&file)?.ok_or(gone)?;
            Ok(locked.replace(&file, &Comment { body, ..there })?)
        })
        .await
    }

    async fn put_reply(&self, repository: &str, number: u64, to: u64, marker: &str, body: &str) -> Result<Comment, ForgeError> {
        self.put_text(repository, format!("pulls/{number}/threads/{to}"), marker, body).await
    }

    async fn review_comments(&self, repository: &str, number: u64, id: u64) -> Result<Vec<LineComment>, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let missing = ForgeError::NotFound(format!("no review {id} of {repository}#{number}"));
        blocking(move || {
            let review: Review = directory.read(&format!("{}/{id}.json", reviews_of(number)))?.ok_or(missing)?;
            Ok(review.review.comments)
        })
        .await
    }

    async fn react(&self, repository: &str, subject: Subject, emotion: Emotion) -> Result<(), ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let file = match subject {
            Subject::Issue { number } => format!("reactions/issue-{number}.json"),
            Subject::Comment { id } => format!("reactions/comment-{id}.json"),
            Subject::LineComment { id } => format!("reactions/line-comment-{id}.json"),
        };
        blocking(move || {
            let locked = directory.lock()?;
            let mut shown: Vec<Emotion> = directory.read(&file)?.unwrap_or_default();
            if !shown.contains(&emotion) {
                shown.push(emotion);
                locked.replace(&file, &shown)?;
            }
            Ok(())
        })
        .await
    }

    async fn put_check_run(&self, repository: &str, id: Option<u64>, run: &CheckRun) -> Result<u64, ForgeError> {
        self.repository(repository).await?;
        let directory = self.directory(repository)?;
        let run = run.clone();
        blocking(move || {
            let locked = directory.lock()?;
            let runs: BTreeMap<u64, CheckRun> = directory.records("checks")?;
            let there = runs.iter().find(|(_, there)| there.job_id == run.job_id).map(|(id, _)| *id);
            let id = id.or(there).unwrap_or_else(|| next(&runs));
            locked.replace(&format!("checks/{id}.json"), &run)?;
            Ok(id)
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
