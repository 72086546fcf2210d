//! Google Gemini, `generateContent` of the Gemini Developer API (<https://ai.google.dev/api/generate-content>).

mod reply;
mod schema;

use std::borrow::Cow;

use async_trait::async_trait;
use domain::Secret;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::{Post, no_header};
use crate::providers::rebuilt::{self, NO_ANSWER};
use crate::{Http, LlmError, ModelRequest, Provider, ProviderName, Reply, ToolSpec, Turn};

const NAME: ProviderName = ProviderName::Google;

/// Stands where Gemini 3 and later expect the signature of a call that they did not make themselves
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>, "transferring a trace from a different model").
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Google's models, by key.
#[derive(Clone, Debug)]
pub struct Google {
    http: Http,
    key: Secret,
    base: String,
}

impl Google {
    /// Calls `https://generativelanguage.googleapis.com` with `key`.
    pub fn new(http: Http, key: Secret) -> Self {
        Self { http, key, base: "https://generativelanguage.googleapis.com".to_owned() }
    }

    /// Calls a gateway or a test server at `base`, to which `/v1beta/models/MODEL:generateContent` is added.
    #[must_use]
    pub fn with_base_url(mut self, base: &str) -> Self {
        base.clone_into(&mut self.base);
        self
    }

    /// The key goes into a header, never into the address, which is logged along the way.
    fn headers(&self) -> Result<HeaderMap, LlmError> {
        let mut key = HeaderValue::from_str(self.key.expose().trim()).map_err(|_| no_header(NAME))?;
        key.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-goog-api-key", key);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(headers)
    }

    fn url(&self, model: &str) -> Result<String, LlmError> {
        let wrong = || bad("the base URL in GOOGLE_BASE_URL is no http(s) address".to_owned());
        let mut url = Url::parse(&self.base).map_err(|_| wrong())?;
        let mut path = url.path_segments_mut().map_err(|()| wrong())?;
        path.pop_if_empty().extend(["v1beta", "models", &format!("{model}:generateContent")]);
        drop(path);
        Ok(url.into())
    }
}

#[async_trait]
impl Provider for Google {
    fn name(&self) -> ProviderName {
        NAME
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        request.check().map_err(bad)?;
        let body = RequestBody {
            system_instruction: Some(request.system.as_str()).filter(|system| !system.trim().is_empty()).map(System::of),
            contents: contents(&request.turns, &request.model),
            tools: Tools::of(&request.tools),
            tool_config: (!request.tools.is_empty()).then_some(ToolConfig { function_calling_config: CallingConfig { mode: "AUTO" } }),
            generation_config: GenerationConfig { max_output_tokens: request.max_output },
        };
        serde_json::to_string(&body).map_err(|error| bad(error.to_string()))
    }

    async fn call(&self, body: &str, request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        let post =
            Post { provider: NAME, url: &self.url(&request.model)?, headers: self.headers()?, body, keys: std::slice::from_ref(&self.key) };
        self.http.post(&post, deadline, cancel).await
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        reply::decode(raw)
    }
}

fn bad(message: String) -> LlmError {
    LlmError::BadRequest { provider: NAME, message }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<System<'a>>,
    contents: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig>,
    generation_config: GenerationConfig,
}

#[derive(Serialize)]
struct System<'a> {
    parts: [Part<'a>; 1],
}

impl<'a> System<'a> {
    fn of(text: &'a str) -> Self {
        Self { parts: [Part::text(text)] }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    description: &'a str,
    /// Left out for a function without parameters: an object without properties is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Value>,
}

impl<'a> Tools<'a> {
    fn of(tools: &'a [ToolSpec]) -> Option<[Self; 1]> {
        let declaration = |tool: &'a ToolSpec| {
            let has_parameters = tool.input_schema.get("properties").and_then(Value::as_object).is_some_and(|some| !some.is_empty());
            let schema = has_parameters.then(|| schema::accepted(&tool.input_schema));
            Declaration { name: &tool.name, description: &tool.description, parameters_json_schema: schema }
        };
        (!tools.is_empty()).then(|| [Self { function_declarations: tools.iter().map(declaration).collect() }])
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig {
    function_calling_config: CallingConfig,
}

#[derive(Serialize)]
struct CallingConfig {
    mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Native(&'a RawValue),
    Own { role: &'static str, parts: Vec<Part<'a>> },
}

/// One of the first three; a signature only beside a call.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<FunctionResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'static str>,
}

impl<'a> Part<'a> {
    fn text(text: &'a str) -> Self {
        Self { text: Some(text), ..Self::default() }
    }
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    id: &'a str,
    name: String,
    args: Cow<'a, Value>,
}

#[derive(Serialize)]
struct FunctionResponse<'a> {
    /// As the call has it: none where the call has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    name: String,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Response<'a> {
    Output(&'a str),
    Error(&'a str),
}

fn contents<'a>(turns: &'a [Turn], model: &str) -> Vec<Message<'a>> {
    let mut called: Vec<Called> = Vec::new();
    let mut messages = Vec::with_capacity(turns.len());
    for turn in turns {
        messages.push(match turn {
            Turn::User { text } => Message::Own { role: "user", parts: vec![Part::text(text)] },
            Turn::Assistant(reply) => {
                let message;
                (message, called) = assistant(reply, model);
                message
            }
            Turn::ToolResults { results, note } => {
                let answer = |(result, called): (&'a crate::ToolResult, Called)| {
                    let response = if result.is_error { Response::Error(&result.content) } else { Response::Output(&result.content) };
                    Part { function_response: Some(FunctionResponse { id: called.id, name: called.name, response }), ..Part::default() }
                };
                let results = results.iter().zip(std::mem::take(&mut called)).map(answer);
                Message::Own { role: "user", parts: results.chain(note.as_deref().map(Part::text)).collect() }
            }
        });
    }
    messages
}

/// What the answer to a call must name.
struct Called {
    id: Option<String>,
    name: String,
}

/// A turn of the model's, unchanged where that is possible, and what it calls.
fn assistant<'a>(reply: &'a Reply, model: &str) -> (Message<'a>, Vec<Called>) {
    if reply.is_silent() {
        // The API does not accept a turn without parts.
        return (Message::Own { role: "model", parts: vec![Part::text(NO_ANSWER)] }, Vec::new());
    }
    if let Some(called) = replayable(reply, model) {
        return (Message::Native(&reply.native), called);
    }
    let mut parts: Vec<Part<'_>> = Vec::new();
    parts.extend(reply.words().map(Part::text));
    for (index, call) in reply.tool_calls.iter().enumerate() {
        parts.push(Part {
            function_call: Some(FunctionCall { id: &call.id, name: rebuilt::tool_name(&call.name), args: call.object() }),
            thought_signature: (index == 0 && needs_signatures(model)).then_some(NO_SIGNATURE),
            ..Part::default()
        });
    }
    let called = reply.tool_calls.iter().map(|call| Called { id: Some(call.id.clone()), name: rebuilt::tool_name(&call.name) });
    (Message::Own { role: "model", parts }, called.collect())
}

/// What `reply` calls, where its native form can be sent to `model`: an older model of Google's may not have
/// signed its first call, which its successors insist on.
fn replayable(reply: &Reply, model: &str) -> Option<Vec<Called>> {
    if reply.provider != NAME {
        return None;
    }
    let content: reply::Content = serde_json::from_str(reply.native.get()).ok()?;
    let calls = content.parts.into_iter().filter_map(|part| Some((part.function_call?, part.thought_signature.is_some())));
    let (called, signed): (Vec<_>, Vec<_>) =
        calls.map(|(call, signed)| (Called { id: call.id.filter(|id| !id.is_empty()), name: call.name }, signed)).unzip();
    let acceptable = content.role.as_deref() == Some("model") && (!needs_signatures(model) || signed.first() != Some(&false));
    acceptable.then_some(called)
}

/// Gemini 3 made signatures compulsory for the first call of each turn.
fn needs_signatures(model: &str) -> bool {
    !model.starts_with("gemini-1") && !model.starts_with("gemini-2")
}
