//! Repositories, and a server for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use process::{Exit, Output, Service};
use tempfile::TempDir;

use crate::{tools, wait};

/// Serves a folder of repositories by `git http-backend`.
const SERVER: &str = include_str!("git_server.py");

/// A repository of a test, in a folder of its own.
pub struct Repository {
    /// Its working tree.
    pub path: PathBuf,
    folder: TempDir,
}

impl Repository {
    /// Empty, without any commit.
    ///
    /// # Panics
    /// When git cannot make one.
    pub async fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-git-").tempdir().expect("a temporary folder can be made");
        let repository = Self { path: folder.path().join("work"), folder };
        std::fs::create_dir(&repository.path).expect("a folder can be made");
        repository.git(&["init", "--quiet", "--initial-branch=main"]).await;
        repository
    }

    /// With these files in one commit on `main`.
    ///
    /// # Panics
    /// When git cannot make one.
    pub async fn of(files: &[(&str, &str)]) -> Self {
        let repository = Self::empty().await;
        for (name, text) in files {
            std::fs::write(repository.path.join(name), text).expect("a file can be written");
        }
        repository.commit("Begin").await;
        repository
    }

    /// Commits everything.
    pub async fn commit(&self, message: &str) {
        self.git(&["add", "--all", "--force"]).await;
        self.git(&["commit", "--quiet", "--message", message]).await;
    }

    /// A bare clone beside it.
    pub async fn bare(&self) -> PathBuf {
        let bare = self.folder.path().join("served").join("work.git");
        self.git(&["clone", "--quiet", "--bare", ".", text(&bare)]).await;
        bare
    }

    /// A clone of `remote` at `branch`, beside it.
    pub async fn clone_of(&self, remote: &str, branch: &str) -> PathBuf {
        let clone = self.folder.path().join("clone");
        self.git(&["clone", "--quiet", "--branch", branch, remote, text(&clone)]).await;
        clone
    }

    /// Runs git in the working tree and gives what it printed.
    pub async fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments).await
    }

    /// Every file under the working tree but those of git, with its contents, and what git holds as HEAD, index
    /// and stash: all that belongs to the person who works here.
    ///
    /// # Panics
    /// When a file cannot be read.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder can be listed").flatten() {
                let path = entry.path();
                if path.is_dir() && path != self.path.join(".git") {
                    folders.push(path);
                } else if path.is_file() {
                    files.insert(path.clone(), std::fs::read(path).expect("a file can be read"));
                }
            }
        }
        for own in ["HEAD", "index", "config", "logs/HEAD", "refs/heads/main", "refs/stash"] {
            let path = self.path.join(".git").join(own);
            if let Ok(bytes) = std::fs::read(&path) {
                files.insert(path, bytes);
            }
        }
        files
    }
}

/// Runs git in `folder` and gives what it printed.
///
/// # Panics
/// When it fails.
pub async fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = attempt(folder, arguments).await;
    assert_eq!(output.exit, Exit::Code(0), "git {arguments:?} in {}: {}", folder.display(), output.stderr_text());
    output.stdout_text()
}

/// The same, whatever comes of it.
pub async fn attempt(folder: &Path, arguments: &[&str]) -> Output {
    let identity = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "octocat"));
    let mail = ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "octocat@users.noreply.github.com"));
    let quiet = [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("LC_ALL", "C")];
    tools::attempt(tools::command("git").args(arguments).cwd(folder).envs(identity).envs(mail).envs(quiet)).await
}

/// A server of repositories over HTTP on loopback.
pub struct GitServer {
    /// Its URL, without a slash at the end.
    pub url: String,
    _server: Service,
    _folder: TempDir,
}

impl GitServer {
    /// Serves the folder that `bare` lies in; whoever comes may push to `bare`.
    ///
    /// # Panics
    /// When the server does not start.
    pub async fn start(bare: &Path) -> Self {
        git(bare, &["config", "http.receivepack", "true"]).await;
        let folder = tempfile::Builder::new().prefix("e2e-http-").tempdir().expect("a temporary folder can be made");
        let (script, log) = (folder.path().join("server.py"), folder.path().join("log"));
        std::fs::write(&script, SERVER).expect("a file can be written");
        let served = bare.parent().expect("a repository lies in a folder");
        let command = tools::command("python3").args(["-B", text(&script), text(served)]);
        let server = Service::start(&command, std::fs::File::create(&log).expect("a file can be made")).expect("python3 starts");
        let line = wait::until_line(&log, "http://").await;
        Self { url: line, _server: server, _folder: folder }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of tests are text")
}
