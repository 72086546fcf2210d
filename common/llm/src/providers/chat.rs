//! OpenAI-compatible Chat Completions (<https://platform.openai.com/docs/api-reference/chat>), as servers of
//! one's own speak it: Ollama, vLLM, llama.cpp, LM Studio and gateways. They differ in what they leave out.

use async_trait::async_trait;
use domain::{Secret, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::hash::fnv;
use crate::http::{Post, bearer};
use crate::message::arguments;
use crate::providers::rebuilt::NO_ANSWER;
use crate::{Http, LlmError, ModelRequest, Provider, ProviderName, Reply, StopReason, ToolCall, ToolSpec, Turn};

/// One server that speaks Chat Completions.
#[derive(Clone, Debug)]
pub struct Chat {
    name: ProviderName,
    http: Http,
    key: Secret,
    url: String,
}

impl Chat {
    /// Calls the server at `base` (with its `/v1`), to which `/chat/completions` is added. Without a key no
    /// `authorization` is sent.
    pub fn new(http: Http, name: ProviderName, base: &str, key: Option<Secret>) -> Self {
        let url = format!("{}/chat/completions", base.trim_end_matches('/'));
        Self { name, http, key: key.unwrap_or_else(|| Secret::new("")), url }
    }
}

#[async_trait]
impl Provider for Chat {
    fn name(&self) -> ProviderName {
        self.name
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        let bad = |message: String| LlmError::BadRequest { provider: self.name, message };
        request.check().map_err(bad)?;
        let mut messages = vec![Message::Ours(OurMessage::System { content: &request.system })];
        for turn in &request.turns {
            messages_of(turn, self.name, &mut messages);
        }
        let tools = request.tools.iter().map(|tool| Tool { r#type: "function", function: Function::new(tool) }).collect();
        let body = RequestBody { model: &request.model, messages, tools, max_tokens: request.max_output, stream: false };
        serde_json::to_string(&body).map_err(|error| bad(error.to_string()))
    }

    async fn call(&self, body: &str, _request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        let post = Post {
            provider: self.name,
            url: &self.url,
            headers: bearer(self.name, &self.key)?,
            body,
            keys: std::slice::from_ref(&self.key),
        };
        self.http.post(&post, deadline, cancel).await
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        let malformed = |what: String| LlmError::Malformed { provider: self.name, what };
        let body: ReplyBody<'_> = serde_json::from_str(raw).map_err(|error| malformed(error.to_string()))?;
        // Gateways answer 200 and then say that their upstream failed.
        if let Some(error) = &body.error {
            let said = error["message"].as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(malformed(format!("it is an error: {said}")));
        }
        let choice = body.choices.first().ok_or_else(|| malformed("it has no choices".to_owned()))?;
        let message: ReplyMessage = serde_json::from_str(choice.message.get()).map_err(|error| malformed(error.to_string()))?;
        let usage = body.usage.ok_or_else(|| {
            malformed(
                "it has no usage, so nobody can tell what it cost; let the server report it, or put a gateway before it that does"
                    .to_owned(),
            )
        })?;
        let (tool_calls, named) = tool_calls(message.tool_calls.unwrap_or_default(), raw);
        let native = if named {
            choice.message.to_owned()
        } else {
            with_ids(choice.message, &tool_calls).map_err(|error| malformed(error.to_string()))?
        };
        let refusal = message.refusal.filter(|refusal| !refusal.is_empty());
        let stop = match choice.finish_reason.as_deref() {
            Some("length") => StopReason::MaxTokens,
            Some("content_filter") => StopReason::Refusal,
            _ if refusal.is_some() => StopReason::Refusal,
            _ if !tool_calls.is_empty() => StopReason::ToolUse,
            Some("stop" | "eos") => StopReason::EndTurn,
            other => StopReason::Other(other.unwrap_or("none").to_owned()),
        };
        let text: Vec<String> =
            [message.content.map(Content::text), refusal].into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        Ok(Reply {
            raw: raw.to_owned(),
            provider: self.name,
            native,
            text: text.join("\n"),
            tool_calls,
            stop,
            usage: Usage::of_total(usage.prompt_tokens, cached, 0, usage.completion_tokens),
            model: body.model.unwrap_or_default(),
        })
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    max_tokens: u64,
    stream: bool,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

impl<'a> Function<'a> {
    fn new(tool: &'a ToolSpec) -> Self {
        Self { name: &tool.name, description: &tool.description, parameters: &tool.input_schema }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Native(&'a RawValue),
    Ours(OurMessage<'a>),
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum OurMessage<'a> {
    System {
        content: &'a str,
    },
    User {
        content: &'a str,
    },
    Assistant {
        content: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<OurCall<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: &'a str,
    },
}

#[derive(Serialize)]
struct OurCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: OurFunction<'a>,
}

#[derive(Serialize)]
struct OurFunction<'a> {
    name: &'a str,
    arguments: String,
}

/// The messages of `turn`; replies of the server `name` itself are replayed as they came.
fn messages_of<'a>(turn: &'a Turn, name: ProviderName, messages: &mut Vec<Message<'a>>) {
    match turn {
        Turn::User { text } => messages.push(Message::Ours(OurMessage::User { content: text })),
        Turn::ToolResults { results, note } => {
            let results = results.iter().map(|result| OurMessage::Tool { tool_call_id: &result.call_id, content: &result.content });
            messages.extend(results.map(Message::Ours));
            messages.extend(note.as_deref().map(|note| Message::Ours(OurMessage::User { content: note })));
        }
        Turn::Assistant(reply) if reply.is_silent() => {
            messages.push(Message::Ours(OurMessage::Assistant { content: NO_ANSWER, tool_calls: Vec::new() }));
        }
        Turn::Assistant(reply) if reply.provider == name => messages.push(Message::Native(&reply.native)),
        Turn::Assistant(reply) => {
            let calls = reply.tool_calls.iter().map(|call| OurCall {
                id: &call.id,
                r#type: "function",
                function: OurFunction { name: &call.name, arguments: call.object().to_string() },
            });
            messages.push(Message::Ours(OurMessage::Assistant { content: &reply.text, tool_calls: calls.collect() }));
        }
    }
}

#[derive(Deserialize)]
struct ReplyBody<'a> {
    model: Option<String>,
    error: Option<Value>,
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<ReplyUsage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct ReplyMessage {
    content: Option<Content>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ReplyCall>>,
}

/// Most servers give a text, some a list of parts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Deserialize)]
struct ContentPart {
    #[serde(default)]
    text: String,
}

impl Content {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().map(|part| part.text).collect::<Vec<_>>().join("\n"),
        }
    }
}

#[derive(Deserialize)]
struct ReplyCall {
    id: Option<String>,
    function: ReplyFunction,
}

#[derive(Deserialize)]
struct ReplyFunction {
    name: String,
    /// A text that holds JSON; some servers give the JSON itself.
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct ReplyUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

/// The calls of a message, and whether the server named each by an id of its own. Some leave ids out or
/// number every reply's calls from zero; results could not name their calls then, so they get ids here, made
/// of the reply so that they are the same when it is read again.
fn tool_calls(calls: Vec<ReplyCall>, raw: &str) -> (Vec<ToolCall>, bool) {
    let mut ids: Vec<&str> = calls.iter().filter_map(|call| call.id.as_deref()).filter(|id| id.len() > 1).collect();
    ids.sort_unstable();
    ids.dedup();
    let named = ids.len() == calls.len();
    let mark = fnv(&[raw]);
    let calls = calls.into_iter().enumerate().map(|(index, call)| {
        let input = match call.function.arguments {
            Value::String(text) => arguments(text),
            Value::Null => Value::Object(serde_json::Map::new()),
            json => json,
        };
        let id = call.id.filter(|_| named).unwrap_or_else(|| format!("call_{mark:016x}_{index}"));
        ToolCall { id, name: call.function.name, input }
    });
    (calls.collect(), named)
}

/// The message with the ids that its calls were given.
fn with_ids(message: &RawValue, calls: &[ToolCall]) -> serde_json::Result<Box<RawValue>> {
    let mut message: Value = serde_json::from_str(message.get())?;
    for (stated, call) in message["tool_calls"].as_array_mut().into_iter().flatten().zip(calls) {
        stated["id"] = Value::String(call.id.clone());
    }
    to_raw_value(&message)
}
