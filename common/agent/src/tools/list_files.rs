//! `list_files`: which files there are.

use async_trait::async_trait;
use llm::ToolSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::walk::{Walk, blocking};
use super::{Tool, ToolContext, ToolError, ToolOutput, parse};

const MOST_FILES: usize = 500;

pub(super) struct ListFiles;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: Option<String>,
    glob: Option<String>,
}

#[async_trait]
impl Tool for ListFiles {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "list_files".to_owned(),
            description: "Lists the files of the repository, one path a line, without those that .gitignore names.".to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "path": { "type": "string", "description": "the folder to list; the whole repository when left out" },
                    "glob": { "type": "string", "description": "keeps the files that fit, such as *.rs or src/**/*.test.ts" }
                },
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { path, glob } = parse(input)?;
        let walk = Walk::new(ctx, path.as_deref(), glob.as_deref())?;
        blocking(move || list(&walk)).await.map(ToolOutput::text)
    }
}

fn list(walk: &Walk) -> Result<String, ToolError> {
    let mut lines = Vec::new();
    let mut count = 0;
    walk.each(|path| {
        count += 1;
        if count <= MOST_FILES {
            lines.push(path.display().to_string());
        }
        Ok(true)
    })?;
    if count == 0 {
        lines.push("(no files)".to_owned());
    } else if count > MOST_FILES {
        lines.push(format!("({} files more; narrow it with path or glob)", count - MOST_FILES));
    }
    Ok(lines.join("\n"))
}
