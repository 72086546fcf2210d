//! A model whose replies come from a file: for demonstrations and tests. It calls nobody and costs
//! nothing, and whatever shows it to people says so.
//!
//! ```json
//! {
//!   "name": "fix the rounding",
//!   "delay_ms": 200,
//!   "replies": [
//!     { "text": "I run the tests first.", "tool_calls": [{ "name": "shell", "input": { "command": "make test" } }] },
//!     { "text": "That is all.", "usage": { "uncached_input": 10, "cache_read": 0, "cache_write": 0, "output": 5 } }
//!   ]
//! }
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use domain::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::until;
use crate::{LlmError, ModelRequest, Provider, ProviderName, Reply, StopReason, ToolCall, ToolResult, ToolSpec, Turn};

const NAME: ProviderName = ProviderName::Scripted;

/// Answers step n of a job with the nth reply of its file, however often it is asked: a resumed job
/// continues where it was.
#[derive(Clone, PartialEq, Debug)]
pub struct Scripted {
    file: String,
    script: Script,
}

/// Why a file of replies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("cannot read the replies in {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// It is not what such a file should be.
    #[error("{file}: {cause}")]
    Parse {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        cause: serde_json::Error,
    },
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    name: String,
    #[serde(default)]
    delay_ms: u64,
    replies: Vec<ScriptedReply>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedReply {
    #[serde(default)]
    text: String,
    #[serde(default)]
    tool_calls: Vec<ScriptedCall>,
    usage: Option<Usage>,
    stop: Option<Stop>,
    delay_ms: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedCall {
    name: String,
    input: Value,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stop {
    EndTurn,
    ToolUse,
    MaxTokens,
    Refusal,
}

/// The verbatim request. What differs from step to step stands behind the conversation, as with most vendors: the beginning that it shares
/// with the one before is not stored again.
#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    system: &'a str,
    tools: &'a [ToolSpec],
    turns: Vec<AskedTurn<'a>>,
    max_output: u64,
    step_no: u32,
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum AskedTurn<'a> {
    User { text: &'a str },
    Assistant { text: &'a str, tool_calls: &'a [ToolCall] },
    Tool { results: &'a [ToolResult], note: Option<&'a str> },
}

/// The verbatim reply that this provider makes.
#[derive(Serialize, Deserialize)]
struct Body<M> {
    model: String,
    script: String,
    step_no: u32,
    message: M,
    stop: Stop,
    usage: Usage,
}

#[derive(Serialize, Deserialize)]
struct Message {
    text: String,
    tool_calls: Vec<ToolCall>,
}

impl Scripted {
    /// Reads the replies in `path`.
    ///
    /// # Errors
    /// [`ScriptError`], which names the file and, where it can, the line.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path).map_err(|cause| ScriptError::Read { path: path.to_owned(), cause })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Takes the replies in `text`, which errors will say are from `file`.
    ///
    /// # Errors
    /// [`ScriptError::Parse`].
    pub fn parse(file: &str, text: &str) -> Result<Self, ScriptError> {
        let script = serde_json::from_str(text).map_err(|cause| ScriptError::Parse { file: file.to_owned(), cause })?;
        Ok(Self { file: file.to_owned(), script })
    }

    /// What the file says it does: to be shown to people, with the word "scripted".
    pub fn title(&self) -> &str {
        &self.script.name
    }

    fn reply(&self, step_no: u32) -> Result<&ScriptedReply, LlmError> {
        let index = usize::try_from(step_no).ok().and_then(|no| no.checked_sub(1));
        index.and_then(|index| self.script.replies.get(index)).ok_or_else(|| {
            let (file, count) = (&self.file, self.script.replies.len());
            let message =
                format!("no reply for step {step_no} in {file}, which ends with step {count}; add one, or a call of finish before it");
            LlmError::BadRequest { provider: NAME, message }
        })
    }

    /// What the call would have used, where the file does not say: four bytes a token, and everything
    /// that the call before had sent comes from the cache.
    fn nominal_usage(&self, body: &str, request: &ModelRequest, message: &str) -> Result<Usage, LlmError> {
        let input = tokens(body);
        let cache_read = match request.turns.iter().rposition(|turn| matches!(turn, Turn::Assistant(_))) {
            Some(last) => tokens(&self.encode(&ModelRequest { turns: request.turns[..last].to_vec(), ..request.clone() })?).min(input),
            None => 0,
        };
        Ok(Usage { uncached_input: input - cache_read, cache_read, cache_write: 0, output: tokens(message) })
    }
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> ProviderName {
        NAME
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        request.check().map_err(|message| LlmError::BadRequest { provider: NAME, message })?;
        to_json(&Asked {
            model: &request.model,
            system: &request.system,
            tools: &request.tools,
            turns: request.turns.iter().map(turn).collect(),
            max_output: request.max_output,
            step_no: request.step_no,
        })
    }

    async fn call(&self, body: &str, request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        let step_no = request.step_no;
        let reply = self.reply(step_no)?;
        let delay = Duration::from_millis(reply.delay_ms.unwrap_or(self.script.delay_ms));
        // The timer cannot wait for less than a millisecond or two.
        let pause = async {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
        };
        until(deadline, cancel, pause).await.map_err(|end| end.error(NAME, false))?;

        let tool_calls: Vec<ToolCall> = reply
            .tool_calls
            .iter()
            .enumerate()
            .map(|(index, call)| ToolCall {
                id: format!("call_{step_no}_{}", index + 1),
                name: call.name.clone(),
                input: call.input.clone(),
            })
            .collect();
        let usual = if tool_calls.is_empty() { Stop::EndTurn } else { Stop::ToolUse };
        let message = Message { text: reply.text.clone(), tool_calls };
        let usage = match reply.usage {
            Some(usage) => usage,
            None => self.nominal_usage(body, request, &to_json(&message)?)?,
        };
        let stop = reply.stop.unwrap_or(usual);
        to_json(&Body { model: request.model.clone(), script: self.script.name.clone(), step_no, message, stop, usage })
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        let malformed = |error: serde_json::Error| LlmError::Malformed { provider: NAME, what: error.to_string() };
        let body: Body<&RawValue> = serde_json::from_str(raw).map_err(malformed)?;
        let message: Message = serde_json::from_str(body.message.get()).map_err(malformed)?;
        Ok(Reply {
            raw: raw.to_owned(),
            provider: NAME,
            native: body.message.to_owned(),
            text: message.text,
            tool_calls: message.tool_calls,
            stop: match body.stop {
                Stop::EndTurn => StopReason::EndTurn,
                Stop::ToolUse => StopReason::ToolUse,
                Stop::MaxTokens => StopReason::MaxTokens,
                Stop::Refusal => StopReason::Refusal,
            },
            usage: body.usage,
            model: body.model,
        })
    }
}

fn turn(turn: &Turn) -> AskedTurn<'_> {
    match turn {
        Turn::User { text } => AskedTurn::User { text },
        Turn::Assistant(reply) => AskedTurn::Assistant { text: &reply.text, tool_calls: &reply.tool_calls },
        Turn::ToolResults { results, note } => AskedTurn::Tool { results, note: note.as_deref() },
    }
}

fn to_json(value: &impl Serialize) -> Result<String, LlmError> {
    serde_json::to_string(value).map_err(|error| LlmError::Malformed { provider: NAME, what: error.to_string() })
}

fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}
