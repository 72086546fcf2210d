//! Commands that the documents tell people to type.

use std::collections::{BTreeMap, BTreeSet};

use e2e::Codeteam;

use super::{document, documents, read};

/// Everything in the documents that begins with `program`, as words; where it stands comes first.
fn calls(program: &str) -> Vec<(String, Vec<String>)> {
    let mut calls = Vec::new();
    for document in documents() {
        let texts = document.commands().into_iter().chain(document.spans().map(str::to_owned));
        for words in texts.map(|text| words(&text)).filter(|words| words[0] == program && words.len() > 1) {
            calls.push((document.path.clone(), words[1..].to_vec()));
        }
    }
    calls
}

/// The words of a command; what is quoted is one.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for char in command.trim().chars() {
        match char {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            char => words.last_mut().expect("there is one from the start").push(char),
        }
    }
    words
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    let calls = calls("make");
    assert!(calls.len() >= 8, "the documents name more targets than {calls:?}");
    for (path, words) in calls {
        for word in words.iter().filter(|word| !word.contains('=')) {
            assert!(targets.contains(word.as_str()), "{path}: `make {word}` is not in the Makefile");
        }
    }
}

/// The names in the list of commands that `--help` prints.
fn subcommands(help: &str) -> BTreeSet<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    list.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

async fn help(command: &[&str]) -> String {
    let ran = Codeteam::new(command.iter().copied().chain(["--help"])).run().await;
    ran.expect(0, &["Usage: codeteam"]);
    ran.stdout
}

#[tokio::test]
async fn every_command_of_codeteam_that_is_named_exists_with_its_options() {
    let top = subcommands(&help(&[]).await);
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let calls = calls("codeteam");
    assert!(calls.len() >= 20, "the documents name more commands than {calls:?}");
    for (path, words) in calls {
        let named = words.join(" ");
        assert!(top.contains(&words[0]), "{path}: there is no `codeteam {named}`");
        let mut command = vec![words[0].clone()];
        if !helps.contains_key(&command) {
            helps.insert(command.clone(), help(&[&words[0]]).await);
        }
        let below = subcommands(&helps[&command]);
        // Some commands do something by themselves as well: `cost --by model`, `cost estimate`.
        if !below.is_empty() && words.len() > 1 && !words[1].starts_with("--") {
            assert!(below.contains(&words[1]), "{path}: there is no `codeteam {named}`");
            command.push(words[1].clone());
            if !helps.contains_key(&command) {
                helps.insert(command.clone(), help(&[&words[0], &words[1]]).await);
            }
        }
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(helps[&command].contains(option.as_str()), "{path}: `codeteam {named}` does not know {option}");
        }
    }
}

#[tokio::test]
async fn the_readme_names_every_command() {
    let readme = document("README.md");
    let code = readme.spans().map(str::to_owned).chain(readme.blocks.iter().flatten().cloned());
    let ours: Vec<String> = code.filter(|code| code.contains("codeteam ")).collect();
    let named: BTreeSet<&str> = ours.iter().flat_map(|code| code.split(|char: char| !char.is_alphanumeric())).collect();
    let missing: Vec<_> = subcommands(&help(&[]).await).into_iter().filter(|name| !named.contains(name.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new(), "README.md says nothing about these commands");
}

#[tokio::test]
async fn the_exit_codes_are_those_that_the_help_names() {
    let readme = document("README.md");
    let rows: Vec<String> = readme.table("| code | meaning |").iter().map(|row| row.join(" ")).collect();
    let sentence = format!("Exit codes: {}.", rows.join(", "));
    let help = help(&[]).await;
    assert!(help.contains(&sentence), "README.md says:\n{sentence}\nand `codeteam --help`:\n{help}");
}
