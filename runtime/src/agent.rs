//! The agent of workers on this machine: what ECS's own tells a task and does for it, for the children of `codeteam up`. Each
//! worker has a path of its own, which nobody guesses, so that a local process takes the very way that a task takes
//! (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use domain::{Clock, SystemClock};
use process::Workers;
use process::workers::Unprotected;
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long a protection holds that says nothing else, and the longest there is, as at ECS.
const TERM_MINUTES: u64 = 120;
const TERM_MOST_MINUTES: u64 = 2_880;

/// An agent that listens and does not answer yet.
pub struct Agent {
    listener: TcpListener,
    address: SocketAddr,
}

impl Agent {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// When there is none.
    pub async fn bind() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// What a worker is told by its environment: where its agent is, and what it may find out about itself.
    pub fn environment(address: SocketAddr, worker: &str) -> [(&'static str, String); 2] {
        let uri = format!("http://{address}/{worker}");
        [("ECS_AGENT_URI", uri.clone()), ("ECS_CONTAINER_METADATA_URI_V4", uri)]
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers `workers` until `end`.
    pub async fn run(self, workers: Workers, end: CancellationToken) {
        let router =
            Router::new().route("/{worker}/task-protection/v1/state", put(protect)).route("/{worker}/task", get(task)).with_state(workers);
        let serving = axum::serve(self.listener, router).with_graceful_shutdown(end.clone().cancelled_owned());
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::error!("workers of this machine are no longer answered: {error}");
                }
            }
            () = end.cancelled() => {}
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    protection_enabled: bool,
    expires_in_minutes: Option<u64>,
}

async fn protect(State(workers): State<Workers>, Path(worker): Path<String>, body: String) -> Response {
    let wanted: Wanted = match serde_json::from_str(&body) {
        Ok(wanted) => wanted,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &worker, "InvalidParameterException", &error.to_string()),
    };
    let minutes = wanted.expires_in_minutes.unwrap_or(TERM_MINUTES);
    if !(1..=TERM_MOST_MINUTES).contains(&minutes) {
        let why = format!("ExpiresInMinutes is {minutes}: expected 1 to {TERM_MOST_MINUTES}");
        return refused(StatusCode::BAD_REQUEST, &worker, "InvalidParameterException", &why);
    }
    let term = wanted.protection_enabled.then(|| Duration::from_secs(60 * minutes));
    match workers.protect(&worker, term) {
        Ok(term) => {
            let until = term.and_then(|term| (SystemClock.now() + term).format(&Rfc3339).ok());
            let protection = json!({ "ProtectionEnabled": term.is_some(), "ExpirationDate": until, "TaskArn": worker });
            answer(StatusCode::OK, &json!({ "protection": protection }))
        }
        Err(Unprotected::Going) => {
            answer(StatusCode::OK, &json!({ "failure": { "Arn": worker, "Detail": "the task is stopping", "Reason": "TASK_NOT_VALID" } }))
        }
        Err(error @ Unprotected::Unknown) => refused(StatusCode::NOT_FOUND, &worker, "ResourceNotFoundException", &error.to_string()),
    }
}

async fn task(State(workers): State<Workers>, Path(worker): Path<String>) -> Response {
    match workers.names().iter().any(|(name, _)| *name == worker) {
        true => answer(StatusCode::OK, &json!({ "Cluster": "local", "TaskARN": worker, "Family": "codeteam-work", "Revision": "1" })),
        false => refused(StatusCode::NOT_FOUND, &worker, "ResourceNotFoundException", "there is no such worker"),
    }
}

fn refused(status: StatusCode, worker: &str, code: &str, message: &str) -> Response {
    answer(status, &json!({ "error": { "Arn": worker, "Code": code, "Message": message } }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
