//! The workflows of GitHub: what they may, and that nothing of them can change behind our back.

use std::fs;

use e2e::root;

fn workflows() -> Vec<(String, String)> {
    let folder = fs::read_dir(root().join(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap());
    folder.map(read).collect()
}

#[test]
fn every_action_is_pinned_by_the_whole_hash_of_its_commit() {
    let mut pinned = 0;
    for (name, text) in workflows() {
        for used in text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: ")) {
            let commit = used.split(" #").next().unwrap().rsplit_once('@').map_or("", |(_, commit)| commit);
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {used}");
            pinned += 1;
        }
    }
    assert!(pinned >= 3, "each job begins with the repository");
}

#[test]
fn a_deploy_has_an_identity_and_no_key() {
    let text = fs::read_to_string(root().join(".github/workflows/deploy.yml")).unwrap();
    assert!(text.contains("\npermissions: {}\n"), "nothing is permitted unless a job says so");
    let granted: Vec<&str> = text.lines().map(str::trim).filter(|line| line.ends_with(": read") || line.ends_with(": write")).collect();
    assert_eq!(granted, ["contents: read", "contents: read", "id-token: write"]);
    assert!(!text.contains("secrets."), "a deploy needs no secret of GitHub");
    // What somebody writes into a title or a branch's name is no part of a command.
    let commands = text.split("run:").skip(1).filter_map(|rest| rest.split("\n\n").next()?.split("\n      - ").next());
    let told: Vec<&str> = commands.filter(|command| command.contains("${{")).collect();
    assert_eq!(told, Vec::<&str>::new(), "expressions within commands");
}

#[test]
fn what_fails_in_the_tests_is_not_deployed() {
    let text = fs::read_to_string(root().join(".github/workflows/deploy.yml")).unwrap();
    let (test, deploy) = text.split_once("\n  deploy:\n").expect("two jobs");
    assert!(test.contains("run: .ci/run"), "{test}");
    assert!(deploy.starts_with("    needs: test\n"), "{deploy}");
    let steps = ["make image", "scripts/deploy-credentials.sh", "make deploy ENV=\"$ENVIRONMENT\""].map(|step| deploy.find(step));
    assert!(steps.iter().all(Option::is_some) && steps.is_sorted(), "{steps:?}");
}
