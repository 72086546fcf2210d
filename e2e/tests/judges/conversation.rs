//! One conversation with every kind of turn, and ways to break the body that a wire makes of it.

use e2e::root;
use llm::{ModelRequest, Provider, ProviderName, Reply, ToolResult, ToolSpec, Turn};
use serde_json::{Value, json};

/// The requests along a conversation in which `native`, a reply of the provider itself, is followed by replies of another
/// one, and by one that says nothing.
pub fn requests(provider: &dyn Provider, native: &Value) -> Vec<ModelRequest> {
    // Of a vendor whose models keep a cache, where the provider has models of many.
    let model = if provider.name() == ProviderName::Bedrock { "us.anthropic.claude-haiku-4-5-20251001-v1:0" } else { "m-1" };
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
        requests.push(request(model, turns.clone()));
        let answer = match reply.tool_calls.is_empty() {
            true => user("Go on."),
            false => results(&reply),
        };
        turns.extend([Turn::Assistant(reply.into()), answer]);
    }
    requests.push(request(model, turns));
    requests
}

fn request(model: &str, turns: Vec<Turn>) -> ModelRequest {
    ModelRequest {
        model: model.to_owned(),
        step_no: 1,
        system: "You repair programs.".to_owned(),
        turns,
        tools: offered().into(),
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

/// `body` with fields that nobody knows, with tools that are no list, and with what `wire` in particular refuses.
pub fn broken(wire: &str, body: &Value) -> Vec<Value> {
    let turns = ["input", "messages", "contents"].into_iter().find(|turns| body.get(turns).is_some()).unwrap();
    let change = |change: &dyn Fn(&mut Value)| {
        let mut changed = body.clone();
        change(&mut changed);
        changed
    };
    let everywhere = [
        change(&|body| body["wizardry"] = json!(true)),
        change(&|body| body[turns][0]["wizardry"] = json!(true)),
        change(&|body| *if wire == "bedrock" { &mut body["toolConfig"]["tools"] } else { &mut body["tools"] } = json!({})),
    ];
    let here = match wire {
        "google" => [
            change(&|body| body["contents"][0]["parts"][0]["text"] = json!({})),
            change(&|body| body["tools"][0]["functionDeclarations"][0]["wizardry"] = json!(true)),
        ],
        // Each block is one thing, and each message has a role.
        "bedrock" => [
            change(&|body| body["messages"][0]["content"][0]["cachePoint"] = json!({ "type": "default" })),
            change(&|body| drop(body["messages"][0].as_object_mut().unwrap().remove("role"))),
        ],
        _ => [change(&|body| body["model"] = json!(7)), change(&|body| body[turns][0]["role"] = json!("wizard"))],
    };
    everywhere.into_iter().chain(here).collect()
}
