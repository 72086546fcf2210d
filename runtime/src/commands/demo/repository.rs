//! The example program as a git repository, and its tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use include_dir::{Dir, include_dir};
use process::{Command, Exit, Output};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::commands::git_cli::GitCli;

static TALLY: Dir = include_dir!("$CARGO_MANIFEST_DIR/../examples/tally");

/// A bare repository with the example on `main`.
pub(super) struct Example {
    /// The bare repository.
    pub bare: PathBuf,
    folder: PathBuf,
    path: String,
}

/// One run of the example's tests.
#[derive(Serialize)]
pub(super) struct TestRun {
    /// Whether all passed.
    pub passed: bool,
    /// The runner's last line.
    summary: String,
}

impl TestRun {
    /// For people.
    pub(super) fn verdict(&self) -> String {
        format!("{} ({})", if self.passed { "pass" } else { "FAIL" }, self.summary)
    }
}

impl Example {
    /// Writes the example into `folder` and pushes it to a fresh bare repository there.
    pub(super) async fn create(folder: &Path, path: &str) -> anyhow::Result<Self> {
        let example = Self { bare: folder.join("tally.git"), folder: folder.to_owned(), path: path.to_owned() };
        let source = folder.join("tally");
        std::fs::create_dir(&source)?;
        TALLY.extract(&source).context("cannot write the example")?;
        let bare = example.bare.display().to_string();
        example.git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", &bare]).await?;
        example.git(&source, &["init", "--quiet", "--initial-branch=main"]).await?;
        example.git(&source, &["add", "--all"]).await?;
        example.git(&source, &["commit", "--quiet", "--message", "Split shared expenses"]).await?;
        example.git(&source, &["push", "--quiet", &bare, "main"]).await?;
        Ok(example)
    }

    /// Runs the tests of `branch` in a clone of its own.
    pub(super) async fn test(&self, branch: &str) -> anyhow::Result<TestRun> {
        let clone = tempfile::tempdir_in(&self.folder)?;
        let bare = self.bare.display().to_string();
        self.git(clone.path(), &["clone", "--quiet", "--branch", branch, &bare, "clone"]).await?;
        let command = Command::new("python3").path(&self.path).args(["-B", "-m", "unittest"]).cwd(clone.path().join("clone"));
        let output = process::run(command.timeout(Duration::from_secs(60)), &CancellationToken::new()).await?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let ran = text.lines().rev().find(|line| line.starts_with("Ran ")).unwrap_or("the tests did not run");
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        Ok(TestRun { passed: output.exit == Exit::Code(0), summary: format!("{ran}, {last}") })
    }

    /// What `branch` changes.
    pub(super) async fn diff(&self, branch: &str) -> anyhow::Result<String> {
        let output = self.git(&self.bare, &["diff", "--no-color", "main", branch]).await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn git(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
        GitCli::new(&self.path).run(folder, arguments).await
    }
}
