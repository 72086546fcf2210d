//! What can go wrong in the store, by what the caller should do.

use domain::{Epoch, JobId};

use crate::budgets::BudgetUse;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else holds the job now, or it ended: drop it and kill its processes.
    #[error("lease lost: job {job_id} is no longer held under epoch {epoch}")]
    LeaseLost {
        /// The job.
        job_id: JobId,
        /// The epoch under which the caller held it.
        epoch: Epoch,
    },
    /// Somebody asked the job to stop, so nothing more is begun for it: it is still held, and is to be ended as stopped.
    #[error("job {0} was asked to stop")]
    Stopped(JobId),
    /// Something was said to the job that the caller does not know: load it again. It is still held.
    #[error("job {0} was told something since it was loaded")]
    Unheard(JobId),
    /// The caller named something that is not there.
    #[error("no job {0}")]
    NoJob(String),
    /// The caller named something else that is not there; says what there is.
    #[error("{0}")]
    NotFound(String),
    /// The job is not in a state that allows it.
    #[error("{0}")]
    Refused(String),
    /// A budget has no room for a call, and the job waits for it: drop it, it is held by nobody.
    #[error(
        "the day's budget of {} has no room: {} of {} are used, and the call may cost {}",
        .0.scope, .0.used_microusd, .0.limit_microusd, .0.asked_microusd.unwrap_or_default()
    )]
    OverBudget(BudgetUse),
    /// The database cannot be reached or gave up: the same call may succeed later.
    #[error("the database is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// A row holds what this release does not understand.
    #[error("column {column} holds {value:?}, which this release does not understand; is the database newer than the program?")]
    Corrupt {
        /// Table and column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
    /// What should name a database does not.
    #[error("the database's URL cannot be understood: {0}; expected postgres://user:password@host/database")]
    Url(String),
    /// What is to be written is there already.
    #[error("it is stored already")]
    Duplicate,
    /// Anything else the database says: a defect of ours.
    #[error("the database refused a statement: {0}")]
    Database(sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the migrations could not be applied: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl StoreError {
    /// Whether the database did not take the password: it may have been replaced.
    pub fn is_login_refused(&self) -> bool {
        match self {
            // Class 28: invalid authorization.
            Self::Unavailable(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code.starts_with("28")),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(error) = &error
            && error.code().as_deref() == Some("23505")
        {
            return Self::Duplicate;
        }
        let unavailable = match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => true,
            // Class 08: connection; 57P0x: shutting down; 53: out of resources; 40: serialization, deadlock; 28: a password that
            // was replaced and is not known here yet.
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| ["08", "57P", "53", "40", "28"].iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        };
        if unavailable { Self::Unavailable(error) } else { Self::Database(error) }
    }
}

/// Parses a text column into a type of the domain.
pub(crate) fn parse<T: std::str::FromStr>(column: &'static str, value: &str) -> Result<T, StoreError> {
    value.parse().map_err(|_| StoreError::Corrupt { column, value: value.to_owned() })
}
