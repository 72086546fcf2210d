//! One conversation with every kind of turn, and ways to break the body that a wire makes of it.

use e2e::root;
use llm::{ModelRequest, Provider, Reply, ToolResult, ToolSpec, Turn};
use serde_json::{Value, json};

/// The requests along a conversation in which `native`, a reply of the provider itself, is followed by replies of another
/// one, and by one that says nothing.
pub fn requests(provider: &dyn Provider, native: &Value) -> Vec<ModelRequest> {
    let own = provider.decode(&native.to_string()).unwrap();
    let mut foreign = own.clone();
    foreign.provider = "elsewhere".parse().unwrap();
    foreign.tool_calls[0].id = format!("call:1/{}", "x".repeat(80));
    let mut garbled = foreign.clone();
    garbled.tool_calls[0].input = json!("{\"path\": ");
    let silent = Reply { text: String::new(), tool_calls: Vec::new(), ..own.clone() };
    let mut turns = vec![user("Repair it.")];
    let mut requests = Vec::new();
    for reply in [own, foreign, garbled, silent] {
        requests.push(request(turns.clone()));
        let answer = match reply.tool_calls.is_empty() {
            true => user("Go on."),
            false => results(&reply),
        };
        turns.extend([Turn::Assistant(reply), answer]);
    }
    requests.push(request(turns));
    requests
}

fn request(turns: Vec<Turn>) -> ModelRequest {
    ModelRequest {
        model: "m-1".to_owned(),
        step_no: 1,
        system: "You repair programs.".to_owned(),
        turns,
        tools: offered(),
        max_output: 1000,
    }
}

fn user(text: &str) -> Turn {
    Turn::User { text: text.to_owned() }
}

fn results(reply: &Reply) -> Turn {
    let result =
        |(index, call): (usize, &llm::ToolCall)| ToolResult { call_id: call.id.clone(), content: "ok".to_owned(), is_error: index == 1 };
    Turn::ToolResults { results: reply.tool_calls.iter().enumerate().map(result).collect(), note: Some("Two steps are left.".to_owned()) }
}

/// The tools that models are given, as the agent's own snapshot has them.
fn offered() -> Vec<ToolSpec> {
    let snapshot = std::fs::read_to_string(root().join("common/agent/tests/snapshots/tools.json")).unwrap();
    serde_json::from_str(&snapshot).unwrap()
}

/// `body` with a field that nobody knows, without its model, with a role that nobody has, and with tools that are no list.
pub fn broken(body: &Value) -> Vec<Value> {
    let turns = if body.get("input").is_some() { "input" } else { "messages" };
    let change = |change: &dyn Fn(&mut Value)| {
        let mut changed = body.clone();
        change(&mut changed);
        changed
    };
    vec![
        change(&|body| body["wizardry"] = json!(true)),
        change(&|body| drop(body.as_object_mut().unwrap().remove("model"))),
        change(&|body| body[turns][0]["role"] = json!("wizard")),
        change(&|body| body[turns][0]["wizardry"] = json!(true)),
        change(&|body| body["tools"] = json!({})),
    ]
}
