//! Amazon Bedrock, the Converse API
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>).

mod access;
mod signed;

use std::borrow::Cow;

use async_trait::async_trait;
use domain::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use access::AwsAccess;

use self::access::Accesses;
use crate::providers::blocks::{Message, to_be_cached};
use crate::providers::rebuilt;
use crate::{Http, LlmError, ModelRequest, Provider, ProviderName, Reply, StopReason, ToolCall, ToolSpec, Turn};

const NAME: ProviderName = ProviderName::Bedrock;

/// The models of Amazon Bedrock in one region.
#[derive(Clone, Debug)]
pub struct Bedrock {
    http: Http,
    region: String,
    endpoint: Option<String>,
    accesses: Accesses,
}

impl Bedrock {
    /// Calls the models of `region` as `access` allows.
    pub fn new(http: Http, region: &str, access: AwsAccess) -> Self {
        Self { accesses: Accesses::new(http.clone(), access), http, region: region.to_owned(), endpoint: None }
    }

    /// Calls an interface endpoint, a gateway or a test server at `base`, to which `/model/MODEL/converse` is
    /// added.
    #[must_use]
    pub fn with_base_url(mut self, base: &str) -> Self {
        self.endpoint = Some(base.trim_end_matches('/').to_owned());
        self
    }
}

#[async_trait]
impl Provider for Bedrock {
    fn name(&self) -> ProviderName {
        NAME
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        request.check().map_err(bad)?;
        // Models that know no cache refuse its marks; Amazon's own cache without being asked.
        let cached = request.model.contains("anthropic.");
        let body = RequestBody {
            system: system(&request.system, cached),
            messages: messages(&request.turns, cached),
            inference_config: InferenceConfig { max_tokens: request.max_output },
            tool_config: tools(&request.tools, cached),
        };
        serde_json::to_string(&body).map_err(|error| bad(error.to_string()))
    }

    async fn call(&self, body: &str, request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        self.http.persist(NAME, deadline, cancel, || self.attempt(&request.model, body)).await
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        let malformed = |error: serde_json::Error| LlmError::Malformed { provider: NAME, what: error.to_string() };
        let body: ReplyBody<'_> = serde_json::from_str(raw).map_err(malformed)?;
        let native = body.output.message.content;
        let blocks: Vec<ReplyBlock> = serde_json::from_str(native.get()).map_err(malformed)?;
        let (mut text, mut tool_calls) = (Vec::new(), Vec::new());
        for block in blocks {
            text.extend(block.text);
            tool_calls.extend(block.tool_use.map(|call| ToolCall { id: call.tool_use_id, name: call.name, input: call.input }));
        }
        Ok(Reply {
            raw: raw.to_owned(),
            provider: NAME,
            native: native.to_owned(),
            text: text.join("\n"),
            tool_calls,
            stop: stop_reason(body.stop_reason),
            usage: Usage {
                uncached_input: body.usage.input_tokens,
                cache_read: body.usage.cache_read_input_tokens.unwrap_or(0),
                cache_write: body.usage.cache_write_input_tokens.unwrap_or(0),
                output: body.usage.output_tokens,
            },
            model: String::new(),
        })
    }
}

fn bad(message: String) -> LlmError {
    LlmError::BadRequest { provider: NAME, message }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Message<'a, Block<'a>>>,
    inference_config: InferenceConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig {
    max_tokens: u64,
}

#[derive(Serialize)]
struct ToolConfig<'a> {
    tools: Vec<Tool<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Tool<'a> {
    #[serde(rename_all = "camelCase")]
    ToolSpec {
        name: &'a str,
        description: &'a str,
        input_schema: InputSchema<'a>,
    },
    CachePoint(CachePoint),
}

#[derive(Serialize)]
struct InputSchema<'a> {
    json: &'a Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Block<'a> {
    Text(&'a str),
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: String,
        name: String,
        input: Cow<'a, Value>,
    },
    #[serde(rename_all = "camelCase")]
    ToolResult {
        tool_use_id: String,
        content: [ResultText<'a>; 1],
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
    },
    CachePoint(CachePoint),
}

#[derive(Serialize)]
struct ResultText<'a> {
    text: &'a str,
}

/// Marks the end of a prefix that the model's provider should keep for five minutes. At most four in a
/// request: the tools, the system prompt, and the last two user messages.
#[derive(Clone, Copy, Serialize)]
struct CachePoint {
    r#type: &'static str,
}

const CACHE_POINT: CachePoint = CachePoint { r#type: "default" };

fn system(text: &str, cached: bool) -> Vec<Block<'_>> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mark = cached.then_some(Block::CachePoint(CACHE_POINT));
    [Block::Text(text)].into_iter().chain(mark).collect()
}

fn tools<'a>(tools: &'a [ToolSpec], cached: bool) -> Option<ToolConfig<'a>> {
    let spec = |tool: &'a ToolSpec| {
        let input_schema = InputSchema { json: &tool.input_schema };
        Tool::ToolSpec { name: &tool.name, description: &tool.description, input_schema }
    };
    let mark = cached.then_some(Tool::CachePoint(CACHE_POINT));
    (!tools.is_empty()).then(|| ToolConfig { tools: tools.iter().map(spec).chain(mark).collect() })
}

fn messages(turns: &[Turn], cached: bool) -> Vec<Message<'_, Block<'_>>> {
    let mut messages: Vec<_> = turns.iter().map(message).collect();
    if cached {
        to_be_cached(&mut messages).for_each(|blocks| blocks.push(Block::CachePoint(CACHE_POINT)));
    }
    messages
}

fn message(turn: &Turn) -> Message<'_, Block<'_>> {
    match turn {
        Turn::User { text } => Message::User(vec![Block::Text(text)]),
        Turn::ToolResults { results, note } => {
            let results = results.iter().map(|result| Block::ToolResult {
                tool_use_id: rebuilt::call_id(&result.call_id),
                content: [ResultText { text: if result.content.trim().is_empty() { "(nothing)" } else { &result.content } }],
                status: result.is_error.then_some("error"),
            });
            Message::User(results.chain(note.as_deref().map(Block::Text)).collect())
        }
        Turn::Assistant(reply) => {
            let replays = reply.provider == NAME && reply.tool_calls.iter().all(is_acceptable);
            Message::of_model(reply, replays, Block::Text, |call| Block::ToolUse {
                tool_use_id: rebuilt::call_id(&call.id),
                name: rebuilt::tool_name(&call.name),
                input: call.object(),
            })
        }
    }
}

/// A model may invent a tool's name that the API then refuses to take back.
fn is_acceptable(call: &ToolCall) -> bool {
    rebuilt::call_id(&call.id) == call.id && rebuilt::tool_name(&call.name) == call.name && call.input.is_object()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyBody<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    stop_reason: Option<String>,
    usage: ReplyUsage,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: ReplyMessage<'a>,
}

#[derive(Deserialize)]
struct ReplyMessage<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

/// Input that was read from or written to the cache is not part of `input_tokens`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyUsage {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

/// One of the two, or a thought or whatever comes later: replayed, not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyBlock {
    text: Option<String>,
    tool_use: Option<ReplyCall>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyCall {
    tool_use_id: String,
    name: String,
    input: Value,
}

fn stop_reason(reason: Option<String>) -> StopReason {
    match reason.as_deref() {
        Some("end_turn" | "stop_sequence") => StopReason::EndTurn,
        Some("tool_use") => StopReason::ToolUse,
        Some("max_tokens" | "model_context_window_exceeded") => StopReason::MaxTokens,
        Some("guardrail_intervened" | "content_filtered" | "refusal") => StopReason::Refusal,
        _ => StopReason::Other(reason.unwrap_or_else(|| "none".to_owned())),
    }
}
