//! OpenAI Responses (<https://platform.openai.com/docs/api-reference/responses>).
//!
//! Nothing is stored at OpenAI: the whole conversation goes with every call, and thoughts travel encrypted
//! in the reply's own items.

use std::borrow::Cow;

use async_trait::async_trait;
use domain::{Secret, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::hash::fnv;
use crate::http::{Post, bearer};
use crate::message::arguments;
use crate::providers::rebuilt::NO_ANSWER;
use crate::strict::{strict, without_nulls};
use crate::{Http, LlmError, ModelRequest, Provider, ProviderName, Reply, StopReason, ToolCall, Turn};

const NAME: ProviderName = ProviderName::OpenAi;

/// The least that the API accepts as `max_output_tokens`.
const LEAST_OUTPUT: u64 = 16;

/// OpenAI's models, by key.
#[derive(Clone, Debug)]
pub struct OpenAi {
    http: Http,
    key: Secret,
    url: String,
}

impl OpenAi {
    /// Calls `https://api.openai.com/v1` with `key`.
    pub fn new(http: Http, key: Secret) -> Self {
        Self { http, key, url: String::new() }.with_base_url("https://api.openai.com/v1")
    }

    /// Calls a gateway or a test server at `base`, to which `/responses` is added: like OpenAI's own
    /// libraries, it takes the version as part of the base.
    #[must_use]
    pub fn with_base_url(mut self, base: &str) -> Self {
        self.url = format!("{}/responses", base.trim_end_matches('/'));
        self
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> ProviderName {
        NAME
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        let bad = |message: String| LlmError::BadRequest { provider: NAME, message };
        request.check().map_err(bad)?;
        let mut input = Vec::new();
        for turn in &request.turns {
            items(turn, &mut input).map_err(|error| bad(error.to_string()))?;
        }
        let body = RequestBody {
            model: &request.model,
            instructions: &request.system,
            input,
            tools: request.tools.iter().map(Tool::new).collect(),
            max_output_tokens: request.max_output.max(LEAST_OUTPUT),
            store: false,
            include: if reasons(&request.model) { &["reasoning.encrypted_content"] } else { &[] },
            prompt_cache_key: cache_key(request),
        };
        serde_json::to_string(&body).map_err(|error| bad(error.to_string()))
    }

    async fn call(&self, body: &str, _request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        let post = Post { provider: NAME, url: &self.url, headers: bearer(NAME, &self.key)?, body, keys: std::slice::from_ref(&self.key) };
        self.http.post(&post, deadline, cancel).await
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        let malformed = |what: String| LlmError::Malformed { provider: NAME, what };
        let body: ReplyBody<'_> = serde_json::from_str(raw).map_err(|error| malformed(error.to_string()))?;
        let items: Vec<Item> = serde_json::from_str(body.output.get()).map_err(|error| malformed(error.to_string()))?;
        let Some(usage) = body.usage else {
            let why = body.error.map_or_else(|| "no usage".to_owned(), |error| error.message);
            return Err(malformed(format!("it is {} and names no cost: {why}", body.status)));
        };
        let (mut text, mut tool_calls, mut refused) = (Vec::new(), Vec::new(), false);
        for item in items {
            match item {
                Item::Message { content } => {
                    for part in content {
                        match part {
                            Part::OutputText { text: part } => text.push(part),
                            Part::Refusal { refusal } => {
                                refused = true;
                                text.push(refusal);
                            }
                            Part::Other => {}
                        }
                    }
                }
                Item::FunctionCall { call_id, name, arguments: input } => {
                    tool_calls.push(ToolCall { id: call_id, name, input: without_nulls(arguments(input)) });
                }
                Item::Other => {}
            }
        }
        let incomplete = body.incomplete_details.and_then(|details| details.reason);
        let stop = match (body.status.as_str(), incomplete.as_deref()) {
            ("incomplete", Some("max_output_tokens")) => StopReason::MaxTokens,
            ("incomplete", Some("content_filter")) => StopReason::Refusal,
            ("completed", _) if refused => StopReason::Refusal,
            ("completed", _) if tool_calls.is_empty() => StopReason::EndTurn,
            ("completed", _) => StopReason::ToolUse,
            (status, reason) => StopReason::Other(reason.unwrap_or(status).to_owned()),
        };
        let cached = usage.input_tokens_details.map_or(0, |details| details.cached_tokens);
        Ok(Reply {
            raw: raw.to_owned(),
            provider: NAME,
            native: body.output.to_owned(),
            text: text.join("\n"),
            tool_calls,
            stop,
            usage: Usage::of_total(usage.input_tokens, cached, 0, usage.output_tokens),
            model: body.model,
        })
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    instructions: &'a str,
    input: Vec<Input<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    max_output_tokens: u64,
    store: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include: &'a [&'a str],
    prompt_cache_key: String,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    name: &'a str,
    description: &'a str,
    parameters: Value,
    strict: bool,
}

impl<'a> Tool<'a> {
    fn new(tool: &'a crate::ToolSpec) -> Self {
        let strict = strict(&tool.input_schema);
        let is_strict = strict.is_some();
        let parameters = strict.unwrap_or_else(|| tool.input_schema.clone());
        Self { r#type: "function", name: &tool.name, description: &tool.description, parameters, strict: is_strict }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Native(Cow<'a, RawValue>),
    Ours(OurItem<'a>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OurItem<'a> {
    Message { role: &'static str, content: &'a str },
    FunctionCall { call_id: String, name: &'a str, arguments: String },
    FunctionCallOutput { call_id: String, output: &'a str },
}

/// The items of `turn`.
fn items<'a>(turn: &'a Turn, items: &mut Vec<Input<'a>>) -> serde_json::Result<()> {
    let message = |role: &'static str, content: &'a str| Input::Ours(OurItem::Message { role, content });
    match turn {
        Turn::User { text } => items.push(message("user", text)),
        Turn::ToolResults { results, note } => {
            let outputs =
                results.iter().map(|result| OurItem::FunctionCallOutput { call_id: wire_id(&result.call_id), output: &result.content });
            items.extend(outputs.map(Input::Ours));
            items.extend(note.as_deref().map(|note| message("user", note)));
        }
        // A thought must be followed by what it led to.
        Turn::Assistant(reply) if reply.is_silent() => {
            items.push(message("assistant", NO_ANSWER));
        }
        Turn::Assistant(reply) if reply.provider == NAME => {
            let mut native: Vec<&RawValue> = serde_json::from_str(reply.native.get())?;
            while native.pop_if(|item| is_thought(item)).is_some() {}
            for item in native {
                items.push(Input::Native(acceptable(item)?));
            }
        }
        Turn::Assistant(reply) => {
            items.extend(reply.words().map(|text| message("assistant", text)));
            for call in &reply.tool_calls {
                let arguments = call.object().to_string();
                items.push(Input::Ours(OurItem::FunctionCall { call_id: wire_id(&call.id), name: &call.name, arguments }));
            }
        }
    }
    Ok(())
}

/// A reply that the output limit cut off can end in a thought, which leads to nothing and is refused.
fn is_thought(item: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Kind<'a> {
        r#type: &'a str,
    }
    serde_json::from_str::<Kind<'_>>(item.get()).is_ok_and(|kind| kind.r#type == "reasoning")
}

/// An item as it came, but for a thought's `"status": null`: gateways and OpenAI's own libraries write it where the API gave
/// none, and the API refuses to take it back (`Unknown parameter: 'input[1].status'`).
fn acceptable(item: &RawValue) -> serde_json::Result<Cow<'_, RawValue>> {
    if !item.get().contains("\"status\"") || !is_thought(item) {
        return Ok(Cow::Borrowed(item));
    }
    let mut fields: Map<String, Value> = serde_json::from_str(item.get())?;
    if fields.get("status").is_none_or(|status| !status.is_null()) {
        return Ok(Cow::Borrowed(item));
    }
    fields.remove("status");
    to_raw_value(&fields).map(Cow::Owned)
}

/// Ids have at most 64 characters here; a longer one of another provider is replaced by a mark of it.
fn wire_id(id: &str) -> String {
    if id.len() <= 64 { id.to_owned() } else { format!("call_{:016x}", fnv(&[id])) }
}

/// Calls with the same key are sent to machines that may have their beginning in the cache. One job is one
/// key: its system prompt and its task.
fn cache_key(request: &ModelRequest) -> String {
    let task = match request.turns.first() {
        Some(Turn::User { text }) => text.as_str(),
        _ => "",
    };
    format!("codeteam-{:016x}", fnv(&[&request.system, task]))
}

/// Models without thoughts refuse to give them encrypted.
fn reasons(model: &str) -> bool {
    !model.starts_with("gpt-4") && !model.starts_with("gpt-3") && !model.contains("-chat")
}

#[derive(Deserialize)]
struct ReplyBody<'a> {
    status: String,
    error: Option<ReplyError>,
    incomplete_details: Option<Incomplete>,
    model: String,
    #[serde(borrow)]
    output: &'a RawValue,
    usage: Option<ReplyUsage>,
}

#[derive(Deserialize)]
struct ReplyError {
    message: String,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct ReplyUsage {
    input_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    output_tokens: u64,
}

#[derive(Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: u64,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    Message {
        content: Vec<Part>,
    },
    FunctionCall {
        call_id: String,
        name: String,
        arguments: String,
    },
    /// Thoughts and whatever comes later: replayed, not read.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    OutputText {
        text: String,
    },
    Refusal {
        refusal: String,
    },
    #[serde(other)]
    Other,
}
