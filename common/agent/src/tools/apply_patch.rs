//! `apply_patch`: changes any number of files at once. The work is done in [`crate::patch`] and [`crate::edit`].

use async_trait::async_trait;
use llm::{ProviderName, ToolSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Tool, ToolContext, ToolError, ToolOutput, parse};
use crate::patch;

pub(super) struct ApplyPatch;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(alias = "patch")]
    input: String,
}

#[async_trait]
impl Tool for ApplyPatch {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "apply_patch".to_owned(),
            description: include_str!("../../prompts/apply_patch.md").trim().to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": { "input": { "type": "string", "description": "the whole patch" } },
                "required": ["input"],
                "additionalProperties": false
            }),
        }
    }

    fn is_for(&self, provider: ProviderName) -> bool {
        writes_patches(provider)
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { input } = parse(input)?;
        let sections = patch::parse(&input).map_err(|error| ToolError::Malformed(format!("nothing is changed: {error}")))?;
        let made = patch::plan(ctx.workspace, &sections).and_then(|(changes, told)| {
            ctx.workspace.change(&changes)?;
            Ok(told)
        });
        match made {
            Ok(told) => Ok(ToolOutput { content: told.join("\n"), changed: true, finish: None }),
            Err(ToolError::Model(reason)) => Err(ToolError::Model(format!("nothing is changed: {reason}"))),
            Err(error) => Err(error),
        }
    }
}

/// Whose models have learned to write patches in this form.
pub(super) fn writes_patches(provider: ProviderName) -> bool {
    matches!(provider, ProviderName::OpenAi)
}
