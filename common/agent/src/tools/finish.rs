//! `finish`: hands in the result and ends the work.

use async_trait::async_trait;
use domain::Finish;
use domain::job::Confidence;
use llm::ToolSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Tool, ToolContext, ToolError, ToolOutput, parse};

pub(super) const NAME: &str = "finish";
const MOST_TITLE_CHARS: usize = 120;

pub(super) struct FinishWork;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    summary: String,
    title: String,
    tests_run: Option<Vec<String>>,
    confidence: Confidence,
    needs_human: Option<String>,
}

#[async_trait]
impl Tool for FinishWork {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: NAME.to_owned(),
            description: "Hands in the result and ends the work. Call it once, alone in its reply, after the last check.".to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "summary": { "type": "string", "description": "what was done and why, or the answer; Markdown" },
                    "title": { "type": "string", "description": "one line: the title of the pull request, the headline of the answer" },
                    "tests_run": { "type": "array", "items": { "type": "string" }, "description": "the commands with which the result was checked, each with how it ended" },
                    "confidence": { "type": "string", "enum": ["low", "medium", "high"], "description": "high = checked, medium = checked in part, low = a person should look closely" },
                    "needs_human": { "type": "string", "description": "the question that a person has to decide, where there is one" }
                },
                "required": ["summary", "title", "tests_run", "confidence"],
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, input: Value, _ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { summary, title, tests_run, confidence, needs_human } = parse(input)?;
        let title = title.trim();
        if title.is_empty() || title.lines().count() > 1 || title.chars().count() > MOST_TITLE_CHARS {
            return Err(ToolError::Model(format!("title must be one line of at most {MOST_TITLE_CHARS} characters")));
        }
        if summary.trim().is_empty() {
            return Err(ToolError::Model("summary is empty: say what was done and why".to_owned()));
        }
        let finish = Finish {
            summary: summary.trim().to_owned(),
            title: title.to_owned(),
            tests_run: tests_run.unwrap_or_default(),
            confidence,
            needs_human: needs_human.filter(|question| !question.trim().is_empty()),
        };
        Ok(ToolOutput { content: "accepted".to_owned(), changed: false, finish: Some(finish) })
    }
}
