//! Real git on real repositories in temporary folders.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod changed;
mod checkout;
mod checkpoint;
mod conflicts;
mod credentials;
mod hostile;
mod keep;
mod limits;
mod listing;
mod mirror;
mod partial;
mod push;
mod traps;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use git::{Checkout, Git, GitOptions, Mirror, Remote, TreeId};
use process::{Command, run};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The system's own programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A folder with a repository `shop` of one commit on `main`, and a place for mirrors and checkouts.
struct World {
    folder: TempDir,
    git: Git,
}

impl World {
    async fn new() -> Self {
        let world = Self::empty();
        let shop = world.path("shop");
        fs::create_dir(&shop).unwrap();
        plain_git(&shop, "init -q -b main").await;
        write(&shop.join("README.md"), "# Shop\n");
        write(&shop.join("src/price.py"), "def price():\n    return 1\n");
        write(&shop.join(".gitignore"), "*.log\nbuild/\n");
        commit_all(&shop, "first").await;
        world
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::new(GitOptions::new(PATH, folder.path().join("mirrors")));
        Self { folder, git }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn remote(&self, name: &str) -> Remote {
        Remote::try_from(self.path(name)).unwrap()
    }

    async fn mirror(&self) -> Mirror {
        self.git.mirror(&self.remote("shop"), &CancellationToken::new()).await.unwrap()
    }

    /// A checkout of the default branch.
    async fn checkout(&self, name: &str) -> Checkout {
        let mirror = self.mirror().await;
        let base = mirror.resolve(None).await.unwrap();
        Checkout::create(&mirror, &base, &self.path(name), &CancellationToken::new()).await.unwrap()
    }
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn write_script(path: &Path, content: &str) {
    write(path, content);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// git as a person would run it, with everything that this crate forbids; its output.
async fn plain_git(directory: &Path, args: &str) -> String {
    let who = ["AUTHOR", "COMMITTER"].map(|role| [(format!("GIT_{role}_NAME"), "Ana"), (format!("GIT_{role}_EMAIL"), "ana@example.com")]);
    let command = Command::new("git").args(args.split(' ')).cwd(directory).path(PATH).envs(who.into_iter().flatten());
    let output = run(command.env("GIT_CONFIG_GLOBAL", "/dev/null"), &CancellationToken::new()).await.unwrap();
    assert!(output.exit.success(), "git {args}: {}", output.stderr_text());
    output.stdout_text().trim_end().to_owned()
}

async fn commit_all(directory: &Path, message: &str) -> String {
    plain_git(directory, "add -A").await;
    plain_git(directory, &format!("commit -q -m {message}")).await;
    plain_git(directory, "rev-parse HEAD").await
}

/// The paths of a tree with their modes, seen from the checkout's trusted repository.
async fn listing(checkout_dir: &Path, tree: &TreeId) -> Vec<String> {
    let listing = plain_git(&checkout_dir.join("trusted.git"), &format!("ls-tree -r --format=%(objectmode)|%(path) {tree}")).await;
    listing.lines().map(str::to_owned).collect()
}
