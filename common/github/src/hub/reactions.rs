//! Reactions.

use serde::de::IgnoredAny;
use serde_json::json;

use crate::app::Repository;
use crate::{Emotion, ForgeError, Subject};

/// Shows `emotion`. GitHub keeps one of a kind for each account, so the same twice is once.
pub(super) async fn react(repository: Repository<'_>, subject: Subject, emotion: Emotion) -> Result<(), ForgeError> {
    let path = match subject {
        Subject::Issue { number } => format!("/issues/{number}/reactions"),
        Subject::Comment { id } => format!("/issues/comments/{id}/reactions"),
        Subject::LineComment { id } => format!("/pulls/comments/{id}/reactions"),
    };
    let content: &str = emotion.into();
    repository.post::<IgnoredAny>(&path, json!({ "content": content })).await.map(drop)
}
