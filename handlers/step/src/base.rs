//! What the base commit of a job says about it: `.codeteam.toml` and the advice for agents. The job's own writing does
//! not count.

use config::failure;
use dispatch::HandlerError;
use domain::project::{self, FILE, Fault, Project, Read};
use git::{Checkout, GitError};

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
}

impl Base {
    /// Reads it. Two processes, three where the advice lies elsewhere and is not there.
    pub(crate) async fn read(checkout: &Checkout) -> Result<Self, HandlerError> {
        let Read { project, faults } = match checkout.read_base_file(FILE, project::MOST_BYTES).await {
            Ok(file) => file.map(|bytes| project::read(&bytes)).unwrap_or_default(),
            Err(GitError::TooLarge { .. }) => Read::too_large(),
            Err(error) => return Err(failure::of_git(error)),
        };
        let refuses_changes = faults.iter().find(|fault| fault.hides_paths).map(refusal);
        let mut notes: Vec<String> = faults.iter().map(Fault::to_string).collect();
        let instructions = match &project.instructions {
            None => advice(checkout, ADVICE).await?,
            Some(path) => match advice(checkout, path).await? {
                Some(text) => Some(text),
                None => {
                    notes.push(format!("{FILE} names {path:?} as its instructions, and there is no such file; {ADVICE} holds instead"));
                    advice(checkout, ADVICE).await?
                }
            },
        };
        Ok(Self { project, notes, refuses_changes, instructions })
    }
}

fn refusal(fault: &Fault) -> String {
    format!("{fault}; so nobody knows which paths may be changed, and nothing was begun: repair the file and ask again")
}

async fn advice(checkout: &Checkout, path: &str) -> Result<Option<String>, HandlerError> {
    match checkout.read_base_file(path, MOST_ADVICE_BYTES).await {
        Ok(file) => Ok(file.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        Err(GitError::TooLarge { .. }) => Ok(Some(format!("{path} is too long to be shown here: read the parts you need."))),
        Err(error) => Err(failure::of_git(error)),
    }
}
