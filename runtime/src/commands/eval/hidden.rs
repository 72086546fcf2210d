//! Hidden tests: run behind the sandbox's walls, over a fresh clone of what was pushed, after the job has ended.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use config::Settings;
use process::sandbox::{Level, Profile, Slots, unreachable, variables};
use process::{Command, Limits, Output, Sandbox};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::task::Tests;
use super::tree;
use super::verdict::why_not;
use crate::sandbox::passable;

/// What the tests may use of the machine: as much as the commands of a job.
const LIMITS: Limits = Limits {
    processes: None,
    data_bytes: Some(8 << 30),
    file_size_bytes: Some(1 << 30),
    open_files: Some(4096),
    oom_score_adj: Some(1000),
};
const OUTPUT_BYTES: usize = 64 * 1024;

/// Runs hidden tests.
#[derive(Clone)]
pub(super) struct Runner {
    path: String,
    level: Level,
    /// Where toolchains are told that they lie, since the tests have another home.
    variables: Vec<(OsString, OsString)>,
    read: Vec<PathBuf>,
}

/// As whom tests run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum User {
    /// A user that nobody else has.
    Own,
    /// The one that we are: only where a toolchain lies in a folder that is closed to others, and Landlock holds all else back.
    Ours,
}

/// A folder for one run of tests: the clone, and a home beside it.
pub(super) struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty one, that users of the sandbox can get into and look around in nowhere else.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("codeteam-hidden-").permissions(passable()).tempdir();
        let place = Self { folder: folder.context("cannot make a temporary folder")? };
        std::fs::create_dir(place.home()).context("cannot make a temporary folder")?;
        Ok(place)
    }

    /// Where the clone goes; it is not there yet.
    pub(super) fn checkout(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }
}

impl Runner {
    /// Programs are found where `settings` finds them.
    pub(super) fn new(settings: &Settings) -> Self {
        let own = settings.environment.only(&["RUSTUP_HOME"]);
        let read = settings.readable().into_iter().chain(own.iter().map(|(_, folder)| PathBuf::from(folder))).collect();
        let found = variables(settings.path.as_ref()).into_iter().map(|(name, folder)| (name.into(), folder.into()));
        Self { path: settings.path.clone(), level: settings.sandbox_level(), variables: found.chain(own).collect(), read }
    }

    /// As whom `program` can be run here.
    ///
    /// # Errors
    /// Why it cannot, and what to do about that.
    pub(super) async fn user_for(&self, program: &str) -> Result<User, String> {
        for user in [User::Own, User::Ours] {
            // As ourselves only where Landlock stays.
            if (user == User::Own || self.level == Level::Full) && self.says_its_version(program, user).await {
                return Ok(user);
            }
        }
        let closed = unreachable(&self.read);
        Err(match closed.first() {
            Some(closed) => format!(
                "{program} cannot be run in the sandbox: install it where everybody may read, or open the way to {}: {}",
                closed.path.display(),
                closed.remedy()
            ),
            None => format!("{program} cannot be run here: install it and put its folder on PATH"),
        })
    }

    async fn says_its_version(&self, program: &str, user: User) -> bool {
        let Ok(place) = Place::new() else { return false };
        let ran = async {
            std::fs::create_dir(place.checkout())?;
            self.sh(&place, user, &format!("{program} --version"), Duration::from_secs(20)).await
        };
        ran.await.is_ok_and(|output| output.exit.success())
    }

    /// Lays `hidden` over the clone in `place` and runs the tests; `None` = all that have to pass do, else why not.
    ///
    /// # Errors
    /// When nothing could be run at all.
    pub(super) async fn run(&self, tests: &Tests, hidden: &Path, place: &Place, user: User) -> anyhow::Result<Option<String>> {
        tree::lay_over(hidden, &place.checkout()).context("cannot lay the hidden tests over the clone")?;
        let output = self.sh(place, user, &tests.command, tests.timeout).await?;
        Ok(why_not(&output, tests))
    }

    async fn sh(&self, place: &Place, user: User, script: &str, timeout: Duration) -> anyhow::Result<Output> {
        let (checkout, home) = (place.checkout(), place.home());
        let slot = (user == User::Own && self.level.has_own_user()).then(|| Slots::default().take()).transpose()?;
        for folder in [&checkout, &home] {
            if let Some(slot) = &slot {
                slot.give(folder).with_context(|| format!("cannot give {} to the user of the tests", folder.display()))?;
            }
        }
        let limits = Limits { processes: slot.as_ref().map(|_| 1024), ..LIMITS };
        let profile = Profile::new(self.read.clone(), vec![checkout.clone(), home.clone()]);
        let script = format!("exec 2>&1\n{script}");
        let command = Command::new("/bin/sh")
            .args(["-c", &script])
            .cwd(checkout)
            .path(&self.path)
            .envs([("HOME", &home), ("TMPDIR", &home)])
            .env("CARGO_HOME", home.join("cargo"))
            .envs([("LANG", "C.UTF-8"), ("TERM", "dumb"), ("NO_COLOR", "1"), ("CI", "true")])
            .envs([("PYTHONDONTWRITEBYTECODE", "1"), ("CARGO_NET_OFFLINE", "true"), ("CARGO_TERM_COLOR", "never")])
            .envs(self.variables.iter().cloned())
            .timeout(timeout)
            .limits(limits)
            .output_cap(OUTPUT_BYTES)
            .sandbox(Sandbox::new(Arc::new(profile), self.level, slot));
        Ok(process::run(command, &CancellationToken::new()).await?)
    }
}
