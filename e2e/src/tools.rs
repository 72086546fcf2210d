//! Programs around the product: git, cargo, pip, curl's kind.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use process::{Command, Exit, Output};
use tokio_util::sync::CancellationToken;

/// What configures the product: never inherited from the person who runs the tests.
const SETTINGS: &[&str] = &[
    "DATABASE_URL",
    "DATABASE_CONNECTIONS",
    "DATABASE_LISTEN_URL",
    "DATABASE_APP_URL",
    "DATABASE_POOLER",
    "GITHUB_APP_FILE",
    "GITHUB_WEBHOOK_SECRET",
    "GITHUB_WEBHOOK_SECRET_PREVIOUS",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "GOOGLE_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "CODETEAM_MODELS",
    "CODETEAM_SCRIPT",
    "CODETEAM_STATE_DIR",
    "CODETEAM_INVOKE_ACCESS_KEY",
    "CODETEAM_INVOKE_SECRET_KEY",
    "CODETEAM_LOCAL_REMOTES",
    "CODETEAM_FORWARDED_FOR",
    "MODE",
    "MODEL",
    "STEP_CAP",
    "TOKEN_CAP",
    "TIME_LIMIT_MS",
    "COST_CAP_MICROUSD",
    "METRICS",
    "LOG_FORMAT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "GOOGLE_BASE_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ENDPOINT_URL",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "ECS_AGENT_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
    "ENVIRONMENT",
    "CODETEAM_SECRETS",
    "WAKE_QUEUE_URL_MECHANIC",
    "WAKE_QUEUE_URL_GENIUS",
    "ALARM_QUEUE_URL",
    "ALARM_TOPIC_ARN",
    "ECS_CLUSTER",
    "RDS_INSTANCE",
    "DATABASE_AUTH",
    "DATABASE_IDLE_SECS",
    "GITHUB_APP_ID",
    "GITHUB_APP_PRIVATE_KEY",
    "GITHUB_URL",
    "GITHUB_API_URL",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_ENDPOINT_URL_SNS",
    "AWS_ENDPOINT_URL_ECS",
    "AWS_ENDPOINT_URL_RDS",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "ECS_SERVICE_MECHANIC",
    "ECS_SERVICE_GENIUS",
    "WORKERS_MAX_MECHANIC",
    "WORKERS_MAX_GENIUS",
    "WORKERS_MIN_BUSY",
    "WORKER_SLOTS",
    "RUST_LOG",
];

/// The environment of the person who runs the tests, without settings of the product: programs are found by
/// its `PATH`, packages by its proxy and certificates.
#[expect(
    clippy::disallowed_methods,
    reason = "the programs around the product are the person's own, with their settings; nothing is read here"
)]
pub fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| !SETTINGS.iter().any(|setting| name == setting)).collect()
}

/// `program` in that environment.
pub fn command(program: &str) -> Command {
    Command::new(program).envs(environment()).timeout(Duration::from_secs(300))
}

/// Runs `command` to its end, whatever that is.
///
/// # Panics
/// When it cannot be started.
pub async fn attempt(command: Command) -> Output {
    let shown = format!("{command:?}");
    let words = shown.split("env:").next().unwrap_or_default().to_owned();
    process::run(command, &CancellationToken::new()).await.unwrap_or_else(|error| panic!("{words}: {error}"))
}

/// Runs `program` in `folder` and gives what it printed.
///
/// # Panics
/// When it fails.
pub async fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = attempt(command(program).args(arguments).cwd(folder)).await;
    assert_eq!(output.exit, Exit::Code(0), "{program} {arguments:?} in {}:\n{}", folder.display(), output.stderr_text());
    output.stdout_text()
}

/// Whether there is such a program, and it says its version.
pub async fn has(program: &str) -> bool {
    let asked = process::run(command(program).arg("--version"), &CancellationToken::new()).await;
    asked.is_ok_and(|output| output.exit.success())
}
