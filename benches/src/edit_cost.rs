//! What an edit of a long file costs: the tools as the worker calls them, against reading and writing that file, in turns.

use std::path::Path;
use std::time::Duration;

use agent::{AlwaysOpen, Environment, ToolContext, Toolbox, Workspace, run_tools};
use anyhow::{Context, Result, ensure};
use domain::Usage;
use llm::{ProviderName, Reply, StopReason, ToolCall};
use process::Limits;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::figures::{Figures, micros, show, table, verdict};

/// Lines of the file.
const LINES: usize = 10_000;
/// Edits of each kind, each at another place.
const TURNS: usize = 400;
/// What 95 of 100 edits may take.
const GOAL: Duration = Duration::from_millis(5);
/// Long enough for all of it.
const TIME: Duration = Duration::from_secs(600);

/// A kind of call: what the table says, and the call for a turn.
type Kind = (&'static str, fn(usize) -> (&'static str, Value));

const KINDS: [Kind; 5] = [
    ("edit_file, as it stands", |turn| edit(&lines(turn, ""), &changed(turn, ""))),
    ("edit_file, less indented", |turn| edit(&dedented(&lines(turn, "")), &dedented(&changed(turn, "")))),
    ("edit_file, typographic", |turn| edit(&lines(turn, "\u{201d}"), &changed(turn, "\u{201d}"))),
    ("apply_patch, three hunks", |turn| {
        let hunks: String = [turn, turn + TURNS, turn + 2 * TURNS].map(hunk).concat();
        ("apply_patch", json!({ "input": format!("*** Begin Patch\n*** Update File: file.rs\n{hunks}*** End Patch\n") }))
    }),
    ("edit_file, refused", |turn| edit(&lines(turn, "").replace("+ 1", "+ 2"), "x\n")),
];

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file.rs");
    let content: String = (0..LINES / 4).map(|function| lines(function, "\"")).collect();
    let (workspace, environment) = (Workspace::open(folder.path())?, Environment::new("/usr/bin:/bin", folder.path()));
    let (cancel, tools) = (CancellationToken::new(), Toolbox::standard());
    let ctx = ToolContext {
        workspace: &workspace,
        environment: &environment,
        limits: Limits::default(),
        deadline: Instant::now() + TIME,
        cancel: &cancel,
        gate: &AlwaysOpen,
        change: None,
    };
    let mut limit = Vec::with_capacity(TURNS);
    let mut times = vec![Vec::with_capacity(TURNS); KINDS.len()];
    for turn in 0..TURNS {
        std::fs::write(&file, &content)?;
        limit.push(read_and_write(&file)?);
        for ((kind, call), times) in KINDS.iter().zip(&mut times) {
            std::fs::write(&file, &content)?;
            let (name, input) = call(turn);
            let reply = reply(name, input);
            let started = Instant::now();
            let ran = run_tools(&tools, &reply, &ctx).await?;
            times.push(started.elapsed());
            let said = &ran.results[0];
            ensure!(said.is_error == kind.ends_with("refused"), "{kind}, turn {turn}: {}", said.content);
        }
    }
    print(&limit, content.len(), &times);
    Ok(())
}

fn print(limit: &[Duration], bytes: usize, times: &[Vec<Duration>]) {
    let (least, least_p95) = (Figures::of(limit), p95(limit));
    show(&format!("\nEdit: a file of {LINES} lines ({bytes} bytes), {TURNS} calls of each kind, in turns"));
    let mut rows = vec![["", "p50 : reading and writing", "p50", "p95"].map(str::to_owned).to_vec()];
    rows.push(vec!["reading and writing the file".to_owned(), "1".to_owned(), micros(least.p50), micros(least_p95)]);
    for ((kind, _), times) in KINDS.iter().zip(times) {
        let figures = Figures::of(times);
        rows.push(vec![(*kind).to_owned(), format!("{:.2}", figures.over(&least).0), micros(figures.p50), micros(p95(times))]);
    }
    table(&rows);
    let slowest = times.iter().map(|times| p95(times)).max().unwrap_or_default();
    show(&format!("  goal: p95 of every kind below {} ms: {}", GOAL.as_millis(), verdict(slowest < GOAL)));
}

/// 95 of 100 are no longer, by nearest rank.
fn p95(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * 95).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

/// The least that an edit has to do: all of the file in, all of it out, the new one in the place of the old one.
fn read_and_write(file: &Path) -> Result<Duration> {
    let new = file.with_extension("new");
    let started = Instant::now();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file)?;
    Ok(started.elapsed())
}

/// Four lines that stand in the file once, quoted as in the file or with `quote` for their quotation marks.
fn lines(function: usize, quote: &str) -> String {
    let quote = if quote.is_empty() { "\"" } else { quote };
    format!(
        "    fn value_{function}(&self) -> u64 {{\n        let name = {quote}value {function}{quote};\n        self.lookup(name) + 1\n    }}\n"
    )
}

fn changed(function: usize, quote: &str) -> String {
    lines(function, quote).replace("+ 1", "+ 3")
}

fn dedented(lines: &str) -> String {
    lines.lines().flat_map(|line| [line.strip_prefix("    ").unwrap_or(line), "\n"]).collect()
}

fn hunk(function: usize) -> String {
    let prefixed = |sign: &str, text: &str| -> String { text.lines().flat_map(|line| [sign, line, "\n"]).collect() };
    format!("@@\n{}{}", prefixed("-", &lines(function, "")), prefixed("+", &changed(function, "")))
}

fn edit(old: &str, new: &str) -> (&'static str, Value) {
    ("edit_file", json!({ "path": "file.rs", "edits": [{ "old": old, "new": new }] }))
}

fn reply(name: &str, input: Value) -> Reply {
    Reply {
        raw: String::new(),
        provider: ProviderName::Scripted,
        native: serde_json::value::RawValue::NULL.to_owned(),
        text: String::new(),
        tool_calls: vec![ToolCall { id: "call_1".to_owned(), name: name.to_owned(), input }],
        stop: StopReason::ToolUse,
        usage: Usage::default(),
        model: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_percentile_is_a_time_that_was_measured() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(p95(&times), Duration::from_millis(190));
        assert_eq!(p95(&[]), Duration::ZERO);
    }

    #[test]
    fn every_function_of_the_file_stands_in_it_once() {
        assert_eq!(lines(1, "").lines().count(), 4);
        assert!(!lines(12, "").contains(&lines(1, "")));
        assert_ne!(lines(1, ""), changed(1, ""));
    }
}
