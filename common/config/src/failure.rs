//! How the errors of the lower crates look to the caller of a handler. Those crates know nothing of
//! handlers, and `dispatch` knows nothing of them.

use std::time::Duration;

use dispatch::HandlerError;
use git::GitError;
use github::{ForgeError, SignatureError};
use llm::LlmError;
use store::StoreError;

use crate::secrets;

/// When to try again after the database, the forge or a provider was away.
const PAUSE: Duration = Duration::from_secs(2);
/// When to try again after something failed that a person has to set right: a key, a permission, a program.
const REPAIR: Duration = Duration::from_secs(30);

/// Something about this worker, not about the job, is wrong: a job waits until somebody has set it right.
pub fn of_worker(error: &dyn std::fmt::Display) -> HandlerError {
    HandlerError::RetryAfter { after: REPAIR, message: error.to_string() }
}

/// An error of the store.
pub fn of_store(error: StoreError) -> HandlerError {
    if error.is_login_refused() {
        secrets::refused();
    }
    match error {
        // Held by nobody any more, and not ended: to whoever did not ask for it that is the same.
        StoreError::LeaseLost { .. } | StoreError::OverBudget(_) => HandlerError::LeaseLost(error.to_string()),
        StoreError::NoJob(_) | StoreError::NotFound(_) | StoreError::Refused(_) => HandlerError::Invalid(error.to_string()),
        StoreError::Unavailable(_) => HandlerError::RetryAfter { after: PAUSE, message: error.to_string() },
        // Given back it is ready to be ended, at once.
        StoreError::Stopped(_) | StoreError::Unheard(_) => HandlerError::RetryAfter { after: Duration::ZERO, message: error.to_string() },
        StoreError::Corrupt { .. } | StoreError::Url(_) | StoreError::Duplicate | StoreError::Database(_) | StoreError::Migrate(_) => {
            HandlerError::Internal(error.into())
        }
    }
}

/// An error of the forge.
pub fn of_forge(error: ForgeError) -> HandlerError {
    if matches!(error, ForgeError::Denied(_)) {
        secrets::refused();
    }
    match error {
        ForgeError::RetryAfter { after } => HandlerError::RetryAfter { after, message: error.to_string() },
        ForgeError::Unavailable(error) => HandlerError::RetryAfter { after: PAUSE, message: format!("{error:#}") },
        ForgeError::Denied(_) => of_worker(&error),
        ForgeError::NotFound(_) | ForgeError::Invalid(_) => HandlerError::Invalid(error.to_string()),
    }
}

/// A webhook whose signature does not hold: of whoever forged it, or of a secret that took the place of ours.
pub fn of_signature(error: SignatureError) -> HandlerError {
    if error == SignatureError::Wrong {
        secrets::refused();
    }
    HandlerError::Denied(error.to_string())
}

/// An error of a model's provider.
pub fn of_llm(error: LlmError) -> HandlerError {
    match error {
        LlmError::Auth { .. } | LlmError::Setup(_) => of_worker(&error),
        LlmError::BadRequest { .. } | LlmError::NoModel { .. } => HandlerError::Invalid(error.to_string()),
        LlmError::Malformed { .. } => HandlerError::Internal(error.into()),
        _ => HandlerError::RetryAfter { after: error.retry_after().unwrap_or(PAUSE), message: error.to_string() },
    }
}

/// An error of git.
pub fn of_git(error: GitError) -> HandlerError {
    match error {
        GitError::Unreachable { .. } | GitError::Cancelled | GitError::Io { .. } | GitError::Process(_) => {
            HandlerError::RetryAfter { after: PAUSE, message: error.to_string() }
        }
        GitError::Failed { .. } => HandlerError::Internal(error.into()),
        GitError::Denied { .. } | GitError::Missing(_) => of_worker(&error),
        GitError::NotFound { .. }
        | GitError::Empty { .. }
        | GitError::Conflict { .. }
        | GitError::Rejected { .. }
        | GitError::Invalid { .. }
        | GitError::OverLimit { .. }
        | GitError::TooLarge { .. } => HandlerError::Invalid(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use github::words::{Language, translated};
    use llm::{Models, ProviderName, Providers};
    use process::{Exit, ProcessError};
    use testkit::english_left;

    use super::*;

    /// What a job is told of the error, as its cause is kept.
    fn kept(error: HandlerError) -> String {
        match error {
            HandlerError::Invalid(cause) | HandlerError::LeaseLost(cause) => cause,
            error => format!("{error:#}"),
        }
    }

    fn is_told_in_portuguese(errors: Vec<HandlerError>) {
        for error in errors {
            let kept = kept(error);
            let told = translated(&kept, Language::Portuguese);
            assert_ne!(told, kept);
            assert_eq!(english_left(&told), Vec::<String>::new(), "{kept} is told as {told}");
        }
    }

    fn gone() -> io::Error {
        io::Error::from(io::ErrorKind::NotFound)
    }

    #[test]
    fn what_is_wrong_with_a_repository_is_told_in_portuguese_too() {
        let remote = || "https://forge.example/acme/shop".to_owned();
        let said = || "fatal: the remote end hung up unexpectedly".to_owned();
        let commit = || "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d".parse().unwrap();
        let branch = || "main".to_owned();
        let what = |what: &str| GitError::NotFound { what: what.to_owned(), remote: remote() };
        let program = |name: &str| ProcessError::NotFound { program: name.to_owned(), path: "/usr/bin".to_owned() };
        let errors = vec![
            what("repository"),
            what("branch \"main\""),
            what("pull request #7"),
            what("commit on the default branch; name another branch"),
            GitError::Empty { remote: remote() },
            GitError::Denied { remote: remote(), said: said() },
            GitError::Unreachable { remote: remote(), said: said() },
            GitError::Conflict { branch: branch(), remote: remote(), at: commit() },
            GitError::Rejected { branch: branch(), remote: remote(), said: said() },
            GitError::Invalid { what: "branch", value: "a b".to_owned(), rule: "see git-check-ref-format(1)" },
            "main".parse::<git::CommitId>().unwrap_err(),
            "ftp://forge.example/shop".parse::<git::Remote>().unwrap_err(),
            GitError::TooLarge { what: "the change".to_owned(), limit_bytes: 1_000 },
            GitError::Cancelled,
            GitError::Missing(program("git")),
            GitError::Process(program("own-program")),
            GitError::Process(ProcessError::NoDirectory { program: "git".to_owned(), directory: "/gone".into() }),
            GitError::Process(ProcessError::Spawn { program: "git".to_owned(), source: gone() }),
            GitError::Process(ProcessError::Lost { program: "git".to_owned(), source: gone() }),
            GitError::Io { action: "create", path: "/var/lib/codeteam".into(), source: gone() },
            GitError::Failed { exit: Exit::Code(128), said: said() },
            GitError::Failed { exit: Exit::TimedOut, said: said() },
        ];
        is_told_in_portuguese(errors.into_iter().map(of_git).collect());
    }

    #[test]
    fn what_a_provider_answers_is_told_in_portuguese_too() {
        let provider = ProviderName::OpenAi;
        let message = || "the model is busy, try again".to_owned();
        let errors = vec![
            LlmError::RateLimited { provider, retry_after: None, message: message() },
            LlmError::Overloaded { provider, status: 529, retry_after: None, message: message() },
            LlmError::Unreachable { provider, url: "https://api.example".to_owned(), cause: "connection refused".to_owned() },
            LlmError::Cut { provider, cause: "the connection was reset".to_owned() },
            LlmError::Malformed { provider, what: "it is not JSON".to_owned() },
            LlmError::Auth { provider, status: 401, message: message() },
            LlmError::Auth { provider: ProviderName::Bedrock, status: 403, message: message() },
            LlmError::Auth { provider: ProviderName::Scripted, status: 403, message: message() },
            LlmError::BadRequest { provider, message: message() },
            LlmError::NoModel { provider, message: message() },
            LlmError::Timeout { provider, sent: true },
            LlmError::Cancelled { provider, sent: true },
            LlmError::Setup("the certificates cannot be read".to_owned()),
        ];
        let mut errors: Vec<HandlerError> = errors.into_iter().map(of_llm).collect();
        let (models, none) = (Models::builtin(), Providers::new());
        errors.push(of_worker(&models.lookup("gpt-5-mni").unwrap_err()));
        errors.push(of_worker(&models.lookup("something-else-altogether").unwrap_err()));
        errors.push(of_worker(&models.default_for(domain::Mode::Genius, &none).unwrap_err()));
        errors.push(of_worker(&none.provider_for(models.lookup("gpt-5-mini").unwrap()).err().unwrap()));
        is_told_in_portuguese(errors);
    }

    #[test]
    fn what_the_forge_and_the_database_answer_is_told_in_portuguese_too() {
        let said = "GitHub answers GET /repos/acme/shop with 404: Not Found (request AB:1)";
        let text = |text: &str| ForgeError::NotFound(text.to_owned());
        let forge = vec![
            ForgeError::RetryAfter { after: PAUSE },
            text(said),
            text(&format!("the App is not installed on acme/shop, or there is no such repository; {said}")),
            text(&format!("{said}: it was renamed or moved to /repositories/7; use its new name")),
            ForgeError::Denied(format!("{said}: the owner has to accept the App's permissions, or to give it the repository")),
            ForgeError::Unavailable(anyhow::anyhow!("GET /repos/acme/shop at https://api.github.com: connection refused")),
            ForgeError::Invalid("GitHub's reply to GET /repos/acme/shop is longer than 10 bytes".to_owned()),
            text("no repository \"acme/shop\" in /var/lib/forge: register it with its remote first"),
        ];
        let mut errors: Vec<HandlerError> = forge.into_iter().map(of_forge).collect();
        errors.push(of_forge(ForgeError::Invalid(github::RepositoryName::parse("shop").unwrap_err().to_string())));
        errors.push(of_store(StoreError::Stopped(domain::JobId::new())));
        errors.push(HandlerError::Panic("index out of bounds".to_owned()));
        errors.push(HandlerError::Timeout(PAUSE));
        is_told_in_portuguese(errors);
    }
}
