//! A job's working copy: a workspace for untrusted code, and beside it the trusted GIT_DIR.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use process::{Command, Exit};
use tokio_util::sync::CancellationToken;

use crate::git::failed;
use crate::index::{Entries, Gitlink, entries, unset};
use crate::layout::{Layout, copy, remove, write};
use crate::{CommitId, Git, GitError, Mirror, TreeId};

/// A working copy at a base commit: `<dir>/workspace` and `<dir>/trusted.git`.
///
/// One owner at a time: its functions must not run concurrently on one directory.
#[derive(Clone, Debug)]
pub struct Checkout {
    pub(crate) git: Git,
    pub(crate) trusted: PathBuf,
    pub(crate) base: CommitId,
    pub(crate) base_tree: TreeId,
    workspace: PathBuf,
}

/// The workspace as a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The tree.
    pub tree: TreeId,
    /// Paths that are not in it though they are in the workspace and not ignored: repositories within the
    /// repository, what cannot be read, names that git takes for `.git`, and files that are too large (with a remark). For
    /// people.
    pub left_out: Vec<String>,
}

/// Written last, so that a half-made checkout is none. Two lines: base commit, base tree.
const MARKER: &str = "base";

/// The base's gitlinks, as lines for `git update-index -z --index-info`; empty without submodules.
const LINKS: &str = "base-links";

/// The index right after the first checkout, for the agent's own `.git`.
const FIRST_INDEX: &str = "base-index";

impl Checkout {
    /// Checks `base` out into `dir`, replacing any checkout there. Objects are borrowed from the mirror, so
    /// it costs the files of the working tree and no more. Three processes (one more for a base with submodules, one or two
    /// more for a remote elsewhere, whose files are fetched now).
    ///
    /// # Errors
    /// [`GitError::Failed`] when the mirror does not have the commit, [`GitError::OverLimit`] for too many files or one that
    /// is too large.
    pub async fn create(mirror: &Mirror, base: &CommitId, dir: &Path, cancel: &CancellationToken) -> Result<Self, GitError> {
        let dir = std::path::absolute(dir).map_err(GitError::io("find", dir))?;
        let (trusted, workspace) = (dir.join("trusted.git"), dir.join("workspace"));
        mirror.bring(base, cancel).await?;
        remove(&trusted)?;
        let layout = Layout { id_length: base.as_str().len(), borrows_from: Some(&mirror.dir), branch: "none", at: None, bare: true };
        layout.create(&trusted)?;
        let tree = mirror.git.in_repository(&trusted, ["rev-parse", "--verify", &format!("{base}^{{tree}}")]);
        let base_tree = mirror.git.output(tree, cancel).await?.stdout_text().trim().parse()?;
        let checkout = Self { git: mirror.git.clone(), trusted, base: base.clone(), base_tree, workspace };
        checkout.check_size(cancel).await?;
        let links = checkout.populate(&checkout.base_tree, cancel).await?;
        write(&checkout.trusted.join(LINKS), links.iter().flat_map(Gitlink::set).collect::<Vec<u8>>())?;
        write(&checkout.trusted.join(MARKER), format!("{}\n{}\n", checkout.base, checkout.base_tree))?;
        Ok(checkout)
    }

    /// The checkout that an earlier process made in `dir`, as it left it; `None` when there is no whole one.
    /// No process.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn open(git: &Git, dir: &Path) -> Result<Option<Self>, GitError> {
        let dir = std::path::absolute(dir).map_err(GitError::io("find", dir))?;
        let (trusted, workspace) = (dir.join("trusted.git"), dir.join("workspace"));
        let marker = trusted.join(MARKER);
        if !marker.exists() || !workspace.is_dir() {
            return Ok(None);
        }
        let marker = fs::read_to_string(&marker).map_err(GitError::io("read", &marker))?;
        let (base, base_tree) = marker.split_once('\n').unwrap_or_default();
        Ok(Some(Self { git: git.clone(), trusted, base: base.parse()?, base_tree: base_tree.trim_end().parse()?, workspace }))
    }

    /// Where the files are.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The mirror that its own `.git` borrows objects from: whoever works in the workspace must be able to read it.
    ///
    /// # Errors
    /// When it cannot be read which one that is.
    pub fn lender(&self) -> Result<PathBuf, GitError> {
        let alternates = self.trusted.join("objects/info/alternates");
        let objects = fs::read_to_string(&alternates).map_err(GitError::io("read", &alternates))?;
        Ok(Path::new(objects.trim_end()).parent().unwrap_or(Path::new("/")).to_owned())
    }

    /// The commit that it started from.
    pub fn base(&self) -> &CommitId {
        &self.base
    }

    /// The tree of that commit.
    pub fn base_tree(&self) -> &TreeId {
        &self.base_tree
    }

    /// The workspace as it is, as a tree: tracked and new files, less what its `.gitignore` files leave out.
    /// Links are kept as links and never followed. Entries of submodules are taken from the base. Two
    /// processes; up to two more where there are submodules or repositories within the repository.
    ///
    /// # Errors
    /// When git fails; [`GitError::OverLimit`] for too many files.
    pub async fn snapshot(&self) -> Result<Snapshot, GitError> {
        // We are the only owner: a lock can only be left from a git that was killed.
        remove(&self.trusted.join("index.lock"))?;
        let add = self.in_workspace(["add", "--all", "--ignore-errors", "--", "."]);
        let added = self.git.attempt(add, &CancellationToken::new()).await?;
        let unreadable: Vec<String> = added.stderr_text().lines().filter_map(unindexed).collect();
        if added.exit != Exit::Code(0) && (added.exit != Exit::Code(1) || unreadable.is_empty()) {
            return Err(failed(&added));
        }
        let (nested, large) = self.clean_index(self.git.limits().file_bytes).await?;
        let links = self.trusted.join(LINKS);
        let links = fs::read(&links).map_err(GitError::io("read", &links))?;
        let tree = if links.is_empty() { self.write_tree("index").await? } else { self.write_tree_with(links).await? };
        let nested = nested.iter().map(|link| String::from_utf8_lossy(&link.path).into_owned());
        Ok(Snapshot { tree, left_out: nested.chain(unreadable).chain(large).collect() })
    }

    /// Makes the workspace equal to `tree`, from nothing: whatever lay in it is gone.
    pub(crate) async fn populate(&self, tree: &TreeId, cancel: &CancellationToken) -> Result<Vec<Gitlink>, GitError> {
        remove(&self.workspace)?;
        fs::create_dir_all(&self.workspace).map_err(GitError::io("create", &self.workspace))?;
        for name in ["index", "index.lock"] {
            remove(&self.trusted.join(name))?;
        }
        self.git.output(self.in_workspace(["read-tree", "--reset", "-u", tree.as_str()]), cancel).await?;
        self.lay_out_disposable()?;
        Ok(self.clean_index(u64::MAX).await?.0)
    }

    /// Whether the base may be checked out here.
    async fn check_size(&self, cancel: &CancellationToken) -> Result<(), GitError> {
        let limits = self.git.limits();
        let over = |what: String, limit| Err(GitError::OverLimit { what, limit });
        let list = self.git.in_repository(&self.trusted, ["ls-tree", "-r", "-z", "-l", "--full-tree", self.base_tree.as_str()]);
        let output = self.git.output(list, cancel).await?;
        let lines = output.stdout.split(|&byte| byte == 0).filter(|line| !line.is_empty());
        if output.stdout_omitted_bytes > 0 || lines.clone().count() as u64 > limits.files {
            return over(format!("commit {}", self.base), limits.checkout());
        }
        for line in lines {
            // Mode, type, id and padded size, a tab, the path.
            let tab = line.iter().position(|&byte| byte == b'\t').unwrap_or(line.len());
            let size = String::from_utf8_lossy(&line[..tab]).rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
            if size.is_some_and(|size| size > limits.file_bytes) {
                return over(String::from_utf8_lossy(&line[(tab + 1).min(line.len())..]).into_owned(), limits.file());
            }
        }
        Ok(())
    }

    /// The `.git` for the agent's own use: the base commit with its history, borrowed from the mirror.
    fn lay_out_disposable(&self) -> Result<(), GitError> {
        let (index, first) = (self.trusted.join("index"), self.trusted.join(FIRST_INDEX));
        if !first.exists() {
            copy(&index, &first)?;
        }
        let mirror = self.lender()?;
        let dir = self.workspace.join(".git");
        let layout =
            Layout { id_length: self.base.as_str().len(), borrows_from: Some(&mirror), branch: "work", at: Some(&self.base), bare: false };
        layout.create(&dir)?;
        copy(&first, &dir.join("index"))
    }

    /// Takes the gitlinks out of the index and tells them. With none in it, git never looks into a
    /// repository within the workspace, and so never at its configuration. Of files larger than `file_bytes` it keeps what
    /// the base has, and tells them too.
    async fn clean_index(&self, file_bytes: u64) -> Result<(Vec<Gitlink>, Vec<String>), GitError> {
        let path = self.trusted.join("index");
        let index = fs::read(&path).map_err(GitError::io("read", &path))?;
        let unreadable =
            || GitError::Invalid { what: "index of version 2 or 3", value: path.display().to_string(), rule: "we asked git for one" };
        let Entries { count, links, large } = entries(&index, self.base.as_str().len() / 2, file_bytes).ok_or_else(unreadable)?;
        if count > self.git.limits().files {
            return Err(GitError::OverLimit { what: "the workspace".to_owned(), limit: self.git.limits().checkout() });
        }
        if !links.is_empty() || !large.is_empty() {
            let mut lines: Vec<u8> = links.iter().flat_map(Gitlink::unset).collect();
            lines.extend(large.iter().flat_map(|path| unset(path, self.base.as_str().len())));
            lines.extend(self.of_base(&large).await?);
            self.git.run(self.update_index("index", lines)).await?;
        }
        let large = large.iter().map(|path| format!("{} (larger than {file_bytes} bytes)", String::from_utf8_lossy(path)));
        Ok((links, large.collect()))
    }

    /// What the base has at `paths`, as lines for `git update-index -z --index-info`.
    async fn of_base(&self, paths: &[Vec<u8>]) -> Result<Vec<u8>, GitError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let list = self.git.in_repository(&self.trusted, ["ls-tree", "-z", "--full-tree", self.base_tree.as_str(), "--"]);
        let paths = paths.iter().map(|path| OsStr::from_bytes(path));
        Ok(self.git.output(list.args(paths), &CancellationToken::new()).await?.stdout)
    }

    /// The tree of the index and of the base's gitlinks.
    async fn write_tree_with(&self, links: Vec<u8>) -> Result<TreeId, GitError> {
        const NAME: &str = "index-with-links";
        copy(&self.trusted.join("index"), &self.trusted.join(NAME))?;
        self.git.run(self.update_index(NAME, links)).await?;
        self.write_tree(NAME).await
    }

    async fn write_tree(&self, index: &str) -> Result<TreeId, GitError> {
        let command = self.git.in_repository(&self.trusted, ["write-tree"]).env("GIT_INDEX_FILE", self.trusted.join(index));
        self.git.run(command).await?.trim().parse()
    }

    fn update_index(&self, index: &str, lines: Vec<u8>) -> Command {
        let command = self.git.in_repository(&self.trusted, ["update-index", "-z", "--index-info"]);
        command.env("GIT_INDEX_FILE", self.trusted.join(index)).stdin(lines)
    }

    /// git with the trusted GIT_DIR, at work on the workspace.
    fn in_workspace<const N: usize>(&self, args: [&str; N]) -> Command {
        self.git.in_repository(&self.trusted, args).env("GIT_WORK_TREE", &self.workspace).cwd(&self.workspace)
    }
}

/// The path in a line with which `git add` says that it passes one over.
fn unindexed(line: &str) -> Option<String> {
    let line = line.strip_prefix("error: ")?;
    let nested = line.strip_suffix(" does not have a commit checked out");
    // The third is about names such as `.GIT`, which git never takes.
    let refused = || line.strip_prefix("unable to add ").and_then(|rest| rest.strip_suffix(" to index"));
    let path = nested.or_else(|| line.strip_prefix("unable to index file ")).or_else(refused)?;
    Some(path.trim_matches('\'').trim_end_matches('/').to_owned())
}
