//! The git repositories that jobs work in, and the forge directory that knows them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use process::{Command, Output, run};
use serde_json::{Value, json};

use crate::environment::variable;

/// A bare repository with one commit on `main`.
pub struct Repository {
    /// `owner/name`.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its directory in the forge.
    pub forge: PathBuf,
}

impl Repository {
    /// Makes one below `folder` and makes it known to the forge in `state`.
    ///
    /// # Errors
    /// When git cannot.
    pub async fn new(name: &str, folder: &Path, state: &Path) -> Result<Self> {
        let path = folder.join(format!("{}.git", name.replace('/', "-")));
        std::fs::create_dir_all(folder)?;
        git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", text(&path)]).await?;
        let tree = git_with(&path, &["hash-object", "-w", "--stdin"], "A shop.\n").await?;
        let tree = git_with(&path, &["mktree"], &format!("100644 blob {}\tREADME.md\n", tree.trim())).await?;
        let commit = git_with(&path, &["commit-tree", tree.trim()], "Begin\n").await?;
        git(&path, &["update-ref", "refs/heads/main", commit.trim()]).await?;
        let forge = state.join("forge").join(name);
        std::fs::create_dir_all(&forge)?;
        let record = json!({ "remote": text(&path), "collaborators": { "hubot": "write" } });
        std::fs::write(forge.join("repository.json"), record.to_string())?;
        Ok(Self { name: name.to_owned(), path, forge })
    }

    /// Its branches but `main`, each with what its `greeting.txt` holds.
    ///
    /// # Errors
    /// When git cannot read it.
    pub async fn branches(&self) -> Result<BTreeMap<String, Option<String>>> {
        let listed = git(&self.path, &["for-each-ref", "--format=%(refname:short)", "refs/heads"]).await?;
        let names: Vec<&str> = listed.lines().filter(|name| *name != "main").collect();
        let asked: String = names.iter().map(|name| format!("{name}:greeting.txt\n")).collect();
        let mut told = git_with(&self.path, &["cat-file", "--batch=%(objectsize)"], &asked).await?;
        let mut branches = BTreeMap::new();
        for name in names {
            let (head, rest) = told.split_once('\n').unwrap_or((&told, ""));
            let size = head.parse::<usize>().ok();
            let content = size.map(|size| rest[..size].to_owned());
            // Behind each content comes a line end of its own.
            told = rest[size.map_or(0, |size| size + 1)..].to_owned();
            branches.insert(name.to_owned(), content);
        }
        Ok(branches)
    }

    /// The id of a branch's tree.
    ///
    /// # Errors
    /// When there is none.
    pub async fn tree(&self, branch: &str) -> Result<String> {
        Ok(git(&self.path, &["rev-parse", &format!("{branch}^{{tree}}")]).await?.trim().to_owned())
    }

    /// The id of a tree with these files, by path, and nothing else.
    ///
    /// # Errors
    /// When git cannot make it.
    pub async fn tree_of(&self, files: &[(String, String)]) -> Result<String> {
        let mut entries = String::new();
        for (path, content) in files {
            let blob = git_with(&self.path, &["hash-object", "-w", "--stdin"], content).await?;
            entries.push_str(&format!("100644 blob {}\t{path}\n", blob.trim()));
        }
        Ok(git_with(&self.path, &["mktree"], &entries).await?.trim().to_owned())
    }

    /// The forge's pull requests.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn pull_requests(&self) -> Result<Vec<Value>> {
        records(&self.forge.join("pulls"))
    }

    /// The forge's comments on an issue.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn comments(&self, issue: u64) -> Result<Vec<Value>> {
        records(&self.forge.join(format!("issues/{issue}/comments")))
    }
}

fn records(folder: &Path) -> Result<Vec<Value>> {
    let Ok(files) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let files = files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    files.map(|path| Ok(serde_json::from_slice(&std::fs::read(path)?)?)).collect()
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    git_with(folder, arguments, "").await
}

async fn git_with(folder: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let output = attempt(folder, arguments, input).await?;
    ensure!(output.exit.success(), "git {arguments:?} in {}: {}", folder.display(), output.stderr_text());
    Ok(output.stdout_text())
}

async fn attempt(folder: &Path, arguments: &[&str], input: &str) -> Result<Output> {
    let who =
        ["AUTHOR", "COMMITTER"].map(|role| [(format!("GIT_{role}_NAME"), "hubot"), (format!("GIT_{role}_EMAIL"), "hubot@example.com")]);
    let command = Command::new("git").args(arguments).cwd(folder).envs(who.into_iter().flatten());
    let command = command.path(variable("PATH").unwrap_or_default()).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    Ok(run(command.stdin(input).output_cap(64 << 20), &Default::default()).await?)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
