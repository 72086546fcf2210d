//! Anthropic Messages (<https://docs.claude.com/en/api/messages>).

use std::borrow::Cow;

use async_trait::async_trait;
use domain::{Secret, Usage};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::{Post, no_header};
use crate::providers::blocks::{Message, to_be_cached};
use crate::providers::rebuilt;
use crate::{Http, LlmError, ModelRequest, Provider, ProviderName, Reply, StopReason, ToolCall, Turn};

const NAME: ProviderName = ProviderName::Anthropic;
const VERSION: &str = "2023-06-01";

/// Anthropic's models, by key.
#[derive(Clone, Debug)]
pub struct Anthropic {
    http: Http,
    key: Secret,
    url: String,
}

impl Anthropic {
    /// Calls `https://api.anthropic.com` with `key`.
    pub fn new(http: Http, key: Secret) -> Self {
        Self { http, key, url: String::new() }.with_base_url("https://api.anthropic.com")
    }

    /// Calls a gateway or a test server at `base`, to which `/v1/messages` is added.
    #[must_use]
    pub fn with_base_url(mut self, base: &str) -> Self {
        self.url = format!("{}/v1/messages", base.trim_end_matches('/'));
        self
    }

    fn headers(&self) -> Result<HeaderMap, LlmError> {
        let mut key = HeaderValue::from_str(self.key.expose().trim()).map_err(|_| no_header(NAME))?;
        key.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", key);
        headers.insert("anthropic-version", HeaderValue::from_static(VERSION));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(headers)
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn name(&self) -> ProviderName {
        NAME
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        request.check().map_err(|message| LlmError::BadRequest { provider: NAME, message })?;
        let body = RequestBody {
            model: &request.model,
            max_tokens: request.max_output,
            system: [Block::Text { text: &request.system, cache_control: EPHEMERAL }],
            tools: tools(request),
            messages: messages(&request.turns),
        };
        serde_json::to_string(&body).map_err(|error| LlmError::BadRequest { provider: NAME, message: error.to_string() })
    }

    async fn call(&self, body: &str, _request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        let post = Post { provider: NAME, url: &self.url, headers: self.headers()?, body, keys: std::slice::from_ref(&self.key) };
        self.http.post(&post, deadline, cancel).await
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        let malformed = |error: serde_json::Error| LlmError::Malformed { provider: NAME, what: error.to_string() };
        let body: ReplyBody<'_> = serde_json::from_str(raw).map_err(malformed)?;
        let blocks: Vec<ReplyBlock> = serde_json::from_str(body.content.get()).map_err(malformed)?;
        let mut text = Vec::new();
        let mut tool_calls = Vec::new();
        for block in blocks {
            match block {
                ReplyBlock::Text { text: part } => text.push(part),
                ReplyBlock::ToolUse { id, name, input } => tool_calls.push(ToolCall { id, name, input }),
                ReplyBlock::Other => {}
            }
        }
        Ok(Reply {
            raw: raw.to_owned(),
            provider: NAME,
            native: body.content.to_owned(),
            text: text.join("\n"),
            tool_calls,
            stop: stop_reason(body.stop_reason),
            usage: Usage {
                uncached_input: body.usage.input_tokens,
                cache_read: body.usage.cache_read_input_tokens.unwrap_or(0),
                cache_write: body.usage.cache_creation_input_tokens.unwrap_or(0),
                output: body.usage.output_tokens,
            },
            model: body.model,
        })
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    max_tokens: u64,
    system: [Block<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    messages: Vec<Message<'a, Block<'a>>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: String,
        name: String,
        input: Cow<'a, Value>,
    },
    ToolResult {
        tool_use_id: String,
        content: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
}

/// Marks the end of a prefix that the provider should keep for five minutes. At most four in a request:
/// the tools, the system prompt, and the last two user messages.
#[derive(Clone, Copy, Serialize)]
struct CacheControl {
    r#type: &'static str,
}

const EPHEMERAL: Option<CacheControl> = Some(CacheControl { r#type: "ephemeral" });

fn tools(request: &ModelRequest) -> Vec<Tool<'_>> {
    let mut tools: Vec<_> = request
        .tools
        .iter()
        .map(|tool| Tool { name: &tool.name, description: &tool.description, input_schema: &tool.input_schema, cache_control: None })
        .collect();
    if let Some(last) = tools.last_mut() {
        last.cache_control = EPHEMERAL;
    }
    tools
}

fn messages(turns: &[Turn]) -> Vec<Message<'_, Block<'_>>> {
    let mut messages: Vec<_> = turns.iter().map(message).collect();
    for blocks in to_be_cached(&mut messages) {
        if let Some(Block::Text { cache_control, .. } | Block::ToolResult { cache_control, .. }) = blocks.last_mut() {
            *cache_control = EPHEMERAL;
        }
    }
    messages
}

fn message(turn: &Turn) -> Message<'_, Block<'_>> {
    match turn {
        Turn::User { text } => Message::User(vec![plain(text)]),
        Turn::ToolResults { results, note } => {
            let results = results.iter().map(|result| Block::ToolResult {
                tool_use_id: rebuilt::call_id(&result.call_id),
                content: &result.content,
                is_error: result.is_error,
                cache_control: None,
            });
            Message::User(results.chain(note.as_deref().map(plain)).collect())
        }
        Turn::Assistant(reply) => Message::of_model(reply, reply.provider == NAME, plain, |call| Block::ToolUse {
            id: rebuilt::call_id(&call.id),
            name: rebuilt::tool_name(&call.name),
            input: call.object(),
        }),
    }
}

fn plain(text: &str) -> Block<'_> {
    Block::Text { text, cache_control: None }
}

#[derive(Deserialize)]
struct ReplyBody<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    model: String,
    stop_reason: Option<String>,
    usage: ReplyUsage,
}

#[derive(Deserialize)]
struct ReplyUsage {
    input_tokens: u64,
    output_tokens: u64,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ReplyBlock {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    /// Thoughts and whatever comes later: replayed, not read.
    #[serde(other)]
    Other,
}

fn stop_reason(reason: Option<String>) -> StopReason {
    match reason.as_deref() {
        Some("end_turn" | "stop_sequence") => StopReason::EndTurn,
        Some("tool_use") => StopReason::ToolUse,
        Some("max_tokens" | "model_context_window_exceeded") => StopReason::MaxTokens,
        Some("refusal") => StopReason::Refusal,
        _ => StopReason::Other(reason.unwrap_or_else(|| "none".to_owned())),
    }
}
