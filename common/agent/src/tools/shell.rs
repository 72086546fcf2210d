//! `shell`: a command in the workspace.

use std::time::Duration;

use async_trait::async_trait;
use llm::ToolSpec;
use process::{Command, Exit, Output};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Tool, ToolContext, ToolError, ToolOutput, parse};
use crate::CommandRan;

const DEFAULT_TIMEOUT_S: u64 = 30;
const MOST_TIMEOUT_S: u64 = 600;
/// 5,000 bytes of the head and as many of the tail.
const OUTPUT_BYTES: usize = 10_000;
/// Linux refuses to start a program with a longer argument (MAX_ARG_STRLEN is 131,072).
const MOST_COMMAND_BYTES: usize = 100_000;

pub(super) const NAME: &str = "shell";

pub(super) struct Shell;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    command: String,
    timeout_s: Option<u64>,
}

#[async_trait]
impl Tool for Shell {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: NAME.to_owned(),
            description:
                "Runs a command with sh at the root of the repository and answers its exit code and output, of which the first and \
                          the last 5,000 bytes are kept. There is no terminal, no input and, unless the task says so, no network, not even to this machine itself; only the repository and $HOME \
                          can be written, and whatever it starts ends with it."
                    .to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "command": { "type": "string", "description": "for sh -c" },
                    "timeout_s": { "type": "integer", "minimum": 1, "maximum": MOST_TIMEOUT_S, "description": "seconds after which it is killed; 30 when left out" }
                },
                "required": ["command"],
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { command, timeout_s } = parse(input)?;
        if command.contains('\0') {
            return Err(ToolError::Model("a command cannot contain NUL".to_owned()));
        }
        if command.len() > MOST_COMMAND_BYTES {
            return Err(ToolError::Model(format!(
                "a command can have {MOST_COMMAND_BYTES} bytes at most; put the text into a file with write_file"
            )));
        }
        let asked = Duration::from_secs(timeout_s.unwrap_or(DEFAULT_TIMEOUT_S).clamp(1, MOST_TIMEOUT_S));
        let timeout = asked.min(ctx.deadline.saturating_duration_since(Instant::now()));
        // One stream, or what a test printed and what it complained of could not be put together again.
        let script = format!("exec 2>&1\n{command}");
        let command = Command::new("sh")
            .args(["-c", &script])
            .cwd(ctx.workspace.root())
            .envs(ctx.environment.variables())
            .timeout(timeout)
            .limits(ctx.limits)
            .output_cap(OUTPUT_BYTES);
        let command = match ctx.environment.sandbox() {
            Some(sandbox) => command.sandbox(sandbox.clone()),
            None => command,
        };
        let output = process::run(command, ctx.cancel).await.map_err(|error| ToolError::Fatal(error.into()))?;
        if output.exit == Exit::Cancelled {
            return Err(ToolError::Cancelled);
        }
        Ok(ToolOutput { content: report(&output, timeout, asked), changed: true, finish: None })
    }
}

/// What `input` ran, and how that ended, by the first words of what was answered.
pub(super) fn ran(input: &Value, answer: &str) -> Option<CommandRan> {
    const MOST_CHARS: usize = 200;
    let command = input.get("command")?.as_str()?.trim();
    let cut = command.char_indices().nth(MOST_CHARS).map(|(end, _)| format!("{}…", &command[..end]));
    let ending = answer.lines().next()?.trim_end_matches(NO_OUTPUT);
    Some(CommandRan { command: cut.unwrap_or_else(|| command.to_owned()), ending: ending.to_owned() })
}

const NO_OUTPUT: &str = ", no output";

fn report(output: &Output, timeout: Duration, asked: Duration) -> String {
    let ending = match output.exit {
        Exit::TimedOut if timeout < asked => {
            format!(
                "timed out after {:.1} s, all the time that this job had left; it and everything it started were killed",
                timeout.as_secs_f64()
            )
        }
        Exit::TimedOut => format!("timed out after {} s; it and everything it started were killed", timeout.as_secs()),
        Exit::Exceeded(_) => format!("{}; everything it started was killed too", output.exit),
        exit => exit.to_string(),
    };
    match output.stdout_text().trim_end() {
        "" => format!("{ending}{NO_OUTPUT}"),
        text => format!("{ending}\n{text}"),
    }
}
