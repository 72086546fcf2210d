//! What was done, in a line for each step: for whoever goes on without the conversation.

use crate::PastStep;

const MOST_LINES: usize = 30;
const MOST_CALL_CHARS: usize = 140;
const MOST_RESULT_CHARS: usize = 100;

/// What the calls of `history` were and how each began to answer: the newest steps, oldest of them first. The same
/// line several times in a row is one.
pub(crate) fn digest(history: &[PastStep]) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for line in history.iter().flat_map(calls) {
        match lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => lines.push((line, 1)),
        }
    }
    let skipped = lines.len().saturating_sub(MOST_LINES);
    let earlier = (skipped > 0).then(|| format!("- ({skipped} earlier ones)"));
    let lines = lines[skipped..].iter().map(|(line, count)| match count {
        1 => format!("- {line}"),
        count => format!("- {line} ({count} times)"),
    });
    earlier.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

fn calls(step: &PastStep) -> impl Iterator<Item = String> {
    let results = step.ran.iter().flat_map(|ran| &ran.results);
    step.reply.tool_calls.iter().zip(results).map(|(call, result)| {
        let first = result.content.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        format!("{} → {}", shortened(&format!("{} {}", call.name, call.input), MOST_CALL_CHARS), shortened(first, MOST_RESULT_CHARS))
    })
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most).chain(['…']).collect() }
}
