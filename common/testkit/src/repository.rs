//! Git repositories as a forge has them.

use std::fs;
use std::path::{Path, PathBuf};

use process::{Command, run};
use tempfile::TempDir;

/// Where the system's own programs are.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A bare repository `origin.git` in a folder of its own, which goes with it.
pub struct Repository {
    folder: TempDir,
}

impl Repository {
    /// A repository without commits.
    ///
    /// # Panics
    /// Where there is no git.
    pub async fn empty() -> Self {
        let repository = Self { folder: TempDir::new().expect("a temporary folder can be made") };
        git(repository.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"]).await;
        repository
    }

    /// A repository with one commit of `files` (path and content) on `main`.
    ///
    /// # Panics
    /// Where there is no git.
    pub async fn with(files: &[(&str, &str)]) -> Self {
        let repository = Self::empty().await;
        let work = repository.path("work");
        git(repository.folder.path(), &["clone", "--quiet", "origin.git", "work"]).await;
        for (path, content) in files {
            let file = work.join(path);
            fs::create_dir_all(file.parent().expect("a file lies in a folder")).expect("a folder can be made");
            fs::write(file, content).expect("a file can be written");
        }
        git(&work, &["add", "--all"]).await;
        git(&work, &["commit", "--quiet", "--message=first"]).await;
        git(&work, &["push", "--quiet", "origin", "HEAD:refs/heads/main"]).await;
        repository
    }

    /// Commits `files` on branch `name`: on top of it, or, where it is new, on top of where `main` began.
    ///
    /// # Panics
    /// When git fails.
    pub async fn branch(&self, name: &str, files: &[(&str, &str)]) {
        let work = self.path("work");
        git(&work, &["fetch", "--quiet", "origin"]).await;
        let there = !self.git(&["branch", "--list", name]).await.is_empty();
        let first = git(&work, &["rev-list", "--max-parents=0", "origin/main"]).await;
        let from = if there { format!("origin/{name}") } else { first };
        git(&work, &["checkout", "--quiet", "--detach", &from]).await;
        for (path, content) in files {
            let file = work.join(path);
            fs::create_dir_all(file.parent().expect("a file lies in a folder")).expect("a folder can be made");
            fs::write(file, content).expect("a file can be written");
        }
        git(&work, &["add", "--all"]).await;
        git(&work, &["commit", "--quiet", "--message=more"]).await;
        git(&work, &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{name}")]).await;
    }

    /// A path in the folder beside the repository.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where to clone from and push to.
    pub fn remote(&self) -> String {
        self.path("origin.git").display().to_string()
    }

    /// What git says to `args` in the bare repository.
    ///
    /// # Panics
    /// When git fails.
    pub async fn git(&self, args: &[&str]) -> String {
        git(&self.path("origin.git"), args).await
    }
}

async fn git(directory: &Path, args: &[&str]) -> String {
    let who = ["AUTHOR", "COMMITTER"].map(|role| [(format!("GIT_{role}_NAME"), "Ana"), (format!("GIT_{role}_EMAIL"), "ana@example.com")]);
    let command = Command::new("git").args(args).cwd(directory).path(PATH).envs(who.into_iter().flatten());
    let command = command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = run(command, &Default::default()).await.expect("git can be started");
    assert!(output.exit.success(), "git {args:?}: {}", output.stderr_text());
    output.stdout_text().trim_end().to_owned()
}
