//! One repository's directory: records as JSON files, written whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::{Builder, NamedTempFile};

/// How long to wait for the lock: 10 s, far longer than anybody holds it, so that a stopped process
/// cannot hold up the others for ever.
const LOCK_TRIES: u32 = 2_000;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Half-written files begin with this; no record's name does.
const HALF_WRITTEN: &str = ".half-written-";

/// A repository's directory, whether it exists yet or not. Reading needs no lock.
pub(super) struct Directory {
    path: PathBuf,
}

/// The right to write; given back on drop, and by the system when the process dies.
pub(super) struct Locked<'a> {
    directory: &'a Directory,
    _lock: File,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The record in `file`; `None` where there is none.
    pub(super) fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>> {
        read(&self.path.join(file))
    }

    /// The records `1.json`, `2.json` … of `folder` by number. Whatever else lies there is none.
    pub(super) fn records<T: DeserializeOwned>(&self, folder: &str) -> Result<BTreeMap<u64, T>> {
        let folder = self.path.join(folder);
        let mut records = BTreeMap::new();
        for path in entries(&folder)? {
            let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")?.parse().ok());
            if let Some(number) = number
                && let Some(record) = read(&path)?
            {
                records.insert(number, record);
            }
        }
        Ok(records)
    }

    /// A `file://` URL that a person can open.
    pub(super) fn url(&self, file: &str) -> String {
        let mut url = "file://".to_owned();
        for byte in self.path.join(file).to_string_lossy().bytes() {
            match byte {
                b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
                byte if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
                byte => url.push_str(&format!("%{byte:02X}")),
            }
        }
        url
    }

    /// Waits for the right to write.
    pub(super) fn lock(&self) -> Result<Locked<'_>> {
        fs::create_dir_all(&self.path).with_context(|| format!("cannot create {}", self.path.display()))?;
        let path = self.path.join(".lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
        for _ in 0..LOCK_TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(Locked { directory: self, _lock: lock }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
            }
        }
        bail!("another process has held {} for 10 s: is it stopped?", path.display())
    }
}

impl Locked<'_> {
    /// Writes the record in `file`, in place of the one before.
    pub(super) fn replace(&self, file: &str, record: &impl Serialize) -> Result<()> {
        let path = self.directory.path.join(file);
        self.write(&path, record).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes the record in `file` unless there is one.
    pub(super) fn create(&self, file: &str, record: &impl Serialize) -> Result<()> {
        if self.directory.path.join(file).exists() { Ok(()) } else { self.replace(file, record) }
    }

    /// The record is on the disk under another name before it gets its own, so a power cut leaves the
    /// old record or the new one.
    fn write(&self, path: &Path, record: &impl Serialize) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.directory.path);
        fs::create_dir_all(folder)?;
        remove_half_written(folder)?;
        let mut bytes = serde_json::to_vec_pretty(record)?;
        bytes.push(b'\n');
        let mut file: NamedTempFile = Builder::new().prefix(HALF_WRITTEN).tempfile_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(folder)?.sync_all()?;
        Ok(())
    }
}

/// Only the holder of the lock writes, so what lies half-written now was left by a killed process.
fn remove_half_written(folder: &Path) -> Result<()> {
    for path in entries(folder)? {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(HALF_WRITTEN)) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()),
    };
    listed.with_context(|| format!("cannot list {}", folder.display()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).with_context(|| format!("{} is not a record of the local forge", path.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
