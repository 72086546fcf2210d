//! The repository's own template for pull requests.

use config::failure;
use dispatch::HandlerError;
use git::{Checkout, CommitId, GitError};

/// Where GitHub looks, in its order; it takes both spellings.
const PLACES: &[&str] = &[
    ".github/pull_request_template.md",
    ".github/PULL_REQUEST_TEMPLATE.md",
    "pull_request_template.md",
    "PULL_REQUEST_TEMPLATE.md",
    "docs/pull_request_template.md",
    "docs/PULL_REQUEST_TEMPLATE.md",
];
const MOST_BYTES: usize = 16 << 10;

/// The template as the commit `trusted` has it; `None` = there is none, or one that is too long to be read through.
pub(crate) async fn read(checkout: &Checkout, trusted: &CommitId) -> Result<Option<String>, HandlerError> {
    for place in PLACES {
        match checkout.read_file_at(trusted, place, MOST_BYTES).await {
            Ok(Some(bytes)) => {
                let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                return Ok(Some(text).filter(|text| !text.is_empty()));
            }
            Ok(None) => {}
            Err(GitError::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(failure::of_git(error)),
        }
    }
    Ok(None)
}
