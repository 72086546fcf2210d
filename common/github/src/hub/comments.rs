//! Comments on issues and pull requests: one of ours for each marker.

use serde::Deserialize;
use serde_json::json;

use super::User;
use super::pulls::same;
use crate::app::Repository;
use crate::{Comment, ForgeError};

#[derive(Deserialize)]
struct Written {
    id: u64,
    html_url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
}

impl Written {
    fn told(self) -> Comment {
        Comment { id: self.id, url: self.html_url, body: self.body.unwrap_or_default() }
    }
}

/// Our own comments on `number`.
async fn own(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
) -> Result<impl Iterator<Item = Comment>, ForgeError> {
    let written: Vec<Written> = repository.list(&format!("/issues/{number}/comments")).await?;
    Ok(written.into_iter().filter(move |comment| is_own(&comment.user)).map(Written::told))
}

/// Those of `own` with `marker`, oldest first.
fn marked(own: impl Iterator<Item = Comment>, marker: &str) -> std::vec::IntoIter<Comment> {
    let mut marked: Vec<Comment> = own.filter(|comment| comment.body.contains(marker)).collect();
    marked.sort_by_key(|comment| comment.id);
    marked.into_iter()
}

/// Our oldest comment on `number` with `marker`.
pub(super) async fn find(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
    marker: &str,
) -> Result<Option<Comment>, ForgeError> {
    Ok(marked(own(repository, is_own, number).await?, marker).next())
}

/// Looks up, then writes or changes; of several the oldest stays.
pub(super) async fn put(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
    marker: &str,
    body: &str,
) -> Result<Comment, ForgeError> {
    let own = own(repository, is_own, number).await?;
    let place = Place { new: &format!("/issues/{number}/comments"), written: "/issues/comments" };
    settle(repository, own, place, marker, body).await
}

/// The paths of a conversation.
pub(super) struct Place<'a> {
    /// Where its next comment is posted.
    pub new: &'a str,
    /// Below which its comments are, by their ids.
    pub written: &'a str,
}

/// Leaves one of our `own` comments with `marker`, the oldest, and gives it `body`; writes it where there is none.
pub(super) async fn settle(
    repository: Repository<'_>,
    own: impl Iterator<Item = Comment>,
    place: Place<'_>,
    marker: &str,
    body: &str,
) -> Result<Comment, ForgeError> {
    let Place { new, written } = place;
    let mut there = marked(own, marker);
    let Some(first) = there.next() else {
        return Ok(repository.post::<Written>(new, json!({ "body": body })).await?.told());
    };
    for late in there {
        repository.delete(&format!("{written}/{}", late.id)).await?;
    }
    match same(&first.body, body) {
        true => Ok(first),
        false => Ok(change(repository, written, first.id, body).await?.told()),
    }
}

/// Gives comment `id` another body.
pub(super) async fn edit(repository: Repository<'_>, id: u64, body: &str) -> Result<(), ForgeError> {
    change(repository, "/issues/comments", id, body).await.map(drop)
}

async fn change(repository: Repository<'_>, written: &str, id: u64, body: &str) -> Result<Written, ForgeError> {
    repository.patch(&format!("{written}/{id}"), json!({ "body": body })).await
}
