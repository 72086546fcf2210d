//! Mirrors of remotes that are not on this machine: what is not needed stays there.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use git::{Checkout, Identity, Remote};
use process::{Command, Service};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{PATH, World, commit_all, plain_git, write};

/// A repository `shop` with many versions of a file that does not compress, served over HTTP.
struct Served {
    world: World,
    _server: Service,
    remote: Remote,
}

/// Digits that no compression makes much of.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = String::new();
    while noise.len() < 60_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.push_str(&format!("{state:016x}\n"));
    }
    noise
}

const VERSIONS: u64 = 12;

impl Served {
    async fn new(filters: bool) -> Self {
        let world = World::new().await;
        let shop = world.path("shop");
        for version in 0..VERSIONS {
            write(&shop.join("data/noise.txt"), &noise(version + 1));
            commit_all(&shop, "version").await;
        }
        plain_git(&shop, &format!("config uploadpack.allowFilter {filters}")).await;
        let log = world.path("port");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_server.py");
        let command = Command::new("python3").arg(script).arg(world.path("")).path(PATH);
        let mut server = Service::start(&command, File::create(&log).unwrap()).unwrap();
        let port = loop {
            let said = fs::read_to_string(&log).unwrap();
            if let Some(port) = said.strip_suffix('\n') {
                break port.to_owned();
            }
            assert!(server.ended().unwrap().is_none(), "{said}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let remote = format!("http://127.0.0.1:{port}/shop/.git").parse().unwrap();
        Self { world, _server: server, remote }
    }

    async fn checkout(&self, name: &str) -> Checkout {
        let cancel = CancellationToken::new();
        let mirror = self.world.git.mirror(&self.remote, &cancel).await.unwrap();
        let base = mirror.resolve(None).await.unwrap();
        Checkout::create(&mirror, &base, &self.world.path(name), &cancel).await.unwrap()
    }

    fn mirror_bytes(&self) -> u64 {
        let mut bytes = 0;
        let mut folders = vec![self.world.path("mirrors")];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { bytes += path.metadata().unwrap().len() }
            }
        }
        bytes
    }
}

/// Everything that a job does, on a mirror that may be partial.
async fn one_job(served: &Served) {
    let checkout = served.checkout("job").await;
    assert_eq!(fs::read_to_string(checkout.workspace().join("data/noise.txt")).unwrap(), noise(VERSIONS));
    write(&checkout.workspace().join("README.md"), "# Changed\n");
    let checkpoint = checkout.checkpoint().await.unwrap();
    assert!(checkout.diff(&checkpoint.tree).await.unwrap().contains("+# Changed"));
    checkout.restore(&checkpoint.tree, &checkpoint.pack).await.unwrap();
    let author = Identity { name: "Team".into(), email: "team@example.com".into() };
    let commit = checkout.commit(&checkpoint.tree, "change", &author, None, OffsetDateTime::UNIX_EPOCH).await.unwrap();
    served.world.git.push(&checkout, &commit, &served.world.remote("shop"), "codeteam/x", &[]).await.unwrap();
    assert_eq!(plain_git(&served.world.path("shop"), "rev-parse codeteam/x").await, commit.as_str());
    // The agent's own git has the history, and the files of the base.
    let log = plain_git(checkout.workspace(), "log --format=%s").await;
    assert_eq!(log.lines().count() as u64, VERSIONS + 1);
    assert_eq!(plain_git(checkout.workspace(), "show HEAD:README.md").await, "# Shop");
}

#[tokio::test]
async fn of_a_remote_elsewhere_only_the_files_of_what_is_checked_out_are_fetched() {
    let (partial, whole) = (Served::new(true).await, Served::new(false).await);
    one_job(&partial).await;
    one_job(&whole).await;
    let (partial, whole) = (partial.mirror_bytes(), whole.mirror_bytes());
    eprintln!("mirror of {VERSIONS} versions of a file: {partial} bytes, {whole} without filters");
    assert!(partial * 5 < whole, "{partial} of {whole} bytes");
}

#[tokio::test]
async fn two_commits_are_compared_though_neither_was_checked_out() {
    let served = Served::new(true).await;
    let shop = served.world.path("shop");
    let mirror = served.world.git.mirror(&served.remote, &CancellationToken::new()).await.unwrap();
    let (first, last) = (plain_git(&shop, "rev-parse HEAD~5").await, plain_git(&shop, "rev-parse HEAD").await);
    let diff = mirror.diff(&first.parse().unwrap(), &last.parse().unwrap()).await.unwrap();
    assert!(diff.contains("+++ b/data/noise.txt"), "{}", diff.len());
}

#[tokio::test]
async fn a_partial_mirror_follows_the_remote_and_brings_what_is_new() {
    let served = Served::new(true).await;
    served.checkout("job").await;
    write(&served.world.path("shop/data/noise.txt"), &noise(100));
    commit_all(&served.world.path("shop"), "newer").await;
    let checkout = served.checkout("job").await;
    assert_eq!(fs::read_to_string(checkout.workspace().join("data/noise.txt")).unwrap(), noise(100));
    // A remote that no longer leaves anything out is no obstacle either.
    plain_git(&served.world.path("shop"), "config uploadpack.allowFilter false").await;
    write(&served.world.path("shop/data/noise.txt"), &noise(101));
    commit_all(&served.world.path("shop"), "newest").await;
    let checkout = served.checkout("job").await;
    assert_eq!(fs::read_to_string(checkout.workspace().join("data/noise.txt")).unwrap(), noise(101));
}
