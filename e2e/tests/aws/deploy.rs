//! The real template on the emulator: `sam deploy`, as a person does it.

use std::path::{Path, PathBuf};

use e2e::aws::{self, Emulator};
use e2e::{root, tools};
use process::Exit;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A resource that the emulator cannot make.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Taken {
    /// The file, from the root of the project.
    pub template: String,
    pub resource: String,
    /// Such as `AWS::EC2::NatGateway`.
    pub kind: String,
    /// As the template has them, in the long forms of functions.
    pub properties: Value,
}

/// The template without what the emulator lacks, in a folder of its own, and what was taken out.
pub(super) async fn strip(python: &Path) -> (TempDir, Vec<Taken>) {
    let folder = tempfile::tempdir().unwrap();
    let (script, source) = (root().join("e2e/tests/aws/strip.py"), root().join("template.yaml"));
    let command = aws::command(python, "127.0.0.1:9", folder.path()).args([script.as_path(), &source, folder.path()]);
    let output = tools::attempt(command).await;
    assert_eq!(output.exit, Exit::Code(0), "{}", output.stderr_text());
    let taken: Vec<Value> = serde_json::from_str(&output.stdout_text()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let taken = taken.iter().map(|one| Taken {
        template: text(&one["template"]),
        resource: text(&one["resource"]),
        kind: text(&one["type"]),
        properties: one["properties"].clone(),
    });
    (folder, taken.collect())
}

/// Deploys the stripped template for `environment` on `emulator`, with `parameters` (`Name=value`).
pub(super) async fn deploy(emulator: &Emulator, stripped: &Path, environment: &str, parameters: &[&str]) {
    let sam = aws::program("sam", "deployments").expect("the emulator was installed with it");
    // SAM would ask the internet for a newer one, once a day; it was asked at the end of the century.
    let sam_folder = stripped.join(".aws-sam");
    std::fs::create_dir_all(&sam_folder).unwrap();
    std::fs::write(sam_folder.join("metadata.json"), r#"{"lastVersionCheck": 4102444800.0}"#).unwrap();
    let (template, stack) = (stripped.join("template.yaml"), format!("ai-coding-team-{environment}"));
    let command = aws::command(&sam, &emulator.address, stripped)
        .args(["deploy", "--template-file", template.to_str().unwrap(), "--stack-name", &stack, "--resolve-s3", "--no-confirm-changeset"])
        .args(["--no-progressbar", "--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"])
        .args(["--parameter-overrides".to_owned(), format!("Environment={environment}")])
        .args(parameters)
        .env("SAM_CLI_POLL_DELAY", "0.2")
        .cwd(stripped);
    let output = tools::attempt(command).await;
    let said = || format!("{}\n{}\n{}", output.stdout_text(), output.stderr_text(), emulator.said());
    assert_eq!(output.exit, Exit::Code(0), "{}", said());
}

/// What the environment `dev` looks like right after `sam deploy`, before anything runs: the state of an emulator, from which others
/// start. It is deployed once for all tests of this binary. `None` where the emulator is not installed, which is said.
pub(super) async fn deployed(what: &str) -> Option<&'static Path> {
    static DEPLOYED: OnceCell<PathBuf> = OnceCell::const_new();
    let python = aws::program("python3", what)?;
    let folder = DEPLOYED.get_or_init(async || {
        // Of the process and not of a test: the system's folder for such things, by a name that the next run takes again.
        let state = e2e::product::binary().with_file_name("e2e-aws-deployed");
        let _ = std::fs::remove_dir_all(&state);
        std::fs::create_dir_all(&state).unwrap();
        let emulator = Emulator::keeping(&state).await.expect("the emulator is installed");
        let (stripped, _) = strip(&python).await;
        deploy(&emulator, stripped.path(), "dev", &["Phase=ground"]).await;
        emulator.stop().await;
        state
    });
    Some(folder.await)
}
