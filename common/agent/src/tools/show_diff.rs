//! `show_diff`: what the pull request under review does to one file.

use async_trait::async_trait;
use llm::ToolSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Tool, ToolContext, ToolError, ToolOutput, parse};

/// The most of it at once.
const MOST_BYTES: usize = 24_000;

pub(super) struct ShowDiff;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: String,
    from_line: Option<u32>,
}

#[async_trait]
impl Tool for ShowDiff {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "show_diff".to_owned(),
            description: "Shows what the pull request under review does to one file, with the numbers of the lines as they are now; of \
                          lines marked -, as they were."
                .to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "path": { "type": "string", "description": "relative to the root of the repository" },
                    "from_line": { "type": "integer", "description": "begins at this line of the file as it is now" }
                },
                "required": ["path"],
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { path, from_line } = parse(input)?;
        let change = ctx.change.ok_or_else(|| ToolError::Model("this job reviews no pull request".to_owned()))?;
        let shown = change.file(&path, from_line.unwrap_or(0), MOST_BYTES);
        shown.map(ToolOutput::text).ok_or_else(|| ToolError::Model(format!("the pull request does not change {path:?}")))
    }
}
