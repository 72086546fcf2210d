//! Published packages, got from their registries by the ordinary clients, of a pinned version and hash.

use std::path::{Path, PathBuf};

use e2e::{Repository, skipped, tools};
use process::{Command, Output};
use tempfile::TempDir;

/// `colorama`, of this version and hash: its tests are in the wheel.
const COLORAMA: &str = "colorama==0.4.6 --hash=sha256:4f1d9991f5acc0ca119f9d443620b77f9d6b33703e51011c16baf57afb285fc6\n";

/// A package with one bug.
pub struct Package {
    /// Where the bug is.
    pub file: &'static str,
    /// What stands there.
    pub bug: &'static str,
    /// What should.
    pub right: &'static str,
    /// The whole file, as it should be.
    pub original: String,
    source: Option<(TempDir, PathBuf)>,
    test: &'static [&'static str],
}

impl Package {
    /// Nothing published: a file of the test's own.
    pub fn of(file: &'static str, bug: &'static str, right: &'static str, original: String) -> Self {
        Self { file, bug, right, original, source: None, test: &[] }
    }

    /// Takes what was unpacked to `path` and plants the bug.
    fn planted(mut self, folder: TempDir, path: PathBuf) -> Self {
        let file = path.join(self.file);
        self.original = std::fs::read_to_string(&file).unwrap();
        assert_eq!(self.original.matches(self.right).count(), 1, "{:?} stands once in {}", self.right, self.file);
        std::fs::write(&file, self.original.replace(self.right, self.bug)).unwrap();
        self.source = Some((folder, path));
        self
    }

    /// A repository with the package and its bug in one commit.
    pub async fn under_git(&self) -> Repository {
        let repository = Repository::empty().await;
        let (_, source) = self.source.as_ref().unwrap();
        let all = format!("{}/.", source.display());
        tools::run("cp", &["-R", &all, "."], &repository.path).await;
        repository.commit("Publish").await;
        repository
    }

    /// The package's own tests, as one line for a shell.
    pub fn check(&self) -> String {
        self.test.iter().map(|word| format!("'{word}' ")).collect()
    }

    /// Runs the package's own tests in `folder`; what they build goes elsewhere.
    pub async fn test(&self, folder: &Path) -> Output {
        let (program, arguments) = self.test.split_first().unwrap();
        let (built, _) = self.source.as_ref().unwrap();
        tools::attempt(tools::command(program).args(arguments).cwd(folder).env("CARGO_TARGET_DIR", built.path().join("target"))).await
    }
}

/// The crate `heck`, which this workspace depends on too: `Cargo.lock` pins it, and it is on the machine.
pub async fn heck() -> Option<Package> {
    let folder = tempfile::tempdir().unwrap();
    let lock: toml::Table = std::fs::read_to_string(e2e::root().join("Cargo.lock")).unwrap().parse().unwrap();
    let locked = lock["package"].as_array().unwrap().iter().find(|package| package["name"].as_str() == Some("heck"));
    let locked = locked.expect("heck is in our Cargo.lock");
    let (version, source, checksum) = (&locked["version"], &locked["source"], &locked["checksum"]);
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("Cargo.toml", format!("[package]\nname = \"getter\"\n[dependencies]\nheck = {version}\n[workspace]\n[lib]\npath = \"lib.rs\"\n"));
    write("lib.rs", String::new());
    let getter = "[[package]]\nname = \"getter\"\nversion = \"0.0.0\"\ndependencies = [\"heck\"]\n";
    let heck = format!("[[package]]\nname = \"heck\"\nversion = {version}\nsource = {source}\nchecksum = {checksum}\n");
    write("Cargo.lock", format!("version = 4\n\n{getter}\n{heck}"));
    let vendor = |mode: &[&str]| tools::command("cargo").args(["vendor", "--quiet", "--locked"]).args(mode).cwd(folder.path());
    if !tools::attempt(vendor(&["--offline"])).await.exit.success() {
        got("heck from the crates registry", vendor(&[]), "checksum").await?;
    }
    let path = folder.path().join("vendor/heck");
    let package = Package {
        file: "src/lib.rs",
        bug: "mode == WordMode::Uppercase && c.is_uppercase() && next.is_uppercase()",
        right: "mode == WordMode::Uppercase && c.is_uppercase() && next.is_lowercase()",
        original: String::new(),
        source: None,
        test: &["cargo", "test", "--offline", "--quiet", "--lib"],
    };
    Some(package.planted(folder, path))
}

/// The Python package `colorama`.
pub async fn colorama() -> Option<Package> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("requirements.txt"), COLORAMA).unwrap();
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--retries", "1"];
    let download = tools::command("python3").args(pip).args(["--requirement", "requirements.txt"]).cwd(folder.path());
    got("colorama from the Python registry", download, "HASH").await?;
    let wheel = "colorama-0.4.6-py2.py3-none-any.whl";
    tools::run("python3", &["-m", "zipfile", "-e", wheel, "unpacked"], folder.path()).await;
    let path = folder.path().join("unpacked");
    let package = Package {
        file: "colorama/ansi.py",
        bug: "class AnsiBack(AnsiCodes):\n    BLACK           = 41\n",
        right: "class AnsiBack(AnsiCodes):\n    BLACK           = 40\n",
        original: String::new(),
        source: None,
        test: &["python3", "-B", "-m", "unittest", "discover", "-q", "-p", "*_test.py", "-s", "colorama/tests", "-t", "."],
    };
    Some(package.planted(folder, path))
}

/// Runs a client of a registry; `None`, said aloud, when it does not get anything. A wrong hash is no reason to
/// go on.
async fn got(what: &str, client: Command, wrong_hash: &str) -> Option<()> {
    let output = tools::attempt(client).await;
    if output.exit.success() {
        return Some(());
    }
    let said = output.stderr_text();
    assert!(!said.contains(wrong_hash), "{what}: {said}");
    skipped(what, said.trim());
    None
}
