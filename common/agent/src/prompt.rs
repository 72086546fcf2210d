//! The words that the model reads before it starts. They live in `prompts/`, as people edit them.

use domain::{Caps, Kind, Mode};

use crate::untrusted::fence;
use crate::{Brief, Cleaned, HandOver, TestCommand, untrusted};

/// Follows a reply without any tool call.
pub(crate) const NUDGE: &str = include_str!("../prompts/nudge.md");
/// Follows a reply that the output limit cut off before it called anything.
pub(crate) const NUDGE_CUT: &str = include_str!("../prompts/nudge_cut.md");
/// Stands for a result that was lost with its worker.
pub(crate) const LOST: &str = include_str!("../prompts/lost.md");

/// Asks for a summary, in the place of the next step.
pub(crate) const SUMMARISE: &str = include_str!("../prompts/summarise.md");

/// The system prompt. It depends on the kind of job alone, so that all jobs of a kind share one cached
/// beginning.
pub(crate) fn system(brief: &Brief) -> String {
    let kind = match brief.kind {
        Kind::Change => include_str!("../prompts/kinds/change.md"),
        Kind::Analysis => include_str!("../prompts/kinds/analysis.md"),
        Kind::Review => include_str!("../prompts/kinds/review.md"),
        Kind::Question => include_str!("../prompts/kinds/question.md"),
    };
    fill(include_str!("../prompts/system.md"), &[("kind", kind.trim())])
}

/// The first user turn: what to do, where, and within which limits.
pub(crate) fn task(brief: &Brief) -> String {
    let Caps { steps, tokens, active_ms, .. } = brief.caps;
    let asked_in = brief.number.map(|number| format!(", asked for in #{number}")).unwrap_or_default();
    let request = [brief.title.trim(), brief.body.trim()].join("\n\n");
    let instructions = match &brief.instructions {
        Some(text) => {
            format!("\n\n{}", fill(include_str!("../prompts/instructions.md"), &[("instructions", &fence("untrusted-instructions", text))]))
        }
        None => String::new(),
    };
    let mode = match brief.mode {
        Mode::Mechanic => include_str!("../prompts/modes/mechanic.md"),
        Mode::Genius => include_str!("../prompts/modes/genius.md"),
    };
    let values = [
        ("repository", brief.repository.as_str()),
        ("asked_in", &asked_in),
        ("request", &fence("untrusted-request", &request)),
        ("instructions", &instructions),
        ("paths", &paths(brief)),
        ("map", &map(brief)),
        ("diff", &diff(brief)),
        ("mode", mode.trim()),
        ("tests", &[tests(brief)].into_iter().chain(brief.network.clone()).collect::<Vec<_>>().join(" ")),
        ("steps", &steps.to_string()),
        ("tokens", &tokens.to_string()),
        ("seconds", &(active_ms / 1000).to_string()),
    ];
    fill(include_str!("../prompts/task.md"), &values)
}

/// How the tests run, and how that is known.
fn tests(brief: &Brief) -> String {
    match &brief.test_command {
        Some(TestCommand { command, known_from, is_stated: true }) => {
            format!("The tests run with {}, as {known_from} says.", code(command))
        }
        Some(TestCommand { command, known_from, is_stated: false }) => {
            format!("To judge by {known_from}, the tests run with {}; nobody has tried it.", code(command))
        }
        None => "Nobody said how the tests run: find out.".to_owned(),
    }
}

/// What there is in the repository.
fn map(brief: &Brief) -> String {
    let Some(map) = &brief.map else { return String::new() };
    format!("\n\n{}", fill(include_str!("../prompts/map.md"), &[("map", &fence("untrusted-map", map))]))
}

/// What is under review.
fn diff(brief: &Brief) -> String {
    let Some(diff) = &brief.diff else { return String::new() };
    format!("\n\n{}", fill(include_str!("../prompts/diff.md"), &[("diff", &fence("untrusted-diff", diff))]))
}

/// A command as code in Markdown, backticks of its own included.
fn code(command: &str) -> String {
    if command.contains('`') { format!("`` {command} ``") } else { format!("`{command}`") }
}

/// What a change is limited to, where it is.
fn paths(brief: &Brief) -> String {
    match brief.allowed_paths.globs() {
        Some(globs) if brief.kind == Kind::Change => {
            let globs = fence("untrusted-paths", &globs.join("\n"));
            format!("\n\n{}", fill(include_str!("../prompts/paths.md"), &[("paths", &globs)]))
        }
        _ => String::new(),
    }
}

/// What was taken out of the texts of the task, for people who watch.
pub fn cleaned(brief: &Brief) -> Cleaned {
    untrusted::cleaned([brief.title.as_str(), &brief.body].into_iter().chain(brief.instructions.as_deref()))
}

/// What was tried before the job was handed over.
pub(crate) fn handed_over(before: &HandOver) -> String {
    let account = fence("untrusted-account", &before.account);
    fill(include_str!("../prompts/handed_over.md"), &[("reason", &before.reason), ("account", &account)])
}

/// What the model wrote down when the conversation was shortened.
pub(crate) fn summary(text: &str) -> String {
    fill(include_str!("../prompts/summary.md"), &[("summary", &fence("summary", text))])
}

/// A person's words while the job runs.
pub(crate) fn hint(text: &str) -> String {
    fill(include_str!("../prompts/hint.md"), &[("hint", &fence("hint", text))])
}

/// Puts values in place of `{{name}}`, in one pass: what a value contains is never filled in.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = template.trim();
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("the templates are part of the binary and tested");
        let value = values.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        filled.push_str(before);
        filled.push_str(value.expect("the templates are part of the binary and tested"));
        rest = after;
    }
    filled + rest
}
