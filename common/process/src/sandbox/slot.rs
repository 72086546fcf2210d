//! Users for untrusted code: one for each job that runs, so that no two meet.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{getegid, geteuid, getgroups, getpriority_user};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::spawn::kill_user;
use crate::spawner;

/// The first user of a slot. Nobody else on the machine may have these numbers: Debian and systemd give out
/// none of them.
pub(super) const FIRST_UID: u32 = 63_488;
/// How many there are.
const COUNT: u32 = 256;

/// Why there is no slot.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// Every user is taken; the job waits.
    #[error("all {COUNT} users of the sandbox (from {FIRST_UID}) are taken by processes of this machine")]
    Full,
    /// The folder of the locks cannot be used.
    #[error("cannot lock a user of the sandbox in {}: {source}", folder.display())]
    Locks {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The spawner, which gives the users away, did not.
    #[error("no user of the sandbox is given out: {0}")]
    Spawner(io::Error),
}

/// The users of this machine's slots. Processes share them by file locks, which the kernel gives back when a
/// process dies.
#[derive(Clone, Debug)]
pub struct Slots {
    folder: Arc<PathBuf>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { folder: Arc::new(PathBuf::from("/run/codeteam/slots")) }
    }
}

/// A user that nobody else has as long as a copy of this lives. Its group has the same number.
#[derive(Clone, Debug)]
pub struct Slot {
    uid: u32,
    hold: Arc<Hold>,
}

/// What keeps a user taken.
#[derive(Debug)]
enum Hold {
    /// A lock of our own.
    Lock { _file: File },
    /// The spawner has the lock; it is told when it is not needed any more.
    Spawner(u32),
    /// Somebody else keeps it.
    Elsewhere,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Self::Spawner(uid) = self {
            spawner::release(*uid);
        }
    }
}

/// Empties `folder` where it belongs to the user of a slot, held or not, and only the spawner can: what is left can be removed
/// by us.
///
/// # Errors
/// When something cannot be removed.
pub fn clear(folder: &Path) -> io::Result<()> {
    match folder.symlink_metadata() {
        Ok(status) if is_slot(status.uid()) && status.is_dir() && spawner::is_there() => {
            spawner::tend(status.uid(), "clear", folder).map(drop)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The groups of all slots.
pub(crate) fn groups() -> Vec<Gid> {
    (FIRST_UID..FIRST_UID + COUNT).map(Gid::from_raw).collect()
}

/// Whether `uid` is a slot's.
pub(crate) fn is_slot(uid: u32) -> bool {
    (FIRST_UID..FIRST_UID + COUNT).contains(&uid)
}

impl Slots {
    /// A free user. What processes that were killed left running as any free user is ended.
    ///
    /// # Errors
    /// When none is free, or the locks cannot be used.
    pub fn take(&self) -> Result<Slot, SlotError> {
        if let Some(taken) = spawner::take(None) {
            return taken?.map(Slot::held_by_spawner).ok_or(SlotError::Full);
        }
        let users = FIRST_UID..FIRST_UID + COUNT;
        for uid in users.filter(|uid| getpriority_user(Uid::from_raw(*uid)).is_ok()) {
            // Taking it ends what runs; where somebody holds it, that is their job's.
            drop(self.try_take(uid)?);
        }
        // Not always from the first: what an ended job left in shared folders is not found by the next one.
        let start = std::process::id() % COUNT;
        (0..COUNT).find_map(|offset| self.try_take(FIRST_UID + (start + offset) % COUNT).transpose()).unwrap_or(Err(SlotError::Full))
    }

    /// The user that `folder` belongs to, when it is one of ours and free.
    ///
    /// # Errors
    /// When the locks cannot be used.
    pub fn take_owner_of(&self, folder: &Path) -> Result<Option<Slot>, SlotError> {
        let owner = folder.symlink_metadata().map(|status| status.uid()).ok();
        let owner = owner.filter(|uid| is_slot(*uid));
        owner.map_or(Ok(None), |uid| self.try_take(uid))
    }

    /// The user `uid`, when it is free.
    pub(crate) fn try_take(&self, uid: u32) -> Result<Option<Slot>, SlotError> {
        if let Some(taken) = spawner::take(Some(uid)) {
            return Ok(taken?.map(Slot::held_by_spawner));
        }
        let failed = |source| SlotError::Locks { folder: self.folder.to_path_buf(), source };
        fs::create_dir_all(&*self.folder).map_err(failed)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.folder.join(uid.to_string()));
        let file = file.map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            other => other.map_err(|error| failed(error.into()))?,
        }
        kill_user(uid).map_err(failed)?;
        Ok(Some(Slot { uid, hold: Arc::new(Hold::Lock { _file: file }) }))
    }
}

impl Slot {
    pub(crate) fn held_elsewhere(uid: u32) -> Self {
        Self { uid, hold: Arc::new(Hold::Elsewhere) }
    }

    fn held_by_spawner(uid: u32) -> Self {
        Self { uid, hold: Arc::new(Hold::Spawner(uid)) }
    }

    /// Whether only the spawner can do something as this user: we have no right to become it.
    pub fn is_with_spawner(&self) -> bool {
        matches!(*self.hold, Hold::Spawner(_))
    }

    /// Has the spawner do `work` (see [`spawner::Work`]) as this user.
    ///
    /// # Errors
    /// What the work says, or that it came to no end.
    pub async fn ask(&self, work: &str, input: &[u8]) -> io::Result<Vec<u8>> {
        spawner::act(self.uid, work, input).await
    }

    /// Lets our own process read everything in `folders`, which are this user's, where it cannot by itself.
    ///
    /// # Errors
    /// The first thing that cannot be opened.
    pub fn open_up(&self, folders: &[&Path]) -> io::Result<()> {
        match self.is_with_spawner() && !geteuid().is_root() {
            true => folders.iter().try_for_each(|folder| spawner::tend(self.uid, "open up", folder).map(drop)),
            false => Ok(()),
        }
    }

    /// The user, and its group.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Polls `future` as this user: what it does with files in its own thread it does with the rights of the
    /// user and of nobody else, and what it creates belongs to the user. A thread that it starts is born so too,
    /// and stays so; it must end by itself. Nothing else may be begun in there: no task, no child.
    ///
    /// Rights belong to threads on Linux, so the rest of the process goes on as it was.
    ///
    /// # Errors
    /// When the kernel does not let us.
    pub async fn acting<F: Future>(&self, future: F) -> io::Result<F::Output> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| match Acting::begin(self.uid) {
            Ok(acting) => {
                let polled = future.as_mut().poll(context);
                drop(acting);
                polled.map(Ok)
            }
            Err(error) => std::task::Poll::Ready(Err(error)),
        })
        .await
    }

    /// Gives `folder` and all that is in it to this user. Links are given, never followed.
    ///
    /// Only for what no untrusted process could reach before: nobody may move things about meanwhile.
    ///
    /// # Errors
    /// The first thing that could not be given.
    pub fn give(&self, folder: &Path) -> io::Result<()> {
        if self.is_with_spawner() {
            return spawner::give(self.uid, folder);
        }
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else {
                    lchown(entry.path(), Some(self.uid), Some(self.uid))?;
                }
            }
            lchown(&folder, Some(self.uid), Some(self.uid))?;
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    }
}

/// The calling thread as the user of a slot, until it is dropped.
struct Acting {
    user: Uid,
    group: Gid,
    groups: Vec<Gid>,
}

impl Acting {
    fn begin(uid: u32) -> io::Result<Self> {
        let before = Self { user: geteuid(), group: getegid(), groups: getgroups()? };
        // Groups first: afterwards we have no right to change them. Dropping what was begun undoes it.
        set_thread_groups(&[])?;
        set_thread_res_gid(None, Gid::from_raw(uid), None)?;
        // The real and saved user stay, so that nobody of the slot may signal us and we can go back.
        set_thread_res_uid(None, Uid::from_raw(uid), None)?;
        Ok(before)
    }

    fn end(&self) -> io::Result<()> {
        set_thread_res_uid(None, self.user, None)?;
        set_thread_res_gid(None, self.group, None)?;
        Ok(set_thread_groups(&self.groups)?)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            // The thread would do other jobs' work as this user.
            tracing::error!("cannot become ourselves again: {error}");
            std::process::abort();
        }
    }
}
