//! Google Gemini: the stub's rules, and what only this wire has.

use domain::{Secret, Usage};
use llm::{
    Backoff, Google, Http, HttpOptions, ModelRequest, Provider, ProviderName, Reply, StopReason, ToolCall, ToolResult, ToolSpec, Turn,
};
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::conformance::BACKOFF;
use crate::stub::{Answer, End, KEY, Wire};

/// `generateContent` as its documentation describes it, for one generation of models.
#[derive(Clone, Copy)]
pub struct GenerateContent {
    model: &'static str,
    /// Whether calls have ids, and the first of each turn must carry its signature.
    signed: bool,
}

/// Calls without ids and with signatures at the model's pleasure.
pub const GEMINI_2_5: GenerateContent = GenerateContent { model: "gemini-2.5-flash", signed: false };
/// Calls with ids, the first of each turn signed or refused.
pub const GEMINI_3: GenerateContent = GenerateContent { model: "gemini-3-pro-preview", signed: true };

impl Wire for GenerateContent {
    fn provider(&self, base_url: &str, backoff: Backoff) -> Box<dyn Provider> {
        let http = Http::new(HttpOptions { proxy: None, backoff }).unwrap();
        Box::new(Google::new(http, Secret::new(KEY)).with_base_url(base_url))
    }

    fn model(&self) -> &'static str {
        self.model
    }

    fn check_head(&self, request: &Request) -> Result<(), String> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is = |what: bool, message: &str| if what { Ok(()) } else { Err(message.to_owned()) };
        let path = format!("/v1beta/models/{}:generateContent", self.model);
        is(request.method.as_str() == "POST" && request.url.path() == path, &format!("not POST {path}"))?;
        is(request.url.query().is_none(), "the address has a query")?;
        is(header("x-goog-api-key") == KEY, "x-goog-api-key is wrong")?;
        is(header("content-type") == "application/json", "content-type is wrong")
    }

    fn check_body(&self, body: &Value) -> Result<(), String> {
        check_body(body, self.signed)
    }

    fn bodies(&self) -> Vec<(Value, &'static str)> {
        let body = |contents: Value| {
            let tools = json!([{ "functionDeclarations": [{ "name": "shell", "description": "runs" }] }]);
            json!({ "contents": contents, "tools": tools, "generationConfig": { "maxOutputTokens": 1 } })
        };
        let text = |role: &str| json!({ "role": role, "parts": [{ "text": "x" }] });
        let signature = if self.signed { json!("c2ln") } else { Value::Null };
        let call = json!({ "role": "model", "parts": [{ "functionCall": { "id": "a", "name": "shell", "args": {} }, "thoughtSignature": signature }] });
        let result = |id: &str, name: &str| json!({ "role": "user", "parts": [{ "functionResponse": { "id": id, "name": name, "response": { "output": "x" } } }] });
        let mut unknown_field = body(json!([text("user")]));
        unknown_field["max_tokens"] = json!(1);
        let mut bodies = vec![
            (body(json!([text("user"), call, result("a", "shell")])), ""),
            (body(json!([])), "contents"),
            (unknown_field, "Unknown name"),
            (body(json!([text("model")])), "alternate"),
            (body(json!([text("user"), text("user")])), "alternate"),
            (body(json!([text("user"), text("model")])), "last"),
            (body(json!([text("user"), text("model"), result("a", "shell")])), "number of function response parts"),
            (body(json!([text("user"), call, text("user")])), "number of function response parts"),
            (body(json!([text("user"), call, result("b", "shell")])), "does not answer"),
            (body(json!([text("user"), call, result("a", "search")])), "does not answer"),
            (body(json!([{ "role": "user", "parts": [] }])), "parts"),
            (body(json!([{ "role": "user", "parts": [{ "text": "" }] }])), "empty"),
        ];
        if self.signed {
            let unsigned = json!({ "role": "model", "parts": [{ "functionCall": { "id": "a", "name": "shell", "args": {} } }] });
            bodies.push((body(json!([text("user"), unsigned, result("a", "shell")])), "missing a thought_signature"));
        }
        bodies
    }

    fn conversation(&self, body: &Value) -> Vec<Value> {
        body["contents"].as_array().unwrap().clone()
    }

    fn reply(&self, answer: &Answer) -> Value {
        let mut parts: Vec<Value> = Vec::new();
        if !answer.text.is_empty() {
            parts.push(json!({ "text": answer.text }));
        }
        for (index, (name, input)) in answer.calls.iter().enumerate() {
            let mut part = json!({ "functionCall": { "name": name, "args": input } });
            if self.signed {
                part["functionCall"]["id"] = json!(format!("8f3k2j1{index}"));
                if index == 0 {
                    part["thoughtSignature"] = json!("EjQKMgERTTIJ+w==");
                }
            }
            parts.push(part);
        }
        let mut content = json!({ "role": "model" });
        if !parts.is_empty() {
            content["parts"] = json!(parts);
        }
        let finish_reason = match answer.end {
            End::Truncated => "MAX_TOKENS",
            End::Refused => "SAFETY",
            End::Usual => "STOP",
        };
        let mut usage = json!({ "promptTokenCount": 100, "candidatesTokenCount": 15, "thoughtsTokenCount": 5, "totalTokenCount": 120 });
        if answer.cached > 0 {
            usage["cachedContentTokenCount"] = json!(answer.cached);
        }
        json!({
            "candidates": [{ "content": content, "finishReason": finish_reason, "index": 0 }],
            "usageMetadata": usage, "modelVersion": self.model, "responseId": "y8fKaLvNFd"
        })
    }

    fn error(&self, status: u16, message: &str) -> ResponseTemplate {
        ResponseTemplate::new(status).set_body_json(json!({ "error": { "code": status, "message": message, "status": "INTERNAL" } }))
    }
}

/// The rules whose breach the API answers with 400.
fn check_body(body: &Value, signed: bool) -> Result<(), String> {
    const FIELDS: [&str; 5] = ["systemInstruction", "contents", "tools", "toolConfig", "generationConfig"];
    if let Some(unknown) = body.as_object().unwrap().keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("Unknown name {unknown:?}: Cannot find field"));
    }
    if body["generationConfig"]["maxOutputTokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err("maxOutputTokens must be positive".to_owned());
    }
    let declared: Vec<&str> =
        body["tools"][0]["functionDeclarations"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect();
    let contents = body["contents"].as_array().filter(|contents| !contents.is_empty()).ok_or("contents is not specified")?;
    let mut pending: Vec<Value> = Vec::new();
    for (index, content) in contents.iter().enumerate() {
        let at = |problem: String| Err(format!("contents[{index}]: {problem}"));
        if content["role"] != if index % 2 == 0 { "user" } else { "model" } {
            return at("roles must alternate and start with user".to_owned());
        }
        let parts = content["parts"].as_array().cloned().unwrap_or_default();
        if parts.is_empty() {
            return at("parts must not be empty".to_owned());
        }
        if parts.iter().any(|part| part.get("text").is_some_and(|text| text == "") && part.get("thoughtSignature").is_none()) {
            return at("a part is empty: it must have one initialized field".to_owned());
        }
        let all = |kind: &str| parts.iter().filter_map(|part| part.get(kind)).cloned().collect::<Vec<_>>();
        let responses = all("functionResponse");
        if responses.len() != pending.len() {
            return at("the number of function response parts is not equal to the number of function call parts".to_owned());
        }
        for (response, call) in responses.iter().zip(&pending) {
            if response["name"] != call["name"] || response.get("id") != call.get("id") || !response["response"].is_object() {
                return at(format!("{response} does not answer {call}"));
            }
        }
        pending = all("functionCall");
        if let Some(call) =
            pending.iter().find(|call| !declared.contains(&call["name"].as_str().unwrap_or_default()) || !call["args"].is_object())
        {
            return at(format!("{call} is no call of a declared function"));
        }
        let first = parts.iter().find(|part| part.get("functionCall").is_some());
        if signed && first.is_some_and(|part| part["thoughtSignature"].as_str().is_none_or(str::is_empty)) {
            return at("Function call is missing a thought_signature in functionCall parts".to_owned());
        }
    }
    if contents.len() % 2 == 0 { Err("the last content must be the user's".to_owned()) } else { Ok(()) }
}

fn provider() -> Box<dyn Provider> {
    GEMINI_3.provider("http://unused", BACKOFF)
}

fn request(model: &str, turns: Vec<Turn>) -> ModelRequest {
    ModelRequest { model: model.into(), step_no: 1, system: "Be brief.".into(), turns, tools: [].into(), max_output: 100 }
}

fn user(text: &str) -> Turn {
    Turn::User { text: text.to_owned() }
}

fn encoded(model: &str, turns: Vec<Turn>) -> Value {
    serde_json::from_str(&provider().encode(&request(model, turns)).unwrap()).unwrap()
}

fn result(call_id: &str, is_error: bool) -> ToolResult {
    ToolResult { call_id: call_id.into(), content: "x".into(), is_error }
}

/// A reply with this content and end.
fn raw(content: &str, finish_reason: &str) -> String {
    format!(
        r#"{{"candidates":[{{"content":{content},"finishReason":"{finish_reason}"}}],"usageMetadata":{{"promptTokenCount":3}},"responseId":"r1","modelVersion":"gemini-3-pro-preview"}}"#
    )
}

#[test]
fn the_request_has_the_documented_form() {
    let mut request = request("gemini-2.5-flash", vec![user("Hello")]);
    let open = json!({ "$schema": "x", "type": "object", "properties": { "path": { "type": "string", "minLength": 1 } } });
    let tool = |name: &str, input_schema: Value| ToolSpec { name: name.into(), description: "d".into(), input_schema };
    request.tools =
        [tool("shell", open), tool("finish", json!({ "type": "object", "properties": {}, "additionalProperties": false }))].into();
    let body: Value = serde_json::from_str(&provider().encode(&request).unwrap()).unwrap();
    let schema = json!({ "type": "object", "properties": { "path": { "type": "string" } } });
    let expected = json!({
        "systemInstruction": { "parts": [{ "text": "Be brief." }] },
        "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }],
        "tools": [{ "functionDeclarations": [
            { "name": "shell", "description": "d", "parametersJsonSchema": schema },
            { "name": "finish", "description": "d" }
        ] }],
        "toolConfig": { "functionCallingConfig": { "mode": "AUTO" } },
        "generationConfig": { "maxOutputTokens": 100 }
    });
    assert_eq!(body, expected);
}

#[test]
fn the_whole_content_is_replayed_byte_for_byte() {
    let content = r#"{"parts":[{"thought":true,"text":"hm"},{"zeta":1.50},{"text":"Hi "},{"text":"there"},{"functionCall":{"args":{"b":1,"a":2.0},"name":"shell"},"thoughtSignature":"EqQB+/=="},{"functionCall":{"name":"shell","id":"x9"}}],"role":"model"}"#;
    let reply = provider().decode(&raw(content, "STOP")).unwrap();
    assert_eq!((reply.text.as_str(), &reply.stop, reply.model.as_str()), ("Hi there", &StopReason::ToolUse, "gemini-3-pro-preview"));
    let calls: Vec<_> = reply.tool_calls.iter().map(|call| (call.id.as_str(), call.input.clone())).collect();
    assert_eq!(calls, [("r1-0", json!({ "b": 1, "a": 2.0 })), ("x9", json!({}))]);
    let results = Turn::ToolResults { results: vec![result("r1-0", false), result("x9", true)], note: Some("Hurry.".into()) };
    let turns = vec![user("Hello"), Turn::Assistant(reply.into()), results];
    let body = provider().encode(&request("gemini-3-pro-preview", turns.clone())).unwrap();
    assert!(body.contains(content), "{body}");
    let expected = json!([
        { "functionResponse": { "name": "shell", "response": { "output": "x" } } },
        { "functionResponse": { "id": "x9", "name": "shell", "response": { "error": "x" } } },
        { "text": "Hurry." }
    ]);
    assert_eq!(encoded("gemini-3-pro-preview", turns)["contents"][2]["parts"], expected, "a call without an id is answered without one");
}

/// The model's turn in the request after a reply with `native`, and the answer to its call.
fn after_a_call(model: &str, provider: ProviderName, native: &Value, name: &str, input: Value) -> (Value, Value) {
    let call = |id: &str| ToolCall { id: id.into(), name: name.into(), input: input.clone() };
    let reply = Reply {
        raw: String::new(),
        provider,
        native: serde_json::value::to_raw_value(native).unwrap(),
        text: "I look.".to_owned(),
        tool_calls: vec![call("toolu_1"), call("toolu_2")],
        stop: StopReason::ToolUse,
        usage: Usage::default(),
        model: String::new(),
    };
    let results = vec![result("toolu_1", false), result("toolu_2", false)];
    let body = encoded(model, vec![user("Hello"), Turn::Assistant(reply.into()), Turn::ToolResults { results, note: None }]);
    (body["contents"][1]["parts"].clone(), body["contents"][2]["parts"][0]["functionResponse"].clone())
}

#[test]
fn a_foreign_call_is_rebuilt_and_excused_from_its_signature() {
    let (turn, answer) = after_a_call("gemini-3-pro-preview", ProviderName::Anthropic, &json!([]), "functions shell", json!("{\"path\":"));
    let call = |id: &str| json!({ "id": id, "name": "functions_shell", "args": turn[1]["functionCall"]["args"] });
    let expected = json!([
        { "text": "I look." },
        { "functionCall": call("toolu_1"), "thoughtSignature": "skip_thought_signature_validator" },
        { "functionCall": call("toolu_2") }
    ]);
    assert_eq!(turn, expected);
    assert!(turn[1]["functionCall"]["args"].is_object(), "{turn}");
    assert_eq!(answer, json!({ "id": "toolu_1", "name": "functions_shell", "response": { "output": "x" } }));
}

#[test]
fn an_older_models_unsigned_call_is_replayed_to_its_like_and_rebuilt_for_its_successors() {
    let native = json!({ "role": "model", "parts": [{ "functionCall": { "name": "shell", "args": {} } }, { "functionCall": { "name": "shell", "args": {} } }] });
    let (turn, answer) = after_a_call("gemini-2.5-flash", ProviderName::Google, &native, "shell", json!({}));
    assert_eq!((turn, answer.get("id")), (native["parts"].clone(), None));
    let (turn, answer) = after_a_call("gemini-3-pro-preview", ProviderName::Google, &native, "shell", json!({}));
    assert_eq!((&turn[1]["thoughtSignature"], &answer["id"]), (&json!("skip_thought_signature_validator"), &json!("toolu_1")));
    let (turn, _) = after_a_call("gemini-2.5-flash", ProviderName::Anthropic, &json!([]), "shell", json!({}));
    assert_eq!(turn[1].get("thoughtSignature"), None, "nothing is excused where nothing is asked");
}

#[test]
fn every_end_has_its_meaning() {
    let stop = |raw: &str| provider().decode(raw).unwrap().stop;
    let text = r#"{"role":"model","parts":[{"text":"x"}]}"#;
    let other = |word: &str| StopReason::Other(word.to_owned());
    assert_eq!(stop(&raw(text, "STOP")), StopReason::EndTurn);
    assert_eq!(stop(&raw("null", "MAX_TOKENS")), StopReason::MaxTokens);
    for reason in ["SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"] {
        assert_eq!(stop(&raw(r#"{"role":"model"}"#, reason)), StopReason::Refusal, "{reason}");
    }
    for reason in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER"] {
        assert_eq!(stop(&raw(text, reason)), other(reason));
    }
    let call = r#"{"role":"model","parts":[{"functionCall":{"name":"shell","args":{"path":"x"}}}]}"#;
    assert_eq!([stop(&raw(call, "STOP")), stop(&raw(call, "FUNCTION_CALL"))], [StopReason::ToolUse, StopReason::ToolUse]);
    assert_eq!(stop(&raw(call, "MAX_TOKENS")), StopReason::MaxTokens, "a call that is cut off is not carried out");
    let blocked = r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":7}}"#;
    let reply = provider().decode(blocked).unwrap();
    assert_eq!((reply.stop, reply.usage), (StopReason::Refusal, Usage { uncached_input: 7, ..Usage::default() }));
    assert_eq!(stop(r#"{"candidates":[],"usageMetadata":{"promptTokenCount":7}}"#), other("no candidates"), "it was paid for");
}

#[test]
fn thoughts_are_output_and_what_googles_tools_bring_in_is_input() {
    let usage = r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":7,"thoughtsTokenCount":30,"toolUsePromptTokenCount":5,"totalTokenCount":142}"#;
    let reply = provider().decode(&format!(r#"{{"candidates":[],"usageMetadata":{usage}}}"#)).unwrap();
    assert_eq!(reply.usage, Usage { uncached_input: 45, cache_read: 60, cache_write: 0, output: 37 });
}

#[tokio::test]
async fn a_base_url_that_is_none_is_named_by_its_setting() {
    let http = Http::new(HttpOptions::default()).unwrap();
    let request = request("gemini-2.5-flash", vec![user("Hello")]);
    let (deadline, cancel) = (tokio::time::Instant::now() + std::time::Duration::from_secs(5), tokio_util::sync::CancellationToken::new());
    for (base, key, named) in [("gateway", KEY, "GOOGLE_BASE_URL"), ("http://localhost", "sk-\nhunter2", "GOOGLE_API_KEY")] {
        let provider = Google::new(http.clone(), Secret::new(key)).with_base_url(base);
        let error = provider.call("{}", &request, deadline, &cancel).await.unwrap_err();
        assert!(error.to_string().contains(named) && !format!("{error:?} {provider:?}").contains("hunter2"), "{error}");
    }
}
