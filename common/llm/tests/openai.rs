//! OpenAI Responses: the stub's rules, and what only this wire has.

use std::collections::HashSet;

use domain::{Secret, Usage};
use llm::{Backoff, Http, HttpOptions, LlmError, ModelRequest, OpenAi, Provider, Reply, StopReason, ToolCall, ToolResult, ToolSpec, Turn};
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::conformance::BACKOFF;
use crate::stub::{Answer, End, KEY, Planned, Stub, Wire};

/// The Responses API as its reference describes it.
#[derive(Clone, Copy)]
pub struct Responses;

impl Wire for Responses {
    fn provider(&self, base_url: &str, backoff: Backoff) -> Box<dyn Provider> {
        let http = Http::new(HttpOptions { proxy: None, backoff }).unwrap();
        Box::new(OpenAi::new(http, Secret::new(KEY)).with_base_url(base_url))
    }

    fn model(&self) -> &'static str {
        "gpt-5-mini"
    }

    fn check_head(&self, request: &Request) -> Result<(), String> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is = |what: bool, message: &str| if what { Ok(()) } else { Err(message.to_owned()) };
        is(request.method.as_str() == "POST" && request.url.path() == "/responses", "not POST /responses")?;
        is(header("authorization") == format!("Bearer {KEY}"), "authorization is wrong")?;
        is(header("content-type") == "application/json", "content-type is wrong")
    }

    fn check_body(&self, body: &Value) -> Result<(), String> {
        check_form(body)?;
        check_items(body)
    }

    fn bodies(&self) -> Vec<(Value, &'static str)> {
        let body = |input: Value| {
            json!({
                "model": "gpt-5-mini", "store": false, "include": ["reasoning.encrypted_content"], "max_output_tokens": 16,
                "tools": [{ "type": "function", "name": "shell", "parameters": {}, "strict": false }], "input": input
            })
        };
        let text = |role: &str| json!({ "type": "message", "role": role, "content": "x" });
        let call = |id: &str| json!({ "type": "function_call", "call_id": id, "name": "shell", "arguments": "{}" });
        let output = |id: &str| json!({ "type": "function_call_output", "call_id": id, "output": "x" });
        let thought = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA" });
        let mut unlimited = body(json!([text("user")]));
        unlimited["max_output_tokens"] = json!(1);
        let mut kept = body(json!([text("user")]));
        kept["store"] = json!(true);
        vec![
            (body(json!([text("user"), thought, call("c1"), output("c1")])), ""),
            (body(json!([])), "input is empty"),
            (body(json!([text("assistant")])), "start with the user"),
            (body(json!([text("user"), text("assistant")])), "nothing to answer"),
            (body(json!([text("user"), call("c1"), text("user")])), "No tool output found for function call c1"),
            (body(json!([text("user"), call("c1")])), "No tool output found for function call c1"),
            (body(json!([text("user"), output("c1")])), "No tool call found for function call output with call_id c1"),
            (body(json!([text("user"), call("c1"), output("c2")])), "No tool call found"),
            (body(json!([text("user"), call(""), output("")])), "call_id"),
            (body(json!([text("user"), call(&"x".repeat(65)), output(&"x".repeat(65))])), "call_id"),
            (body(json!([text("user"), thought, text("user")])), "without its required following item"),
            (body(json!([text("user"), { "type": "message", "role": "assistant", "content": "" }, text("user")])), "empty"),
            (body(json!([text("user"), { "type": "function_call", "call_id": "c", "name": "shell", "arguments": {} }])), "arguments"),
            (unlimited, "max_output_tokens"),
            (kept, "store"),
        ]
    }

    fn conversation(&self, body: &Value) -> Vec<Value> {
        body["input"].as_array().unwrap().clone()
    }

    fn reply(&self, answer: &Answer) -> Value {
        let mut output = vec![json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABo" })];
        if !answer.text.is_empty() {
            let part = match answer.end {
                End::Refused => json!({ "type": "refusal", "refusal": answer.text }),
                _ => json!({ "type": "output_text", "text": answer.text, "annotations": [], "logprobs": [] }),
            };
            output.push(json!({ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part] }));
        }
        for (index, (name, input)) in answer.calls.iter().enumerate() {
            let (id, call_id) = (format!("fc_{index}"), format!("call_{index}"));
            output.push(json!({ "type": "function_call", "id": id, "call_id": call_id, "name": name, "arguments": input.to_string(), "status": "completed" }));
        }
        let (status, incomplete) = match answer.end {
            End::Truncated => ("incomplete", json!({ "reason": "max_output_tokens" })),
            _ => ("completed", Value::Null),
        };
        json!({
            "id": "resp_1", "object": "response", "created_at": 1_760_000_000, "status": status, "error": null, "incomplete_details": incomplete,
            "model": "gpt-5-mini-2025-08-07", "output": output, "store": false,
            "usage": {
                "input_tokens": 100, "input_tokens_details": { "cached_tokens": answer.cached },
                "output_tokens": 20, "output_tokens_details": { "reasoning_tokens": 5 }, "total_tokens": 120
            }
        })
    }

    fn error(&self, status: u16, message: &str) -> ResponseTemplate {
        let error = json!({ "error": { "message": message, "type": "server_error", "param": null, "code": null } });
        ResponseTemplate::new(status).set_body_json(error)
    }
}

/// What the API says about everything but the conversation.
fn check_form(body: &Value) -> Result<(), String> {
    if body["model"].as_str().is_none_or(str::is_empty) {
        return Err("model is missing".to_owned());
    }
    if body["max_output_tokens"].as_u64().is_none_or(|tokens| tokens < 16) {
        return Err("max_output_tokens must be at least 16".to_owned());
    }
    if body["store"] != json!(false) || body["include"] != json!(["reasoning.encrypted_content"]) {
        return Err("thoughts would be lost: store must be false and they must be included".to_owned());
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        if tool["type"] != "function" || tool["name"].as_str().is_none_or(str::is_empty) || !tool["parameters"].is_object() {
            return Err("a tool is no function".to_owned());
        }
        if tool["strict"] == json!(true) {
            check_strict(&tool["parameters"])?;
        } else if tool["strict"] != json!(false) {
            return Err("strict is missing, and true unless it is said".to_owned());
        }
    }
    Ok(())
}

/// The rules of strict schemas.
fn check_strict(schema: &Value) -> Result<(), String> {
    if let Some(properties) = schema["properties"].as_object() {
        let required: HashSet<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if schema["additionalProperties"] != json!(false) || required != properties.keys().map(String::as_str).collect() {
            return Err("Invalid schema: 'required' must name every property and 'additionalProperties' must be false".to_owned());
        }
        return properties.values().try_for_each(check_strict);
    }
    match &schema["items"] {
        Value::Null => Ok(()),
        items => check_strict(items),
    }
}

fn check_items(body: &Value) -> Result<(), String> {
    let items = body["input"].as_array().filter(|items| !items.is_empty()).ok_or("input is empty")?;
    if items[0]["role"] != "user" {
        return Err("input must start with the user".to_owned());
    }
    let mut open: HashSet<&str> = HashSet::new();
    let mut known: HashSet<&str> = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let at = |problem: &str| Err(format!("input[{index}]: {problem}"));
        let is_thought = |item: &Value| item["type"] == "reasoning";
        if index > 0
            && is_thought(&items[index - 1])
            && !is_thought(item)
            && !(item["type"] == "function_call" || item["role"] == "assistant")
        {
            return at("Item of type 'reasoning' was provided without its required following item");
        }
        let call_id = item["call_id"].as_str().unwrap_or_default();
        match item["type"].as_str().unwrap_or_default() {
            "message" => {
                if item["role"] == "user" && !open.is_empty() {
                    break;
                }
                let empty = match &item["content"] {
                    Value::String(text) => text.trim().is_empty(),
                    parts => parts.as_array().is_none_or(Vec::is_empty),
                };
                if empty {
                    return at("content is empty");
                }
            }
            "reasoning" if item["encrypted_content"].as_str().is_none_or(str::is_empty) => return at("the item is not persisted"),
            "reasoning" if item.get("status").is_some_and(Value::is_null) => return at("Unknown parameter: 'status'"),
            "reasoning" => {}
            "function_call" => {
                if call_id.is_empty() || call_id.len() > 64 {
                    return at("call_id must have 1 to 64 characters");
                }
                if !item["arguments"].is_string() || item["name"].as_str().is_none_or(str::is_empty) {
                    return at("name or arguments are not text");
                }
                open.insert(call_id);
                known.insert(call_id);
            }
            "function_call_output" if !open.remove(call_id) => {
                return at(&format!("No tool call found for function call output with call_id {call_id}"));
            }
            "function_call_output" if !item["output"].is_string() => return at("output is not text"),
            "function_call_output" => {}
            other => return at(&format!("unknown type {other:?}")),
        }
    }
    if let Some(call_id) = open.iter().next() {
        return Err(format!("No tool output found for function call {call_id}"));
    }
    let last = &items[items.len() - 1];
    if last["role"] == "user" || last["type"] == "function_call_output" { Ok(()) } else { Err("there is nothing to answer".to_owned()) }
}

fn provider() -> Box<dyn Provider> {
    Responses.provider("http://unused", BACKOFF)
}

fn request(turns: Vec<Turn>) -> ModelRequest {
    ModelRequest { model: "gpt-5-mini".into(), step_no: 1, system: "Be brief.".into(), turns, tools: [].into(), max_output: 100 }
}

fn user(text: &str) -> Turn {
    Turn::User { text: text.to_owned() }
}

fn encoded(turns: Vec<Turn>) -> Value {
    serde_json::from_str(&provider().encode(&request(turns)).unwrap()).unwrap()
}

fn decoded(output: &str, rest: &str) -> Reply {
    let usage = r#"{"input_tokens":3,"output_tokens":2}"#;
    provider().decode(&format!(r#"{{"output":{output},"model":"gpt-5-mini","usage":{usage},{rest}}}"#)).unwrap()
}

#[test]
fn the_request_has_the_documented_form() {
    let mut request = request(vec![user("Hello")]);
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "additionalProperties": false });
    let tool = |name: &str, input_schema: Value| ToolSpec { name: name.into(), description: "runs".into(), input_schema };
    request.tools = [tool("shell", schema), tool("open", json!({ "type": "object" }))].into();
    let mut body: Value = serde_json::from_str(&provider().encode(&request).unwrap()).unwrap();
    let key = body["prompt_cache_key"].take();
    assert!(key.as_str().unwrap().starts_with("codeteam-"), "{key}");
    let strict = json!({ "type": "object", "properties": { "a": { "type": ["string", "null"] } }, "required": ["a"], "additionalProperties": false });
    let expected = json!({
        "model": "gpt-5-mini",
        "instructions": "Be brief.",
        "input": [{ "type": "message", "role": "user", "content": "Hello" }],
        "tools": [
            { "type": "function", "name": "shell", "description": "runs", "parameters": strict, "strict": true },
            { "type": "function", "name": "open", "description": "runs", "parameters": { "type": "object" }, "strict": false }
        ],
        "max_output_tokens": 100,
        "store": false,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": null
    });
    assert_eq!(body, expected);
    // The calls of a job share its beginning; another job has another.
    request.turns.extend([Turn::Assistant(decoded("[]", r#""status":"completed""#).into()), user("Go on")]);
    let later: Value = serde_json::from_str(&provider().encode(&request).unwrap()).unwrap();
    assert_eq!(later["prompt_cache_key"], key);
    assert_ne!(encoded(vec![user("Another task")])["prompt_cache_key"], key);
    // Models without thoughts refuse to be asked for them.
    for (model, include) in
        [("gpt-5.1", json!(["reasoning.encrypted_content"])), ("gpt-4.1", json!([])), ("gpt-5.1-chat-latest", json!([]))]
    {
        request.model = model.to_owned();
        let body: Value = serde_json::from_str(&provider().encode(&request).unwrap()).unwrap();
        assert_eq!(body.get("include").unwrap_or(&json!([])), &include, "{model}");
    }
}

#[test]
fn the_items_of_a_reply_are_replayed_byte_for_byte() {
    let thought = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA+/=="}"#;
    let rest = r#"{"zeta":1.50,"type":"later_kind"},{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]}"#;
    let reply = decoded(&format!("[{thought},{rest}]"), r#""status":"completed""#);
    assert_eq!((reply.text.as_str(), &reply.stop), ("Hi", &StopReason::EndTurn));
    assert_eq!(reply.usage, Usage { uncached_input: 3, output: 2, ..Usage::default() });
    let body = provider().encode(&request(vec![user("Hello"), Turn::Assistant(reply.into()), user("Go on")])).unwrap();
    assert!(body.contains(&format!("{thought},{rest}")), "{body}");
}

#[test]
fn a_thought_is_replayed_without_a_status_that_is_null_and_with_any_other() {
    let call = json!({ "type": "function_call", "call_id": "c", "name": "shell", "arguments": "{}" });
    let thought = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA", "status": null });
    let done = json!({ "type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gB", "status": "completed" });
    let reply = decoded(&json!([thought, done, call]).to_string(), r#""status":"completed""#);
    let results = vec![ToolResult { call_id: "c".to_owned(), content: "done".to_owned(), is_error: false }];
    let body = encoded(vec![user("Hello"), Turn::Assistant(reply.into()), Turn::ToolResults { results, note: None }]);
    assert_eq!(Responses.check_body(&body), Ok(()));
    assert_eq!(body["input"][1], json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA" }));
    assert_eq!(body["input"][2], done);
}

#[test]
fn a_thought_that_was_cut_off_before_it_led_to_anything_is_not_replayed() {
    let message = r#"{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]}"#;
    let output = format!(r#"[{message},{{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gB"}}]"#);
    let reply = decoded(&output, r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#);
    assert_eq!(reply.stop, StopReason::MaxTokens);
    let body = encoded(vec![user("Hello"), Turn::Assistant(reply.into()), user("Go on")]);
    assert_eq!(Responses.check_body(&body), Ok(()));
    assert_eq!(body["input"][1], serde_json::from_str::<Value>(message).unwrap());
}

#[test]
fn arguments_are_read_as_what_they_are() {
    let call = |arguments: &str| json!({ "type": "function_call", "call_id": "c", "name": "shell", "arguments": arguments });
    let output = json!([call(""), call(r#"{"a":1,"b":null}"#), call(r#"{"a": "#)]).to_string();
    let reply = decoded(&output, r#""status":"completed""#);
    let inputs: Vec<Value> = reply.tool_calls.into_iter().map(|call| call.input).collect();
    assert_eq!(inputs, [json!({}), json!({ "a": 1 }), json!(r#"{"a": "#)]);
}

#[test]
fn the_reason_of_a_reply_that_is_not_complete_is_kept() {
    let stop = |rest: &str| decoded("[]", rest).stop;
    assert_eq!(stop(r#""status":"incomplete","incomplete_details":{"reason":"content_filter"}"#), StopReason::Refusal);
    assert_eq!(stop(r#""status":"incomplete","incomplete_details":{"reason":"moon"}"#), StopReason::Other("moon".to_owned()));
    assert_eq!(stop(r#""status":"cancelled""#), StopReason::Other("cancelled".to_owned()));
}

#[test]
fn a_response_that_failed_without_naming_its_cost_says_why() {
    let raw = r#"{"status":"failed","error":{"code":"server_error","message":"It broke."},"model":"m","output":[],"usage":null}"#;
    let error = provider().decode(raw).unwrap_err();
    assert_eq!(error.to_string(), "the reply of openai cannot be used: it is failed and names no cost: It broke.");
}

#[test]
fn a_turn_of_another_provider_is_rebuilt_from_text_and_calls() {
    let long = "x".repeat(80);
    let calls = ["c1", &long].map(|id| ToolCall { id: id.to_owned(), name: "shell".into(), input: json!({ "command": "ls" }) });
    let reply = Reply {
        raw: String::new(),
        provider: llm::ProviderName::Anthropic,
        native: serde_json::value::to_raw_value(&json!([])).unwrap(),
        text: "I look.".to_owned(),
        tool_calls: calls.to_vec(),
        stop: StopReason::ToolUse,
        usage: Usage::default(),
        model: "claude-haiku-4-5".into(),
    };
    let results = ["c1", &long].map(|id| ToolResult { call_id: id.to_owned(), content: "ok".to_owned(), is_error: false }).to_vec();
    let body = encoded(vec![user("Hello"), Turn::Assistant(reply.into()), Turn::ToolResults { results, note: Some("Hurry.".into()) }]);
    assert_eq!(Responses.check_body(&body), Ok(()));
    let kinds: Vec<_> = body["input"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "message", "function_call", "function_call", "function_call_output", "function_call_output", "message"]);
    assert_eq!(body["input"][2], json!({ "type": "function_call", "call_id": "c1", "name": "shell", "arguments": r#"{"command":"ls"}"# }));
    assert_eq!(body["input"][3]["call_id"], body["input"][5]["call_id"]);
}

#[tokio::test]
async fn an_empty_account_is_not_asked_again() {
    let stub = Stub::start(Responses, [Planned::Body(429, json!({ "error": { "message": "quota", "code": "insufficient_quota" } }))]).await;
    let provider = Responses.provider(&stub.url(), BACKOFF);
    let request = request(vec![user("Hello")]);
    let body = provider.encode(&request).unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let error = provider.call(&body, &request, deadline, &tokio_util::sync::CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, LlmError::RateLimited { .. }), "{error}");
    assert_eq!(stub.bodies().await.len(), 1);
}
