//! One task: what is asked, of which repository, and what decides whether it is solved.
//!
//! ```text
//! evals/core/python-cart/task.toml             what is asked, and the check
//! evals/core/python-cart/repo/                 the repository's files, the first commit of main
//! evals/core/python-cart/second/               files of a second commit, where [second] says so
//! evals/core/python-cart/hidden/               tests that are laid over the result, and that no job sees
//! evals/core/python-cart/scripts/solve.json    replies of a model that solves it
//! evals/core/python-cart/scripts/wrong.json    replies of a model that does not
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::{Kind, Mode};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::answer::Statement;
use super::source::Source;
use super::tree;
use crate::cli::Script;

/// What a repository is written in, and so what has to be installed to test it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Language {
    /// Run by `node`.
    Javascript,
    /// Tested by `python3`.
    Python,
    /// Built by `cargo`.
    Rust,
    /// Run by `node`, which strips or ignores the types.
    Typescript,
}

impl Language {
    /// The program without which there is nothing to run.
    fn program(self) -> &'static str {
        match self {
            Self::Python => "python3",
            Self::Rust => "cargo",
            Self::Javascript | Self::Typescript => "node",
        }
    }
}

/// A task that was read and found well-formed.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// The name of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// What is to be produced.
    pub kind: Kind,
    /// Who is to do it.
    pub mode: Mode,
    /// What the repository is written in.
    pub languages: Vec<Language>,
    /// What decides.
    pub check: Check,
    /// A commit on top of the first.
    pub second: Option<Second>,
}

/// What decides whether a task is solved.
#[derive(Clone, Debug)]
pub(super) enum Check {
    /// Tests over the branch that was pushed.
    Tests(Tests),
    /// Statements over the answer that was written.
    Answer {
        /// What it has to say, all of it.
        expected: Vec<Statement>,
        /// What it must not say.
        forbidden: Vec<Statement>,
    },
}

/// Hidden tests.
#[derive(Clone, Debug)]
pub(super) struct Tests {
    /// For `sh -c`, at the root of a clone over which `hidden/` was laid.
    pub command: String,
    /// How many tests have to say that they passed: a program that ends before its tests, with code 0, passes none.
    pub passed: u64,
    /// How long they may take.
    pub timeout: Duration,
}

/// A second commit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Second {
    /// Its message.
    pub message: String,
    /// The branch that it is on, from which the job then starts; `main` unless given. A review is one of this branch
    /// against `main`.
    pub branch: Option<String>,
    /// Files that it removes.
    #[serde(default)]
    pub removes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTask {
    title: Spanned<String>,
    #[serde(default)]
    body: String,
    kind: Spanned<Kind>,
    mode: Mode,
    languages: Vec<Language>,
    check: Spanned<RawCheck>,
    second: Option<Spanned<Second>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    command: Option<Spanned<String>>,
    passed: Option<Spanned<u64>>,
    timeout_s: Option<Spanned<u64>>,
    #[serde(default)]
    expected: Vec<Spanned<super::answer::RawStatement>>,
    #[serde(default)]
    forbidden: Vec<Spanned<super::answer::RawStatement>>,
}

const MOST_TIMEOUT_S: u64 = 600;

impl Task {
    /// Reads the task in `folder`.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let source = Source::read(&folder.join("task.toml"))?;
        let raw: RawTask = source.parse()?;
        let task = Self::check(folder, &source, raw)?;
        for script in [Script::Solve, Script::Wrong] {
            let path = task.script(script);
            if !path.is_file() {
                return Err(format!("{} is missing: every task ships a script that solves it and one that does not", path.display()));
            }
        }
        Ok(task)
    }

    /// The programs without which its tests cannot be run; an answer has none.
    pub(super) fn programs(&self) -> impl Iterator<Item = &'static str> {
        let tested = matches!(self.check, Check::Tests(_));
        self.languages.iter().filter(move |_| tested).map(|language| language.program())
    }

    /// The file with the replies of `script`.
    pub(super) fn script(&self, script: Script) -> PathBuf {
        self.folder.join("scripts").join(match script {
            Script::Solve => "solve.json",
            Script::Wrong => "wrong.json",
        })
    }

    /// The branch from which the job starts.
    pub(super) fn branch(&self) -> &str {
        self.second.as_ref().and_then(|second| second.branch.as_deref()).unwrap_or("main")
    }

    fn check(folder: &Path, source: &Source, raw: RawTask) -> Result<Self, String> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if raw.title.get_ref().trim().is_empty() || raw.title.get_ref().contains('\n') {
            return Err(source.at(raw.title.span(), "title must be one line that says what to do"));
        }
        let repo = folder.join("repo");
        let mut files = tree::files(&repo).map_err(|error| format!("{}: {error}", repo.display()))?;
        if files.is_empty() {
            return Err(format!("{} holds no file: it is the repository of the task", repo.display()));
        }
        let second_folder = folder.join("second");
        if let Some(second) = &raw.second {
            for gone in &second.get_ref().removes {
                let place = files.iter().position(|file| file == gone);
                files.remove(place.ok_or_else(|| source.at(second.span(), format!("removes {gone:?}, which is not in repo/")))?);
            }
            if second_folder.exists() {
                files.extend(tree::files(&second_folder).map_err(|error| format!("{}: {error}", second_folder.display()))?);
            }
        } else if second_folder.exists() {
            return Err(format!("{} is there, but task.toml has no [second] with its message", second_folder.display()));
        }
        let kind = *raw.kind.get_ref();
        if kind == Kind::Review && raw.second.as_ref().and_then(|second| second.get_ref().branch.as_ref()).is_none() {
            return Err(source.at(raw.kind.span(), "a review needs [second] with a branch: what is to be reviewed"));
        }
        let head = |path: &str| [&second_folder, &repo].map(|folder| folder.join(path)).into_iter().find(|path| path.is_file());
        let known = |path: &str| files.iter().any(|file| file == path).then(|| head(path)).flatten();
        let check = match kind {
            Kind::Change => tests(source, &raw.check, &folder.join("hidden"))?,
            Kind::Analysis | Kind::Review | Kind::Question => answer(source, &raw.check, kind, &known)?,
        };
        Ok(Self {
            name,
            folder: folder.to_owned(),
            title: raw.title.into_inner().trim().to_owned(),
            body: raw.body.trim().to_owned(),
            kind,
            mode: raw.mode,
            languages: raw.languages,
            check,
            second: raw.second.map(Spanned::into_inner),
        })
    }
}

fn tests(source: &Source, check: &Spanned<RawCheck>, hidden: &Path) -> Result<Check, String> {
    let raw = check.get_ref();
    if let Some(statement) = raw.expected.iter().chain(&raw.forbidden).next() {
        return Err(source.at(statement.span(), "a change is decided by tests: statements are for answers"));
    }
    let (Some(command), Some(passed)) = (&raw.command, &raw.passed) else {
        return Err(source.at(check.span(), "a change needs `command`, which runs the hidden tests, and `passed`, how many have to pass"));
    };
    if *passed.get_ref() == 0 {
        return Err(source.at(passed.span(), "passed is 0: then nothing would have to work"));
    }
    let timeout_s = raw.timeout_s.as_ref().map_or(60, |timeout| *timeout.get_ref());
    if timeout_s == 0 || timeout_s > MOST_TIMEOUT_S {
        let span = raw.timeout_s.as_ref().map_or(check.span(), Spanned::span);
        return Err(source.at(span, format!("timeout_s is {timeout_s}: expected 1 to {MOST_TIMEOUT_S}")));
    }
    if tree::files(hidden).map_err(|error| format!("{}: {error}", hidden.display()))?.is_empty() {
        return Err(format!("{} holds no file: a change is decided by tests that the job does not see", hidden.display()));
    }
    let timeout = Duration::from_secs(timeout_s);
    Ok(Check::Tests(Tests { command: command.get_ref().clone(), passed: *passed.get_ref(), timeout }))
}

fn answer(source: &Source, check: &Spanned<RawCheck>, kind: Kind, known: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Check, String> {
    let raw = check.get_ref();
    if let Some(command) = &raw.command {
        return Err(source.at(command.span(), format!("nothing is pushed for kind {kind}: it is decided by [[check.expected]]")));
    }
    if raw.expected.is_empty() {
        return Err(source.at(check.span(), format!("kind {kind} needs at least one [[check.expected]]: what the answer has to say")));
    }
    let statements = |raws: &[Spanned<super::answer::RawStatement>]| {
        raws.iter().map(|raw| Statement::check(source, raw, known)).collect::<Result<Vec<_>, String>>()
    };
    Ok(Check::Answer { expected: statements(&raw.expected)?, forbidden: statements(&raw.forbidden)? })
}
