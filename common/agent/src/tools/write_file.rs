//! `write_file`: a whole file, new or in place of an old one.

use async_trait::async_trait;
use llm::ToolSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Tool, ToolContext, ToolError, ToolOutput, parse};

pub(super) struct WriteFile;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: String,
    content: String,
}

#[async_trait]
impl Tool for WriteFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "write_file".to_owned(),
            description: "Writes a whole text file: a new one, folders included, or all of an old one. Where only a part of a file changes, edit it instead."
                .to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "path": { "type": "string", "description": "relative to the root of the repository" },
                    "content": { "type": "string", "description": "the whole file" }
                },
                "required": ["path", "content"],
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { path, content } = parse(input)?;
        let is_new = ctx.workspace.write(&path, content.as_bytes())?;
        let (verb, lines) = (if is_new { "created" } else { "replaced" }, content.lines().count());
        Ok(ToolOutput { content: format!("{path} is {verb}: {lines} lines"), changed: true, finish: None })
    }
}
