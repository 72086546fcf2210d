//! File tools as the user of a slot, where only the spawner may become it: the tool runs in a child of the spawner's.

use std::path::PathBuf;
use std::time::Duration;

use domain::AllowedPaths;
use process::Limits;
use process::sandbox::Slot;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{AlwaysOpen, Environment, FILE_TOOLS, ToolContext, ToolError, ToolOutput, Toolbox};
use crate::Workspace;

/// What the spawner knows it by.
const WORK: &str = "file tool";

/// A call, with all that a file tool looks at.
#[derive(Serialize, Deserialize)]
struct Asked {
    tool: String,
    input: Value,
    root: PathBuf,
    /// `None` = everything may be changed.
    allowed: Option<Vec<String>>,
    left: Duration,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
enum Said {
    Output { content: String, changed: bool },
    Malformed(String),
    Model(String),
    Fatal(String),
}

/// Carries out a call as the user of `slot`.
pub(super) async fn run(slot: &Slot, tool: &str, input: &Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
    let asked = Asked {
        tool: tool.to_owned(),
        input: input.clone(),
        root: ctx.workspace.root().to_owned(),
        allowed: ctx.workspace.allowed().globs().map(<[String]>::to_vec),
        left: ctx.deadline.saturating_duration_since(Instant::now()),
    };
    let asked = serde_json::to_vec(&asked).map_err(|error| ToolError::Fatal(error.into()))?;
    let said = tokio::select! {
        said = slot.ask(WORK, &asked) => said.map_err(|error| ToolError::Fatal(error.into()))?,
        () = ctx.cancel.cancelled() => return Err(ToolError::Cancelled),
    };
    match serde_json::from_slice(&said).map_err(|error| ToolError::Fatal(error.into()))? {
        Said::Output { content, changed } => Ok(ToolOutput { content, changed, finish: None }),
        Said::Malformed(text) => Err(ToolError::Malformed(text)),
        Said::Model(text) => Err(ToolError::Model(text)),
        Said::Fatal(text) => Err(ToolError::Fatal(anyhow::anyhow!(text))),
    }
}

/// The work of tools that the spawner does as the user of a slot; see [`process::spawner::Work`].
///
/// # Errors
/// When it is asked for something else, or could not begin.
pub fn work_as_slot(work: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    if work != WORK {
        return Err(format!("no work {work:?}"));
    }
    let asked: Asked = serde_json::from_slice(input).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let said = match runtime.block_on(perform(asked)) {
        Ok(ToolOutput { content, changed, finish: _ }) => Said::Output { content, changed },
        Err(ToolError::Malformed(text)) => Said::Malformed(text),
        Err(ToolError::Model(text)) => Said::Model(text),
        Err(ToolError::Fatal(error)) => Said::Fatal(format!("{error:#}")),
        Err(error @ ToolError::Cancelled) => Said::Fatal(error.to_string()),
    };
    serde_json::to_vec(&said).map_err(|error| error.to_string())
}

async fn perform(asked: Asked) -> Result<ToolOutput, ToolError> {
    let Asked { tool, input, root, allowed, left } = asked;
    let allowed = match allowed {
        None => AllowedPaths::all(),
        Some(globs) => AllowedPaths::of(&globs).map_err(|(_, error)| ToolError::Fatal(anyhow::anyhow!(error)))?,
    };
    let opened = Workspace::open(&root).map_err(|error| ToolError::Fatal(anyhow::anyhow!("cannot open {}: {error}", root.display())))?;
    let context = ToolContext {
        workspace: &opened.allowing(allowed),
        environment: &Environment::new("", &root),
        limits: Limits::default(),
        change: None,
        deadline: Instant::now() + left,
        cancel: &CancellationToken::new(),
        // Who sent the work has asked.
        gate: &AlwaysOpen,
    };
    let tools = Toolbox::standard();
    match tools.named(&tool).filter(|_| FILE_TOOLS.contains(&tool.as_str())) {
        Some((_, tool)) => tool.run(input, &context).await,
        None => Err(ToolError::Fatal(anyhow::anyhow!("{tool:?} is no file tool"))),
    }
}
