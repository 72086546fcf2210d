//! The rules of the Messages API (<https://docs.claude.com/en/api/messages>) whose breach it answers with 400.

use std::collections::HashSet;

use serde_json::Value;

/// The contents of the assistant's turns, in order; or what the API would object to.
///
/// # Errors
/// That objection.
pub fn check(body: &Value) -> Result<Vec<Value>, String> {
    if body["model"].as_str().is_none_or(str::is_empty) || body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err("model or max_tokens is missing".to_owned());
    }
    let marks = body.to_string().matches("\"cache_control\"").count();
    if marks > 4 {
        return Err(format!("{marks} blocks with cache_control, of at most 4"));
    }
    let offered: HashSet<&str> = body["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect();
    let messages = body["messages"].as_array().ok_or("messages are missing")?;
    let mut said = Vec::new();
    let mut pending = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != role {
            return Err(format!("messages.{index}: the turn should be the {role}'s"));
        }
        pending = turn(message, &pending, &offered).map_err(|problem| format!("messages.{index}: {problem}"))?;
        if role == "assistant" {
            said.push(message["content"].clone());
        }
    }
    if messages.len() % 2 == 0 { Err("the last turn should be the user's".to_owned()) } else { Ok(said) }
}

/// Checks one turn after one that made the calls `pending`; the calls that it makes itself.
fn turn(message: &Value, pending: &[String], offered: &HashSet<&str>) -> Result<Vec<String>, String> {
    let blocks = message["content"].as_array().filter(|blocks| !blocks.is_empty()).ok_or("content is empty")?;
    let is = |block: &Value, kind: &str| block["type"] == kind;
    let results: Vec<&str> =
        blocks.iter().take_while(|block| is(block, "tool_result")).filter_map(|block| block["tool_use_id"].as_str()).collect();
    if results != pending {
        return Err(format!("the results are those of {results:?} and the calls were {pending:?}"));
    }
    let mut calls = Vec::new();
    for block in &blocks[results.len()..] {
        match block["type"].as_str() {
            Some("tool_result") => return Err("results must come first".to_owned()),
            Some("text") if block["text"].as_str().is_none_or(|text| text.trim().is_empty()) => return Err("a text is empty".to_owned()),
            Some("tool_use") => calls.push(call(block, &calls, offered)?),
            _ => {}
        }
    }
    Ok(calls)
}

fn call(block: &Value, before: &[String], offered: &HashSet<&str>) -> Result<String, String> {
    let (id, name) = (block["id"].as_str().unwrap_or_default(), block["name"].as_str().unwrap_or_default());
    let is_id = !id.is_empty() && id.chars().all(|char| char.is_ascii_alphanumeric() || "_-".contains(char));
    if !is_id || before.iter().any(|earlier| earlier == id) {
        return Err(format!("the id of a call is {id:?}: it must be unique and match ^[a-zA-Z0-9_-]+$"));
    }
    if !offered.contains(name) {
        return Err(format!("a call of {name:?}, which is not among the tools"));
    }
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(messages: Value) -> Result<Vec<Value>, String> {
        check(&json!({ "model": "m", "max_tokens": 1, "tools": [{ "name": "shell" }], "messages": messages }))
    }

    fn said(role: &str) -> Value {
        json!({ "role": role, "content": [{ "type": "text", "text": "x" }] })
    }

    fn called(name: &str) -> Value {
        json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": name, "input": {} }] })
    }

    fn result(id: &str) -> Value {
        json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "x" }] })
    }

    #[test]
    fn a_conversation_in_order_is_accepted_with_what_the_model_said() {
        let content = called("shell")["content"].clone();
        assert_eq!(checked(json!([said("user"), called("shell"), result("t1")])), Ok(vec![content]));
    }

    #[test]
    fn a_conversation_out_of_order_is_refused() {
        for (messages, problem) in [
            (json!([]), "the last turn"),
            (json!([said("assistant")]), "should be the user's"),
            (json!([said("user"), said("user")]), "should be the assistant's"),
            (json!([said("user"), said("assistant")]), "the last turn"),
            (json!([said("user"), called("shell"), said("user")]), "the results are those of []"),
            (json!([said("user"), called("shell"), result("t2")]), "the results are those of"),
            (json!([said("user"), said("assistant"), result("t1")]), "the results are those of"),
            (json!([said("user"), called("rm"), result("t1")]), "not among the tools"),
            (json!([{ "role": "user", "content": [] }]), "content is empty"),
            (json!([{ "role": "user", "content": [{ "type": "text", "text": " " }] }]), "a text is empty"),
        ] {
            let refusal = checked(messages.clone()).unwrap_err();
            assert!(refusal.contains(problem), "{messages} was refused for {refusal:?}");
        }
    }
}
