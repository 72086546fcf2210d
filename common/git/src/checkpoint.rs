//! A workspace in a few bytes, to go on from on any worker.

use process::Exit;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::git::failed;
use crate::{Checkout, CommitId, GitError, Identity, Snapshot, TreeId};

/// A workspace as the difference to its base commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The workspace's tree.
    pub tree: TreeId,
    /// A thin pack with what the base commit lacks; empty when the tree is the base's.
    pub pack: Vec<u8>,
    /// As in [`Snapshot::left_out`].
    pub left_out: Vec<String>,
}

impl Checkout {
    /// Takes a snapshot and packs what is new in it. Four processes, two when nothing has changed.
    ///
    /// # Errors
    /// [`GitError::OverLimit`] when what is new is larger than [`RepositoryLimits::pack_bytes`](crate::RepositoryLimits).
    pub async fn checkpoint(&self) -> Result<Checkpoint, GitError> {
        let Snapshot { tree, left_out } = self.snapshot().await?;
        let pack = if tree == self.base_tree { Vec::new() } else { self.pack(&tree).await? };
        Ok(Checkpoint { tree, pack, left_out })
    }

    /// Makes the workspace equal to a checkpoint's tree, as a fresh checkout: whatever else lay in it,
    /// ignored files included, is gone. Two processes, one when `pack` is empty.
    ///
    /// # Errors
    /// [`GitError::Failed`] when the pack does not belong to this base, or does not hold the tree.
    pub async fn restore(&self, tree: &TreeId, pack: &[u8]) -> Result<(), GitError> {
        let cancel = CancellationToken::new();
        if !pack.is_empty() {
            let index = self.git.in_repository(&self.trusted, ["index-pack", "--stdin", "--fix-thin"]).stdin(pack);
            self.git.output(index, &cancel).await?;
        }
        self.populate(tree, &cancel).await.map(|_| ())
    }

    /// Commits `tree` on top of the base. The same arguments make the same commit, on any machine and at any
    /// time, so whoever repeats it after a crash pushes the same. One process.
    ///
    /// # Errors
    /// [`GitError::Invalid`] for an author with line breaks or angle brackets.
    pub async fn commit(
        &self,
        tree: &TreeId,
        message: &str,
        author: &Identity,
        co_author: Option<&Identity>,
        at: OffsetDateTime,
    ) -> Result<CommitId, GitError> {
        author.check()?;
        let mut message = format!("{}\n", message.replace('\0', "").trim());
        if let Some(co_author) = co_author {
            co_author.check()?;
            message.push_str(&format!("\nCo-authored-by: {co_author}\n"));
        }
        let date = format!("@{} +0000", at.unix_timestamp());
        let commit =
            self.git.in_repository(&self.trusted, ["commit-tree", tree.as_str(), "-p", self.base.as_str(), "-F", "-"]).stdin(message);
        let commit = commit.envs([("GIT_AUTHOR_NAME", &author.name), ("GIT_AUTHOR_EMAIL", &author.email), ("GIT_AUTHOR_DATE", &date)]);
        let commit =
            commit.envs([("GIT_COMMITTER_NAME", &author.name), ("GIT_COMMITTER_EMAIL", &author.email), ("GIT_COMMITTER_DATE", &date)]);
        self.git.run(commit).await?.trim().parse()
    }

    /// git finds the base of a delta only from a commit to its parent, so the tree gets a commit of its own.
    async fn pack(&self, tree: &TreeId) -> Result<Vec<u8>, GitError> {
        let nobody = Identity { name: "checkpoint".to_owned(), email: "checkpoint@invalid".to_owned() };
        let commit = self.commit(tree, "checkpoint", &nobody, None, OffsetDateTime::UNIX_EPOCH).await?;
        let pack =
            self.git.in_repository(&self.trusted, ["pack-objects", "--quiet", "--revs", "--thin", "--delta-base-offset", "--stdout"]);
        let limits = self.git.limits();
        let pack = pack.output_cap(usize::try_from(limits.pack_bytes).unwrap_or(usize::MAX));
        let output = self.git.attempt(pack.stdin(format!("{commit}\n^{}\n", self.base)), &CancellationToken::new()).await?;
        match output.exit {
            Exit::Code(0) if output.stdout_omitted_bytes == 0 => Ok(output.stdout),
            Exit::Code(0) => Err(GitError::OverLimit { what: "the checkpoint".to_owned(), limit: limits.pack() }),
            _ => Err(failed(&output)),
        }
    }
}
