//! How a repository's tests are run, found out from its files. Nothing is run.
//!
//! The folders that the task names come first, each with those around it, then the root, then the other folders that
//! have a manifest: the first that tells how its tests run decides. A folder that speaks of several languages and has a
//! `test` target in a Makefile is tested by that, since every other command would test a part.

mod make;
mod node;
mod others;
mod python;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A command that runs the tests, and how it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestCommand {
    /// For a shell at the root of the repository.
    pub command: String,
    /// Where it comes from, for the model: a list of files.
    pub known_from: String,
    /// Whether the repository says so itself, in words.
    pub is_stated: bool,
}

/// The most folders that are looked into.
const MOST_FOLDERS: usize = 24;
/// The most words of a task that are looked up as paths.
const MOST_WORDS: usize = 2_000;

/// Files whose text is worth reading, by name.
const READ: &[&str] = &[
    "Cargo.toml",
    "GNUmakefile",
    "Makefile",
    "Pipfile",
    "makefile",
    "package.json",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.txt",
    "setup.cfg",
    "tox.ini",
];

/// Files that make a folder a project of its own.
const MANIFESTS: &[&str] = &[
    "Cargo.toml",
    "Makefile",
    "build.gradle",
    "build.gradle.kts",
    "go.mod",
    "package.json",
    "pom.xml",
    "pyproject.toml",
    "pytest.ini",
    "setup.cfg",
    "setup.py",
    "tox.ini",
];

/// Folders of other people's code, of samples and of what was built.
const ELSEWHERE: &[&str] =
    &[".github", "build", "dist", "examples", "fixtures", "node_modules", "samples", "target", "testdata", "third_party", "vendor"];

/// The files of a repository, as far as the search for its tests is concerned.
pub struct Listing<'a> {
    paths: BTreeSet<&'a str>,
    folders: Vec<String>,
}

impl<'a> Listing<'a> {
    /// Of all `paths`, from the root; `task` is what the job is asked.
    pub fn new(paths: impl IntoIterator<Item = &'a str>, task: &str) -> Self {
        let mut listing = Self { paths: paths.into_iter().filter(|path| is_plain(path)).collect(), folders: Vec::new() };
        listing.folders = listing.candidates(task);
        listing
    }

    /// The files whose text [`detect`](Self::detect) asks for: read those that are not large.
    pub fn wanted(&self) -> Vec<&'a str> {
        let mut wanted = BTreeSet::new();
        for folder in &self.folders {
            wanted.extend(READ.iter().filter_map(|name| self.get(folder, name)));
            wanted.extend(python::samples(self, folder));
        }
        wanted.into_iter().collect()
    }

    /// The command, if these files tell one. `texts` holds the wanted files by path.
    pub fn detect(&self, texts: &BTreeMap<String, String>) -> Option<TestCommand> {
        self.folders.iter().find_map(|folder| Folder { listing: self, path: folder, texts }.command())
    }

    /// The path of file `name` in `folder`, if there is one.
    fn get(&self, folder: &str, name: &str) -> Option<&'a str> {
        self.paths.get(join(folder, name).as_str()).copied()
    }

    /// The files below `folder`.
    fn below(&self, folder: &str) -> impl Iterator<Item = &'a str> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let paths: Vec<&'a str> = self
            .paths
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(|path| path.starts_with(&prefix))
            .copied()
            .collect();
        paths.into_iter()
    }

    fn candidates(&self, task: &str) -> Vec<String> {
        let mut folders: Vec<String> = Vec::new();
        let separators = |char: char| char.is_whitespace() || "`'\"()[]<>,;".contains(char);
        for word in task.split(separators).take(MOST_WORDS) {
            // `src/a.rs:12` names a place in a file.
            let word = word.split(':').next().unwrap_or_default().trim_start_matches("./").trim_end_matches(['/', '.']);
            let folder = match (self.paths.contains(word), word.is_empty() || self.below(word).next().is_none()) {
                (true, _) => parent(word),
                (false, false) => Some(word),
                (false, true) => None,
            };
            let around = std::iter::successors(folder, |folder| parent(folder)).filter(|folder| !folder.is_empty());
            folders.extend(around.map(str::to_owned));
        }
        folders.push(String::new());
        let mut others: Vec<&str> = self
            .paths
            .iter()
            .filter_map(|path| {
                let (folder, name) = path.rsplit_once('/')?;
                let ours = !folder.split('/').any(|part| ELSEWHERE.contains(&part));
                (ours && MANIFESTS.contains(&name)).then_some(folder)
            })
            .collect();
        others.sort_by_key(|folder| (folder.matches('/').count(), *folder));
        folders.extend(others.into_iter().map(str::to_owned));
        let mut seen = BTreeSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        folders.truncate(MOST_FOLDERS);
        folders
    }
}

/// One folder with what is known of it.
struct Folder<'a> {
    listing: &'a Listing<'a>,
    path: &'a str,
    texts: &'a BTreeMap<String, String>,
}

/// A command to be run in a folder, and the files that tell it.
struct Found {
    /// The folder, from the root of the repository.
    folder: String,
    command: String,
    files: Vec<String>,
}

impl Folder<'_> {
    fn command(&self) -> Option<TestCommand> {
        let mut languages = [others::rust, node::node, python::python, others::go, others::java].into_iter().filter_map(|by| by(self));
        let found = match (languages.next(), languages.next()) {
            (Some(first), None) => first,
            (first, _) => make::make(self).or(first)?,
        };
        let command = match found.folder.as_str() {
            "" => found.command,
            folder => format!("cd {folder} && {}", found.command),
        };
        Some(TestCommand { command, known_from: found.files.join(" and "), is_stated: false })
    }

    /// A command in this folder that `files` in it tell.
    fn found(&self, command: impl Into<String>, files: &[&str]) -> Found {
        let files = files.iter().map(|file| join(self.path, file)).collect();
        Found { folder: self.path.to_owned(), command: command.into(), files }
    }

    fn has(&self, name: &str) -> bool {
        self.listing.get(self.path, name).is_some()
    }

    /// The text of file `name` in this folder.
    fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(&join(self.path, name)).map(String::as_str)
    }

    /// The first of `names` that lies here or in a folder around: `(folder, name)`.
    fn nearest<'n>(&self, names: &[&'n str]) -> Option<(&str, &'n str)> {
        std::iter::successors(Some(self.path), |folder| parent(folder))
            .find_map(|folder| names.iter().find(|name| self.listing.get(folder, name).is_some()).map(|name| (folder, *name)))
    }
}

/// The folder around `path`; `""` is the root, which has none.
fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some((parent, _)) => Some(parent),
        None if path.is_empty() => None,
        None => Some(""),
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a path can stand in a command and in a prompt as it is.
fn is_plain(path: &str) -> bool {
    !path.starts_with('-') && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+@/".contains(&byte))
}

#[cfg(test)]
mod tests;
