//! The repository map: the files that the rest of a repository refers to most, with the signatures of their most
//! important definitions, in a few thousand bytes.
//!
//! Definitions and names are taken from syntax trees (tree-sitter), so nothing of the repository runs. A definition counts
//! by how many other files use its name and how often, the less the more definitions share the name; words of the task
//! raise what bears them. (The idea of a ranked map within a budget is that of aider's repository map.) The same commit and
//! task give the same map on every worker.

mod language;
mod rank;
mod render;
mod tags;

use rank::Ranked;

/// The most files of a repository that are read.
pub const MOST_FILES: usize = 2_000;
/// The most bytes of all of them together.
pub const MOST_BYTES: u64 = 4 << 20;
/// The largest file that is read: larger ones are mostly generated.
const MOST_FILE_BYTES: u64 = 256 << 10;
/// The bytes of a map: 1,500 to 2,000 tokens.
const BUDGET_BYTES: usize = 6_000;

/// Folders of other people's code and of what was built.
const ELSEWHERE: &[&str] = &["build", "dist", "node_modules", "out", "target", "third_party", "vendor", "vendored"];

/// Which files of a repository are read for its map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Their places in the list that was given.
    pub chosen: Vec<usize>,
    /// Source files that are not: beyond the most files or bytes, or too large.
    pub passed_over: usize,
}

/// Chooses among `files` (path and size in bytes): source code of known languages, what is near the root first.
pub fn choose<'a>(files: impl IntoIterator<Item = (&'a str, u64)>) -> Choice {
    let mut sources: Vec<(usize, &str, u64)> = files
        .into_iter()
        .enumerate()
        .filter(|(_, (path, _))| language::of(path).is_some() && !path.split('/').any(|part| ELSEWHERE.contains(&part)))
        .map(|(index, (path, size))| (index, path, size))
        .collect();
    sources.sort_by_key(|(_, path, _)| (path.matches('/').count(), *path));
    let all = sources.len();
    let mut bytes = 0;
    sources.retain(|(_, _, size)| *size <= MOST_FILE_BYTES);
    let chosen: Vec<usize> = sources
        .iter()
        .take(MOST_FILES)
        .take_while(|(_, _, size)| {
            bytes += size;
            bytes <= MOST_BYTES
        })
        .map(|(index, _, _)| *index)
        .collect();
    Choice { passed_over: all - chosen.len(), chosen }
}

/// The definitions of a commit with what the rest of it makes of them. Made once for a commit, for any number of tasks.
#[derive(Debug)]
pub struct Index {
    files: Vec<Ranked>,
    passed_over: usize,
}

impl Index {
    /// Reads `sources` (path and text). Takes about a second for each 2 MiB on one core.
    pub fn of(sources: &[(String, String)], passed_over: usize) -> Self {
        let tagged = sources.iter().filter_map(|(path, text)| Some((path.as_str(), tags::read(language::of(path)?, text))));
        Self { files: rank::rank(tagged.collect()), passed_over }
    }

    /// The map for a job that asks for `task`; `None` where there is nothing to show.
    pub fn map(&self, task: &str) -> Option<String> {
        render::render(&rank::order(&self.files, task), self.passed_over, BUDGET_BYTES)
    }
}

#[cfg(test)]
mod tests;
