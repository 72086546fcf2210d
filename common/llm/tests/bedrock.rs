//! Amazon Bedrock Converse: the stub's rules, and what only this wire has.

use std::collections::HashSet;
use std::time::Duration;

use domain::{Secret, Usage};
use llm::{
    AwsAccess, Backoff, Bedrock, Http, HttpOptions, LlmError, ModelRequest, Provider, ProviderName, Reply, StopReason, ToolCall,
    ToolResult, ToolSpec, Turn,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::conformance::BACKOFF;
use crate::stub::{Answer, End, KEY, Wire};

const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const REGION: &str = "us-west-2";

/// The Converse API as its documentation and its model describe it.
#[derive(Clone, Copy)]
pub struct Converse;

fn http(backoff: Backoff) -> Http {
    Http::new(HttpOptions { proxy: None, backoff }).unwrap()
}

fn keys() -> AwsAccess {
    AwsAccess::Keys { id: KEY.to_owned(), secret: Secret::new("hunter2"), session: Some(Secret::new("session-token")) }
}

impl Wire for Converse {
    fn provider(&self, base_url: &str, backoff: Backoff) -> Box<dyn Provider> {
        Box::new(Bedrock::new(http(backoff), REGION, keys()).with_base_url(base_url))
    }

    fn model(&self) -> &'static str {
        HAIKU
    }

    fn check_head(&self, request: &Request) -> Result<(), String> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is = |what: bool, message: &str| if what { Ok(()) } else { Err(message.to_owned()) };
        let path = "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse";
        is(request.method.as_str() == "POST" && request.url.path() == path, &format!("{} is not {path}", request.url.path()))?;
        let signature = header("authorization");
        is(signature.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY}/")), "the signature names another key")?;
        is(signature.contains("/us-west-2/bedrock/aws4_request, SignedHeaders="), "the signature is for another region or service")?;
        is(header("x-amz-security-token") == "session-token", "the session token is missing")?;
        is(header("content-type") == "application/json", "content-type is wrong")?;
        is(header("content-length") == request.body.len().to_string(), "content-length is not that of the body")
    }

    fn check_body(&self, body: &Value) -> Result<(), String> {
        check_body(body)
    }

    fn bodies(&self) -> Vec<(Value, &'static str)> {
        let body = |messages: Value| {
            let spec = json!({ "name": "shell", "description": "d", "inputSchema": { "json": { "type": "object" } } });
            json!({ "messages": messages, "inferenceConfig": { "maxTokens": 1 }, "toolConfig": { "tools": [{ "toolSpec": spec }] } })
        };
        let text = |role: &str| json!({ "role": role, "content": [{ "text": "x" }] });
        let call = |id: &str| json!({ "role": "assistant", "content": [{ "toolUse": { "toolUseId": id, "name": "shell", "input": {} } }] });
        let result = |id: &str| json!({ "role": "user", "content": [{ "toolResult": { "toolUseId": id, "content": [{ "text": "x" }] } }] });
        let cached = json!({ "cachePoint": { "type": "default" } });
        let mut without_tools = body(json!([text("user"), call("t1"), result("t1")]));
        without_tools.as_object_mut().unwrap().remove("toolConfig");
        let mut unknown_field = body(json!([text("user")]));
        unknown_field["max_tokens"] = json!(1);
        vec![
            (body(json!([text("user"), call("t1"), result("t1")])), ""),
            (body(json!([])), "conversation"),
            (body(json!([text("assistant")])), "start with a user"),
            (body(json!([text("user"), text("user")])), "alternate"),
            (body(json!([text("user"), text("assistant")])), "must end with a user"),
            (body(json!([text("user"), call("t1"), text("user")])), "Expected toolResult blocks"),
            (body(json!([text("user"), call("t1"), result("t2")])), "Expected toolResult blocks"),
            (body(json!([text("user"), text("assistant"), result("t1")])), "Expected toolResult blocks"),
            (body(json!([text("user"), call("t:1"), result("t:1")])), "toolUseId"),
            (body(json!([text("user"), call(""), result("")])), "toolUseId"),
            (body(json!([{ "role": "user", "content": [{ "text": " " }] }])), "blank"),
            (body(json!([{ "role": "user", "content": [{ "text": "x" }, cached, cached, cached, cached, cached] }])), "cachePoint"),
            (without_tools, "toolConfig"),
            (unknown_field, "extraneous key"),
        ]
    }

    fn conversation(&self, body: &Value) -> Vec<Value> {
        let mut messages = body["messages"].as_array().unwrap().clone();
        for message in &mut messages {
            message["content"].as_array_mut().unwrap().retain(|block| block.get("cachePoint").is_none());
        }
        messages
    }

    fn reply(&self, answer: &Answer) -> Value {
        let mut content: Vec<Value> = Vec::new();
        if !answer.text.is_empty() {
            content.push(json!({ "text": answer.text }));
        }
        for (index, (name, input)) in answer.calls.iter().enumerate() {
            content.push(json!({ "toolUse": { "toolUseId": format!("tooluse_{index}"), "name": name, "input": input } }));
        }
        let stop_reason = match answer.end {
            End::Truncated => "max_tokens",
            End::Refused => "guardrail_intervened",
            End::Usual if answer.calls.is_empty() => "end_turn",
            End::Usual => "tool_use",
        };
        json!({
            "output": { "message": { "role": "assistant", "content": content } },
            "stopReason": stop_reason,
            "usage": {
                "inputTokens": 100 - answer.cached, "outputTokens": 20, "totalTokens": 120,
                "cacheReadInputTokens": answer.cached, "cacheWriteInputTokens": 0
            },
            "metrics": { "latencyMs": 551 }
        })
    }

    fn error(&self, status: u16, message: &str) -> ResponseTemplate {
        let kind = match status {
            400 => "ValidationException",
            401 | 403 => "UnrecognizedClientException",
            429 => "ThrottlingException",
            503 => "ServiceUnavailableException",
            _ => "InternalServerException",
        };
        let address = format!("{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/");
        ResponseTemplate::new(status).insert_header("x-amzn-errortype", address).set_body_json(json!({ "message": message }))
    }
}

/// The rules whose breach the API answers with 400.
fn check_body(body: &Value) -> Result<(), String> {
    const FIELDS: [&str; 4] = ["system", "messages", "inferenceConfig", "toolConfig"];
    if let Some(unknown) = body.as_object().unwrap().keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("#: extraneous key [{unknown}] is not permitted"));
    }
    if body["inferenceConfig"]["maxTokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err("maxTokens must be at least 1".to_owned());
    }
    let marks = body.to_string().matches("\"cachePoint\"").count();
    if marks > 4 {
        return Err(format!("{marks} cachePoint blocks, of at most 4"));
    }
    let tools: HashSet<&str> =
        body["toolConfig"]["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["toolSpec"]["name"].as_str()).collect();
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty()).ok_or("a conversation must have a message")?;
    let mut pending: Vec<String> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = |problem: &str| Err(format!("messages.{index}: {problem}"));
        if message["role"] != if index % 2 == 0 { "user" } else { "assistant" } {
            return at("roles must alternate and start with a user message");
        }
        let blocks = message["content"].as_array().cloned().unwrap_or_default();
        if blocks.is_empty() {
            return at("the content field is empty");
        }
        let mut texts =
            blocks.iter().chain(blocks.iter().flat_map(|block| block["toolResult"]["content"].as_array().into_iter().flatten()));
        if texts.any(|block| block.get("text").is_some_and(|text| text.as_str().unwrap_or_default().trim().is_empty())) {
            return at("the text field is blank");
        }
        let ids = |kind: &str| -> Vec<String> {
            let of_kind = blocks.iter().filter_map(|block| block.get(kind));
            of_kind.map(|block| block["toolUseId"].as_str().unwrap_or_default().to_owned()).collect()
        };
        if ids("toolResult") != pending {
            return at("Expected toolResult blocks for exactly the toolUse blocks of the turn before");
        }
        pending = ids("toolUse");
        if !pending.is_empty() && tools.is_empty() {
            return at("The toolConfig field must be defined when using toolUse and toolResult content blocks");
        }
        let is_id = |id: &String| (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        if !pending.iter().all(is_id) || pending.iter().collect::<HashSet<_>>().len() < pending.len() {
            return at("toolUseId must be unique and match [a-zA-Z0-9_-]{1,64}");
        }
        let mut calls = blocks.iter().filter_map(|block| block.get("toolUse"));
        if calls.any(|call| !tools.contains(call["name"].as_str().unwrap_or_default()) || !call["input"].is_object()) {
            return at("toolUse of a tool that is not offered, or without an object as its input");
        }
    }
    if messages.len() % 2 == 0 { Err("the conversation must end with a user message".to_owned()) } else { Ok(()) }
}

fn provider() -> Box<dyn Provider> {
    Converse.provider("http://unused", BACKOFF)
}

fn request(model: &str, turns: Vec<Turn>) -> ModelRequest {
    ModelRequest { model: model.into(), step_no: 1, system: "Be brief.".into(), turns, tools: [].into(), max_output: 100 }
}

fn user(text: &str) -> Turn {
    Turn::User { text: text.to_owned() }
}

fn encoded(turns: Vec<Turn>) -> Value {
    serde_json::from_str(&provider().encode(&request(HAIKU, turns)).unwrap()).unwrap()
}

async fn call(provider: &Bedrock, body: &str) -> Result<String, LlmError> {
    let (deadline, cancel) = (Instant::now() + Duration::from_secs(30), CancellationToken::new());
    provider.call(body, &request(HAIKU, vec![user("Hello")]), deadline, &cancel).await
}

#[test]
fn the_request_has_the_documented_form() {
    let request = |model: &str| {
        let tool = ToolSpec { name: "shell".into(), description: "runs".into(), input_schema: json!({ "type": "object" }) };
        ModelRequest { tools: [tool].into(), ..request(model, vec![user("Hello")]) }
    };
    let body = |model: &str| -> Value { serde_json::from_str(&provider().encode(&request(model)).unwrap()).unwrap() };
    let spec = json!({ "toolSpec": { "name": "shell", "description": "runs", "inputSchema": { "json": { "type": "object" } } } });
    let mark = json!({ "cachePoint": { "type": "default" } });
    let expected = json!({
        "system": [{ "text": "Be brief." }, mark],
        "messages": [{ "role": "user", "content": [{ "text": "Hello" }, mark] }],
        "inferenceConfig": { "maxTokens": 100 },
        "toolConfig": { "tools": [spec, mark] }
    });
    assert_eq!(body(HAIKU), expected);
    assert!(!body("meta.llama3-1-70b-instruct-v1:0").to_string().contains("cachePoint"), "who knows no cache refuses its marks");
}

#[test]
fn thoughts_are_replayed_byte_for_byte() {
    let content = r#"[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"EqQB+/=="}}},{"zeta":{"b":1.50,"a":1}},{"text":"Hi"},{"toolUse":{"toolUseId":"tooluse_1","name":"shell","input":{"b":1,"a":2.0}}}]"#;
    let raw = format!(
        r#"{{"output":{{"message":{{"role":"assistant","content":{content}}}}},"stopReason":"tool_use","usage":{{"inputTokens":3,"outputTokens":2,"totalTokens":5,"cacheWriteInputTokens":9}}}}"#
    );
    let reply = provider().decode(&raw).unwrap();
    assert_eq!((reply.text.as_str(), &reply.stop, reply.tool_calls.len()), ("Hi", &StopReason::ToolUse, 1));
    assert_eq!(reply.usage, Usage { uncached_input: 3, cache_read: 0, cache_write: 9, output: 2 });
    let results = vec![ToolResult { call_id: "tooluse_1".into(), content: String::new(), is_error: true }];
    let turns = vec![user("Hello"), Turn::Assistant(reply.into()), Turn::ToolResults { results, note: Some("Hurry.".into()) }];
    let body = provider().encode(&request(HAIKU, turns.clone())).unwrap();
    assert!(body.contains(&format!(r#"{{"role":"assistant","content":{content}}}"#)), "{body}");
    let expected = json!([
        { "toolResult": { "toolUseId": "tooluse_1", "content": [{ "text": "(nothing)" }], "status": "error" } },
        { "text": "Hurry." },
        { "cachePoint": { "type": "default" } }
    ]);
    assert_eq!(encoded(turns)["messages"][2]["content"], expected);
}

#[test]
fn a_tool_that_the_model_invented_does_not_make_the_conversation_unacceptable() {
    let reply = |provider: ProviderName| Reply {
        raw: String::new(),
        provider,
        native: serde_json::value::to_raw_value(&json!([{ "text": "as it was" }])).unwrap(),
        text: String::new(),
        tool_calls: vec![ToolCall { id: "call:1".into(), name: "functions.shell".into(), input: json!("ls") }],
        stop: StopReason::ToolUse,
        usage: Usage::default(),
        model: String::new(),
    };
    for provider in [ProviderName::Google, ProviderName::Bedrock] {
        let results = vec![ToolResult { call_id: "call:1".into(), content: "x".into(), is_error: false }];
        let body = encoded(vec![user("Hello"), Turn::Assistant(reply(provider).into()), Turn::ToolResults { results, note: None }]);
        let call = &body["messages"][1]["content"][0]["toolUse"];
        assert_eq!((&call["toolUseId"], &call["name"], call["input"].is_object()), (&json!("call_1"), &json!("functions_shell"), true));
        assert_eq!(body["messages"][2]["content"][0]["toolResult"]["toolUseId"], "call_1");
    }
}

#[test]
fn every_end_has_its_meaning() {
    let stop = |reason: &str| {
        let raw =
            json!({ "output": { "message": { "content": [] } }, "stopReason": reason, "usage": { "inputTokens": 1, "outputTokens": 1 } });
        provider().decode(&raw.to_string()).unwrap().stop
    };
    assert_eq!([stop("end_turn"), stop("stop_sequence")], [StopReason::EndTurn, StopReason::EndTurn]);
    assert_eq!([stop("max_tokens"), stop("model_context_window_exceeded")], [StopReason::MaxTokens, StopReason::MaxTokens]);
    assert_eq!([stop("guardrail_intervened"), stop("content_filtered")], [StopReason::Refusal, StopReason::Refusal]);
    assert_eq!(stop("malformed_tool_use"), StopReason::Other("malformed_tool_use".to_owned()));
}

#[tokio::test]
async fn what_is_sent_and_what_comes_back_is_verbatim() {
    let server = MockServer::start().await;
    let reply = "{ \"output\": {\"strange\":1.50},\n \"stopReason\": \"end_turn\" }";
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_string(reply)).mount(&server).await;
    let provider = Bedrock::new(http(BACKOFF), REGION, keys()).with_base_url(&server.uri());
    let body = "{\"messages\":[ {\"role\":\"user\",\"content\":[{\"text\":\"é\"}]} ]}";
    assert_eq!(call(&provider, body).await.unwrap(), reply, "though the SDK cannot read it");
    let sent = server.received_requests().await.unwrap();
    assert_eq!((sent.len(), str::from_utf8(&sent[0].body).unwrap()), (1, body));
}

#[tokio::test]
async fn a_bedrock_key_is_sent_as_a_bearer_token() {
    let server = MockServer::start().await;
    let bearer = header("authorization", format!("Bearer {KEY}").as_str());
    Mock::given(bearer).respond_with(ResponseTemplate::new(200).set_body_string("{}")).mount(&server).await;
    let provider = Bedrock::new(http(BACKOFF), REGION, AwsAccess::ApiKey(Secret::new(KEY))).with_base_url(&server.uri());
    assert_eq!(call(&provider, "{}").await.unwrap(), "{}");
}

#[tokio::test]
async fn a_region_that_is_none_is_named_by_its_setting() {
    let error = call(&Bedrock::new(http(BACKOFF), "us east 1", keys()), "{}").await.unwrap_err();
    assert!(matches!(&error, LlmError::BadRequest { message, .. } if message.contains("AWS_REGION")), "{error}");
}

fn container(server: &MockServer, token_file: &tempfile::NamedTempFile) -> AwsAccess {
    AwsAccess::Container {
        url: format!("{}/v2/credentials", server.uri()),
        token: Some(Secret::new("not this one")),
        token_file: Some(token_file.path().to_owned()),
    }
}

#[tokio::test]
async fn the_keys_of_a_containers_role_are_fetched_once_and_used() {
    let server = MockServer::start().await;
    let token_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token_file.path(), "pod-token-e5Rw8Z\n").unwrap();
    let (secret, session) = ("cV8kR2xW5nQ7jT4z", "hB6yD3mF9sL1pG0u");
    let keys = json!({ "AccessKeyId": "ASIA1", "SecretAccessKey": secret, "Token": session, "Expiration": "2026-11-26T18:00:00Z" });
    let given = Mock::given(path("/v2/credentials")).and(header("authorization", "pod-token-e5Rw8Z"));
    given.respond_with(ResponseTemplate::new(200).set_body_json(keys)).expect(1).mount(&server).await;
    let signed = Mock::given(method("POST")).and(header("x-amz-security-token", session));
    signed.respond_with(ResponseTemplate::new(200).set_body_string("{}")).expect(2).mount(&server).await;
    let provider = Bedrock::new(http(BACKOFF), REGION, container(&server, &token_file)).with_base_url(&server.uri());
    for _ in 0..2 {
        assert_eq!(call(&provider, "{}").await.unwrap(), "{}");
    }
    let requests = server.received_requests().await.unwrap();
    assert!(requests[1].headers["authorization"].to_str().unwrap().contains("Credential=ASIA1/"));
    let secrets = format!("{secret} {session} pod-token-e5Rw8Z");
    let told = redact::Redactor::of_process().text(&secrets);
    assert_eq!(told, "[redacted: AWS_SECRET_ACCESS_KEY] [redacted: AWS_SESSION_TOKEN] [redacted: AWS_CONTAINER_AUTHORIZATION_TOKEN]");
}

#[tokio::test]
async fn the_keys_of_a_containers_role_are_fetched_again_before_they_expire() {
    let server = MockServer::start().await;
    let token_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token_file.path(), "pod-token-e5Rw8Z\n").unwrap();
    let keys = json!({ "AccessKeyId": "ASIA1", "SecretAccessKey": "cV8kR2xW5nQ7jT4z", "Token": "hB6yD3mF9sL1pG0u" });
    let given = Mock::given(path("/v2/credentials")).respond_with(ResponseTemplate::new(200).set_body_json(keys));
    given.expect(2).mount(&server).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_string("{}")).expect(2).mount(&server).await;
    let provider = Bedrock::new(http(BACKOFF), REGION, container(&server, &token_file)).with_base_url(&server.uri());
    assert_eq!(call(&provider, "{}").await.unwrap(), "{}");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
    assert_eq!(call(&provider, "{}").await.unwrap(), "{}");
}

#[tokio::test]
async fn a_container_without_keys_is_asked_again_and_nothing_is_sent() {
    let server = MockServer::start().await;
    let token_file = tempfile::NamedTempFile::new().unwrap();
    Mock::given(path("/v2/credentials")).respond_with(ResponseTemplate::new(503)).expect(4).mount(&server).await;
    let provider = Bedrock::new(http(BACKOFF), REGION, container(&server, &token_file)).with_base_url(&server.uri());
    let error = call(&provider, "{}").await.unwrap_err();
    assert!(matches!(&error, LlmError::Unreachable { cause, .. } if cause.contains("HTTP 503")), "{error}");
    assert!(!format!("{error} {error:?}").contains("/v2/credentials"), "{error:?}");
    assert!(error.is_transient() && !error.may_cost());
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let server = MockServer::start().await;
    let echo = format!("the signature of {KEY} with hunter2 and session-token does not match");
    Mock::given(method("POST")).respond_with(Converse.error(403, &echo)).mount(&server).await;
    let provider = Bedrock::new(http(BACKOFF), REGION, keys()).with_base_url(&server.uri());
    let error = call(&provider, "{}").await.unwrap_err();
    assert!(matches!(error, LlmError::Auth { status: 403, .. }), "{error}");
    assert!(error.to_string().contains("UnrecognizedClientException: the signature of *** with *** and *** does not match"), "{error}");
    assert!(!format!("{error:?} {provider:?}").contains("hunter2"), "{error:?}");
}
