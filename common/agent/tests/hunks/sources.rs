//! Where real hunks come from: this repository's own history, and packages of which cargo has two versions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use process::{Command, Output, run};
use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};
use tokio_util::sync::CancellationToken;

/// Lines around a change, as git and people give them.
const CONTEXT: usize = 3;
/// Longer files take the unoptimised engine of a test run too long; with `CASES` set they count up to the second figure.
const MOST_BYTES: (usize, usize) = (60_000, 300_000);
/// How many changed files of the history count, from its beginning.
const MOST_CHANGES: usize = 900;

/// Two versions of a text file.
pub struct Pair {
    pub path: String,
    pub before: String,
    pub after: String,
}

/// Some lines of `before` that become some lines of `after`, context included.
#[derive(Clone)]
pub struct Hunk {
    /// The index of its first line in `before`.
    pub first: usize,
    pub old: Vec<String>,
    pub new: Vec<String>,
}

impl Pair {
    /// What differs, in order.
    pub fn hunks(&self) -> Vec<Hunk> {
        let (before, after): (Vec<&str>, Vec<&str>) =
            (self.before.split_inclusive('\n').collect(), self.after.split_inclusive('\n').collect());
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let groups = group_diff_ops(capture_diff_slices(Algorithm::Myers, &before, &after), CONTEXT);
        let hunk = |group: Vec<DiffOp>| {
            let (first, last) = (group.first()?, group.last()?);
            let (old, new) = (first.old_range().start..last.old_range().end, first.new_range().start..last.new_range().end);
            Some(Hunk { first: old.start, old: owned(&before[old]), new: owned(&after[new]) })
        };
        groups.into_iter().filter_map(hunk).collect()
    }

    /// `before` with one hunk of it made.
    pub fn with(&self, hunk: &Hunk) -> String {
        let before: Vec<&str> = self.before.split_inclusive('\n').collect();
        let lines = before[..hunk.first].iter().copied().chain(hunk.new.iter().map(String::as_str));
        lines.chain(before[hunk.first + hunk.old.len()..].iter().copied()).collect()
    }

    /// The file once the hunks above `hunk` are made, and where it stands then; `None` where they move it nowhere.
    pub fn after_those_above(&self, hunk: &Hunk) -> Option<(Self, Hunk)> {
        let mut now = Self { path: self.path.clone(), before: self.before.clone(), after: self.after.clone() };
        let mut moved = hunk.clone();
        // The lowest first, so that the others stay where they are.
        for above in self.hunks().iter().rev().filter(|above| above.first < hunk.first) {
            now.before = now.with(above);
            moved.first = moved.first + above.new.len() - above.old.len();
        }
        (moved.first != hunk.first).then_some((now, moved))
    }
}

/// Every change of a text file that git's history and cargo's packages tell, and where they come from. Which packages lie there is another
/// matter on each machine, so the suite's own sample has none where there is a history.
pub async fn pairs() -> (Vec<Pair>, String) {
    let (history, remark) = history().await;
    let packages = if super::variable("CASES").is_some() || history.is_empty() { packages() } else { Vec::new() };
    let told = format!("{} changed files of this repository's history{remark}, {} of packages", history.len(), packages.len());
    (history.into_iter().chain(packages).collect(), told)
}

async fn history() -> (Vec<Pair>, &'static str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shallow = git(&root, &["rev-parse", "--is-shallow-repository"], "").await;
    match shallow {
        Some(shallow) if shallow.stdout_text().trim() == "false" => {}
        Some(_) => return (Vec::new(), " (none of it: this clone is SHALLOW; `git fetch --unshallow` brings the rest)"),
        None => return (Vec::new(), " (none of it: this is NO GIT CLONE)"),
    }
    // The oldest first, so that the sample stays as it is while the history grows.
    let log = ["log", "--reverse", "--no-merges", "--no-renames", "--raw", "--no-abbrev", "--diff-filter=M", "--format="];
    let log = git(&root, &log, "").await.expect("the history can be read").stdout_text();
    let changes: Vec<(&str, &str, &str)> = log
        .lines()
        .filter_map(|line| {
            let (meta, path) = line.split_once('\t')?;
            let fields: Vec<&str> = meta.split(' ').collect();
            (fields[0] == ":100644" && fields[1] == "100644").then_some((fields[2], fields[3], path))
        })
        .take(MOST_CHANGES)
        .collect();
    let ids: String = changes.iter().flat_map(|(before, after, _)| [*before, "\n", *after, "\n"]).collect();
    let blobs = git(&root, &["cat-file", "--batch"], &ids).await.expect("the history can be read").stdout;
    let mut texts = texts(&blobs).into_iter();
    let pairs = changes.into_iter().filter_map(|(_, _, path)| match (texts.next(), texts.next()) {
        (Some(Some(before)), Some(Some(after))) => Some(Pair { path: path.to_owned(), before, after }),
        _ => None,
    });
    (pairs.collect(), "")
}

async fn git(root: &Path, args: &[&str], input: &str) -> Option<Output> {
    let command = Command::new("git").args(args.iter().copied()).cwd(root).path("/usr/local/bin:/usr/bin:/bin").stdin(input);
    let command = command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
    let output = run(command.output_cap(1 << 30), &CancellationToken::new()).await.ok()?;
    output.exit.success().then_some(output)
}

/// What `cat-file --batch` answers: `None` for what is no text of a usual length.
fn texts(mut answer: &[u8]) -> Vec<Option<String>> {
    let mut texts = Vec::new();
    while let Some(end) = answer.iter().position(|byte| *byte == b'\n') {
        let header = String::from_utf8_lossy(&answer[..end]).into_owned();
        let size: usize = header.rsplit(' ').next().and_then(|size| size.parse().ok()).unwrap_or_default();
        texts.push(text(&answer[end + 1..end + 1 + size]));
        answer = &answer[end + 2 + size..];
    }
    texts
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let most = if super::variable("CASES").is_some() { MOST_BYTES.1 } else { MOST_BYTES.0 };
    (text.len() <= most && !text.contains('\0')).then(|| text.to_owned())
}

/// Files of packages that lie in cargo's registry in two versions.
fn packages() -> Vec<Pair> {
    let Some(cargo) =
        super::variable("CARGO_HOME").map(PathBuf::from).or_else(|| super::variable("HOME").map(|home| Path::new(&home).join(".cargo")))
    else {
        return Vec::new();
    };
    let mut versions: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for registry in folders(&cargo.join("registry/src")) {
        for package in folders(&registry) {
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let version = name.match_indices('-').find(|(at, _)| name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
            if let Some((at, _)) = version {
                versions.entry(name[..at].to_owned()).or_default().push(package);
            }
        }
    }
    let mut pairs = Vec::new();
    for packages in versions.into_values() {
        for two in packages.windows(2) {
            files(&two[0], &two[0], &two[1], &mut pairs);
        }
    }
    pairs
}

fn files(root: &Path, folder: &Path, other: &Path, pairs: &mut Vec<Pair>) {
    for path in entries(folder) {
        if path.is_dir() {
            files(root, &path, other, pairs);
            continue;
        }
        let relative = path.strip_prefix(root).unwrap();
        let read = |path: &Path| std::fs::read(path).ok().and_then(|bytes| text(&bytes));
        if let (Some(before), Some(after)) = (read(&path), read(&other.join(relative)))
            && before != after
        {
            pairs.push(Pair { path: relative.to_string_lossy().into_owned(), before, after });
        }
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries
}
