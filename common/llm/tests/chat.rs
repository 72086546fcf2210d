//! Chat Completions of servers of one's own: the stub's rules, and how such servers differ.

use std::collections::HashSet;

use domain::{Secret, Usage};
use llm::{Backoff, Chat, Http, HttpOptions, LlmError, ModelRequest, Provider, Reply, StopReason, ToolResult, Turn};
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::conformance::BACKOFF;
use crate::stub::{Answer, End, KEY, Planned, Stub, Wire};

/// Chat Completions as the reference describes them.
#[derive(Clone, Copy)]
pub struct Completions;

impl Wire for Completions {
    fn provider(&self, base_url: &str, backoff: Backoff) -> Box<dyn Provider> {
        Box::new(chat(base_url, Some(Secret::new(KEY)), backoff))
    }

    fn model(&self) -> &'static str {
        "qwen3-coder:30b"
    }

    fn check_head(&self, request: &Request) -> Result<(), String> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is = |what: bool, message: &str| if what { Ok(()) } else { Err(message.to_owned()) };
        is(request.method.as_str() == "POST" && request.url.path() == "/chat/completions", "not POST /chat/completions")?;
        is(header("authorization") == format!("Bearer {KEY}"), "authorization is wrong")?;
        is(header("content-type") == "application/json", "content-type is wrong")
    }

    fn check_body(&self, body: &Value) -> Result<(), String> {
        check_body(body)
    }

    fn bodies(&self) -> Vec<(Value, &'static str)> {
        let body = |messages: Value| json!({ "model": "m", "max_tokens": 1, "messages": messages });
        let system = json!({ "role": "system", "content": "x" });
        let text = |role: &str| json!({ "role": role, "content": "x" });
        let call = |id: &str| {
            let call = json!({ "id": id, "type": "function", "function": { "name": "shell", "arguments": "{}" } });
            json!({ "role": "assistant", "content": null, "tool_calls": [call] })
        };
        let result = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": "x" });
        vec![
            (body(json!([system, text("user"), call("c1"), result("c1"), text("user")])), ""),
            (body(json!([])), "messages are missing"),
            (body(json!([text("user")])), "system"),
            (body(json!([system, text("assistant")])), "must follow the user"),
            (body(json!([system, text("user"), text("assistant"), text("assistant"), text("user")])), "must follow the user"),
            (body(json!([system, text("user"), text("user")])), "second user"),
            (body(json!([system, text("user"), call("c1"), text("user")])), "did not have response messages: c1"),
            (body(json!([system, text("user"), call("c1")])), "did not have response messages: c1"),
            (body(json!([system, text("user"), result("c1")])), "must be a response to a preceding message"),
            (body(json!([system, text("user"), call("c1"), result("c2")])), "must be a response to a preceding message"),
            (body(json!([system, text("user"), call(""), result("")])), "missing id"),
            (body(json!([system, text("user"), { "role": "assistant", "content": null }, text("user")])), "content is empty"),
            (body(json!([system, text("user"), text("assistant")])), "nothing to answer"),
        ]
    }

    fn conversation(&self, body: &Value) -> Vec<Value> {
        body["messages"].as_array().unwrap().clone()
    }

    fn reply(&self, answer: &Answer) -> Value {
        let calls: Vec<Value> = answer
            .calls
            .iter()
            .enumerate()
            .map(|(index, (name, input))| {
                json!({ "id": format!("call_{index}"), "type": "function", "function": { "name": name, "arguments": input.to_string() } })
            })
            .collect();
        let mut message = json!({ "role": "assistant", "content": null, "reasoning_content": "Hm." });
        let (said, finish_reason) = match answer.end {
            End::Refused => ("refusal", "stop"),
            End::Truncated => ("content", "length"),
            End::Usual if calls.is_empty() => ("content", "stop"),
            End::Usual => ("content", "tool_calls"),
        };
        if !answer.text.is_empty() {
            message[said] = json!(answer.text);
        }
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_760_000_000, "model": "qwen3-coder:30b",
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason }],
            "usage": { "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": { "cached_tokens": answer.cached } }
        })
    }

    fn error(&self, status: u16, message: &str) -> ResponseTemplate {
        ResponseTemplate::new(status)
            .set_body_json(json!({ "error": { "message": message, "type": "api_error", "param": null, "code": null } }))
    }
}

fn chat(base_url: &str, key: Option<Secret>, backoff: Backoff) -> Chat {
    Chat::new(Http::new(HttpOptions { proxy: None, backoff }).unwrap(), "ollama".parse().unwrap(), base_url, key)
}

/// The rules of the reference, and those of templates that want users and assistants to take turns.
fn check_body(body: &Value) -> Result<(), String> {
    if body["model"].as_str().is_none_or(str::is_empty) || body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err("model or max_tokens is missing".to_owned());
    }
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty()).ok_or("messages are missing")?;
    if messages[0]["role"] != "system" {
        return Err("the system message comes first".to_owned());
    }
    let (mut open, mut before): (HashSet<&str>, &str) = (HashSet::new(), "system");
    for (index, message) in messages.iter().enumerate().skip(1) {
        let at = |problem: &str| Err(format!("messages.[{index}]: {problem}"));
        let role = message["role"].as_str().unwrap_or_default();
        if role != "tool"
            && let Some(id) = open.iter().next()
        {
            return at(&format!("The following tool_call_ids did not have response messages: {id}"));
        }
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let content = message["content"].as_str().unwrap_or_default();
        let refusal = message["refusal"].as_str().unwrap_or_default();
        match role {
            "user" if before == "user" => return at("a second user message in a row"),
            "assistant" if before != "user" && before != "tool" => return at("the assistant must follow the user or tools"),
            "assistant" if content.trim().is_empty() && refusal.is_empty() && calls.is_empty() => return at("content is empty"),
            "user" if content.trim().is_empty() => return at("content is empty"),
            "user" | "assistant" => {}
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                if !open.remove(id) {
                    return at("messages with role 'tool' must be a response to a preceding message with 'tool_calls'");
                }
            }
            other => return at(&format!("no role {other:?}")),
        }
        for call in messages[index]["tool_calls"].as_array().into_iter().flatten() {
            let (id, function) = (call["id"].as_str().unwrap_or_default(), &call["function"]);
            if id.is_empty() || !open.insert(id) {
                return at("a tool call with a missing id, or two with one");
            }
            let is_json =
                function["arguments"].as_str().is_some_and(|text| serde_json::from_str::<Value>(text).is_ok_and(|json| json.is_object()));
            if call["type"] != "function" || !is_json {
                return at("a tool call whose arguments are no JSON object as text");
            }
        }
        before = role;
    }
    if let Some(id) = open.iter().next() {
        return Err(format!("The following tool_call_ids did not have response messages: {id}"));
    }
    if before == "user" || before == "tool" { Ok(()) } else { Err("there is nothing to answer".to_owned()) }
}

fn provider() -> Box<dyn Provider> {
    Completions.provider("http://unused", BACKOFF)
}

fn request(turns: Vec<Turn>) -> ModelRequest {
    ModelRequest { model: "qwen3-coder:30b".into(), step_no: 1, system: "Be brief.".into(), turns, tools: [].into(), max_output: 100 }
}

fn user(text: &str) -> Turn {
    Turn::User { text: text.to_owned() }
}

fn reply(message: Value, finish_reason: Value) -> Result<Reply, LlmError> {
    let usage = json!({ "prompt_tokens": 3, "completion_tokens": 2 });
    provider().decode(&json!({ "choices": [{ "message": message, "finish_reason": finish_reason }], "usage": usage }).to_string())
}

fn call(id: Value, arguments: Value) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": "shell", "arguments": arguments } })
}

#[test]
fn the_request_has_the_documented_form() {
    let mut request = request(vec![user("Hello")]);
    request.tools = [llm::ToolSpec { name: "shell".into(), description: "runs".into(), input_schema: json!({ "type": "object" }) }].into();
    let body: Value = serde_json::from_str(&provider().encode(&request).unwrap()).unwrap();
    let function = json!({ "name": "shell", "description": "runs", "parameters": { "type": "object" } });
    let expected = json!({
        "model": "qwen3-coder:30b",
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hello" }],
        "tools": [{ "type": "function", "function": function }],
        "max_tokens": 100,
        "stream": false
    });
    assert_eq!(body, expected);
}

#[test]
fn a_message_is_replayed_byte_for_byte_with_its_reasoning() {
    let message = r#"{"role":"assistant","content":"Hi","reasoning_content":"Hm.","zeta":1.50}"#;
    let raw =
        format!(r#"{{"choices":[{{"message":{message},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2}}}}"#);
    let reply = provider().decode(&raw).unwrap();
    assert_eq!((reply.text.as_str(), &reply.stop), ("Hi", &StopReason::EndTurn));
    let body = provider().encode(&request(vec![user("Hello"), Turn::Assistant(reply.into()), user("Go on")])).unwrap();
    assert!(body.contains(message), "{body}");
}

#[test]
fn another_server_gets_the_message_rebuilt() {
    let reply = reply(json!({ "content": "Hi", "reasoning_content": "Hm." }), json!("stop")).unwrap();
    let http = Http::new(HttpOptions::default()).unwrap();
    let other = Chat::new(http, "vllm".parse().unwrap(), "http://unused/v1", None);
    let body = other.encode(&request(vec![user("Hello"), Turn::Assistant(reply.into()), user("Go on")])).unwrap();
    assert!(body.contains(r#"{"role":"assistant","content":"Hi"}"#) && !body.contains("Hm."), "{body}");
}

#[test]
fn calls_without_ids_of_their_own_get_some_that_stay() {
    for ids in [[json!(""), json!("")], [json!(null), json!("call_1")], [json!("call_0"), json!("call_0")]] {
        let message =
            json!({ "role": "assistant", "content": "", "tool_calls": ids.map(|id| call(id, json!("{}"))), "reasoning_content": "Hm." });
        let first = reply(message.clone(), json!("tool_calls")).unwrap();
        let again = reply(message, json!("tool_calls")).unwrap();
        assert_eq!(first.tool_calls, again.tool_calls);
        let ids: Vec<String> = first.tool_calls.iter().map(|call| call.id.clone()).collect();
        assert!(!ids[0].is_empty() && ids[0] != ids[1], "{ids:?}");
        let results = ids.into_iter().map(|call_id| ToolResult { call_id, content: "ok".to_owned(), is_error: false }).collect();
        let turns = vec![user("Hello"), Turn::Assistant(first.into()), Turn::ToolResults { results, note: None }];
        let body: Value = serde_json::from_str(&provider().encode(&request(turns)).unwrap()).unwrap();
        assert_eq!(check_body(&body), Ok(()), "{body}");
        assert_eq!(body["messages"][2]["reasoning_content"], "Hm.");
    }
}

#[test]
fn servers_say_the_same_in_different_ways() {
    let calls =
        json!([call(json!("call_1"), json!("{\"a\":1}")), call(json!("call_2"), json!({ "a": 1 })), call(json!("call_3"), json!(null))]);
    let read = reply(json!({ "content": [{ "type": "text", "text": "Hi" }], "tool_calls": calls }), json!("stop")).unwrap();
    assert_eq!((read.text.as_str(), &read.stop), ("Hi", &StopReason::ToolUse));
    let inputs: Vec<Value> = read.tool_calls.into_iter().map(|call| call.input).collect();
    assert_eq!(inputs, [json!({ "a": 1 }), json!({ "a": 1 }), json!({})]);
    let stop = |reason: Value| reply(json!({ "content": "Hi" }), reason).unwrap().stop;
    assert_eq!(stop(json!("content_filter")), StopReason::Refusal);
    assert_eq!(stop(json!(null)), StopReason::Other("none".to_owned()));
}

#[test]
fn a_reply_that_does_not_say_what_it_used_is_refused_with_what_to_do() {
    let raw = json!({ "choices": [{ "message": { "content": "Hi" }, "finish_reason": "stop" }] }).to_string();
    let error = provider().decode(&raw).unwrap_err();
    assert!(matches!(error, LlmError::Malformed { .. }));
    assert!(error.to_string().contains("it has no usage") && error.to_string().contains("let the server report it"), "{error}");
    let counted = reply(json!({ "content": "Hi" }), json!("stop")).unwrap().usage;
    assert_eq!(counted, Usage { uncached_input: 3, output: 2, ..Usage::default() });
}

#[test]
fn an_error_that_comes_as_a_success_is_told() {
    for (raw, words) in [
        (r#"{"error":{"message":"upstream is busy","code":502}}"#, "it is an error: upstream is busy"),
        (r#"{"choices":[],"error":"busy"}"#, "it is an error: \"busy\""),
        (r#"{"choices":[]}"#, "it has no choices"),
    ] {
        let error = provider().decode(raw).unwrap_err();
        assert!(matches!(error, LlmError::Malformed { .. }) && error.to_string().ends_with(words), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_a_key_is_sent_none() {
    let stub = Stub::start(Completions, [Planned::Answer(Answer::text("Hi"))]).await;
    let provider = chat(&stub.url(), None, BACKOFF);
    let request = request(vec![user("Hello")]);
    let body = provider.encode(&request).unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let error = provider.call(&body, &request, deadline, &tokio_util::sync::CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("authorization is wrong"), "the stub wants one: {error}");
    assert_eq!(stub.header("authorization").await, None);
}
