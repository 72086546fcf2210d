//! `read_file`: part of a text file, with line numbers.

use async_trait::async_trait;
use llm::ToolSpec;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Tool, ToolContext, ToolError, ToolOutput, parse};

const DEFAULT_LINES: usize = 400;
const MOST_LINES: usize = 2_000;
const MOST_BYTES: usize = 30_000;
const MOST_LINE_CHARS: usize = 1_000;

pub(super) struct ReadFile;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: String,
    offset: Option<usize>,
    limit: Option<usize>,
}

#[async_trait]
impl Tool for ReadFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "read_file".to_owned(),
            description: "Reads a text file of the repository. Each line comes with its number and a tab, which are not part of the file. \
                          Long files come in parts."
                .to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "path": { "type": "string", "description": "relative to the root of the repository" },
                    "offset": { "type": "integer", "minimum": 1, "description": "the first line to read; 1 when left out" },
                    "limit": { "type": "integer", "minimum": 1, "maximum": MOST_LINES, "description": "how many lines to read; 400 when left out" }
                },
                "required": ["path"],
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, input: Value, ctx: &ToolContext<'_>) -> Result<ToolOutput, ToolError> {
        let Input { path, offset, limit } = parse(input)?;
        let text = ctx.workspace.read(&path)?;
        // A byte order mark is none of the text, and edits keep it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let limit = limit.unwrap_or(DEFAULT_LINES).clamp(1, MOST_LINES);
        numbered(&path, text, offset.unwrap_or(1).max(1), limit).map(ToolOutput::text)
    }
}

/// The lines from `first` (from 1), at most `limit` of them and at most 30,000 bytes.
fn numbered(path: &str, text: &str, first: usize, limit: usize) -> Result<String, ToolError> {
    let count = text.lines().count();
    if count == 0 {
        return Ok(format!("({path:?} is empty)"));
    }
    if first > count {
        return Err(ToolError::Model(format!("{path:?} has {count} lines; there is no line {first}")));
    }
    let mut output = String::new();
    let mut last = first - 1;
    for line in text.lines().skip(first - 1).take(limit) {
        let shown = shortened(line);
        if last >= first && output.len() + shown.len() > MOST_BYTES {
            break;
        }
        last += 1;
        output.push_str(&format!("{last:>6}\t{shown}\n"));
    }
    if last < count {
        output.push_str(&format!("({} of {count} lines; go on with offset {})", last + 1 - first, last + 1));
    }
    Ok(output.trim_end_matches('\n').to_owned())
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(MOST_LINE_CHARS) {
        Some((end, _)) => format!("{} [… {} bytes more]", &line[..end], line.len() - end),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_numbered_and_say_where_to_go_on() {
        let text = "one\ntwo\nthree\n";
        assert_eq!(numbered("a", text, 1, 10).unwrap(), "     1\tone\n     2\ttwo\n     3\tthree");
        assert_eq!(numbered("a", text, 2, 1).unwrap(), "     2\ttwo\n(1 of 3 lines; go on with offset 3)");
    }

    #[test]
    fn a_part_is_never_larger_than_its_limit_and_never_empty() {
        let text = format!("{}\n", "x".repeat(900)).repeat(100);
        let part = numbered("a", &text, 1, 100).unwrap();
        assert!(part.len() < MOST_BYTES + 1_000, "{}", part.len());
        assert!(part.ends_with("(33 of 100 lines; go on with offset 34)"), "{}", &part[part.len() - 80..]);
        let line = numbered("a", &"é".repeat(50_000), 1, 1).unwrap();
        assert!(line.ends_with("[… 98000 bytes more]"), "{}", &line[line.len() - 40..]);
    }

    #[test]
    fn a_line_beyond_the_end_is_refused_with_the_count() {
        assert_eq!(numbered("a", "one\n", 2, 1).unwrap_err().to_string(), r#""a" has 1 lines; there is no line 2"#);
        assert_eq!(numbered("a", "", 1, 1).unwrap(), r#"("a" is empty)"#);
    }
}
