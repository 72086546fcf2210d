//! Reviews: comments only, never an approval.

use std::collections::HashSet;

use domain::review::Side;
use serde::Deserialize;
use serde_json::{Value, json};

use super::User;
use super::pulls::same;
use super::replies::{AtLine, at_lines};
use crate::app::Repository;
use crate::{ForgeError, LineComment, NewReview, Review};

#[derive(Deserialize)]
struct Written {
    id: u64,
    html_url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    commit_id: Option<String>,
}

impl Written {
    fn told(self, comments: Vec<LineComment>) -> Review {
        let (commit, body) = (self.commit_id.unwrap_or_default(), self.body.unwrap_or_default());
        Review { id: self.id, url: self.html_url, review: NewReview { commit, body, comments } }
    }

    fn has(&self, marker: &str) -> bool {
        self.body.as_ref().is_some_and(|body| body.contains(marker))
    }
}

/// Our reviews of `number` with `marker`, oldest first.
async fn ours(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
    marker: &str,
) -> Result<Vec<Written>, ForgeError> {
    let written: Vec<Written> = repository.list(&format!("/pulls/{number}/reviews")).await?;
    let mut ours: Vec<Written> = written.into_iter().filter(|review| is_own(&review.user) && review.has(marker)).collect();
    ours.sort_by_key(|review| review.id);
    Ok(ours)
}

/// The comments that review `id` holds.
///
/// The list of one review does not say at which line its comments are; that of the pull request does.
pub(super) async fn comments(repository: Repository<'_>, number: u64, id: u64) -> Result<Vec<LineComment>, ForgeError> {
    let all = at_lines(repository, number).await?;
    let of_review: Vec<LineComment> =
        all.into_iter().filter(|comment| comment.pull_request_review_id == Some(id)).map(AtLine::at_line).collect();
    if of_review.is_empty() {
        // None at all, or no such review?
        repository.get::<Written>(&format!("/pulls/{number}/reviews/{id}")).await?;
    }
    Ok(of_review)
}

/// Our oldest review with `marker`.
pub(super) async fn find(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
    marker: &str,
) -> Result<Option<Review>, ForgeError> {
    match ours(repository, is_own, number, marker).await?.into_iter().next() {
        Some(review) => {
            let comments = comments(repository, number, review.id).await?;
            Ok(Some(review.told(comments)))
        }
        None => Ok(None),
    }
}

/// Looks up, then writes or gives another body; of several the oldest stays.
pub(super) async fn put(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
    marker: &str,
    new: &NewReview,
) -> Result<Review, ForgeError> {
    let mut there = ours(repository, is_own, number, marker).await?.into_iter();
    let Some(first) = there.next() else {
        return write(repository, number, new).await;
    };
    for late in there {
        supersede(repository, number, &late, &first.html_url).await?;
    }
    let comments = comments(repository, number, first.id).await?;
    match same(first.body.as_deref().unwrap_or_default(), &new.body) {
        true => Ok(first.told(comments)),
        false => Ok(rewrite(repository, number, first.id, &new.body).await?.told(comments)),
    }
}

async fn write(repository: Repository<'_>, number: u64, new: &NewReview) -> Result<Review, ForgeError> {
    let comments: Vec<Value> = new
        .comments
        .iter()
        .map(|comment| {
            let side = match comment.side {
                Side::Left => "LEFT",
                Side::Right => "RIGHT",
            };
            json!({ "path": comment.path, "line": comment.line, "side": side, "body": comment.body })
        })
        .collect();
    let body = json!({ "commit_id": new.commit, "event": "COMMENT", "body": new.body, "comments": comments });
    match repository.post::<Written>(&format!("/pulls/{number}/reviews"), body).await {
        Ok(written) => Ok(written.told(new.comments.clone())),
        Err(ForgeError::Invalid(text)) if !new.comments.is_empty() => {
            let lines: Vec<String> = new.comments.iter().map(|comment| format!("{}:{}", comment.path, comment.line)).collect();
            let lines = lines.join(", ");
            Err(ForgeError::Invalid(format!("{text}: a line is perhaps not part of the change; the comments are at {lines}")))
        }
        Err(error) => Err(error),
    }
}

async fn rewrite(repository: Repository<'_>, number: u64, id: u64, body: &str) -> Result<Written, ForgeError> {
    repository.put(&format!("/pulls/{number}/reviews/{id}"), json!({ "body": body })).await
}

/// Takes a second review back as far as GitHub lets anybody: its comments go, where nobody answered them, and its body, with
/// the marker in it, gives way to where the first one is.
async fn supersede(repository: Repository<'_>, number: u64, late: &Written, first: &str) -> Result<(), ForgeError> {
    let all = at_lines(repository, number).await?;
    let answered: HashSet<u64> = all.iter().filter_map(|comment| comment.in_reply_to_id).collect();
    for comment in all.iter().filter(|comment| comment.pull_request_review_id == Some(late.id) && !answered.contains(&comment.id)) {
        repository.delete(&format!("/pulls/comments/{}", comment.id)).await?;
    }
    rewrite(repository, number, late.id, &format!("→ {first}")).await.map(drop)
}
