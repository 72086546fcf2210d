//! What stands in the files that a tree changes.

use tokio_util::sync::CancellationToken;

use crate::git::OUTPUT_CAP;
use crate::{Checkout, GitError, TreeId};

/// A file that a tree adds, changes or removes, with all its bytes. Of a link the bytes are its target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// From the root; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What the base has there; empty = nothing.
    pub before: Vec<u8>,
    /// What the tree has there; empty = nothing.
    pub after: Vec<u8>,
}

/// The most bytes that are read. Half of the cap holds a whole answer of git's, with a line for each file.
const MOST_BYTES: usize = OUTPUT_CAP / 4;

impl Checkout {
    /// The files that `tree` changes in the base. A file that moved is one that is gone and one that is new; submodules
    /// have no bytes here. Three processes.
    ///
    /// # Errors
    /// [`GitError::TooLarge`] when they have more than 64 MiB together, before and after.
    pub async fn changed(&self, tree: &TreeId) -> Result<Vec<Changed>, GitError> {
        let cancel = CancellationToken::new();
        let diff = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv"];
        let command = self.git.in_repository(&self.trusted, diff).args([self.base_tree.as_str(), tree.as_str()]);
        let raw = self.git.output(command, &cancel).await?.stdout;
        let mut parts = raw.split(|byte| *byte == 0);
        let mut files = Vec::new();
        while let (Some(meta), Some(path)) = (parts.next(), parts.next()) {
            let meta = String::from_utf8_lossy(meta);
            let [old_mode, new_mode, old, new, _] = meta.trim_start_matches(':').split(' ').collect::<Vec<_>>()[..] else { continue };
            let blob = |mode: &str, id: &str| (mode != "000000" && mode != "160000").then(|| id.to_owned());
            files.push((String::from_utf8_lossy(path).into_owned(), blob(old_mode, old), blob(new_mode, new)));
        }
        let ids: Vec<&String> = files.iter().flat_map(|(_, before, after)| before.iter().chain(after)).collect();
        let list: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let check = self.git.in_repository(&self.trusted, ["cat-file", "--batch-check=%(objectsize)"]).stdin(list.clone());
        let sizes = self.git.output(check, &cancel).await?.stdout_text();
        let sizes: Vec<usize> = sizes.lines().map(|size| size.parse().unwrap_or(usize::MAX)).collect();
        let total = sizes.iter().fold(0_usize, |total, size| total.saturating_add(*size));
        if total > MOST_BYTES {
            return Err(GitError::TooLarge { what: "the change".to_owned(), limit_bytes: MOST_BYTES });
        }
        let contents = self.git.in_repository(&self.trusted, ["cat-file", "--batch=%(objectsize)"]).stdin(list);
        let contents = self.git.output(contents, &cancel).await?.stdout;
        let mut rest = contents.as_slice();
        let mut blobs = sizes.iter().map(|size| {
            // A line with the size, the bytes, a line break.
            let start = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
            let end = (start + size).min(rest.len());
            let blob = rest[start..end].to_vec();
            rest = rest.get(end + 1..).unwrap_or_default();
            blob
        });
        let mut next = |id: Option<String>| id.and_then(|_| blobs.next()).unwrap_or_default();
        Ok(files.into_iter().map(|(path, before, after)| Changed { path, before: next(before), after: next(after) }).collect())
    }
}
