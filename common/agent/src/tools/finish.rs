//! `finish`: hands in the result and ends the work.

use async_trait::async_trait;
use domain::job::Confidence;
use domain::{Finish, ReviewComment};
use llm::ToolSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Tool, ToolContext, ToolError, ToolOutput, parse};

pub(super) const NAME: &str = "finish";
const MOST_TITLE_CHARS: usize = 120;

/// The most findings of one review: more are read by nobody.
const MOST_COMMENTS: usize = 50;
const MOST_COMMENT_CHARS: usize = 4_000;

pub(super) struct FinishWork {
    /// Whether a review is handed in.
    pub with_comments: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    summary: String,
    title: String,
    tests_run: Option<Vec<String>>,
    confidence: Confidence,
    needs_human: Option<String>,
    comments: Option<Vec<ReviewComment>>,
}

#[async_trait]
impl Tool for FinishWork {
    fn spec(&self) -> ToolSpec {
        let mut spec = ToolSpec {
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
        };
        if self.with_comments {
            spec.input_schema["properties"]["comments"] = comments_schema();
        }
        spec
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { summary, title, tests_run, confidence, needs_human, comments } = parse(input)?;
        let title = title.trim();
        if title.is_empty() || title.lines().count() > 1 || title.chars().count() > MOST_TITLE_CHARS {
            return Err(ToolError::Model(format!("title must be one line of at most {MOST_TITLE_CHARS} characters")));
        }
        if summary.trim().is_empty() {
            return Err(ToolError::Model("summary is empty: say what was done and why".to_owned()));
        }
        let comments = comments.unwrap_or_default();
        if !comments.is_empty() && !self.with_comments {
            return Err(ToolError::Malformed("comments are for reviews; put what you have to say into summary".to_owned()));
        }
        check(&comments, ctx)?;
        let finish = Finish {
            summary: summary.trim().to_owned(),
            title: title.to_owned(),
            tests_run: tests_run.unwrap_or_default(),
            confidence,
            needs_human: needs_human.filter(|question| !question.trim().is_empty()),
            comments,
        };
        Ok(ToolOutput { content: "accepted".to_owned(), changed: false, finish: Some(finish) })
    }
}

fn comments_schema() -> Value {
    json!({
        "type": "array",
        "description": "the findings at lines of the change, the most important first",
        "items": {
            "type": "object",
            "properties": {
                "path": { "type": "string", "description": "the file, relative to the root of the repository" },
                "line": { "type": "integer", "description": "the number of the line as the change shows it" },
                "side": { "type": "string", "enum": ["left", "right"], "description": "left for a line marked -, right (also when left out) for the others" },
                "severity": { "type": "string", "enum": ["high", "medium", "low"], "description": "high = must not be merged like this, medium = should be put right, low = could be better" },
                "body": { "type": "string", "description": "what is wrong, what follows, what would repair it; Markdown" }
            },
            "required": ["path", "line", "severity", "body"],
            "additionalProperties": false
        }
    })
}

/// Everything that is wrong with the comments at once, so that one more call puts it right.
fn check(comments: &[ReviewComment], ctx: &ToolContext<'_>) -> Result<(), ToolError> {
    if comments.len() > MOST_COMMENTS {
        return Err(ToolError::Model(format!("{} comments are too many: keep the {MOST_COMMENTS} that matter most", comments.len())));
    }
    let change = ctx.change.map(|change| change.files()).unwrap_or_default();
    let wrong: Vec<String> = comments
        .iter()
        .enumerate()
        .filter_map(|(index, comment)| {
            let chars = comment.body.trim().chars().count();
            let why = match (1..=MOST_COMMENT_CHARS).contains(&chars) {
                true => comment.fits(change).err()?,
                false => format!("body has {chars} characters: 1 to {MOST_COMMENT_CHARS}"),
            };
            Some(format!("comments[{index}]: {why}"))
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(ToolError::Model(format!("not accepted: {}", wrong.join("\n")))) }
}
