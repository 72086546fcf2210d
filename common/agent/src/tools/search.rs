//! `search`: which lines fit a regular expression, with the libraries of ripgrep.

use async_trait::async_trait;
use grep_regex::RegexMatcher;
use grep_searcher::sinks::Lossy;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use llm::ToolSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::walk::{Walk, blocking};
use super::{Tool, ToolContext, ToolError, ToolOutput, parse};

const MOST_MATCHES: usize = 100;
const MOST_LINE_CHARS: usize = 300;
const HEAP_BYTES: usize = 16 << 20;
const MOST_FILE_BYTES: u64 = 64 << 20;

pub(super) struct Search;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
}

#[async_trait]
impl Tool for Search {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "search".to_owned(),
            description: "Finds the lines that match a regular expression (Rust syntax, within one line) in the files of the repository, \
                          without those that .gitignore names. Answers file:line: text."
                .to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "pattern": { "type": "string", "description": "the regular expression; (?i) at its start ignores case" },
                    "path": { "type": "string", "description": "the folder or file to search; the whole repository when left out" },
                    "glob": { "type": "string", "description": "searches only the files that fit, such as *.rs or src/**/*.test.ts" }
                },
                "required": ["pattern"],
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { pattern, path, glob } = parse(input)?;
        let matcher = RegexMatcher::new_line_matcher(&pattern)
            .map_err(|error| ToolError::Model(format!("{pattern:?} is not a regular expression for one line: {error}")))?;
        let walk = Walk::new(ctx, path.as_deref(), glob.as_deref())?;
        blocking(move || search(&walk, &matcher)).await.map(ToolOutput::text)
    }
}

fn search(walk: &Walk, matcher: &RegexMatcher) -> Result<String, ToolError> {
    let mut searcher =
        SearcherBuilder::new().binary_detection(BinaryDetection::quit(0)).heap_limit(Some(HEAP_BYTES)).line_number(true).build();
    let mut lines = Vec::new();
    walk.each(|path| {
        let name = path.display().to_string();
        // Opened beneath the workspace, not by the walk's path: a link that took its place is not followed out.
        match walk.workspace.dir().open(path).and_then(|file| Ok((file.metadata()?.len(), file.into_std()))) {
            Ok((size, _)) if size > MOST_FILE_BYTES => lines.push(format!("{name}: not searched, it has {size} bytes")),
            Ok((_, file)) => matches(&mut searcher, matcher, &name, &file, &mut lines),
            Err(error) => lines.push(format!("{name}: not searched: {error}")),
        }
        Ok(lines.len() <= MOST_MATCHES)
    })?;
    if lines.is_empty() {
        return Ok("(no matches)".to_owned());
    }
    if lines.len() > MOST_MATCHES {
        lines.truncate(MOST_MATCHES);
        lines.push("(there are more; narrow it with path, glob or pattern)".to_owned());
    }
    Ok(lines.join("\n"))
}

/// Adds the matches of one file, as far as it can be read: an unreadable or endless line ends it.
fn matches(searcher: &mut Searcher, matcher: &RegexMatcher, path: &str, file: &std::fs::File, lines: &mut Vec<String>) {
    let sink = Lossy(|number, line| {
        let line = line.trim_end();
        let shown: String = line.chars().take(MOST_LINE_CHARS).collect();
        let more = if shown.len() < line.len() { " […]" } else { "" };
        lines.push(format!("{path}:{number}: {shown}{more}"));
        Ok(lines.len() <= MOST_MATCHES)
    });
    if let Err(error) = searcher.search_file(matcher, file, sink) {
        lines.push(format!("{path}: not searched to its end: {error}"));
    }
}
