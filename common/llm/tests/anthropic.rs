//! Anthropic Messages: the stub's rules, and what only this wire has.

use std::collections::HashSet;

use domain::{Secret, Usage};
use llm::{Anthropic, Backoff, Http, HttpOptions, ModelRequest, Provider, ProviderName, Reply, StopReason, ToolCall, ToolResult, Turn};
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::conformance::BACKOFF;
use crate::stub::{Answer, End, KEY, Wire};

/// The Messages API as its documentation describes it.
#[derive(Clone, Copy)]
pub struct Messages;

impl Wire for Messages {
    fn provider(&self, base_url: &str, backoff: Backoff) -> Box<dyn Provider> {
        let http = Http::new(HttpOptions { proxy: None, backoff }).unwrap();
        Box::new(Anthropic::new(http, Secret::new(KEY)).with_base_url(base_url))
    }

    fn model(&self) -> &'static str {
        "claude-haiku-4-5"
    }

    fn check_head(&self, request: &Request) -> Result<(), String> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is = |what: bool, message: &str| if what { Ok(()) } else { Err(message.to_owned()) };
        is(request.method.as_str() == "POST" && request.url.path() == "/v1/messages", "not POST /v1/messages")?;
        is(header("x-api-key") == KEY, "x-api-key is wrong")?;
        is(header("anthropic-version") == "2023-06-01", "anthropic-version is wrong")?;
        is(header("content-type") == "application/json", "content-type is wrong")
    }

    fn check_body(&self, body: &Value) -> Result<(), String> {
        check_body(body)
    }

    fn bodies(&self) -> Vec<(Value, &'static str)> {
        let body = |messages: Value| json!({ "model": "m", "max_tokens": 1, "tools": [{ "name": "shell" }], "messages": messages });
        let text = |role: &str| json!({ "role": role, "content": [{ "type": "text", "text": "x" }] });
        let call = |id: &str| json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": "shell", "input": {} }] });
        let result = |id: &str| json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "x" }] });
        let cached = json!({ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } });
        vec![
            (body(json!([text("user"), call("t1"), result("t1")])), ""),
            (body(json!([])), "missing"),
            (body(json!([text("assistant")])), "start with user"),
            (body(json!([text("user"), text("user")])), "alternate"),
            (body(json!([text("user"), text("assistant")])), "last message"),
            (body(json!([text("user"), call("t1"), text("user")])), "without tool_result"),
            (body(json!([text("user"), call("t1"), result("t2")])), "results without their call"),
            (body(json!([text("user"), call(""), result("")])), "ids must be unique"),
            (
                body(
                    json!([text("user"), { "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "shell", "input": "" }] }]),
                ),
                "dictionary",
            ),
            (body(json!([text("user"), text("assistant"), result("t1")])), "results without their call"),
            (body(json!([{ "role": "user", "content": [{ "type": "text", "text": " " }] }])), "non-empty"),
            (body(json!([{ "role": "user", "content": [cached, cached, cached, cached, cached] }])), "cache_control"),
        ]
    }

    fn conversation(&self, body: &Value) -> Vec<Value> {
        let mut messages = body["messages"].as_array().unwrap().clone();
        for block in messages.iter_mut().flat_map(|message| message["content"].as_array_mut().unwrap()) {
            block.as_object_mut().unwrap().remove("cache_control");
        }
        messages
    }

    fn reply(&self, answer: &Answer) -> Value {
        let mut content: Vec<Value> = Vec::new();
        if !answer.text.is_empty() {
            content.push(json!({ "type": "text", "text": answer.text }));
        }
        for (index, (name, input)) in answer.calls.iter().enumerate() {
            content.push(json!({ "type": "tool_use", "id": format!("toolu_{index}"), "name": name, "input": input }));
        }
        let stop_reason = match answer.end {
            End::Truncated => "max_tokens",
            End::Refused => "refusal",
            End::Usual if answer.calls.is_empty() => "end_turn",
            End::Usual => "tool_use",
        };
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
            "content": content, "stop_reason": stop_reason, "stop_sequence": null,
            "usage": {
                "input_tokens": 100 - answer.cached, "output_tokens": 20,
                "cache_creation_input_tokens": 0, "cache_read_input_tokens": answer.cached, "service_tier": "standard"
            }
        })
    }

    fn error(&self, status: u16, message: &str) -> ResponseTemplate {
        ResponseTemplate::new(status).set_body_json(json!({ "type": "error", "error": { "type": "api_error", "message": message } }))
    }
}

/// The rules whose breach the API answers with 400.
fn check_body(body: &Value) -> Result<(), String> {
    if body["model"].as_str().is_none_or(str::is_empty) || body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err("model or max_tokens is missing".to_owned());
    }
    let breakpoints = body.to_string().matches("\"cache_control\"").count();
    if breakpoints > 4 {
        return Err(format!("{breakpoints} blocks with cache_control, of at most 4"));
    }
    let tools: HashSet<&str> = body["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect();
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty()).ok_or("messages are missing")?;
    let mut pending: Vec<String> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = |problem: &str| Err(format!("messages.{index}: {problem}"));
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != role {
            return at("roles must alternate and start with user");
        }
        let blocks = message["content"].as_array().cloned().unwrap_or_default();
        if blocks.is_empty() {
            return at("content is empty");
        }
        if blocks.iter().any(|block| block["type"] == "text" && block["text"].as_str().is_none_or(|text| text.trim().is_empty())) {
            return at("text content blocks must be non-empty");
        }
        let ids = |kind: &str, key: &str| -> Vec<String> {
            let of_kind = blocks.iter().filter(|block| block["type"] == kind);
            of_kind.map(|block| block[key].as_str().unwrap_or_default().to_owned()).collect()
        };
        let results = ids("tool_result", "tool_use_id");
        if results != pending {
            return at("tool_use ids were found without tool_result blocks immediately after, or results without their call");
        }
        if blocks[results.len()..].iter().any(|block| block["type"] == "tool_result") {
            return at("tool results must come first");
        }
        pending = ids("tool_use", "id");
        let is_id = |id: &String| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        if !pending.iter().all(is_id) || pending.iter().collect::<HashSet<_>>().len() < pending.len() {
            return at("tool_use ids must be unique and match ^[a-zA-Z0-9_-]+$");
        }
        if blocks.iter().any(|block| block["type"] == "tool_use" && !block["input"].is_object()) {
            return at("tool_use.input: Input should be a valid dictionary");
        }
        if blocks.iter().any(|block| block["type"] == "tool_use" && !tools.contains(block["name"].as_str().unwrap_or_default())) {
            return at("tool_use of a tool that is not offered");
        }
        if blocks.last().is_some_and(|block| block["type"] == "thinking") {
            return at("the final block cannot be thinking");
        }
    }
    if messages.len() % 2 == 0 { Err("the last message must be the user's".to_owned()) } else { Ok(()) }
}

fn provider() -> Box<dyn Provider> {
    Messages.provider("http://unused", BACKOFF)
}

fn request(turns: Vec<Turn>) -> ModelRequest {
    ModelRequest { model: "claude-haiku-4-5".into(), step_no: 1, system: "Be brief.".into(), turns, tools: [].into(), max_output: 100 }
}

fn user(text: &str) -> Turn {
    Turn::User { text: text.to_owned() }
}

fn encoded(turns: Vec<Turn>) -> Value {
    serde_json::from_str(&provider().encode(&request(turns)).unwrap()).unwrap()
}

#[test]
fn the_request_has_the_documented_form() {
    let mut request = request(vec![user("Hello")]);
    request.tools = [llm::ToolSpec { name: "shell".into(), description: "runs".into(), input_schema: json!({ "type": "object" }) }].into();
    let body: Value = serde_json::from_str(&provider().encode(&request).unwrap()).unwrap();
    let ephemeral = json!({ "type": "ephemeral" });
    let expected = json!({
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "system": [{ "type": "text", "text": "Be brief.", "cache_control": ephemeral }],
        "tools": [{ "name": "shell", "description": "runs", "input_schema": { "type": "object" }, "cache_control": ephemeral }],
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "Hello", "cache_control": ephemeral }] }]
    });
    assert_eq!(body, expected);
}

#[test]
fn thoughts_are_replayed_byte_for_byte() {
    let content =
        r#"[{"type":"thinking","thinking":"hm","signature":"EqQB+/=="},{"zeta":1.50,"type":"later_kind"},{"type":"text","text":"Hi"}]"#;
    let raw = format!(
        r#"{{"content":{content},"model":"claude-haiku-4-5","stop_reason":"pause_turn","usage":{{"input_tokens":3,"output_tokens":2}}}}"#
    );
    let reply = provider().decode(&raw).unwrap();
    assert_eq!((reply.text.as_str(), &reply.stop), ("Hi", &StopReason::Other("pause_turn".to_owned())));
    assert_eq!(reply.usage, Usage { uncached_input: 3, output: 2, ..Usage::default() });
    let body = provider().encode(&request(vec![user("Hello"), Turn::Assistant(reply.into()), user("Go on")])).unwrap();
    assert!(body.contains(&format!(r#"{{"role":"assistant","content":{content}}}"#)), "{body}");
}

#[test]
fn every_kind_of_input_is_counted_and_a_full_window_is_a_cut_reply() {
    let raw = r#"{"content":[],"model":"claude-haiku-4-5","stop_reason":"model_context_window_exceeded","usage":{"input_tokens":3,"output_tokens":2,"cache_creation_input_tokens":5,"cache_read_input_tokens":7}}"#;
    let reply = provider().decode(raw).unwrap();
    assert_eq!(reply.usage, Usage { uncached_input: 3, cache_read: 7, cache_write: 5, output: 2 });
    assert_eq!(reply.stop, StopReason::MaxTokens);
}

#[test]
fn a_turn_of_another_provider_is_rebuilt_as_the_api_accepts_it() {
    let reply = Reply {
        raw: String::new(),
        provider: ProviderName::Google,
        native: serde_json::value::to_raw_value(&json!({ "parts": [] })).unwrap(),
        text: "I look.".to_owned(),
        tool_calls: vec![
            ToolCall { id: "call:1/a".into(), name: "shell".into(), input: json!({ "command": "ls" }) },
            ToolCall { id: "call:1/b".into(), name: "functions.shell".into(), input: json!("{\"command\":") },
        ],
        stop: StopReason::ToolUse,
        usage: Usage::default(),
        model: "gemini-2.5-flash".into(),
    };
    let results = ["call:1/a", "call:1/b"].map(|id| ToolResult { call_id: id.into(), content: String::new(), is_error: true }).to_vec();
    let body = encoded(vec![user("Hello"), Turn::Assistant(reply.into()), Turn::ToolResults { results, note: Some("Hurry.".into()) }]);
    let expected = json!([
        { "type": "text", "text": "I look." },
        { "type": "tool_use", "id": "call_1_a", "name": "shell", "input": { "command": "ls" } },
        { "type": "tool_use", "id": "call_1_b", "name": "functions_shell", "input": { "arguments": "{\"command\":" } }
    ]);
    assert_eq!(body["messages"][1]["content"], expected);
    let expected = json!([
        { "type": "tool_result", "tool_use_id": "call_1_a", "content": "", "is_error": true },
        { "type": "tool_result", "tool_use_id": "call_1_b", "content": "", "is_error": true },
        { "type": "text", "text": "Hurry.", "cache_control": { "type": "ephemeral" } }
    ]);
    assert_eq!(body["messages"][2]["content"], expected);
}

#[test]
fn the_last_two_user_messages_end_a_cached_prefix() {
    let reply = || provider().decode(&Messages.reply(&Answer::text("ok")).to_string()).unwrap();
    let turns = vec![user("a"), Turn::Assistant(reply().into()), user("b"), Turn::Assistant(reply().into()), user("c")];
    let body = encoded(turns);
    let marked: Vec<bool> = [0, 2, 4].iter().map(|index| body["messages"][index]["content"][0].get("cache_control").is_some()).collect();
    assert_eq!(marked, [false, true, true]);
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_is_refused_without_showing_it() {
    let http = Http::new(HttpOptions::default()).unwrap();
    let provider = Anthropic::new(http, Secret::new("sk-\nhunter2"));
    let request = request(vec![user("Hello")]);
    let (deadline, cancel) = (tokio::time::Instant::now() + std::time::Duration::from_secs(5), tokio_util::sync::CancellationToken::new());
    let error = provider.call("{}", &request, deadline, &cancel).await.unwrap_err();
    assert!(error.to_string().contains("ANTHROPIC_API_KEY"), "{error}");
    assert!(!format!("{error:?} {provider:?}").contains("hunter2"), "{error:?}");
}
