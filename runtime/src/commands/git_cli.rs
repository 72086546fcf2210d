//! Git as a person would use it, on repositories that a command makes for itself: those of the demonstration and of
//! evaluations. The product's own clones and pushes are `common/git`'s.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use process::{Command, Exit, Output};
use tokio_util::sync::CancellationToken;

/// Runs git without anybody's configuration.
#[derive(Clone, Debug)]
pub(super) struct GitCli {
    path: String,
    date: Option<String>,
}

impl GitCli {
    /// The git that is found in `path`.
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), date: None }
    }

    /// Commits as if it were `date`, so that the same files make the same commit each time.
    pub(super) fn at(self, date: &str) -> Self {
        Self { date: Some(date.to_owned()), ..self }
    }

    /// Runs git in `folder`.
    ///
    /// # Errors
    /// When it cannot be run, or fails: what it said.
    pub(super) async fn run(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
        let identity = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "octocat"));
        let mail = ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "octocat@users.noreply.github.com"));
        let dates = self.date.iter().flat_map(|date| ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"].map(|name| (name, date.as_str())));
        let quiet = [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("LC_ALL", "C")];
        let command = Command::new("git").path(&self.path).timeout(Duration::from_secs(60)).args(arguments).cwd(folder);
        let command = command.envs(identity).envs(mail).envs(dates).envs(quiet);
        let output = process::run(command, &CancellationToken::new()).await?;
        if output.exit != Exit::Code(0) {
            bail!("git {} failed: {}", arguments.join(" "), output.stderr_text().trim());
        }
        Ok(output)
    }
}
