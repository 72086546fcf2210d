//! How a command ends: the exit codes and what they mean.

use std::process::ExitCode;

use store::StoreError;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// A job did not succeed. Exit code 1.
    Job(String),
    /// The command was wrong. Exit code 2.
    Usage(String),
    /// A cap or budget ended the job. Exit code 3.
    Cap(String),
    /// Database, git, key or file: something around us is not usable. Exit code 4.
    Environment(anyhow::Error),
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Job(_) => 1,
            Self::Usage(_) => 2,
            Self::Cap(_) => 3,
            Self::Environment(_) => 4,
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Job(message) | Self::Usage(message) | Self::Cap(message) => f.write_str(message),
            Self::Environment(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Environment(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Environment(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoJob(_) | StoreError::NotFound(_) | StoreError::Refused(_) => Self::Usage(error.to_string()),
            error => Self::Environment(error.into()),
        }
    }
}

/// What a command returns.
pub type Outcome = Result<(), Failure>;
