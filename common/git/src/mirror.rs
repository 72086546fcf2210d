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

/// What git says when the half of it that writes was ended by SIGXFSZ, the signal for a file larger than allowed.
const FILE_TOO_LARGE: &str = "died of signal 25";

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
    /// From a remote elsewhere come commits and folders, without the contents of files, where it can leave these out (partial
    /// clone); [`Mirror::bring`] fetches those of one commit. One that cannot sends everything.
    ///
    /// # Errors
    /// [`GitError::NotFound`], [`GitError::Denied`], [`GitError::Unreachable`], [`GitError::Empty`],
    /// [`GitError::OverLimit`].
    pub async fn mirror(&self, remote: &Remote, cancel: &CancellationToken) -> Result<Mirror, GitError> {
        let head = self.head(remote, cancel).await?;
        let root = std::path::absolute(self.mirrors()).map_err(GitError::io("find", self.mirrors()))?;
        fs::create_dir_all(&root).map_err(GitError::io("create", &root))?;
        let dir = root.join(remote.folder());
        let _alone = lock(&dir, self.timeout(), cancel).await?;
        let is_new = !dir.is_dir();
        if is_new {
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
            Err(error @ GitError::OverLimit { .. }) if is_new => {
                remove(&mirror.dir)?;
                return Err(error);
            }
            result => result?,
        }
        Ok(mirror)
    }

    async fn head(&self, remote: &Remote, cancel: &CancellationToken) -> Result<Head, GitError> {
        let output = self.talk(None, remote, &["ls-remote", "--quiet", "--symref"], &["HEAD", "refs/heads/*"], Vec::new(), cancel).await?;
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

    /// The commit of pull request `number` as a forge shows it beside the branches (`refs/pull/8/head`): also of one that comes
    /// from a fork. Three processes.
    ///
    /// # Errors
    /// [`GitError::NotFound`] when the remote shows none, [`GitError::Denied`], [`GitError::Unreachable`],
    /// [`GitError::OverLimit`].
    pub async fn resolve_pull_request(&self, number: u64, cancel: &CancellationToken) -> Result<CommitId, GitError> {
        let reference = format!("refs/pull/{number}/head");
        let missing = || GitError::NotFound { what: format!("pull request #{number}"), remote: self.remote.to_string() };
        let list = ["ls-remote", "--quiet", "--refs"];
        let listed = self.git.talk(None, &self.remote, &list, &[&reference], Vec::new(), cancel).await?;
        if listed.exit != Exit::Code(0) {
            return Err(failed(&listed).about_remote(&self.remote.to_string()));
        }
        if !listed.stdout_text().lines().any(|line| line.split_once('\t').is_some_and(|(_, name)| name == reference)) {
            return Err(missing());
        }
        {
            let _alone = lock(&self.dir, self.git.timeout(), cancel).await?;
            let refs = [&*format!("+{reference}:{reference}")];
            self.fetch_with(&["fetch", "--update-shallow"], &refs, Vec::new(), cancel).await?;
        }
        let command = self.git.in_repository(&self.dir, ["rev-parse", "--verify", "--quiet", &format!("{reference}^{{commit}}")]);
        let output = self.git.attempt(command, cancel).await?;
        match output.exit {
            Exit::Code(0) => output.stdout_text().trim().parse(),
            Exit::Code(1) => Err(missing()),
            _ => Err(failed(&output)),
        }
    }

    async fn fetch(&self, cancel: &CancellationToken) -> Result<(), GitError> {
        let head = format!("+HEAD:{HEAD}");
        let refs: &[&str] =
            if self.head.commit.is_some() { &["+refs/heads/*:refs/heads/*", &head] } else { &["+refs/heads/*:refs/heads/*"] };
        self.fetch_with(&["fetch", "--prune", "--update-shallow"], refs, Vec::new(), cancel).await
    }

    /// Fetches the contents of the files of `commit` that a partial mirror lacks. No process for a remote on this machine,
    /// one where nothing is missing, else two.
    ///
    /// # Errors
    /// [`GitError::Denied`], [`GitError::Unreachable`], [`GitError::OverLimit`]; [`GitError::Failed`] when the mirror does not
    /// have the commit.
    pub async fn bring(&self, commit: &CommitId, cancel: &CancellationToken) -> Result<(), GitError> {
        if self.remote.is_local() {
            return Ok(());
        }
        let list = ["rev-list", "--objects", "--missing=print", "--no-object-names", "--no-walk", commit.as_str()];
        let listed = self.git.output(self.git.in_repository(&self.dir, list), cancel).await?.stdout_text();
        let missing: String = listed.lines().filter_map(|line| line.strip_prefix('?')).flat_map(|id| [id, "\n"]).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let _alone = lock(&self.dir, self.git.timeout(), cancel).await?;
        // What we have says nothing about what we lack: git asks for missing objects in the same way.
        let fetch = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", "--stdin"];
        self.fetch_with(&fetch, &[], missing.into_bytes(), cancel).await
    }

    async fn fetch_with(&self, fetch: &[&str], refs: &[&str], input: Vec<u8>, cancel: &CancellationToken) -> Result<(), GitError> {
        let mut fetch = [fetch, &["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]].concat();
        if !self.remote.is_local() {
            fetch.push("--filter=blob:none");
        }
        let output = self.git.talk(Some(&self.dir), &self.remote, &fetch, refs, input, cancel).await?;
        let over = || GitError::OverLimit { what: format!("the mirror of {}", self.remote), limit: self.git.limits().mirror() };
        match output.exit {
            Exit::Code(0) if size_bytes(&self.dir.join("objects"))? > self.git.limits().mirror_bytes => Err(over()),
            Exit::Code(0) => Ok(()),
            _ if output.stderr_text().contains(FILE_TOO_LARGE) => {
                remove_unfinished(&self.dir)?;
                Err(over())
            }
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

/// The bytes of all files in a folder.
fn size_bytes(folder: &Path) -> Result<u64, GitError> {
    let mut size = 0;
    for entry in folder.read_dir().map_err(GitError::io("read", folder))? {
        let path = entry.map_err(GitError::io("read", folder))?.path();
        // What git moves or removes meanwhile counts nothing.
        let Ok(status) = path.symlink_metadata() else { continue };
        size += if status.is_dir() { size_bytes(&path)? } else { status.len() };
    }
    Ok(size)
}

/// Removes what a git that was killed had not finished: nobody else fetches while the lock is held.
fn remove_unfinished(dir: &Path) -> Result<(), GitError> {
    let packs = dir.join("objects/pack");
    for entry in packs.read_dir().map_err(GitError::io("read", &packs))? {
        let entry = entry.map_err(GitError::io("read", &packs))?;
        if entry.file_name().to_string_lossy().starts_with("tmp_") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Holds the mirror at `dir` against other tasks and processes.
async fn lock(dir: &Path, patience: Duration, cancel: &CancellationToken) -> Result<File, GitError> {
    let lock = dir.with_extension("lock");
    tokio::select! {
        lock = lock_file(&lock, patience) => lock,
        () = cancel.cancelled() => Err(GitError::Cancelled),
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
