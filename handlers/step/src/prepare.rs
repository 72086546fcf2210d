//! A project's dependencies, fetched before anything of it runs: behind the walls of the job, with install scripts off, and
//! through one proxy that leads to package registries and nowhere else. Off the job's clock, with a cap of its own.

use std::path::Path;
use std::time::Duration;

use agent::Environment;
use anyhow::Result;
use github::words::{Language, Note};
use process::sandbox::{Network, Proxy};
use process::{Command, Output, Sandbox};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::act::LIMITS;

/// All the time that fetching may take.
const CAP: Duration = Duration::from_secs(600);
const OUTPUT_BYTES: usize = 2_000;
/// Where package managers are told that the proxy is. Wherever they connect to, it is what they reach.
const ADDRESS: &str = "http://127.0.0.1:3128";

/// One package manager.
struct Manager {
    /// The file at the root of the repository that it works by.
    file: &'static str,
    /// What is run where this file lies beside it, and else.
    locked: Option<(&'static str, &'static [&'static str])>,
    command: &'static [&'static str],
}

const MANAGERS: &[Manager] = &[
    Manager { file: "Cargo.toml", locked: Some(("Cargo.lock", &["cargo", "fetch", "--locked"])), command: &["cargo", "fetch"] },
    Manager { file: "package-lock.json", locked: None, command: &["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"] },
    Manager {
        file: "requirements.txt",
        locked: None,
        command: &[
            "python3",
            "-m",
            "pip",
            "install",
            "--user",
            "--only-binary",
            ":all:",
            "--no-warn-script-location",
            "-r",
            "requirements.txt",
        ],
    },
    Manager { file: "go.mod", locked: None, command: &["go", "mod", "download"] },
];

/// What tells a package manager where to fetch, what to run or what to fetch, by the name of the file.
const STEERING: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "config",
    "config.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    ".npmrc",
    "requirements.txt",
    "pip.conf",
    "pip.ini",
    "setup.cfg",
    "pyproject.toml",
    "go.mod",
    "go.sum",
    "go.work",
    "go.env",
];

/// Whether a change of this path could steer what is fetched: then it is not the repository's own word any more.
pub(crate) fn steers(path: &str) -> bool {
    Path::new(path).file_name().and_then(|name| name.to_str()).is_none_or(|name| STEERING.contains(&name))
}

/// Fetches what the checkout in `workspace` depends on; what a person should know about it. That something could not be fetched
/// does not end a job.
///
/// # Errors
/// When a package manager could not even be tried.
pub(crate) async fn fetch(
    sandbox: &Sandbox,
    proxy: Proxy,
    workspace: &Path,
    (environment, language): (&Environment, Language),
    cancel: &CancellationToken,
) -> Result<Vec<String>> {
    let started = Instant::now();
    let sandbox = sandbox.clone().reaching(Network::Fetch(proxy.clone()));
    let mut notes = Vec::new();
    for manager in MANAGERS.iter().filter(|manager| is_file(workspace, manager.file)) {
        let command = match manager.locked {
            Some((lock, command)) if is_file(workspace, lock) => command,
            _ => manager.command,
        };
        let said = command.join(" ");
        let failed = |how: &str| Note::FetchFailed { command: &said, how }.sentence(language);
        if let Some(line) = unfetchable(workspace, manager.file) {
            notes.push(Note::NotFetchable { command: &said, file: manager.file, line: &line }.sentence(language));
            continue;
        }
        let Some(left) = CAP.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else {
            notes.push(Note::NoTimeToFetch { command: &said, seconds: CAP.as_secs() }.sentence(language));
            continue;
        };
        let run = Command::new(command[0])
            .args(&command[1..])
            .cwd(workspace)
            .envs(environment.variables())
            .envs(["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].map(|name| (name, ADDRESS)))
            .env("PIP_BREAK_SYSTEM_PACKAGES", "1")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            // A toolchain that a module asks for would be fetched and run.
            .envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=mod"), ("CARGO_NET_GIT_FETCH_WITH_CLI", "false")])
            .timeout(left)
            .limits(LIMITS)
            .output_cap(OUTPUT_BYTES)
            .sandbox(sandbox.clone());
        match process::run(run, cancel).await {
            Ok(output) if output.exit.success() => notes.push(Note::Fetched { command: &said }.sentence(language)),
            Ok(output) => notes.push(failed(&failure(&output))),
            Err(error @ process::ProcessError::NotFound { .. }) => notes.push(failed(&error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    notes.extend(proxy.refused().into_iter().map(|refused| Note::NotReached { what: &refused.to_string() }.sentence(language)));
    Ok(notes)
}

/// How it ended, with the end of what it said.
fn failure(output: &Output) -> String {
    let said = output.stderr_text();
    let mut last: Vec<&str> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(4).collect();
    last.reverse();
    format!("{}: {}", output.exit, last.join(" / "))
}

/// A regular file of the repository itself, and no link to elsewhere.
fn is_file(workspace: &Path, name: &str) -> bool {
    workspace.join(name).symlink_metadata().is_ok_and(|status| status.is_file())
}

/// A line of a list of Python's requirements that would have more happen than fetching a package: another list or index, a
/// project that is built, an address.
fn unfetchable(workspace: &Path, file: &str) -> Option<String> {
    if file != "requirements.txt" {
        return None;
    }
    // What cannot be read, pip says itself.
    let text = std::fs::read_to_string(workspace.join(file)).unwrap_or_default();
    text.lines().map(str::trim).find(|line| is_more_than_a_name(line)).map(str::to_owned)
}

fn is_more_than_a_name(line: &str) -> bool {
    let requirement = line.split(" #").next().unwrap_or_default().trim_end();
    let hash = |option: &str| option.starts_with("hash=");
    !line.starts_with('#')
        && (requirement.starts_with(['-', '.', '/', '~'])
            || requirement.contains('@')
            || requirement.contains("://")
            || requirement.contains(['/', '\\'])
            || requirement.split("--").skip(1).any(|option| !hash(option)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_requirements_are_fetched() {
        for line in ["", "# -e .", "requests", "requests==2.32.0 # --x", "flask[async]>=3; python_version > '3.8'", "a==1 --hash=sha256:00"]
        {
            assert!(!is_more_than_a_name(line), "{line}");
        }
        let others = "-e .|-r other.txt|--index-url https://x.example|.|./part|/opt/part|git+https://x.example/a.git|a @ file:///x|part/a.whl|a --global-option=x";
        for line in others.split('|') {
            assert!(is_more_than_a_name(line), "{line}");
        }
    }

    #[test]
    fn what_steers_a_package_manager_is_known_by_its_name() {
        for path in ["Cargo.toml", "part/Cargo.toml", ".cargo/config.toml", ".npmrc", "requirements.txt", "go.sum"] {
            assert!(steers(path), "{path}");
        }
        for path in ["src/main.rs", "package.jsonc", "README.md"] {
            assert!(!steers(path), "{path}");
        }
    }
}
