//! Conversations of the wires whose turns are lists of blocks: what is the same at Anthropic and Bedrock.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::providers::rebuilt::NO_ANSWER;
use crate::{Reply, ToolCall};

/// How many user messages, from the last on, end with a mark of the cache: so the call after this one finds what this
/// one wrote however many blocks lie between them.
const CACHED_USER_MESSAGES: usize = 2;

/// One message.
#[derive(Serialize)]
#[serde(tag = "role", content = "content", rename_all = "lowercase")]
pub(crate) enum Message<'a, Block> {
    User(Vec<Block>),
    #[serde(rename = "assistant")]
    Rebuilt(Vec<Block>),
    #[serde(rename = "assistant")]
    Native(&'a RawValue),
}

impl<'a, Block> Message<'a, Block> {
    /// A turn of a model's: as it came where this wire `replays` it, else rebuilt from its words and calls. The wires
    /// accept neither empty content nor a turn that is nothing but thoughts.
    pub(crate) fn of_model(reply: &'a Reply, replays: bool, text: impl Fn(&'a str) -> Block, call: impl Fn(&'a ToolCall) -> Block) -> Self {
        if reply.is_silent() {
            return Self::Rebuilt(vec![text(NO_ANSWER)]);
        }
        if replays {
            return Self::Native(&reply.native);
        }
        Self::Rebuilt(reply.words().map(text).into_iter().chain(reply.tool_calls.iter().map(call)).collect())
    }
}

/// The blocks of those user messages that are to end with a mark of the cache.
pub(crate) fn to_be_cached<'m, Block>(messages: &'m mut [Message<'_, Block>]) -> impl Iterator<Item = &'m mut Vec<Block>> {
    let users = messages.iter_mut().rev().filter_map(|message| match message {
        Message::User(blocks) => Some(blocks),
        Message::Rebuilt(_) | Message::Native(_) => None,
    });
    users.take(CACHED_USER_MESSAGES)
}
