//! The example program as a git repository, and its tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use include_dir::{Dir, include_dir};
use process::{Command, Exit, Output};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

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
        let command = self.command("python3").args(["-B", "-m", "unittest"]).cwd(clone.path().join("clone"));
        let output = run(command).await?;
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
        let identity = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "octocat"));
        let mail = ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "octocat@users.noreply.github.com"));
        let quiet = [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("LC_ALL", "C")];
        let command = self.command("git").args(arguments).cwd(folder).envs(identity).envs(mail).envs(quiet);
        let output = run(command).await?;
        if output.exit != Exit::Code(0) {
            bail!("git {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output)
    }

    fn command(&self, program: &str) -> Command {
        Command::new(program).path(&self.path).timeout(Duration::from_secs(60))
    }
}

async fn run(command: Command) -> anyhow::Result<Output> {
    Ok(process::run(command, &CancellationToken::new()).await?)
}
