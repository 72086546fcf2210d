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

/// Our comments on `number` with `marker`, oldest first.
async fn ours(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
    marker: &str,
) -> Result<Vec<Comment>, ForgeError> {
    let written: Vec<Written> = repository.list(&format!("/issues/{number}/comments")).await?;
    let own = written.into_iter().filter(|comment| is_own(&comment.user)).map(Written::told);
    let mut ours: Vec<Comment> = own.filter(|comment| comment.body.contains(marker)).collect();
    ours.sort_by_key(|comment| comment.id);
    Ok(ours)
}

/// Our oldest comment on `number` with `marker`.
pub(super) async fn find(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
    marker: &str,
) -> Result<Option<Comment>, ForgeError> {
    Ok(ours(repository, is_own, number, marker).await?.into_iter().next())
}

/// Looks up, then writes or changes; of several the oldest stays.
pub(super) async fn put(
    repository: Repository<'_>,
    is_own: impl Fn(&Option<User>) -> bool,
    number: u64,
    marker: &str,
    body: &str,
) -> Result<Comment, ForgeError> {
    let mut there = ours(repository, is_own, number, marker).await?.into_iter();
    let Some(first) = there.next() else {
        let written: Written = repository.post(&format!("/issues/{number}/comments"), json!({ "body": body })).await?;
        return Ok(written.told());
    };
    for late in there {
        repository.delete(&format!("/issues/comments/{}", late.id)).await?;
    }
    match same(&first.body, body) {
        true => Ok(first),
        false => Ok(change(repository, first.id, body).await?.told()),
    }
}

/// Gives comment `id` another body.
pub(super) async fn edit(repository: Repository<'_>, id: u64, body: &str) -> Result<(), ForgeError> {
    change(repository, id, body).await.map(drop)
}

async fn change(repository: Repository<'_>, id: u64, body: &str) -> Result<Written, ForgeError> {
    repository.patch(&format!("/issues/comments/{id}"), json!({ "body": body })).await
}
