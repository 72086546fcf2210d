//! The walls around tools, as an operator asks for them.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use e2e::{Codeteam, Repository};
use process::sandbox::Machine;
use serde_json::json;
use testkit::TestDb;

use super::{call, script};

#[tokio::test]
async fn nothing_starts_below_the_level_that_was_asked_for() {
    let services: [&[&str]; 4] = [
        &["work", "--sandbox-min", "full"],
        &["serve", "--sandbox-min", "landlock"],
        &["up", "--sandbox-min", "uid"],
        &["run", "nowhere", "task", "--sandbox-min", "full"],
    ];
    for arguments in services {
        let ran = Codeteam::new(arguments).env("CODETEAM_SANDBOX", "seccomp").run().await;
        ran.expect(4, &["the sandbox is at level seccomp, below --sandbox-min", "CODETEAM_SANDBOX asks for seccomp at the most"]);
    }
    Codeteam::new(["work", "--sandbox-min", "best"])
        .run()
        .await
        .expect(2, &["no level \"best\"; there are none, seccomp, landlock, uid, full"]);
    let wrong = Codeteam::new(["doctor"]).env("CODETEAM_SANDBOX", "best").run().await;
    wrong.expect(2, &["CODETEAM_SANDBOX is \"best\": expected none, seccomp, landlock, uid or full"]);
}

#[tokio::test]
async fn the_doctor_names_the_level_and_what_tools_cannot_get_to() {
    let level = Machine::this().level();
    Codeteam::new(["doctor"]).run().await.expect(0, &[&format!("level {level}: {}", Machine::this())]);
    if !level.has_own_user() {
        return; // Toolchains of whoever runs it are within reach.
    }
    let home = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o700)).tempdir().unwrap();
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let doctor = Codeteam::new(["doctor"]).env("CODETEAM_TOOLCHAINS", &bin).run().await;
    doctor.expect(0, &[&format!("tools cannot get to {}", bin.display()), &format!("`chmod o+x {}`", home.path().display())]);
}

#[tokio::test]
async fn a_job_of_one_command_runs_in_the_best_sandbox_there_is() {
    let repository = Repository::of(&[("a", "1\n")]).await;
    let level = Machine::this().level();
    let script = script(&[
        call("shell", json!({ "command": "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status > a; id -u >> a" })),
        call("finish", json!({ "title": "Look", "summary": "Looked.", "confidence": "high" })),
    ]);
    let (path, replies) = (repository.path.to_str().unwrap(), script.path().to_str().unwrap());
    let arguments = ["run", path, "Look around", "--json", "--script", replies, "--sandbox-min", level.name()];
    let ran = Codeteam::new(arguments).on(TestDb::new().await.url.expose()).run().await.json(0);
    let branch = ran["result"]["links"]["branch"].as_str().unwrap().to_owned();
    let said = repository.git(&["show", &format!("{branch}:a")]).await;
    assert!(said.starts_with("NoNewPrivs:\t1\nSeccomp:\t2\n"), "{said}");
    let ourselves = std::fs::metadata("/proc/self").unwrap().uid().to_string();
    assert_eq!(said.lines().last() != Some(&ourselves), level.has_own_user(), "{said}");
}
