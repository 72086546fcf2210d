//! Takes changes that are not allowed out of a tree again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use domain::sensitive::Entry;
use tokio_util::sync::CancellationToken;

use crate::{Checkout, GitError, TreeId};

/// A tree with nothing but allowed changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The tree.
    pub tree: TreeId,
    /// The paths whose change is not in it, in order.
    pub left_out: Vec<String>,
}

/// A path that differs between the base and a tree.
struct Change {
    path: Vec<u8>,
    /// What the base has there: mode and object id.
    base: String,
    before: Entry,
    after: Entry,
}

impl Checkout {
    /// `tree`, with the base's version of every changed path that `allows` refuses, which is told what was there and what is
    /// there now. One process; five where something is left out. The workspace is not looked at and stays as it is.
    ///
    /// # Errors
    /// When git fails.
    pub async fn keep(&self, tree: &TreeId, allows: impl Fn(&Path, Entry, Entry) -> bool) -> Result<Kept, GitError> {
        const INDEX: &str = "index-kept";
        let changes = self.changes(tree).await?;
        let is_refused = |change: &&Change| !allows(Path::new(OsStr::from_bytes(&change.path)), change.before, change.after);
        let refused: Vec<&Change> = changes.iter().filter(is_refused).collect();
        if refused.is_empty() {
            return Ok(Kept { tree: tree.clone(), left_out: Vec::new() });
        }
        let index = self.trusted.join(INDEX);
        let command = |args: &[&str]| self.git.in_repository(&self.trusted, args).env("GIT_INDEX_FILE", &index);
        self.git.run(command(&["read-tree", tree.as_str()])).await?;
        let lines: Vec<u8> = refused.iter().flat_map(|change| [change.base.as_bytes(), b"\t", &change.path, b"\0"].concat()).collect();
        // A file that comes back takes the place of a folder that was put there, and the other way round.
        self.git.run(command(&["update-index", "--replace", "-z", "--index-info"]).stdin(lines)).await?;
        let kept: TreeId = self.git.run(command(&["write-tree"])).await?.trim().parse()?;
        let still: BTreeSet<Vec<u8>> = self.changes(&kept).await?.into_iter().map(|change| change.path).collect();
        let left_out = changes.iter().filter(|change| !still.contains(&change.path));
        Ok(Kept { tree: kept, left_out: left_out.map(|change| String::from_utf8_lossy(&change.path).into_owned()).collect() })
    }

    /// What differs between the base and `tree`; a renamed file is one that went and one that came.
    async fn changes(&self, tree: &TreeId) -> Result<Vec<Change>, GitError> {
        let diff = ["diff-tree", "-r", "--raw", "-z", "--no-renames", "--no-abbrev"];
        let command = self.git.in_repository(&self.trusted, diff).args([self.base_tree.as_str(), tree.as_str()]);
        let output = self.git.output(command, &CancellationToken::new()).await?;
        if output.stdout_omitted_bytes > 0 {
            return Err(GitError::TooLarge { what: "list of changed files".to_owned(), limit_bytes: crate::git::OUTPUT_CAP });
        }
        // `:<mode in base> <mode> <id in base> <id> <letter>`, NUL, path, NUL.
        let mut fields = output.stdout.split(|&byte| byte == 0);
        let mut changes = Vec::new();
        while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
            let head = String::from_utf8_lossy(head);
            let mut words = head.trim_start_matches(':').split(' ');
            let [mode, new_mode, id] = [(); 3].map(|()| words.next().unwrap_or_default());
            let (before, after) = (entry(mode), entry(new_mode));
            // A path that the base does not have is removed by the mode 0.
            let mode = if mode == "000000" { "0" } else { mode };
            changes.push(Change { path: path.to_owned(), base: format!("{mode} {id}"), before, after });
        }
        Ok(changes)
    }
}

/// What a mode of git's says.
fn entry(mode: &str) -> Entry {
    match mode {
        "000000" => Entry::None,
        "120000" => Entry::Symlink,
        "160000" => Entry::Submodule,
        _ => Entry::File,
    }
}
