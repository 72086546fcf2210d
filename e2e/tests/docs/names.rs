//! Paths, links, settings, functions and events that the documents name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use e2e::root;

use super::markdown::spans;
use super::{document, documents, listed, read};

/// Paths in our documents that are examples of what somebody may add.
const INVENTED: &[&str] = &["handlers/archive/", "/NAME.rs", "<", "*"];

/// Paths that are there once something was built or installed.
const MADE: &[&str] = &["target/", ".venv"];

/// Whether `text` is meant as a path in this repository.
fn is_path(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    let ours = !first.is_empty() && root().join(first).exists() && (text.contains('/') || text.contains('.'));
    let source = text.contains('/') && [".rs", ".sql", ".toml", ".md", ".sh", ".yaml"].iter().any(|end| text.ends_with(end));
    let one_word = !text.contains(char::is_whitespace) && !text.starts_with('/');
    one_word && (ours || source) && !INVENTED.iter().any(|part| text.contains(part)) && !MADE.iter().any(|start| text.starts_with(start))
}

#[test]
fn every_path_that_is_named_exists() {
    let mut checked = BTreeSet::new();
    for document in documents() {
        let commands = document.commands();
        let words = commands.iter().flat_map(|command| command.split_whitespace());
        let words = words.map(|word| word.rsplit('=').next().unwrap_or(word).trim_start_matches("fileb://"));
        for path in document.spans().chain(words).filter(|text| is_path(text)) {
            assert!(root().join(path).exists(), "{}: there is no {path}", document.path);
            checked.insert(path.to_owned());
        }
    }
    assert!(checked.len() >= 70, "the documents name more paths than {checked:?}");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut checked = 0;
    for document in documents() {
        for link in document.links().filter(|link| !link.contains("://")) {
            let path = root().join(&document.path).with_file_name(link);
            assert!(path.exists(), "{}: the link to {link} leads nowhere", document.path);
            checked += 1;
        }
    }
    assert!(checked >= 25, "the documents have more links than {checked}");
}

#[test]
fn the_map_has_every_crate_and_no_other() {
    let architecture = document("docs/architecture.md");
    let map = architecture.blocks.iter().find(|block| block[0].starts_with("handlers/")).expect("the map comes first");
    let mapped: BTreeSet<&str> = map.iter().filter_map(|line| line.split_whitespace().next()?.strip_prefix("common/")).collect();
    let folders = fs::read_dir(root().join("common")).expect("common can be listed");
    let there: BTreeSet<String> = folders.map(|entry| format!("{}/", entry.expect("an entry").file_name().to_string_lossy())).collect();
    assert_eq!(mapped, there.iter().map(String::as_str).collect(), "the map in docs/architecture.md and the folders of common/ differ");
    for path in map.iter().flat_map(|line| line.split_whitespace()).filter(|word| word.ends_with('/') && !word.contains('<')) {
        assert!(root().join(path).is_dir(), "docs/architecture.md: there is no folder {path}");
    }
}

#[test]
fn the_floors_are_those_of_the_walls() {
    let architecture = document("docs/architecture.md");
    let floors = architecture.blocks.iter().find(|block| block[0] == "runtime").expect("the floors are a block");
    let walls = read("e2e/tests/walls.rs");
    let start = walls.find("const FLOORS").expect("walls.rs has the floors");
    let list = walls[start..].split("];\n").next().expect("the list ends");
    let listed: Vec<Vec<&str>> = list.lines().skip(1).map(|line| line.split('"').skip(1).step_by(2).collect()).collect();
    let shown: Vec<Vec<&str>> =
        floors.iter().map(|line| line.split_whitespace().map(|name| if name == "runtime" { "codeteam" } else { name }).collect()).collect();
    assert_eq!(shown, listed, "the floors in docs/architecture.md and in e2e/tests/walls.rs differ");
}

#[test]
fn functions_stand_in_the_files_where_the_way_of_a_job_says_so() {
    let architecture = document("docs/architecture.md");
    let mut checked = 0;
    for row in architecture.table("| what happens | where |") {
        let mut file = None;
        for span in spans(row[1]) {
            match span.strip_suffix("()") {
                None => file = Some(span),
                Some(name) => {
                    let file = file.unwrap_or_else(|| panic!("no file before `{span}` in the row: {}", row[0]));
                    assert!(defines(&read(file), name), "docs/architecture.md: {file} has no function {name}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 30, "the way of a job names more functions than {checked}");
}

fn defines(source: &str, function: &str) -> bool {
    ["(", "<"].iter().any(|next| source.contains(&format!("fn {function}{next}")))
}

#[test]
fn every_table_of_the_database_is_described_and_no_other() {
    let schema: String = listed("migrations", "sql").iter().map(|path| read(&path.to_string_lossy())).collect();
    let created = schema.lines().filter_map(|line| line.strip_prefix("create table ")).filter(|line| !line.contains("partition of"));
    let created: BTreeSet<&str> = created.filter_map(|line| line.split([' ', '(']).next()).collect();
    let architecture = document("docs/architecture.md");
    let rows = architecture.table("| table | a row is | written |");
    assert_eq!(rows.iter().flat_map(|row| spans(row[0])).collect::<BTreeSet<_>>(), created);
}

/// Names in capitals between quotes or backticks, in the part of the source that is no test.
fn variables(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let quotes = |char: Option<char>| matches!(char, Some('"' | '`'));
    let mut names = BTreeSet::new();
    let mut rest = code;
    while let Some(start) = rest.find(|char: char| char.is_ascii_uppercase()) {
        let before = rest[..start].chars().next_back();
        let name: String =
            rest[start..].chars().take_while(|char| char.is_ascii_uppercase() || char.is_ascii_digit() || *char == '_').collect();
        rest = &rest[start + name.len()..];
        if name.len() > 2 && quotes(before) && quotes(rest.chars().next()) {
            names.insert(name);
        }
    }
    names
}

#[test]
fn the_readme_lists_every_setting_and_no_other() {
    let read_by_config =
        listed("common/config/src", "rs").iter().flat_map(|path| variables(&read(&path.to_string_lossy()))).collect::<BTreeSet<_>>();
    assert!(read_by_config.contains("DATABASE_URL") && read_by_config.contains("RUST_LOG"), "{read_by_config:?}");
    let readme = document("README.md");
    let rows = readme.table("| variable | meaning |");
    let documented: BTreeSet<String> = rows.iter().flat_map(|row| spans(row[0])).map(str::to_owned).collect();
    assert_eq!(documented, read_by_config, "the table in README.md and the variables that common/config reads differ");
}

#[test]
fn the_table_of_events_has_every_file_with_a_handler_that_exists() {
    let events = document("events/README.md");
    let rows = events.table("| file | handler | what it is | what happens |");
    let documented: BTreeSet<&str> = rows.iter().flat_map(|row| spans(row[0])).collect();
    let files = listed("events", "json");
    let there: BTreeSet<&str> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(documented, there, "the table in events/README.md and the files differ");
    for row in rows {
        assert!(Path::new(&root()).join("handlers").join(row[1]).is_dir(), "events/README.md: there is no handler {}", row[1]);
    }
}
