//! Suites of a few lines.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::Codeteam;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::TestDb;

/// Counts as one test that passed when the greeting is right.
pub const COMMAND: &str = r#"grep -q '^hello$' greeting.txt && printf 'Ran 1 test in 0s\n\nOK\n'"#;

/// A suite in a folder of its own.
pub struct Mini {
    folder: TempDir,
    db: TestDb,
}

impl Mini {
    /// Without any task.
    pub async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-eval-").tempdir().unwrap();
        fs::create_dir(folder.path().join("mini")).unwrap();
        Self { folder, db: TestDb::new().await }
    }

    /// The folder of the suite.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mini")
    }

    /// Writes a file of the suite.
    pub fn put(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Adds a change of `mode` that `command` decides; its scripts write what they are given into the greeting.
    pub fn change(&self, name: &str, mode: &str, command: &str, solve: &str, wrong: &str) {
        let check = format!("[check]\ncommand = {}\npassed = 1\n", toml::Value::from(command));
        self.put(
            &format!("{name}/task.toml"),
            &format!("title = \"Fix the greeting\"\nkind = \"change\"\nmode = \"{mode}\"\nlanguages = []\n\n{check}"),
        );
        self.put(&format!("{name}/repo/greeting.txt"), "helo\n");
        self.put(&format!("{name}/hidden/secret/expected.txt"), "hello\n");
        for (script, greeting) in [("solve", solve), ("wrong", wrong)] {
            self.put(&format!("{name}/scripts/{script}.json"), &replies(&steps(greeting)));
        }
    }

    /// `codeteam eval` on it, with more `arguments`.
    pub fn eval(&self, arguments: &[&str]) -> Codeteam {
        let path = self.path();
        let all = ["eval", path.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
        Codeteam::new(all).on(self.db.url.expose())
    }

    /// The files of results, by name.
    pub fn results(&self, ending: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("results/mini")) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.to_string_lossy().ends_with(ending));
        files.sort();
        files
    }
}

/// The calls that write `greeting`, and hand it in.
pub fn steps(greeting: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("write_file", json!({ "path": "greeting.txt", "content": format!("{greeting}\n") })),
        ("finish", json!({ "title": "Fix the greeting", "summary": "It was misspelled.", "tests_run": [], "confidence": "high" })),
    ]
}

/// A file of replies, one call each.
pub fn replies(calls: &[(&str, Value)]) -> String {
    let replies: Vec<Value> = calls.iter().map(|(name, input)| json!({ "tool_calls": [{ "name": name, "input": input }] })).collect();
    json!({ "name": "mini", "replies": replies }).to_string()
}

/// What a file of results holds.
pub fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}
