//! The types of the vendors' own libraries for Python judge the request bodies that our wires encode: every kind of turn,
//! native and rebuilt, with the tools that models are given.

use std::time::Duration;

use domain::Secret;
use e2e::{root, tools};
use llm::{Anthropic, AwsAccess, Bedrock, Chat, Google, Http, HttpOptions, OpenAi, Provider};
use process::Exit;
use serde_json::{Value, json};

use super::conversation;

/// A wire, the name by which the judge knows it, and a reply of its vendor with everything that is replayed.
fn wires() -> Vec<(&'static str, Box<dyn Provider>, Value)> {
    let http = Http::new(HttpOptions::default()).unwrap();
    let key = || Secret::new("unused");
    let thinking = json!([
        { "type": "thinking", "thinking": "Hm.", "signature": "EqQB" },
        { "type": "redacted_thinking", "data": "EqQC" },
        { "type": "text", "text": "I look.", "citations": null },
        { "type": "tool_use", "id": "toolu_1", "name": "read_file", "input": { "path": "a" } },
        { "type": "tool_use", "id": "toolu_2", "name": "shell", "input": { "command": "ls" } }
    ]);
    let messages = json!({ "content": thinking, "model": "claude-haiku-4-5", "stop_reason": "tool_use", "usage": { "input_tokens": 3, "output_tokens": 2 } });
    let items = json!([
        { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "Hm." }], "encrypted_content": "gAAA", "status": null },
        { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
          "content": [{ "type": "output_text", "text": "I look.", "annotations": [], "logprobs": [] }] },
        { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "read_file", "arguments": "{\"path\":\"a\"}", "status": "completed" },
        { "type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "shell", "arguments": "{\"command\":\"ls\"}", "status": "completed" }
    ]);
    let responses =
        json!({ "status": "completed", "model": "gpt-5-mini", "output": items, "usage": { "input_tokens": 3, "output_tokens": 2 } });
    let call = |id: &str, name: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    let message = json!({
        "role": "assistant", "content": "I look.", "refusal": null,
        "tool_calls": [call("call_1", "read_file", "{\"path\":\"a\"}"), call("call_2", "shell", "{\"command\":\"ls\"}")]
    });
    let completions = json!({ "model": "m", "choices": [{ "message": message, "finish_reason": "tool_calls" }], "usage": { "prompt_tokens": 3, "completion_tokens": 2 } });
    let parts = json!([
        { "text": "Hm.", "thought": true },
        { "text": "I look." },
        { "functionCall": { "id": "8f3k", "name": "read_file", "args": { "path": "a" } }, "thoughtSignature": "EjQKMgERTTIJ+w==" },
        { "functionCall": { "name": "shell", "args": { "command": "ls" } } }
    ]);
    let candidate = json!({ "content": { "role": "model", "parts": parts }, "finishReason": "STOP", "index": 0 });
    let content =
        json!({ "candidates": [candidate], "usageMetadata": { "promptTokenCount": 3, "candidatesTokenCount": 2 }, "responseId": "r" });
    let blocks = json!([
        { "reasoningContent": { "reasoningText": { "text": "Hm.", "signature": "EqQB" } } },
        { "text": "I look." },
        { "toolUse": { "toolUseId": "tooluse_1", "name": "read_file", "input": { "path": "a" } } },
        { "toolUse": { "toolUseId": "tooluse_2", "name": "shell", "input": { "command": "ls" } } }
    ]);
    let message = json!({ "role": "assistant", "content": blocks });
    let converse = json!({ "output": { "message": message }, "stopReason": "tool_use", "usage": { "inputTokens": 3, "outputTokens": 2 } });
    let bedrock = Bedrock::new(http.clone(), "us-east-1", AwsAccess::ApiKey(key()));
    vec![
        ("google", Box::new(Google::new(http.clone(), key())), content),
        ("bedrock", Box::new(bedrock), converse),
        ("anthropic", Box::new(Anthropic::new(http.clone(), key())), messages),
        ("openai", Box::new(OpenAi::new(http.clone(), key())), responses),
        ("chat", Box::new(Chat::new(http, "ollama".parse().unwrap(), "http://unused", None)), completions),
    ]
}

#[tokio::test]
async fn the_vendors_own_types_accept_every_request_and_refuse_broken_ones() {
    let python = root().join(".venv/bin/python3").display().to_string();
    let imports =
        tools::attempt(tools::command("sh").args(["-c", &format!("{python} -c 'import anthropic, botocore, google.genai, openai'")])).await;
    if imports.exit != Exit::Code(0) {
        e2e::skipped("our requests against the vendors' types", "their libraries are not installed: `make tools` brings them");
        return;
    }
    let mut cases = Vec::new();
    for (wire, provider, native) in wires() {
        let bodies = conversation::requests(&*provider, &native).into_iter().map(|request| provider.encode(&request).unwrap());
        for body in bodies {
            let body: Value = serde_json::from_str(&body).unwrap();
            cases.push((wire, body.clone(), true));
            cases.extend(conversation::broken(wire, &body).into_iter().map(|broken| (wire, broken, false)));
        }
    }
    let lines: String = cases.iter().map(|(wire, body, _)| json!({ "wire": wire, "body": body }).to_string() + "\n").collect();
    let judge = root().join("e2e/tests/judges/sdk.py").display().to_string();
    let judged = tools::attempt(tools::command(&python).arg(judge).stdin(lines).timeout(Duration::from_secs(120))).await;
    assert_eq!(judged.exit, Exit::Code(0), "{}", judged.stderr_text());
    let verdicts: Vec<Value> = judged.stdout_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdicts.len(), cases.len());
    for ((wire, body, good), verdict) in cases.iter().zip(&verdicts) {
        assert_eq!(verdict.is_null(), *good, "{wire}: {verdict} on {body}");
    }
    let refused = cases.iter().filter(|(_, _, good)| !good).count();
    e2e::measured(&format!("the vendors' types accept {} requests and refuse {refused} broken ones", cases.len() - refused));
}
