//! What the documents say is true: commands, targets, paths, settings, exit codes, links, and what the demo prints.

mod commands;
mod markdown;
mod names;
mod output;

use std::fs;
use std::path::PathBuf;

use e2e::root;
use markdown::Document;

/// The documents that people read, by their path from the root.
fn documents() -> Vec<Document> {
    let mut paths: Vec<PathBuf> = ["", "docs"].iter().flat_map(|folder| listed(folder, "md")).collect();
    paths.extend(["events/README.md", "examples/README.md", "evals/README.md"].map(PathBuf::from));
    assert!(paths.len() >= 6, "README, CONTRIBUTING, CHANGELOG, docs/ and three more: {paths:?}");
    paths.iter().map(|path| document(&path.to_string_lossy())).collect()
}

fn document(path: &str) -> Document {
    Document::parse(path, &read(path))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder that end in `.extension`, by their path from the root, sorted.
fn listed(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| PathBuf::from(folder).join(entry.expect("a folder can be listed").file_name()))
        .filter(|path| path.extension().is_some_and(|end| end == extension))
        .collect();
    files.sort();
    files
}
