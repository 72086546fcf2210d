//! `edit_file`: replaces passages of a file. The work is done in [`crate::edit`].

use async_trait::async_trait;
use llm::{ProviderName, ToolSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::apply_patch::writes_patches;
use super::{Tool, ToolContext, ToolError, ToolOutput, parse};
use crate::edit::{self, Edit, report};
use crate::untrusted::as_in_file;

pub(super) struct EditFile;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: String,
    edits: Vec<EditInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditInput {
    old: String,
    new: String,
    near_line: Option<usize>,
    replace_all: Option<bool>,
}

#[async_trait]
impl Tool for EditFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "edit_file".to_owned(),
            description: "Replaces passages of a text file, one after the other. Each `old` must stand in the file exactly once, as it is \
                          there, without the line numbers of read_file: give enough lines around it, or near_line, or replace_all. \
                          Either all edits are made or none."
                .to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "path": { "type": "string", "description": "relative to the root of the repository" },
                    "edits": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "properties": {
                                "old": { "type": "string", "description": "the text to replace" },
                                "new": { "type": "string", "description": "what takes its place; empty to delete" },
                                "near_line": { "type": "integer", "minimum": 1, "description": "where old stands more than once: the one nearest to this line" },
                                "replace_all": { "type": "boolean", "description": "replaces every occurrence of old" }
                            },
                            "required": ["old", "new"],
                            "additionalProperties": false
                        }
                    }
                },
                "required": ["path", "edits"],
                "additionalProperties": false
            }),
        }
    }

    fn is_for(&self, provider: ProviderName) -> bool {
        !writes_patches(provider)
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { path, edits } = parse(input)?;
        let before = ctx.workspace.read(&path)?;
        let edits: Vec<Edit> = edits
            .into_iter()
            .map(|EditInput { old, new, near_line, replace_all }| {
                let (old, new) = as_in_file(&before, old, new);
                Edit { old, new, near_line, replace_all: replace_all.unwrap_or(false) }
            })
            .collect();
        let (after, applied) = edit::apply(&before, &edits).map_err(|error| ToolError::Model(format!("{path:?} is unchanged: {error}")))?;
        ctx.workspace.write(&path, after.as_bytes())?;
        let content = report(&format!("{path} is changed"), "edit", &applied);
        Ok(ToolOutput { content, changed: true, finish: None })
    }
}
