//! What is stored and what is charged agree, whoever answers: the usage in the ledger is that of the stored reply, and its
//! cost is the price of that usage.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::{Secret, Usage};
use llm::{
    Anthropic, AwsAccess, Bedrock, Chat, Google, Http, HttpOptions, LlmError, ModelRequest, Models, OpenAi, Provider, ProviderName,
    Providers, Reply,
};
use serde_json::{Value, json};
use testkit::new_job;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::World;

const STEPS: usize = 5;
const OWN_MODEL: &str = r#"
    [[provider]]
    name = "ollama"
    base_url = "http://unused"
    [[model]]
    name = "qwen3-coder"
    provider = "ollama"
    input_per_million = 30_000
    cache_read_per_million = 3_000
    output_per_million = 70_000
    context_window = 131_072
    max_output = 16_384
    priced_on = "2026-11-26"
    source = "a test"
"#;

/// A real wire whose other end is a list of replies.
struct Canned {
    wire: Box<dyn Provider>,
    replies: Mutex<VecDeque<String>>,
}

#[async_trait]
impl Provider for Canned {
    fn name(&self) -> ProviderName {
        self.wire.name()
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        self.wire.encode(request)
    }

    async fn call(&self, _: &str, _: &ModelRequest, _: Instant, _: &CancellationToken) -> Result<String, LlmError> {
        Ok(self.replies.lock().unwrap().pop_front().expect("one for each step"))
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        self.wire.decode(raw)
    }
}

/// A reply of a wire that calls `shell` and used `usage`.
type ReplyOf = fn(step: usize, usage: Usage) -> Value;

fn of_anthropic(step: usize, usage: Usage) -> Value {
    let call = json!({ "type": "tool_use", "id": format!("t{step}"), "name": "shell", "input": { "command": format!("echo {step}") } });
    let usage = json!({
        "input_tokens": usage.uncached_input, "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write, "output_tokens": usage.output
    });
    json!({ "content": [call], "model": "claude-haiku-4-5", "stop_reason": "tool_use", "usage": usage })
}

fn of_openai(step: usize, usage: Usage) -> Value {
    let arguments = json!({ "command": format!("echo {step}") }).to_string();
    let call = json!({ "type": "function_call", "call_id": format!("t{step}"), "name": "shell", "arguments": arguments });
    let usage = json!({
        "input_tokens": usage.input(), "input_tokens_details": { "cached_tokens": usage.cache_read }, "output_tokens": usage.output
    });
    json!({ "status": "completed", "model": "gpt-5-mini", "output": [call], "usage": usage })
}

fn of_chat(step: usize, usage: Usage) -> Value {
    let arguments = json!({ "command": format!("echo {step}") }).to_string();
    let call = json!({ "id": format!("t{step}"), "type": "function", "function": { "name": "shell", "arguments": arguments } });
    let usage = json!({
        "prompt_tokens": usage.input(), "prompt_tokens_details": { "cached_tokens": usage.cache_read }, "completion_tokens": usage.output
    });
    json!({ "model": "other-name", "choices": [{ "message": { "role": "assistant", "tool_calls": [call] }, "finish_reason": "tool_calls" }], "usage": usage })
}

fn of_google(step: usize, usage: Usage) -> Value {
    let call = json!({ "functionCall": { "name": "shell", "args": { "command": format!("echo {step}") } } });
    let usage = json!({
        "promptTokenCount": usage.input(), "cachedContentTokenCount": usage.cache_read,
        "candidatesTokenCount": usage.output - 1, "thoughtsTokenCount": 1, "totalTokenCount": usage.input() + usage.output
    });
    let candidate = json!({ "content": { "role": "model", "parts": [call] }, "finishReason": "STOP", "index": 0 });
    json!({ "candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash" })
}

fn of_bedrock(step: usize, usage: Usage) -> Value {
    let call = json!({ "toolUse": { "toolUseId": format!("t{step}"), "name": "shell", "input": { "command": format!("echo {step}") } } });
    let usage = json!({
        "inputTokens": usage.uncached_input, "cacheReadInputTokens": usage.cache_read, "cacheWriteInputTokens": usage.cache_write,
        "outputTokens": usage.output, "totalTokens": usage.input() + usage.output
    });
    json!({ "output": { "message": { "role": "assistant", "content": [call] } }, "stopReason": "tool_use", "usage": usage })
}

/// Figures without a pattern, the same in every run.
fn usages(seed: u64) -> Vec<Usage> {
    let mut state = seed;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..STEPS)
        .map(|_| Usage { uncached_input: next(700), cache_read: next(5_000), cache_write: next(700), output: 1 + next(300) })
        .collect()
}

#[tokio::test]
async fn what_is_stored_and_what_is_charged_agree_for_every_provider() {
    let http = Http::new(HttpOptions::default()).unwrap();
    let key = || Secret::new("unused");
    let wires: Vec<(Box<dyn Provider>, &str, ReplyOf)> = vec![
        (Box::new(Anthropic::new(http.clone(), key())), "claude-haiku-4-5", of_anthropic),
        (Box::new(OpenAi::new(http.clone(), key())), "gpt-5-mini", of_openai),
        (Box::new(Google::new(http.clone(), key())), "gemini-2.5-flash", of_google),
        (
            Box::new(Bedrock::new(http.clone(), "us-east-1", AwsAccess::ApiKey(key()))),
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            of_bedrock,
        ),
        (Box::new(Chat::new(http.clone(), "ollama".parse().unwrap(), "http://unused", None)), "qwen3-coder", of_chat),
    ];
    for (index, (wire, model, reply)) in wires.into_iter().enumerate() {
        let world = World::new().await;
        let said = usages(7 + index as u64);
        let replies = said.iter().enumerate().map(|(step, usage)| reply(step, *usage).to_string()).collect();
        let canned = Canned { wire, replies: Mutex::new(replies) };
        let mut worker = world.worker_of("a", Providers::new().with(canned), Arc::default());
        worker.step.models = Models::builtin().with_rows("test.toml", OWN_MODEL).unwrap().0;
        worker.step.default_model = Some(model.to_owned());
        let (job_id, epoch) = world.job(new_job()).await;
        for _ in 0..STEPS {
            worker.step(job_id, epoch).await.unwrap();
        }
        assert_eq!(divergences(&world, &worker.step, model, &said).await, Vec::<String>::new(), "{model}");
    }
}

/// Where the ledger, the stored replies and what the provider said differ.
async fn divergences(world: &World, step: &step::Step, model: &str, said: &[Usage]) -> Vec<String> {
    let model = step.models.lookup(model).unwrap();
    let provider = step.providers.provider_for(model).unwrap();
    let mut found = Vec::new();
    let mut total = 0;
    for (step_no, said) in (1..).zip(said) {
        let stored = world.test.value(&format!("select reply from steps where step_no = {step_no} and half = 'reply'")).await;
        let usage = provider.decode(&stored).unwrap().usage;
        let cost = model.price.cost(&usage).0;
        total += cost;
        let charged = format!(
            "select concat_ws(' ', uncached_input, cache_read, cache_write, output, cost_microusd) from ledger \
             where step_no = {step_no} and kind = 'settled'"
        );
        let charged = world.test.value(&charged).await;
        let Usage { uncached_input, cache_read, cache_write, output } = usage;
        let expected = format!("{uncached_input} {cache_read} {cache_write} {output} {cost}");
        if charged != expected {
            found.push(format!("step {step_no}: stored {expected}, charged {charged}"));
        }
        if (usage.input(), usage.cache_read, usage.output) != (said.input(), said.cache_read, said.output) {
            found.push(format!("step {step_no}: the provider said {said:?}, stored is {usage:?}"));
        }
    }
    let spent = world.test.value("select cost_microusd from queue").await;
    if spent != total.to_string() {
        found.push(format!("the job has spent {spent}, its replies cost {total}"));
    }
    found
}
