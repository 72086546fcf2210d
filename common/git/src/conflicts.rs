//! Whether a commit can be merged as it is.

use process::Exit;
use tokio_util::sync::CancellationToken;

use crate::git::failed;
use crate::{Checkout, CommitId, GitError};

impl Checkout {
    /// The files in which `commit` and `other` conflict; empty where they can be merged. Of `other` the mirror must have all
    /// contents ([`crate::Mirror::bring`]). Nothing is written but objects. One process, of git 2.38 or newer.
    ///
    /// # Errors
    /// When git fails: above all, when both share no history.
    pub async fn conflicts(&self, commit: &CommitId, other: &CommitId) -> Result<Vec<String>, GitError> {
        let merge = ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", commit.as_str(), other.as_str()];
        let output = self.git.attempt(self.git.in_repository(&self.trusted, merge), &CancellationToken::new()).await?;
        match output.exit {
            Exit::Code(0) => Ok(Vec::new()),
            // First the tree that it would be, then each file once.
            Exit::Code(1) => {
                let names = output.stdout.split(|&byte| byte == 0).skip(1).filter(|name| !name.is_empty());
                Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
            }
            _ => Err(failed(&output)),
        }
    }
}
