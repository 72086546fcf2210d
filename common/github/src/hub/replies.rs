//! Answers in the threads at lines of a pull request.

use domain::review::Side;
use serde::Deserialize;

use super::User;
use super::comments::{Place, settle};
use crate::app::Repository;
use crate::{Comment, ForgeError, LineComment};

/// A comment at a line, or an answer to one.
#[derive(Deserialize)]
pub(super) struct AtLine {
    pub id: u64,
    html_url: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
    /// The comment that began its thread; `None` = this one.
    #[serde(default)]
    pub in_reply_to_id: Option<u64>,
    #[serde(default)]
    pub pull_request_review_id: Option<u64>,
    /// `None` = the line is not part of the change any more, or it is about the whole file.
    #[serde(default)]
    line: Option<u32>,
    #[serde(default)]
    original_line: Option<u32>,
    #[serde(default)]
    side: Option<String>,
}

impl AtLine {
    fn told(self) -> Comment {
        Comment { id: self.id, url: self.html_url, body: self.body.unwrap_or_default() }
    }

    /// As a comment at a line: one about a whole file is at its first.
    pub(super) fn at_line(self) -> LineComment {
        let side = if self.side.as_deref() == Some("LEFT") { Side::Left } else { Side::Right };
        let line = self.line.or(self.original_line).unwrap_or(1);
        LineComment { path: self.path, line, side, body: self.body.unwrap_or_default() }
    }
}

/// All comments at lines of pull request `number`.
pub(super) async fn at_lines(repository: Repository<'_>, number: u64) -> Result<Vec<AtLine>, ForgeError> {
    repository.list(&format!("/pulls/{number}/comments")).await
}

/// The thread of pull request `number` that the comment `to` is in.
pub(super) struct Thread {
    pub number: u64,
    pub to: u64,
}

/// Looks up, then writes or changes; of several the oldest stays.
pub(super) async fn put(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    thread: Thread,
    marker: &str,
    body: &str,
) -> Result<Comment, ForgeError> {
    let Thread { number, to } = thread;
    let all = at_lines(repository, number).await?;
    let asked = all.iter().find(|comment| comment.id == to);
    // GitHub takes answers to the comment that began a thread only.
    let first = match asked {
        Some(comment) => comment.in_reply_to_id.unwrap_or(to),
        None => return Err(ForgeError::NotFound(format!("no comment {to} at a line of {}#{number}", repository.name()))),
    };
    let in_thread = all.into_iter().filter(|comment| comment.in_reply_to_id == Some(first) && is_own(&comment.user));
    let place = Place { new: &format!("/pulls/{number}/comments/{first}/replies"), written: "/pulls/comments" };
    settle(repository, in_thread.map(AtLine::told), place, marker, body).await
}
