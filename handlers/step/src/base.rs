//! What the base commit of a job says about it: `.codeteam.toml` and the advice for agents. The job's own writing does
//! not count.

use std::collections::HashSet;

use agent::test_command::Listing;
use agent::{Change, TestCommand};
use config::failure;
use dispatch::HandlerError;
use domain::project::{self, FILE, Project, Read};
use git::{Checkout, CommitId, CommittedFile, GitError};
use github::words::{Language, Note};

use crate::maps::Maps;

/// The advice that a repository has by custom.
const ADVICE: &str = "AGENTS.md";
const MOST_ADVICE_BYTES: usize = 32 << 10;

/// The repository's own words, as of the commit that a job starts from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Base {
    /// What `.codeteam.toml` says.
    pub project: Project,
    /// What a person should know about how it was understood.
    pub notes: Vec<String>,
    /// Why no change may be begun here.
    pub refuses_changes: Option<String>,
    /// The advice for agents.
    pub instructions: Option<String>,
    /// How the tests run.
    pub test_command: Option<TestCommand>,
    /// The repository map.
    pub map: Option<String>,
    /// What is under review.
    pub change: Option<Change>,
}

impl Base {
    /// Reads it for a job that asks for `task`, with notes in its language. Of a review, `against` is what the change is compared
    /// with: there, and not at the head, lies the repository's own word. Five processes, one more where the advice lies elsewhere
    /// and is not there.
    pub(crate) async fn read(
        checkout: &Checkout,
        maps: &Maps,
        (task, language): (&str, Language),
        against: Option<&CommitId>,
    ) -> Result<Self, HandlerError> {
        let trusted = against.unwrap_or(checkout.base());
        let Read { project, faults } = match checkout.read_file_at(trusted, FILE, project::MOST_BYTES).await {
            Ok(file) => file.map(|bytes| project::read(&bytes)).unwrap_or_default(),
            Err(GitError::TooLarge { .. }) => Read::too_large(),
            Err(error) => return Err(failure::of_git(error)),
        };
        let refuses_changes = faults.iter().find(|fault| fault.hides_paths);
        let refuses_changes = refuses_changes.map(|fault| Note::NothingAllowed(fault).sentence(language));
        let mut notes: Vec<String> = faults.iter().map(|fault| Note::Fault(fault).sentence(language)).collect();
        let instructions = match &project.instructions {
            None => advice(checkout, trusted, ADVICE).await?,
            Some(path) => match advice(checkout, trusted, path).await? {
                Some(text) => Some(text),
                None => {
                    notes.push(Note::NoAdvice { file: FILE, path, instead: ADVICE }.sentence(language));
                    advice(checkout, trusted, ADVICE).await?
                }
            },
        };
        // A repository whose files are too many to be listed gets neither.
        let files = match checkout.files(checkout.base()).await {
            Ok(files) => files,
            Err(GitError::TooLarge { .. }) => Vec::new(),
            Err(error) => return Err(failure::of_git(error)),
        };
        let stated = project.test_command.clone().map(|command| TestCommand { command, known_from: FILE.to_owned(), is_stated: true });
        let test_command = match stated {
            Some(stated) => Some(stated),
            None => found_tests(checkout, &files, task).await?,
        };
        let map = maps.map(checkout, checkout.base(), &files, task).await?;
        let change = match against {
            Some(against) => Some(Change::of(&checkout.diff_since(against).await.map_err(failure::of_git)?)),
            None => None,
        };
        Ok(Self { project, notes, refuses_changes, instructions, test_command, map, change })
    }
}

/// How the tests run, to judge by the files.
async fn found_tests(checkout: &Checkout, files: &[CommittedFile], task: &str) -> Result<Option<TestCommand>, HandlerError> {
    const MOST_FILE_BYTES: u64 = 256 << 10;
    let listing = Listing::new(files.iter().map(|file| file.path.as_str()), task);
    let wanted: HashSet<&str> = listing.wanted().into_iter().collect();
    let wanted: Vec<&CommittedFile> =
        files.iter().filter(|file| file.size_bytes <= MOST_FILE_BYTES && wanted.contains(file.path.as_str())).collect();
    let contents = checkout.read_files(&wanted).await.map_err(failure::of_git)?;
    let texts = wanted.iter().zip(contents).map(|(file, bytes)| (file.path.clone(), String::from_utf8_lossy(&bytes).into_owned()));
    Ok(listing.detect(&texts.collect()))
}

async fn advice(checkout: &Checkout, commit: &CommitId, path: &str) -> Result<Option<String>, HandlerError> {
    match checkout.read_file_at(commit, path, MOST_ADVICE_BYTES).await {
        Ok(file) => Ok(file.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        Err(GitError::TooLarge { .. }) => Ok(Some(format!("{path} is too long to be shown here: read the parts you need."))),
        Err(error) => Err(failure::of_git(error)),
    }
}
