//! A job as a check of a commit, with buttons.

use domain::JobId;
use serde::{Deserialize, Serialize};

/// Where a check run stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Nobody works on it yet.
    Queued,
    /// Somebody does.
    InProgress,
    /// It ended well.
    Success,
    /// It ended in another way. Not as a failure: that would say that the commit is bad.
    Neutral,
    /// A person has to do something.
    ActionRequired,
    /// Somebody stopped it.
    Cancelled,
}

/// A button of a check run: pressing it sends its identifier back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CheckAction {
    /// End the job.
    Stop,
    /// Do it again.
    Retry,
}

/// A job as a check of a commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckRun {
    /// The job: it is found again by it.
    pub job_id: JobId,
    /// The commit that it is about.
    pub commit: String,
    /// How it is listed.
    pub name: String,
    /// Where it stands.
    pub state: CheckState,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// Its buttons.
    pub actions: Vec<CheckAction>,
}
