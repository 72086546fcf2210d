//! `codeteam run` on code that nobody here wrote: published packages, each with one bug planted. The replies are
//! scripted, and the output says so.

mod kinds;
mod package;
mod remote;

use std::path::Path;

use e2e::{Codeteam, Ran, Repository, tools};
use process::Exit;
use serde_json::{Value, json};
use testkit::TestDb;

use package::Package;

/// A file of replies in which the model looks at the bug, undoes it, runs `check` and finishes.
fn replies(package: &Package, check: &str) -> tempfile::NamedTempFile {
    let call = |text: &str, name: &str, input: Value| json!({ "text": text, "tool_calls": [{ "name": name, "input": input }] });
    let (old, new) = (package.bug, package.right);
    let script = json!({
        "name": "undo the planted bug",
        "replies": [
            call("I look at the file.", "read_file", json!({ "path": package.file })),
            call("This is wrong.", "edit_file", json!({ "path": package.file, "edits": [{ "old": old, "new": new }] })),
            call("Does it hold?", "shell", json!({ "command": check })),
            call("It does.", "finish", json!({ "title": "Undo the bug", "summary": "It was wrong.", "confidence": "high" })),
        ],
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &script).unwrap();
    file
}

/// Runs the task on `remote`, and gives the branch.
async fn branch_of_a_run(package: &Package, remote: &str, check: &str) -> (String, Ran) {
    let (db, script) = (TestDb::new().await, replies(package, check));
    let url = db.url.expose();
    let arguments = ["run", remote, "Find the bug", "--json", "--script", script.path().to_str().unwrap()];
    let ran = Codeteam::new(arguments).on(url).run().await;
    let report = ran.json(0);
    assert_eq!(report["result"]["outcome"], "succeeded", "{report}");
    assert!(ran.stderr.contains("scripted: the replies come from a file, no model is called"), "{}", ran.stderr);
    (report["result"]["links"]["branch"].as_str().unwrap().to_owned(), ran)
}

/// The branch holds the original text, and changes nothing else.
async fn the_branch_undoes_the_bug(package: &Package, repository: &Path, branch: &str) {
    let git = async |arguments: &[&str]| e2e::git::git(repository, arguments).await;
    assert_eq!(git(&["diff", "--name-only", "main", branch]).await.trim(), package.file);
    assert_eq!(git(&["show", &format!("{branch}:{}", package.file)]).await, package.original);
    assert_eq!(git(&["rev-list", "--count", &format!("main..{branch}")]).await.trim(), "1");
    assert_eq!(git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/codeteam"]).await.trim(), branch, "one branch");
}

/// A person at work: a change that is staged, one that is not, and a new file.
async fn somebody_works_in(repository: &Repository, changed: &str, staged: &str) {
    for (file, line) in [(staged, "\n# staged\n"), (changed, "\n# not staged\n")] {
        let path = repository.path.join(file);
        let text = std::fs::read_to_string(&path).unwrap() + line;
        std::fs::write(path, text).unwrap();
        if file == staged {
            repository.git(&["add", staged]).await;
        }
    }
    std::fs::write(repository.path.join("notes.txt"), "mine\n").unwrap();
    // Whoever looks at the status refreshes the index; here nobody does later.
    repository.git(&["status", "--short"]).await;
}

#[tokio::test]
async fn a_bug_in_a_published_crate_is_fixed_on_a_branch_and_nothing_else_is_touched() {
    let Some(package) = package::heck().await else { return };
    let repository = package.under_git().await;
    assert_ne!(package.test(&repository.path).await.exit, Exit::Code(0), "the crate's tests find the bug");
    e2e::git::git(&repository.path, &["clean", "--quiet", "-fdx"]).await;
    somebody_works_in(&repository, "README.md", "CHANGELOG.md").await;

    let before = repository.snapshot();
    let (branch, ran) = branch_of_a_run(&package, repository.path.to_str().unwrap(), "git diff --stat").await;
    assert!(repository.snapshot() == before, "the working tree, the index or HEAD changed");
    assert!(ran.stderr.contains("step 4/20"), "{}", ran.stderr);
    the_branch_undoes_the_bug(&package, &repository.path, &branch).await;

    let clone = repository.clone_of(repository.path.to_str().unwrap(), &branch).await;
    let tests = package.test(&clone).await;
    assert_eq!(tests.exit, Exit::Code(0), "{}", tests.stdout_text());
}

#[tokio::test]
async fn a_bug_in_a_published_python_package_is_fixed_on_a_branch_and_nothing_else_is_touched() {
    let Some(package) = package::colorama().await else { return };
    let repository = package.under_git().await;
    assert_ne!(package.test(&repository.path).await.exit, Exit::Code(0), "the package's tests find the bug");
    somebody_works_in(&repository, "colorama/__init__.py", "colorama/win32.py").await;

    let before = repository.snapshot();
    let (branch, _) = branch_of_a_run(&package, repository.path.to_str().unwrap(), &package.check()).await;
    assert!(repository.snapshot() == before, "the working tree, the index or HEAD changed");
    the_branch_undoes_the_bug(&package, &repository.path, &branch).await;

    let clone = repository.clone_of(repository.path.to_str().unwrap(), &branch).await;
    let tests = package.test(&clone).await;
    assert_eq!(tests.exit, Exit::Code(0), "{}", tests.stderr_text());
}

#[tokio::test]
async fn a_run_without_a_database_brings_its_own_and_leaves_nothing() {
    let repository = Repository::of(&[("greeting.txt", "helo\n")]).await;
    let package = Package::of("greeting.txt", "helo", "hello", "hello\n".to_owned());
    let script = replies(&package, "grep -q hello greeting.txt");
    let temporary = tempfile::tempdir().unwrap();
    let arguments = ["run", repository.path.to_str().unwrap(), "Fix the greeting", "--script", script.path().to_str().unwrap()];
    let ran = Codeteam::new(arguments).env("TMPDIR", temporary.path()).run().await;
    ran.expect(0, &["Undo the bug", "scripted", "look at it: git -C"]);
    let branches = tools::run("git", &["branch", "--list", "codeteam/*"], &repository.path).await;
    assert_eq!(branches.lines().count(), 1, "{branches}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "temporary files are left");
}
