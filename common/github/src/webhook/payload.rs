//! The fields of payloads that decide something. Unknown ones are skipped, missing ones are `None`.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What a body says, as far as anybody looks. Empty for events that nothing reacts to.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub struct Payload {
    /// What happened to the subject, such as `labeled`.
    pub action: Option<String>,
    /// The issue, or the issue side of a pull request.
    pub issue: Option<Issue>,
    /// The pull request.
    pub pull_request: Option<PullRequestPayload>,
    /// The label that was put on or taken off.
    pub label: Option<Label>,
    /// Who was assigned.
    pub assignee: Option<User>,
    /// Who is asked for a review.
    pub requested_reviewer: Option<User>,
    /// The comment: on an issue, or at a line of a pull request.
    pub comment: Option<CommentPayload>,
    /// The review.
    pub review: Option<ReviewPayload>,
    /// The check run.
    pub check_run: Option<CheckRunPayload>,
    /// Which button of a check run was pressed.
    pub requested_action: Option<RequestedAction>,
    /// Of a push to a pull request: the commit that its head is at now.
    pub after: Option<String>,
    /// Where the App is installed.
    pub installation: Option<Installation>,
    /// Repositories that it was given with the installation.
    pub repositories: Option<Vec<Repository>>,
    /// Repositories that it was given later.
    pub repositories_added: Option<Vec<Repository>>,
    /// Repositories that were taken from it.
    pub repositories_removed: Option<Vec<Repository>>,
    /// Where it happened.
    pub repository: Option<Repository>,
    /// Who did it.
    pub sender: Option<User>,
}

/// An issue.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Issue {
    /// Its number in the repository.
    pub number: Option<u64>,
    /// One line.
    pub title: Option<String>,
    /// Markdown; GitHub sends `null` for an empty one.
    pub body: Option<String>,
    /// When it changed last, as GitHub writes it (RFC 3339, whole seconds).
    pub updated_at: Option<String>,
    /// Its labels.
    pub labels: Option<Vec<Label>>,
    /// Present where the issue is a pull request.
    pub pull_request: Option<IgnoredAny>,
}

/// A pull request.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct PullRequestPayload {
    /// Its number in the repository.
    pub number: Option<u64>,
    /// One line.
    pub title: Option<String>,
    /// Markdown.
    pub body: Option<String>,
    /// `open` or `closed`.
    pub state: Option<String>,
    /// When it changed last.
    pub updated_at: Option<String>,
    /// Its labels.
    pub labels: Option<Vec<Label>>,
    /// The branch with the change.
    pub head: Option<BranchPayload>,
    /// The branch that it is to be merged into.
    pub base: Option<BranchPayload>,
}

/// An end of a pull request.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct BranchPayload {
    /// The branch.
    #[serde(rename = "ref")]
    pub branch: Option<String>,
    /// Its commit.
    pub sha: Option<String>,
    /// The repository that it is a branch of; `None` = that is gone.
    pub repo: Option<Repository>,
}

/// A label.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Label {
    /// Its name.
    pub name: Option<String>,
}

/// A comment.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct CommentPayload {
    /// Unique over all of GitHub among comments of its sort.
    pub id: Option<u64>,
    /// Markdown.
    pub body: Option<String>,
    /// Who wrote it.
    pub user: Option<User>,
    /// When.
    pub created_at: Option<String>,
    /// Of one at a line: the file.
    pub path: Option<String>,
    /// The line; `None` where the change has moved on.
    pub line: Option<u64>,
    /// The line at the time of the comment.
    pub original_line: Option<u64>,
    /// The part of the change above the line.
    pub diff_hunk: Option<String>,
}

/// A review of a pull request.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct ReviewPayload {
    /// Its id.
    pub id: Option<u64>,
    /// `approved`, `commented` or `changes_requested`.
    pub state: Option<String>,
    /// Markdown.
    pub body: Option<String>,
    /// Who wrote it.
    pub user: Option<User>,
    /// When.
    pub submitted_at: Option<String>,
}

/// A check run.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct CheckRunPayload {
    /// Its id.
    pub id: Option<u64>,
    /// What its maker calls it: for ours, the job.
    pub external_id: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
    /// When it began.
    pub started_at: Option<String>,
    /// The suite that it is a part of.
    pub check_suite: Option<CheckSuite>,
    /// The pull requests whose head it is about.
    pub pull_requests: Option<Vec<Numbered>>,
}

/// A suite of check runs.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct CheckSuite {
    /// When it changed last.
    pub updated_at: Option<String>,
}

/// Something with a number.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Numbered {
    /// Its number.
    pub number: Option<u64>,
}

/// A button of a check run.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct RequestedAction {
    /// What its maker calls it.
    pub identifier: Option<String>,
}

/// Where an App is installed.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Installation {
    /// The person or organisation.
    pub account: Option<User>,
}

/// A repository.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Repository {
    /// Survives renames.
    pub id: Option<u64>,
    /// `owner/name`.
    pub full_name: Option<String>,
}

/// A person, an organisation or a bot.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct User {
    /// The login.
    pub login: Option<String>,
    /// `User`, `Bot` or `Organization`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}
