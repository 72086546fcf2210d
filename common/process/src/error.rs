//! Why a program could not be run. That it ran and failed is no error but an [`Exit`](crate::Exit).

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program; a person installs it.
    #[error("no program \"{program}\" in \"{path}\"; {}", how_to_install(program))]
    NotFound {
        /// The program as it was asked for.
        program: String,
        /// The search path that was looked through; empty when none was given.
        path: String,
    },
    /// The directory to run it in is missing, or is not a directory.
    #[error("no directory {} to run \"{program}\" in", directory.display())]
    NoDirectory {
        /// The program.
        program: String,
        /// The directory.
        directory: PathBuf,
    },
    /// The operating system refused to start it.
    #[error("cannot start \"{program}\": {source}")]
    Spawn {
        /// The program.
        program: String,
        /// The refusal.
        source: io::Error,
    },
    /// The operating system lost it: it may or may not have run.
    #[error("lost \"{program}\" while it ran: {source}")]
    Lost {
        /// The program.
        program: String,
        /// What went wrong.
        source: io::Error,
    },
}

/// What to type to get a program that we know the package of.
fn how_to_install(program: &str) -> String {
    let package = match program {
        "git" => "git",
        "python3" => "python3",
        "sh" => "dash",
        "psql" | "pg_isready" => "postgresql-client",
        "initdb" | "postgres" => "postgresql",
        _ => return format!("install \"{program}\" or put its folder on PATH"),
    };
    format!("install it, for instance with: apt-get install {package} (macOS: brew install {package})")
}

/// A program or path as it is shown in messages.
pub(crate) fn shown(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_what_to_type() {
        let error = ProcessError::NotFound { program: "git".into(), path: "/usr/bin".into() };
        assert_eq!(
            error.to_string(),
            "no program \"git\" in \"/usr/bin\"; install it, for instance with: apt-get install git (macOS: brew install git)"
        );
    }
}
