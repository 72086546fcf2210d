//! What is stored of a job's conversation.

use std::sync::{Arc, OnceLock};

use domain::Finish;
use llm::{Reply, ToolResult};
use serde::{Deserialize, Serialize};

use crate::Cleaned;
use crate::runs::{Signature, signature};

/// One step that has its reply.
#[derive(Clone, Debug)]
pub struct PastStep {
    /// From 1, without gaps.
    pub step_no: u32,
    /// What the model said.
    pub reply: Arc<Reply>,
    pub(crate) ran: Option<ToolsRan>,
    /// Made when first asked for: each later step compares itself with all before it.
    signature: OnceLock<Option<Signature>>,
}

impl PastStep {
    /// The step `step_no`, whose model said `reply`; `ran` = what the tools answered, `None` while they have not run (a worker
    /// may have been lost between).
    pub fn new(step_no: u32, reply: Reply, ran: Option<ToolsRan>) -> Self {
        Self { step_no, reply: Arc::new(reply), ran, signature: OnceLock::new() }
    }

    /// What the tools answered, where they have run.
    pub fn ran(&self) -> Option<&ToolsRan> {
        self.ran.as_ref()
    }

    /// Takes what the tools answered.
    pub fn set_ran(&mut self, ran: Option<ToolsRan>) {
        if self.ran != ran {
            (self.ran, self.signature) = (ran, OnceLock::new());
        }
    }

    /// Takes what the model is told beside what the tools answered ([`ToolsRan::note`]).
    pub fn set_note(&mut self, note: Option<String>) {
        if let Some(ran) = &mut self.ran {
            ran.note = note;
        }
    }

    pub(crate) fn signature(&self) -> Option<Signature> {
        *self.signature.get_or_init(|| signature(self))
    }

    /// What the model wrote down about everything before this step, where the step was for that.
    pub fn summary(&self) -> Option<&str> {
        self.ran.as_ref()?.summary.as_deref()
    }
}

/// What the tools of one step did. Stored as JSON and read back on resume.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ToolsRan {
    /// One for each call, in their order; empty where the model called nothing.
    pub results: Vec<ToolResult>,
    /// What the model handed in, where it finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    /// What the model handed in where that is nothing but a question to a person, who is asked before the work ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Finish>,
    /// Whether the workspace may have changed, so that a checkpoint is due.
    #[serde(default)]
    pub changed: bool,
    /// The commands that ran to an end, and which: what people can be told without believing the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandRan>,
    /// How many calls named no tool or did not fit its schema.
    #[serde(default)]
    pub malformed: usize,
    /// What was taken out of the results before they were stored.
    #[serde(default, skip_serializing_if = "Cleaned::is_empty")]
    pub cleaned: Cleaned,
    /// What the model is told beside the results: see [`crate::note`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The step was a summary of all steps before it, which stands for them from here on; no tool ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// A command of the tool `shell`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommandRan {
    /// What was run; a long one is cut.
    pub command: String,
    /// How it ended, in words: `exit code 0`.
    pub ending: String,
}

impl ToolsRan {
    /// Turns a `finish` into the question that it asks; the model is told that the answer follows.
    pub fn ask(&mut self) {
        const TOLD: &str = "The question was put to a person. What they answer follows; if nothing does, nobody has answered.";
        self.asked = self.finish.take();
        if let Some(result) = self.results.last_mut() {
            result.content = TOLD.to_owned();
        }
    }
}

/// What a person told the agent while it worked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hint {
    /// The step whose model call is the first to see it.
    pub before_step: u32,
    /// Their words.
    pub text: String,
}
