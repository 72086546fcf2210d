//! One bare copy of each remote, fetched under a lock and borrowed from by every checkout.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::Exit;
use tokio_util::sync::CancellationToken;

use crate::git::failed;
use crate::id::check_branch;
use crate::layout::{Layout, remove};
use crate::{CommitId, Git, GitError, Remote};

/// Where the commit of the remote's HEAD is kept: it need not be on a branch.
const HEAD: &str = "refs/codeteam/HEAD";

/// git holds a lock on a ref for moments; one that is this much older was left by a git that was killed.
const STALE: Duration = Duration::from_secs(30);

/// What git says about a lock that is in its way.
const LOCKED: &str = ".lock': File exists";

/// A bare copy of a remote, as it was when it was fetched.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub(crate) git: Git,
    pub(crate) dir: PathBuf,
    remote: Remote,
    head: Head,
}

/// What the remote's HEAD names.
#[derive(Clone, Debug, Default)]
struct Head {
    branch: Option<String>,
    /// Its commit, and so the remote's kind of object ids; `None` when HEAD names no commit.
    commit: Option<CommitId>,
    /// Any object id that the remote told: the length tells SHA-1 from SHA-256.
    id_length: usize,
}

impl Git {
    /// Fetches `remote` into its mirror. Any number of tasks and processes may do so at once: they wait for
    /// each other. Two processes.
    ///
    /// # Errors
    /// [`GitError::NotFound`], [`GitError::Denied`], [`GitError::Unreachable`], [`GitError::Empty`].
    pub async fn mirror(&self, remote: &Remote, cancel: &CancellationToken) -> Result<Mirror, GitError> {
        let head = self.head(remote, cancel).await?;
        let root = std::path::absolute(self.mirrors()).map_err(GitError::io("find", self.mirrors()))?;
        fs::create_dir_all(&root).map_err(GitError::io("create", &root))?;
        let dir = root.join(remote.folder());
        let lock = dir.with_extension("lock");
        let _alone = tokio::select! {
            lock = lock_file(&lock, self.timeout()) => lock?,
            () = cancel.cancelled() => return Err(GitError::Cancelled),
        };
        if !dir.is_dir() {
            let new = tempfile::Builder::new().prefix(".mirror-").tempdir_in(&root).map_err(GitError::io("create a folder in", &root))?;
            let layout = Layout { id_length: head.id_length, borrows_from: None, branch: "none", at: None, bare: true };
            layout.create(new.path())?;
            fs::rename(new.keep(), &dir).map_err(GitError::io("create", &dir))?;
        }
        let mirror = Mirror { git: self.clone(), dir, remote: remote.clone(), head };
        match mirror.fetch(cancel).await {
            Err(GitError::Failed { said, .. }) if said.contains(LOCKED) => {
                tracing::warn!(git.mirror = %mirror.dir.display(), "a killed git left locks in a mirror; removing those older than {STALE:?}");
                remove_stale_locks(&mirror.dir)?;
                mirror.fetch(cancel).await.map_err(|error| still_locked(error, &mirror.dir))?;
            }
            result => result?,
        }
        Ok(mirror)
    }

    async fn head(&self, remote: &Remote, cancel: &CancellationToken) -> Result<Head, GitError> {
        let output = self.talk(None, remote, &["ls-remote", "--quiet", "--symref"], &["HEAD", "refs/heads/*"], cancel).await?;
        if output.exit != Exit::Code(0) {
            return Err(failed(&output).about_remote(&remote.to_string()));
        }
        let mut head = Head::default();
        for line in output.stdout_text().lines() {
            match line.split_once('\t') {
                Some((symref, "HEAD")) if symref.starts_with("ref: ") => {
                    head.branch = symref.strip_prefix("ref: refs/heads/").map(str::to_owned)
                }
                Some((id, "HEAD")) => head.commit = Some(id.parse()?),
                Some((id, _)) => head.id_length = id.len(),
                None => {}
            }
        }
        if let Some(commit) = &head.commit {
            head.id_length = commit.as_str().len();
        }
        match head.id_length {
            0 => Err(GitError::Empty { remote: remote.to_string() }),
            _ => Ok(head),
        }
    }
}

impl Mirror {
    /// Where it was fetched from.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The branch that the remote's HEAD names; `None` when HEAD is detached or names a branch without commits.
    pub fn default_branch(&self) -> Option<&str> {
        self.head.branch.as_deref().filter(|_| self.head.commit.is_some())
    }

    /// The commit of a branch, or of the remote's HEAD when none is named. One process.
    ///
    /// # Errors
    /// [`GitError::NotFound`] when there is no such branch.
    pub async fn resolve(&self, base: Option<&str>) -> Result<CommitId, GitError> {
        let missing = |what: String| GitError::NotFound { what, remote: self.remote.to_string() };
        let (reference, what) = match base {
            Some(branch) => {
                check_branch(branch)?;
                (format!("refs/heads/{branch}"), format!("branch \"{branch}\""))
            }
            None if self.head.commit.is_some() => (HEAD.to_owned(), "default branch".to_owned()),
            None => return Err(missing("commit on the default branch; name another branch".to_owned())),
        };
        let command = self.git.in_repository(&self.dir, ["rev-parse", "--verify", "--quiet", &format!("{reference}^{{commit}}")]);
        let output = self.git.attempt(command, &CancellationToken::new()).await?;
        match output.exit {
            Exit::Code(0) => output.stdout_text().trim().parse(),
            Exit::Code(1) => Err(missing(what)),
            _ => Err(failed(&output)),
        }
    }

    async fn fetch(&self, cancel: &CancellationToken) -> Result<(), GitError> {
        let head = format!("+HEAD:{HEAD}");
        let refs: &[&str] =
            if self.head.commit.is_some() { &["+refs/heads/*:refs/heads/*", &head] } else { &["+refs/heads/*:refs/heads/*"] };
        let fetch = ["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--no-auto-maintenance"];
        let output = self.git.talk(Some(&self.dir), &self.remote, &fetch, refs, cancel).await?;
        match output.exit {
            Exit::Code(0) => Ok(()),
            _ => Err(failed(&output).about_remote(&self.remote.to_string())),
        }
    }
}

/// A lock that is not old yet passes: nothing is wrong with the job that met it.
fn still_locked(error: GitError, dir: &Path) -> GitError {
    match error {
        GitError::Failed { said, .. } if said.contains(LOCKED) => GitError::io("fetch into", dir)(io::Error::other(said)),
        error => error,
    }
}

/// Waits for the lock, which goes with the returned file and with its process.
async fn lock_file(path: &Path, patience: Duration) -> Result<File, GitError> {
    let file = File::create(path).map_err(GitError::io("create", path))?;
    let locked = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    };
    let overdue = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds it"));
    tokio::time::timeout(patience, locked).await.unwrap_or_else(overdue).map_err(GitError::io("lock", path))?;
    Ok(file)
}

/// Removes lock files that are much older than a file written now: the file system's clock is the one that
/// both have in common.
fn remove_stale_locks(dir: &Path) -> Result<(), GitError> {
    let now = tempfile::tempfile_in(dir).and_then(|file| file.metadata()?.modified()).map_err(GitError::io("write a file in", dir))?;
    let mut folders = vec![dir.join("refs")];
    let mut locks = vec![dir.join("packed-refs.lock"), dir.join("shallow.lock")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().map_err(GitError::io("read", &folder))? {
            let path = entry.map_err(GitError::io("read", &folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lock") {
                locks.push(path);
            }
        }
    }
    for lock in locks {
        let age = lock.metadata().and_then(|status| status.modified()).ok().and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age > STALE) {
            remove(&lock)?;
        }
    }
    Ok(())
}
