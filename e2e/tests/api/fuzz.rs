//! What the description of the API allows is answered as it says, and what it does not allow is refused: schemathesis
//! asks, some thousand times, the same in every run.

use std::time::Duration;

use e2e::{root, tools};
use process::Exit;
use testkit::TestDb;

use super::{serve_as, start_job, token};

/// What no schema can say: which models the server has prices of, and which expressions are a timetable.
const CONFIG: &str = r#"
[[operations]]
include-operation-id = ["create_job", "add_schedule"]
checks.positive_data_acceptance.enabled = false
"#;

#[tokio::test]
async fn the_api_is_as_its_description_says() {
    let ours = root().join(".venv/bin/schemathesis");
    let program = if ours.exists() { ours.display().to_string() } else { "schemathesis".to_owned() };
    if !tools::has(&program).await {
        e2e::skipped("the API against its description", "schemathesis is not installed: `make tools` brings it");
        return;
    }
    let db = TestDb::new().await;
    // The description is that of a server on which remotes may be paths.
    let up = serve_as(&db, &[("CODETEAM_LOCAL_REMOTES", "1")]).await;
    let token = token(&db, "fuzz", "admin").await;
    for title in ["one", "two", "three"] {
        start_job(&up, &token, title).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let config = config.display().to_string();
    let schema = format!("http://{}/api/v1/openapi.json", up.address);
    let authorization = format!("Authorization: Bearer {token}");
    let arguments = [
        "--config-file",
        &config,
        "run",
        &schema,
        "--header",
        &authorization,
        // A stream does not end.
        "--exclude-path",
        "/api/v1/events",
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--max-examples",
        "40",
        "--seed",
        "20260101",
        "--rate-limit",
        "45/s",
        "--continue-on-failure",
        "--no-shrink",
        "--suppress-health-check",
        "all",
        "--warnings",
        "off",
        "--output-truncate",
        "false",
    ];
    let command = tools::command(&program).args(arguments).cwd(folder.path()).timeout(Duration::from_secs(400));
    let output = tools::attempt(command).await;
    assert_eq!(output.exit, Exit::Code(0), "{}\n{}", output.stdout_text(), output.stderr_text());
    let cases = output.stdout_text().lines().filter(|line| line.contains("generated")).map(str::to_owned).collect::<Vec<_>>().join("; ");
    e2e::measured(&format!("schemathesis found nothing: {cases}"));
    assert!(!up.running.said().contains("\"level\":\"ERROR\""), "{}", up.running.said());
}
