//! Workspaces, replies and steps to test with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::{
    AgentError, AlwaysOpen, Brief, Change, Environment, Gate, PastStep, TestCommand, ToolContext, Toolboxes, ToolsRan, Workspace, run_tools,
};
use domain::{AllowedPaths, Caps, Kind, Mode, Usage};
use llm::{ProviderName, Reply, StopReason, ToolCall, ToolResult};
use process::Limits;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A workspace in a folder of its own, beside what must stay out of reach.
pub struct Bench {
    folder: TempDir,
    pub workspace: Workspace,
    pub cancel: CancellationToken,
    pub time: Duration,
    /// What is under review.
    pub change: Option<Change>,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["workspace", "home"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let workspace = Workspace::open(&folder.path().join("workspace")).unwrap();
        Self { folder, workspace, cancel: CancellationToken::new(), time: Duration::from_secs(60), change: None }
    }

    /// With one file in it.
    pub fn with(path: &str, content: impl AsRef<[u8]>) -> Self {
        let bench = Self::new();
        bench.put(path, content);
        bench
    }

    pub fn root(&self) -> &Path {
        self.workspace.root()
    }

    /// The folder around the workspace.
    pub fn outside(&self) -> &Path {
        self.folder.path()
    }

    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn get(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap()
    }

    pub async fn run(&self, reply: &Reply) -> Result<ToolsRan, AgentError> {
        self.run_behind(&AlwaysOpen, reply).await
    }

    /// The same, with a gate before each call.
    pub async fn run_behind(&self, gate: &dyn Gate, reply: &Reply) -> Result<ToolsRan, AgentError> {
        let environment = Environment::new("/usr/local/bin:/usr/bin:/bin", &self.folder.path().join("home"));
        let ctx = ToolContext {
            workspace: &self.workspace,
            environment: &environment,
            limits: Limits::default(),
            change: self.change.as_ref(),
            deadline: Instant::now() + self.time,
            cancel: &self.cancel,
            gate,
        };
        let toolboxes = Toolboxes::standard();
        let kind = if self.change.is_some() { Kind::Review } else { Kind::Change };
        run_tools(toolboxes.of(kind), reply, &ctx).await
    }

    pub async fn call(&self, name: &str, input: Value) -> ToolResult {
        let mut ran = self.run(&reply(&[(name, input)])).await.unwrap();
        assert_eq!(ran.results.len(), 1);
        ran.results.remove(0)
    }

    /// The answer of a call that must succeed.
    pub async fn ok(&self, name: &str, input: Value) -> String {
        let result = self.call(name, input).await;
        assert!(!result.is_error, "{}", result.content);
        result.content
    }

    /// The answer of a call that must fail.
    pub async fn err(&self, name: &str, input: Value) -> String {
        let result = self.call(name, input).await;
        assert!(result.is_error, "{}", result.content);
        result.content
    }
}

pub fn reply(calls: &[(&str, Value)]) -> Reply {
    let tool_calls: Vec<ToolCall> = calls
        .iter()
        .enumerate()
        .map(|(index, (name, input))| ToolCall { id: format!("call_{index}"), name: (*name).to_owned(), input: input.clone() })
        .collect();
    let stop = if tool_calls.is_empty() { StopReason::EndTurn } else { StopReason::ToolUse };
    let native = serde_json::value::to_raw_value(&json!([{ "calls": tool_calls.len() }])).unwrap();
    let usage = Usage { uncached_input: 1000, output: 50, ..Usage::default() };
    let text = "I go on.".to_owned();
    Reply {
        raw: String::new(),
        provider: ProviderName::Anthropic,
        native,
        text,
        tool_calls,
        stop,
        usage,
        model: "claude-haiku-4-5-1".into(),
    }
}

/// A step whose calls answered `results`.
pub fn step(step_no: u32, calls: &[(&str, Value)], results: &[&str]) -> PastStep {
    let reply = reply(calls);
    let results = reply.tool_calls.iter().zip(results);
    let results =
        results.map(|(call, content)| ToolResult { call_id: call.id.clone(), content: (*content).to_owned(), is_error: false }).collect();
    PastStep::new(step_no, reply, Some(ToolsRan { results, ..ToolsRan::default() }))
}

/// What the model said in `step`, to be changed.
pub fn said(step: &mut PastStep) -> &mut Reply {
    Arc::make_mut(&mut step.reply)
}

/// Changes what the tools of `step` answered.
pub fn change(step: &mut PastStep, change: impl FnOnce(&mut ToolsRan)) {
    let mut ran = step.ran().unwrap().clone();
    change(&mut ran);
    step.set_ran(Some(ran));
}

/// A step without a tool call.
pub fn silent(step_no: u32) -> PastStep {
    step(step_no, &[], &[])
}

/// One step after the other, each one call of `shell` with its result.
pub fn steps(calls: &[(&str, &str)]) -> Vec<PastStep> {
    (1..).zip(calls).map(|(no, (command, result))| step(no, &[("shell", json!({ "command": command }))], &[result])).collect()
}

pub fn brief() -> Brief {
    Brief {
        kind: Kind::Change,
        mode: Mode::Mechanic,
        repository: "acme/shop".into(),
        title: "Totals are rounded wrongly".into(),
        body: "The sum of 0.1 and 0.2 shows 0.30000000000000004.".into(),
        number: Some(12),
        instructions: Some("Run `make test`.".into()),
        caps: Caps::MECHANIC,
        test_command: Some(TestCommand { command: "make test".into(), known_from: ".codeteam.toml".into(), is_stated: true }),
        map: Some("src/cart.py\n    3  def total(items):".into()),
        diff: None,
        allowed_paths: AllowedPaths::all(),
        network: None,
        handed_over: None,
    }
}
