//! The tools, one file each, and how the calls of one reply are carried out.

mod apply_patch;
mod edit_file;
mod environment;
mod far;
mod finish;
mod list_files;
mod read_file;
mod search;
mod shell;
mod show_diff;
mod toolboxes;
mod walk;
mod write_file;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::Finish;
use llm::{ProviderName, Reply, StopReason, ToolCall, ToolResult, ToolSpec};
use process::{Limits, Sandbox};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

pub use environment::Environment;
pub use far::work_as_slot;
pub use toolboxes::Toolboxes;

use crate::{Change, ToolsRan, Workspace, untrusted};

/// The tools that touch files of the workspace. Where it belongs to the user of a slot they act as that user:
/// whatever a path turns out to lead to, it is opened with no more rights than the commands have.
const FILE_TOOLS: &[&str] = &["read_file", "list_files", "search", "edit_file", "apply_patch", "write_file"];

/// Something the model may call.
#[async_trait]
pub trait Tool: Send + Sync {
    /// What the model is told about it. Its schema is closed: `additionalProperties: false` throughout.
    fn spec(&self) -> ToolSpec;

    /// Whether the models of `provider` are told about it. Whoever calls it all the same may: a job can change providers
    /// between two steps.
    fn is_for(&self, _provider: ProviderName) -> bool {
        true
    }

    /// Carries out one call. Ends by `ctx.deadline`, and within moments of `ctx.cancel`.
    ///
    /// # Errors
    /// [`ToolError`]; most errors are for the model to read.
    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError>;
}

/// Where a tool runs.
#[derive(Clone, Copy, Debug)]
pub struct ToolContext<'a> {
    /// The checkout: no file tool reaches beyond it.
    pub workspace: &'a Workspace,
    /// The whole environment of commands.
    pub environment: &'a Environment,
    /// What each command may use of the machine.
    pub limits: Limits,
    /// What is under review, where something is.
    pub change: Option<&'a Change>,
    /// When the job's time is used up.
    pub deadline: Instant,
    /// Ends the step: the job was stopped, or its lease is lost.
    pub cancel: &'a CancellationToken,
    /// Asked before each call.
    pub gate: &'a dyn Gate,
}

/// Whoever knows whether the job goes on: the agent itself reaches no job row.
#[async_trait]
pub trait Gate: Send + Sync + std::fmt::Debug {
    /// Whether another call may begin.
    async fn is_open(&self) -> bool;
}

/// Nobody stops these calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOpen;

#[async_trait]
impl Gate for AlwaysOpen {
    async fn is_open(&self) -> bool {
        true
    }
}

/// What a tool answers.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ToolOutput {
    /// The text that the model reads.
    pub content: String,
    /// Whether the workspace may have changed.
    pub changed: bool,
    /// What the model handed in; ends the work.
    pub finish: Option<Finish>,
}

impl ToolOutput {
    /// An answer of a tool that changes nothing.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }
}

/// Why a call was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The call does not fit the schema. The model sees this text; the guards count it.
    #[error("{0}")]
    Malformed(String),
    /// The model sees this text and may try again.
    #[error("{0}")]
    Model(String),
    /// The step was cancelled; nothing of it is kept.
    #[error("cancelled")]
    Cancelled,
    /// The job stops; a person sees this.
    #[error(transparent)]
    Fatal(#[from] anyhow::Error),
}

/// Why the tools of a step could not be run to their end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The step was cancelled; nothing of it is kept.
    #[error("cancelled")]
    Cancelled,
    /// The worker, not the model, has a problem; another worker may succeed.
    #[error("tool {tool}: {cause:#}")]
    Fatal {
        /// The tool that was running.
        tool: String,
        /// What happened.
        cause: anyhow::Error,
    },
}

/// The tools that the model may call in one job.
#[derive(Default)]
pub struct Toolbox {
    tools: Vec<(ToolSpec, Box<dyn Tool>)>,
    /// Made when first asked for: every call of every job tells the same.
    offers: Mutex<HashMap<ProviderName, Offer>>,
}

/// What the models of one provider are told about the tools.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub specs: Arc<[ToolSpec]>,
    /// How long it is, in bytes.
    pub size: usize,
}

impl Toolbox {
    /// The tools of a change; [`Toolboxes`] has those of the other kinds. A new one is a file beside this one and a line here.
    pub fn standard() -> Self {
        Self::default()
            .with(read_file::ReadFile)
            .with(list_files::ListFiles)
            .with(search::Search)
            .with(edit_file::EditFile)
            .with(apply_patch::ApplyPatch)
            .with(write_file::WriteFile)
            .with(shell::Shell)
            .with(finish::FinishWork { with_comments: false })
    }

    /// Adds `tool`: one that needs a port, such as a search in the knowledge base.
    #[must_use]
    pub fn with(mut self, tool: impl Tool + 'static) -> Self {
        self.tools.push((tool.spec(), Box::new(tool)));
        Self { tools: self.tools, ..Self::default() }
    }

    /// All tools, always in the same order.
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.tools.iter().map(|(spec, _)| spec.clone()).collect()
    }

    /// What the models of `provider` are told about the tools, always in the same order.
    pub fn specs_for(&self, provider: ProviderName) -> Arc<[ToolSpec]> {
        self.offer(provider).specs
    }

    pub(crate) fn offer(&self, provider: ProviderName) -> Offer {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let specs: Arc<[ToolSpec]> =
                self.tools.iter().filter(|(_, tool)| tool.is_for(provider)).map(|(spec, _)| spec.clone()).collect();
            let size = |spec: &ToolSpec| spec.name.len() + spec.description.len() + spec.input_schema.to_string().len();
            Offer { size: specs.iter().map(size).sum(), specs }
        };
        offers.entry(provider).or_insert_with(made).clone()
    }

    fn named(&self, name: &str) -> Option<&(ToolSpec, Box<dyn Tool>)> {
        self.tools.iter().find(|(spec, _)| spec.name == name)
    }

    async fn run(&self, call: &ToolCall, provider: ProviderName, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let slot = ctx.environment.sandbox().and_then(Sandbox::slot).filter(|_| FILE_TOOLS.contains(&call.name.as_str()));
        match (self.named(&call.name), slot) {
            (Some((spec, _)), Some(slot)) if slot.is_with_spawner() => far::run(slot, &spec.name, &call.input, ctx).await,
            (Some((_, tool)), Some(slot)) => {
                slot.acting(tool.run(call.input.clone(), ctx)).await.map_err(|error| ToolError::Fatal(error.into()))?
            }
            (Some((_, tool)), None) => tool.run(call.input.clone(), ctx).await,
            (None, _) => {
                let specs = self.specs_for(provider);
                let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
                Err(ToolError::Malformed(format!("there is no tool {:?}; the tools are {}", call.name, names.join(", "))))
            }
        }
    }
}

/// Carries out the calls of `reply` in their order, and answers every one of them.
///
/// A failed call does not stop those after it, but it does keep `finish` from being accepted: the model
/// has not seen the failure yet. Nothing is carried out after `finish`, nor after the job's time, nor when the gate is shut.
///
/// # Errors
/// [`AgentError`]: then nothing of the step may be stored, and its tools run again on a fresh checkout.
pub async fn run_tools(tools: &Toolbox, reply: &Reply, ctx: &ToolContext<'_>) -> Result<ToolsRan, AgentError> {
    let mut ran = ToolsRan::default();
    for (index, call) in reply.tool_calls.iter().enumerate() {
        let is_cut = reply.stop == StopReason::MaxTokens && index + 1 == reply.tool_calls.len();
        // Not what the model calls it, which may be anything.
        let name = tools.named(&call.name).map_or("unknown", |(spec, _)| spec.name.as_str());
        let span = tracing::info_span!("tool", tool = name, otel.status_code = Empty);
        let outcome = match objection(call, &ran, is_cut, ctx) {
            Some(error) => Err(error),
            None if !ctx.gate.is_open().await => Err(ToolError::Cancelled),
            None => tools.run(call, reply.provider, ctx).instrument(span.clone()).await,
        };
        if outcome.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        drop(span);
        let (content, is_error) = match outcome {
            Ok(output) => {
                ran.changed |= output.changed;
                if name == shell::NAME {
                    ran.commands.extend(shell::ran(&call.input, &output.content));
                }
                ran.finish = ran.finish.or(output.finish.map(|finish| untrusted::finish(finish, &mut ran.cleaned)));
                (output.content, false)
            }
            Err(ToolError::Model(text)) => (text, true),
            Err(ToolError::Malformed(text)) => {
                ran.malformed += 1;
                (text, true)
            }
            Err(ToolError::Cancelled) => return Err(AgentError::Cancelled),
            Err(ToolError::Fatal(cause)) => return Err(AgentError::Fatal { tool: call.name.clone(), cause }),
        };
        // PostgreSQL's text and JSON cannot hold NUL.
        let content = untrusted::of_tool(&content.replace('\0', "\u{fffd}"), name == shell::NAME, &mut ran.cleaned);
        ran.results.push(ToolResult { call_id: call.id.clone(), content, is_error });
    }
    Ok(ran)
}

/// Why `call` must not even be tried.
fn objection(call: &ToolCall, ran: &ToolsRan, is_cut: bool, ctx: &ToolContext<'_>) -> Option<ToolError> {
    let failed = ran.results.iter().any(|result| result.is_error);
    if ctx.cancel.is_cancelled() {
        Some(ToolError::Cancelled)
    } else if ran.finish.is_some() {
        Some(ToolError::Model("not carried out: the call of finish before it ended the work".to_owned()))
    } else if is_cut {
        Some(ToolError::Malformed(
            "not carried out: your reply was cut off here at the output limit; make the call again, smaller".to_owned(),
        ))
    } else if untrusted::writes_mark(call) {
        Some(ToolError::Model(
            "not carried out: it would write a [redacted: …] mark in the place of a secret that you were not shown; edit the lines around it"
                .to_owned(),
        ))
    } else if call.name == finish::NAME && failed {
        Some(ToolError::Model("not accepted: another call of the same reply failed; read its result first".to_owned()))
    } else if call.name != finish::NAME && Instant::now() >= ctx.deadline {
        Some(ToolError::Model("not carried out: the time of this job is used up".to_owned()))
    } else {
        None
    }
}

/// Reads the arguments of a call.
fn parse<T: DeserializeOwned>(input: Value) -> Result<T, ToolError> {
    serde_json::from_value(input).map_err(|error| ToolError::Malformed(format!("the input does not fit the tool's schema: {error}")))
}
