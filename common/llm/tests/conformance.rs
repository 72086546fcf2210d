//! What every wire must do, whatever it looks like.

use std::time::Duration;

use domain::Usage;
use llm::{Backoff, LlmError, ModelRequest, Reply, StopReason, ToolCall, ToolResult, ToolSpec, Turn};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::raw_server::{RawServer, Then};
use crate::stub::{Answer, End, KEY, Planned, Stub, Wire};

/// Short enough for tests; the waits that providers ask for are honoured all the same.
pub const BACKOFF: Backoff = Backoff { attempts: 4, base: Duration::from_millis(1), cap: Duration::from_millis(2) };
const LONG: Duration = Duration::from_secs(30);

macro_rules! conformance {
    ($module:ident, $wire:expr, $($test:ident)*) => {
        mod $module {
            $(#[tokio::test]
            async fn $test() {
                super::$test($wire).await;
            })*
        }
    };
}

/// One line for each wire.
macro_rules! every_wire {
    ($($tests:tt)*) => {
        conformance!(anthropic, crate::anthropic::Messages, $($tests)*);
        conformance!(openai, crate::openai::Responses, $($tests)*);
        conformance!(chat, crate::chat::Completions, $($tests)*);
        conformance!(bedrock, crate::bedrock::Converse, $($tests)*);
        conformance!(google, crate::google::GEMINI_2_5, $($tests)*);
        conformance!(google_with_signatures, crate::google::GEMINI_3, $($tests)*);
    };
}

every_wire! {
    the_stub_refuses_malformed_conversations
    a_plain_reply_is_understood
    one_tool_call_is_understood_and_its_result_accepted
    parallel_tool_calls_keep_their_order_and_ids
    a_long_conversation_is_accepted_and_only_ever_grows
    a_rate_limit_is_waited_out_as_long_as_it_asks
    a_rate_limit_beyond_the_deadline_is_reported_at_once
    an_overload_is_tried_four_times
    an_unavailable_provider_is_tried_four_times
    a_server_error_that_passes_is_not_seen
    a_provider_that_asks_not_to_be_asked_again_is_not
    a_cut_body_is_not_asked_for_again
    a_slow_body_ends_at_the_deadline
    an_endless_body_is_not_read_to_its_end
    a_refusal_is_a_reply
    a_truncated_reply_says_so
    cached_tokens_are_counted_apart
    a_cancelled_call_returns_at_once
    a_refused_key_is_named_by_its_setting_and_never_shown
    a_bad_request_is_not_repeated
    a_redirect_is_not_followed
    an_unreachable_provider_is_tried_again_and_costs_nothing
    a_reply_that_is_no_json_is_malformed
    a_conversation_with_a_lost_result_is_not_even_sent
    turns_of_another_provider_are_rebuilt
    an_empty_reply_can_be_continued
    a_stored_reply_is_read_the_same_again
}

fn request(wire: &impl Wire) -> ModelRequest {
    let schema =
        json!({ "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"], "additionalProperties": false });
    let tool = |name: &str| ToolSpec { name: name.to_owned(), description: format!("the tool {name}"), input_schema: schema.clone() };
    ModelRequest {
        model: wire.model().to_owned(),
        step_no: 1,
        system: "You repair programs.".to_owned(),
        turns: vec![Turn::User { text: "Repair it.".to_owned() }],
        tools: [tool("read_file"), tool("shell")].into(),
        max_output: 1000,
    }
}

async fn ask_at(url: &str, wire: &impl Wire, request: &ModelRequest, time: Duration) -> Result<Reply, LlmError> {
    let provider = wire.provider(url, BACKOFF);
    let body = provider.encode(request)?;
    let raw = provider.call(&body, request, Instant::now() + time, &CancellationToken::new()).await?;
    let reply = provider.decode(&raw)?;
    assert_eq!(reply.raw, raw);
    assert_eq!(reply.provider, provider.name());
    Ok(reply)
}

async fn ask(stub: &Stub, wire: &impl Wire, request: &ModelRequest) -> Result<Reply, LlmError> {
    ask_at(&stub.url(), wire, request, LONG).await
}

fn answered(reply: Reply, note: Option<&str>) -> [Turn; 2] {
    let results = reply.tool_calls.iter().map(|call| ToolResult { call_id: call.id.clone(), content: "ok".to_owned(), is_error: false });
    let results = results.collect();
    [Turn::Assistant(reply.into()), Turn::ToolResults { results, note: note.map(str::to_owned) }]
}

async fn the_stub_refuses_malformed_conversations(wire: impl Wire + Copy) {
    let bodies = wire.bodies();
    assert!(bodies.len() > 4, "one is well-formed, and there is more than one way not to be");
    for (index, (body, problem)) in bodies.iter().enumerate() {
        match wire.check_body(body) {
            Ok(()) => assert_eq!(index, 0, "{body} passed, instead of being refused for {problem:?}"),
            Err(error) => assert!(index > 0 && error.contains(problem), "{body} was refused for {error:?}"),
        }
    }
}

async fn a_plain_reply_is_understood(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Answer(Answer::text("It is done."))]).await;
    let reply = ask(&stub, &wire, &request(&wire)).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.stop), ("It is done.", StopReason::EndTurn));
    assert_eq!(reply.usage, Usage { uncached_input: 100, cache_read: 0, cache_write: 0, output: 20 });
    assert!(reply.tool_calls.is_empty());
    assert!(reply.model.is_empty() || reply.model.starts_with(wire.model()), "{}", reply.model);
}

async fn one_tool_call_is_understood_and_its_result_accepted(wire: impl Wire + Copy) {
    let input = json!({ "path": "src/main.rs" });
    let planned = [Planned::Answer(Answer::call("read_file", input.clone())), Planned::Answer(Answer::text("Done."))];
    let stub = Stub::start(wire, planned).await;
    let mut request = request(&wire);
    let reply = ask(&stub, &wire, &request).await.unwrap();
    assert_eq!(reply.stop, StopReason::ToolUse);
    assert_eq!(reply.tool_calls.iter().map(|call| (call.name.as_str(), &call.input)).collect::<Vec<_>>(), [("read_file", &input)]);
    request.turns.extend(answered(reply, Some("A person adds: be quick.")));
    assert_eq!(ask(&stub, &wire, &request).await.unwrap().text, "Done.");
}

async fn parallel_tool_calls_keep_their_order_and_ids(wire: impl Wire + Copy) {
    let calls = ["a", "b", "c"].map(|path| ("read_file", json!({ "path": path })));
    let planned = [
        Planned::Answer(Answer { text: "I read three.", calls: calls.to_vec(), ..Answer::default() }),
        Planned::Answer(Answer::text("Done.")),
    ];
    let stub = Stub::start(wire, planned).await;
    let mut request = request(&wire);
    let reply = ask(&stub, &wire, &request).await.unwrap();
    assert_eq!(reply.tool_calls.iter().map(|call| call.input["path"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b", "c"]);
    request.turns.extend(answered(reply, None));
    ask(&stub, &wire, &request).await.unwrap();
}

async fn a_long_conversation_is_accepted_and_only_ever_grows(wire: impl Wire + Copy) {
    const ROUNDS: usize = 12;
    let stub = Stub::start(wire, (0..ROUNDS).map(|_| Planned::Answer(Answer::call("shell", json!({ "path": "x" }))))).await;
    let mut request = request(&wire);
    for _ in 0..ROUNDS {
        let reply = ask(&stub, &wire, &request).await.unwrap();
        request.turns.extend(answered(reply, None));
    }
    let sent: Vec<_> = stub.bodies().await.iter().map(|body| wire.conversation(body)).collect();
    assert_eq!(sent.len(), ROUNDS);
    for pair in sent.windows(2) {
        assert!(pair[1].starts_with(&pair[0]) && pair[1].len() > pair[0].len(), "{pair:?}");
    }
    let provider = wire.provider("http://unused", BACKOFF);
    assert_eq!(provider.encode(&request).unwrap(), provider.encode(&request).unwrap());
}

async fn a_rate_limit_is_waited_out_as_long_as_it_asks(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Status(429, &[("retry-after", "1")]), Planned::Answer(Answer::text("Done."))]).await;
    let start = Instant::now();
    ask(&stub, &wire, &request(&wire)).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

async fn a_rate_limit_beyond_the_deadline_is_reported_at_once(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Status(429, &[("retry-after", "60")])]).await;
    let error = ask_at(&stub.url(), &wire, &request(&wire), Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, LlmError::RateLimited { .. }), "{error}");
    assert_eq!((error.retry_after(), error.is_transient(), error.may_cost()), (Some(Duration::from_secs(60)), true, false));
    assert_eq!(stub.bodies().await.len(), 1);
}

async fn an_overload_is_tried_four_times(wire: impl Wire + Copy) {
    is_tried_four_times(wire, 529).await;
}

async fn an_unavailable_provider_is_tried_four_times(wire: impl Wire + Copy) {
    is_tried_four_times(wire, 503).await;
}

async fn is_tried_four_times(wire: impl Wire + Copy, expected: u16) {
    let stub = Stub::start(wire, (0..9).map(|_| Planned::Status(expected, &[]))).await;
    let error = ask(&stub, &wire, &request(&wire)).await.unwrap_err();
    assert!(matches!(error, LlmError::Overloaded { status, .. } if status == expected), "{error}");
    assert_eq!((error.is_transient(), error.may_cost()), (true, false));
    assert_eq!(stub.bodies().await.len(), 4);
}

async fn a_server_error_that_passes_is_not_seen(wire: impl Wire + Copy) {
    let planned = [Planned::Status(500, &[]), Planned::Status(503, &[]), Planned::Answer(Answer::text("Done."))];
    let stub = Stub::start(wire, planned).await;
    assert_eq!(ask(&stub, &wire, &request(&wire)).await.unwrap().text, "Done.");
}

async fn a_provider_that_asks_not_to_be_asked_again_is_not(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Status(500, &[("x-should-retry", "false")]), Planned::Answer(Answer::text("Done."))]).await;
    let error = ask(&stub, &wire, &request(&wire)).await.unwrap_err();
    assert!(matches!(error, LlmError::Overloaded { status: 500, .. }), "{error}");
    assert_eq!(stub.bodies().await.len(), 1);
}

fn broken_off(wire: &impl Wire) -> String {
    let body = wire.reply(&Answer::text("Done.")).to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}", body.len(), &body[..body.len() / 2])
}

async fn a_cut_body_is_not_asked_for_again(wire: impl Wire + Copy) {
    let server = RawServer::start(broken_off(&wire), Then::Close).await;
    let error = ask_at(&server.url, &wire, &request(&wire), LONG).await.unwrap_err();
    assert!(matches!(error, LlmError::Cut { .. }), "{error}");
    assert!(error.may_cost());
    assert_eq!(server.requests(), 1);
}

async fn a_slow_body_ends_at_the_deadline(wire: impl Wire + Copy) {
    let server = RawServer::start(broken_off(&wire), Then::Hold).await;
    let start = Instant::now();
    let error = ask_at(&server.url, &wire, &request(&wire), Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, LlmError::Timeout { sent: true, .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

async fn an_endless_body_is_not_read_to_its_end(wire: impl Wire + Copy) {
    let size = (32 << 20) + 1;
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", size * 2, "x".repeat(size));
    let server = RawServer::start(response, Then::Hold).await;
    let error = ask_at(&server.url, &wire, &request(&wire), LONG).await.unwrap_err();
    assert!(matches!(&error, LlmError::Malformed { what, .. } if what.contains("longer than 33554432 bytes")), "{error}");
}

async fn a_refusal_is_a_reply(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Answer(Answer { text: "I will not.", end: End::Refused, ..Answer::default() })]).await;
    let reply = ask(&stub, &wire, &request(&wire)).await.unwrap();
    assert_eq!((reply.stop, reply.usage.output), (StopReason::Refusal, 20));
}

async fn a_truncated_reply_says_so(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Answer(Answer { text: "I was about to", end: End::Truncated, ..Answer::default() })]).await;
    assert_eq!(ask(&stub, &wire, &request(&wire)).await.unwrap().stop, StopReason::MaxTokens);
}

async fn cached_tokens_are_counted_apart(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Answer(Answer { text: "Done.", cached: 90, ..Answer::default() })]).await;
    let usage = ask(&stub, &wire, &request(&wire)).await.unwrap().usage;
    assert_eq!((usage.uncached_input + usage.cache_write, usage.cache_read, usage.input()), (10, 90, 100));
}

async fn a_cancelled_call_returns_at_once(wire: impl Wire + Copy) {
    let server = RawServer::start(broken_off(&wire), Then::Hold).await;
    let (provider, request, cancel) = (wire.provider(&server.url, BACKOFF), request(&wire), CancellationToken::new());
    let body = provider.encode(&request).unwrap();
    let call = provider.call(&body, &request, Instant::now() + LONG, &cancel);
    let stop = async {
        server.answered.notified().await;
        cancel.cancel();
        Instant::now()
    };
    let (result, cancelled_at) = tokio::join!(call, stop);
    assert!(matches!(result, Err(LlmError::Cancelled { sent: true, .. })), "{result:?}");
    assert!(cancelled_at.elapsed() < Duration::from_secs(2));
}

async fn a_refused_key_is_named_by_its_setting_and_never_shown(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Refusal(401, format!("invalid key {KEY}"))]).await;
    let error = ask(&stub, &wire, &request(&wire)).await.unwrap_err();
    assert!(matches!(error, LlmError::Auth { status: 401, .. }), "{error}");
    let needs = wire.provider("http://unused", BACKOFF).name().needs();
    assert!(error.to_string().contains(&needs), "{error}");
    assert!(error.to_string().contains("invalid key ***"), "{error}");
    assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
    assert_eq!(stub.bodies().await.len(), 1);
}

async fn a_bad_request_is_not_repeated(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Status(400, &[])]).await;
    let error = ask(&stub, &wire, &request(&wire)).await.unwrap_err();
    assert!(matches!(&error, LlmError::BadRequest { message, .. } if message.contains("planned trouble")), "{error}");
    assert_eq!((stub.bodies().await.len(), error.is_transient()), (1, false));
}

async fn a_redirect_is_not_followed(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Status(307, &[("location", "/elsewhere")]), Planned::Answer(Answer::text("Done."))]).await;
    let error = ask(&stub, &wire, &request(&wire)).await.unwrap_err();
    assert!(error.to_string().contains("base URL"), "{error}");
    assert_eq!(stub.bodies().await.len(), 1);
}

async fn an_unreachable_provider_is_tried_again_and_costs_nothing(wire: impl Wire + Copy) {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = ask_at(&format!("http://user:hunter2@127.0.0.1:{port}"), &wire, &request(&wire), LONG).await.unwrap_err();
    assert!(matches!(error, LlmError::Unreachable { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    assert!(error.is_transient() && !error.may_cost());
}

async fn a_reply_that_is_no_json_is_malformed(wire: impl Wire + Copy) {
    let provider = wire.provider("http://unused", BACKOFF);
    for raw in ["", "<html>", "{}", "[]", r#"{"content":"text"}"#] {
        let error = provider.decode(raw).unwrap_err();
        assert!(matches!(error, LlmError::Malformed { .. }), "{raw}: {error}");
        assert!(error.may_cost());
    }
}

async fn a_conversation_with_a_lost_result_is_not_even_sent(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Answer(Answer::call("shell", json!({ "path": "x" })))]).await;
    let mut request = request(&wire);
    let reply = ask(&stub, &wire, &request).await.unwrap();
    request.turns.extend([Turn::Assistant(reply.into()), Turn::ToolResults { results: Vec::new(), note: None }]);
    let error = ask(&stub, &wire, &request).await.unwrap_err();
    assert!(error.to_string().contains("turn 3"), "{error}");
    assert_eq!(stub.bodies().await.len(), 1);
}

/// A reply of a provider that no wire is, with ids that not every one would accept.
fn foreign(text: &str, ids: &[&str]) -> Reply {
    let calls =
        ids.iter().map(|id| ToolCall { id: (*id).to_owned(), name: "shell".to_owned(), input: json!({ "path": "x" }) }).collect::<Vec<_>>();
    Reply {
        raw: String::new(),
        provider: "elsewhere".parse().unwrap(),
        native: serde_json::value::to_raw_value(&json!({ "strange": true })).unwrap(),
        text: text.to_owned(),
        stop: if calls.is_empty() { StopReason::EndTurn } else { StopReason::ToolUse },
        tool_calls: calls,
        usage: Usage::default(),
        model: "strange-1".to_owned(),
    }
}

async fn turns_of_another_provider_are_rebuilt(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Answer(Answer::text("Done."))]).await;
    let mut request = request(&wire);
    let long = "x".repeat(200);
    request.turns.extend(answered(foreign("I look.", &["call:1/a", "call:1/b"]), Some("Hurry.")));
    request.turns.extend(answered(foreign("", &[&long]), None));
    request.turns.extend(answered(foreign("", &[&format!("{long}y")]), None));
    let mut garbled = foreign("", &["call_9"]);
    garbled.tool_calls[0].input = json!("{\"path\": ");
    request.turns.extend(answered(garbled, None));
    request.turns.extend([Turn::Assistant(foreign("  ", &[]).into()), Turn::User { text: "Go on.".to_owned() }]);
    request.turns.extend([Turn::Assistant(foreign("It is so.", &[]).into()), Turn::User { text: "Go on.".to_owned() }]);
    assert_eq!(ask(&stub, &wire, &request).await.unwrap().text, "Done.");
    let sent = stub.bodies().await[0].to_string();
    assert!(sent.contains("I look.") && sent.contains("Hurry.") && sent.contains("It is so."), "{sent}");
    assert!(!sent.contains("strange"), "what only another provider understands is not sent: {sent}");
}

async fn an_empty_reply_can_be_continued(wire: impl Wire + Copy) {
    let stub = Stub::start(wire, [Planned::Answer(Answer::default()), Planned::Answer(Answer::text("Done."))]).await;
    let mut request = request(&wire);
    let reply = ask(&stub, &wire, &request).await.unwrap();
    assert!(reply.text.is_empty() && reply.tool_calls.is_empty(), "{reply:?}");
    request.turns.extend([Turn::Assistant(reply.into()), Turn::User { text: "Go on.".to_owned() }]);
    assert_eq!(ask(&stub, &wire, &request).await.unwrap().text, "Done.");
}

async fn a_stored_reply_is_read_the_same_again(wire: impl Wire + Copy) {
    let calls = vec![("shell", json!({ "path": "x" })), ("read_file", json!({ "path": "y" }))];
    let raw = wire.reply(&Answer { text: "I do.", calls, cached: 40, ..Answer::default() }).to_string();
    let provider = wire.provider("http://unused", BACKOFF);
    let first = provider.decode(&raw).unwrap();
    let again = wire.provider("http://elsewhere", BACKOFF).decode(&first.raw).unwrap();
    assert_eq!(first.raw, raw);
    assert_eq!((&first.tool_calls, first.usage, first.native.get()), (&again.tool_calls, again.usage, again.native.get()));
}
