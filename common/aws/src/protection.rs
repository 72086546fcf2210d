//! What a task of ECS asks its own agent: who it is, and not to be stopped while it works
//! (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>).

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{AwsError, Http};

/// How long a task is protected unless it says so again.
pub const PROTECTED_FOR: Duration = Duration::from_secs(600);
/// How long the agent may take: it asks ECS itself.
const PATIENCE: Duration = Duration::from_secs(10);
/// The right that the agent uses: the task role's own.
const ACTION: &str = "ecs:UpdateTaskProtection";

/// The protection of this process's own task. Cheap to clone. Nothing is tried again here: a worker that is not protected does not
/// claim, and asks again when it looks next.
#[derive(Clone, Debug)]
pub struct Protection {
    http: Http,
    url: String,
}

/// Which task this is.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Task {
    /// Its ARN: what `workers` holds, and what a task is stopped by.
    #[serde(rename = "TaskARN")]
    pub arn: String,
    /// Its cluster's name or ARN.
    pub cluster: String,
    /// The family of its definition, such as `mechanic-worker`.
    pub family: String,
    /// The revision of its definition.
    pub revision: String,
}

/// What the agent answers, whatever the status.
#[derive(Deserialize)]
struct Answer {
    protection: Option<State>,
    failure: Option<Failure>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    protection_enabled: bool,
    expiration_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    reason: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    code: Option<String>,
    message: Option<String>,
}

impl Protection {
    /// Of the task whose agent is at `agent` (`ECS_AGENT_URI`).
    pub fn new(http: &Http, agent: &str) -> Self {
        Self { http: http.clone(), url: format!("{}/task-protection/v1/state", agent.trim_end_matches('/')) }
    }

    /// Keeps ECS from stopping this task for the next 10 min, whatever is desired; gives the end of that time, where it is told.
    ///
    /// # Errors
    /// When it is not protected.
    pub async fn hold(&self) -> Result<Option<OffsetDateTime>, AwsError> {
        let minutes = PROTECTED_FOR.as_secs() / 60;
        let state = self.put(&json!({"ProtectionEnabled": true, "ExpiresInMinutes": minutes})).await?;
        match state.protection_enabled {
            true => Ok(state.expiration_date.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok())),
            false => Err(other("the agent says that it is not protected".to_owned())),
        }
    }

    /// Lets ECS stop this task again.
    ///
    /// # Errors
    /// When it may still be protected; that ends by itself.
    pub async fn release(&self) -> Result<(), AwsError> {
        self.put(&json!({"ProtectionEnabled": false})).await.map(drop)
    }

    async fn put(&self, wanted: &serde_json::Value) -> Result<State, AwsError> {
        let answer = self.http.put(&self.url, wanted, PATIENCE).await.map_err(unreachable)?;
        let status = answer.status;
        let Ok(answer) = serde_json::from_slice::<Answer>(&answer.body) else {
            return Err(unreachable(format!("status {status}, and not the JSON of an agent")));
        };
        let what = || "this task's protection".to_owned();
        if let Some(Refusal { code, message }) = answer.error {
            let code = code.unwrap_or_default();
            let told = format!("{code}: {}", message.unwrap_or_default());
            return Err(match code.as_str() {
                "AccessDeniedException" => AwsError::Denied { action: ACTION, what: what(), told },
                "ThrottlingException" => AwsError::Throttled { action: ACTION, what: what() },
                _ if status >= 500 => unreachable(told),
                _ => other(told),
            });
        }
        if let Some(Failure { reason, detail }) = answer.failure {
            let told = [reason, detail].into_iter().flatten().collect::<Vec<_>>().join(": ");
            return Err(other(told));
        }
        answer.protection.filter(|_| status == 200).ok_or_else(|| unreachable(format!("status {status} without a word about it")))
    }
}

impl Task {
    /// The task that this process runs in, as `metadata` (`ECS_CONTAINER_METADATA_URI_V4`) tells it.
    ///
    /// # Errors
    /// When nobody tells it.
    pub async fn own(http: &Http, metadata: &str) -> Result<Self, AwsError> {
        let failed = |cause: String| AwsError::Unreachable { action: "GET of the task's metadata", what: "this task".to_owned(), cause };
        let answer = http.get(&format!("{}/task", metadata.trim_end_matches('/')), None, PATIENCE).await.map_err(failed)?;
        if answer.status != 200 {
            return Err(failed(format!("status {}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| failed(format!("not the JSON of a task: {error}")))
    }
}

fn unreachable(cause: String) -> AwsError {
    AwsError::Unreachable { action: ACTION, what: "this task's protection".to_owned(), cause }
}

fn other(told: String) -> AwsError {
    AwsError::Other { action: ACTION, what: "this task's protection".to_owned(), told }
}
