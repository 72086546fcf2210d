//! What was run to check a change: seen by us, not claimed by the model.

use agent::{CommandRan, ToolsRan};
use domain::Finish;
use domain::job::Confidence;
use github::words::Language;
use redact::told;
use serde_json::Value;
use store::steps::Work;

/// The most commands that are shown: the last ones.
const MOST: usize = 8;

/// The commands of a job in the order of their last run, each with how that ended.
pub(crate) fn commands(work: &Work) -> Vec<CommandRan> {
    let results = work.steps.iter().filter_map(|step| step.results.as_ref());
    last_runs(results.flat_map(of_step))
}

/// What a step stored that an older release wrote names none.
fn of_step(results: &Value) -> Vec<CommandRan> {
    serde_json::from_value::<ToolsRan>(results.clone()).map(|ran| ran.commands).unwrap_or_default()
}

fn last_runs(all: impl Iterator<Item = CommandRan>) -> Vec<CommandRan> {
    let mut last: Vec<CommandRan> = Vec::new();
    for ran in all {
        last.retain(|before| before.command != ran.command);
        last.push(ran);
    }
    last.drain(..last.len().saturating_sub(MOST));
    last
}

/// The section of a pull request. `finish` is what the model handed in, in the words in which it is published.
pub(crate) fn section(commands: &[CommandRan], finish: Option<&Finish>, language: Language) -> String {
    let mut text = format!("\n### {}\n\n", language.pick("How it was verified", "Como foi verificado"));
    if commands.is_empty() {
        text.push_str(language.pick("No command was run.\n", "Nenhum comando foi executado.\n"));
    }
    for CommandRan { command, ending } in commands {
        text.push_str(&format!("- `{}`: {}\n", code(command), told::line(ending)));
    }
    let Some(finish) = finish else { return text };
    if !finish.tests_run.is_empty() {
        text.push_str(&format!("\n{}\n\n", language.pick("In the model's own words:", "Nas palavras do modelo:")));
    }
    for claim in &finish.tests_run {
        text.push_str(&format!("- {claim}\n"));
    }
    let confidence = match finish.confidence {
        Confidence::Low => language.pick("low", "baixa"),
        Confidence::Medium => language.pick("medium", "média"),
        Confidence::High => language.pick("high", "alta"),
    };
    format!("{text}\n{}: {confidence}.\n", language.pick("Confidence", "Confiança"))
}

/// One line within backticks.
fn code(command: &str) -> String {
    redact::Redactor::of_process()
        .text(&redact::hidden::strip(command).0)
        .replace('`', "'")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(command: &str, ending: &str) -> CommandRan {
        CommandRan { command: command.to_owned(), ending: ending.to_owned() }
    }

    #[test]
    fn of_a_command_that_ran_often_the_last_run_counts() {
        let all = [ran("make test", "exit code 2"), ran("ls", "exit code 0"), ran("make test", "exit code 0")];
        assert_eq!(last_runs(all.into_iter()), [ran("ls", "exit code 0"), ran("make test", "exit code 0")]);
        let many = (0..20).map(|number| ran(&number.to_string(), "exit code 0"));
        assert_eq!(
            last_runs(many).iter().map(|ran| ran.command.as_str()).collect::<Vec<_>>(),
            ["12", "13", "14", "15", "16", "17", "18", "19"]
        );
    }

    #[test]
    fn a_command_cannot_leave_its_backticks() {
        let text = section(&[ran("echo `id`\n# @octocat", "exit code 0")], None, Language::English);
        assert_eq!(text, "\n### How it was verified\n\n- `echo 'id' # @octocat`: exit code 0\n");
    }
}
