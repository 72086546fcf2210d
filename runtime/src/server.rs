//! The HTTP server: health, webhooks, the REST API and, if asked for, the Lambda Invoke API.

mod connections;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dispatch::{Ctx, HandlerError, HttpRequest, InvokeError, Registry};
use github::webhook::MAX_BODY_BYTES;
use serde_json::{Value, json};
use store::Db;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::invoke_api::InvokeApi;

pub use connections::Peer;

/// GitHub gives up after ten seconds and sees a failure either way; within one it is answered, whatever the database does.
const WEBHOOK_DEADLINE: Duration = Duration::from_millis(900);
/// How long a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(20);
/// How long requests under way may take after a SIGTERM: longer than a model call is waited for.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(25);

/// What the server answers from.
#[derive(Clone)]
struct Door {
    registry: Registry,
    db: Db,
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    router: Router,
    invoke: Option<InvokeApi>,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr, registry: Registry, db: Db, invoke: Option<InvokeApi>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            anyhow::Error::new(error).context(format!("cannot listen on {address}: choose another address with --listen"))
        })?;
        let mut router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/webhooks/github", post(webhook))
            .with_state(Door { registry, db });
        if let Some(invoke) = &invoke {
            router = router.merge(invoke.router());
        }
        Ok(Self { listener, router: router.fallback(nothing_here), invoke })
    }

    /// Answers for the REST API as well.
    #[must_use]
    pub fn with_api(self, api: &Api) -> Self {
        Self { router: self.router.merge(api.router()), ..self }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown`, then lets requests under way, and events taken by the Invoke API, end.
    ///
    /// Connections that keep it waiting too long are ended.
    pub async fn run(self, shutdown: CancellationToken) {
        let told = shutdown.clone();
        let serving = connections::serve(self.listener, self.router, shutdown);
        let patience = async {
            told.cancelled().await;
            tokio::time::sleep(SHUTDOWN_PATIENCE).await;
        };
        tokio::select! {
            () = serving => {}
            () = patience => tracing::warn!("requests that did not end in {} s are cut off", SHUTDOWN_PATIENCE.as_secs()),
        }
        if let Some(invoke) = self.invoke {
            invoke.drained().await;
        }
    }
}

async fn healthz() -> Response {
    answer(StatusCode::OK, &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn readyz(State(door): State<Door>) -> Response {
    match door.db.check_schema().await {
        Ok(()) => answer(StatusCode::OK, &json!({ "status": "ready" })),
        Err(error) => {
            tracing::warn!("not ready: {error}");
            answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready", "reason": "the database; see the log" }))
        }
    }
}

async fn nothing_here(request: Request) -> Response {
    let what = format!("nothing answers {} {}", request.method(), request.uri().path());
    answer(StatusCode::NOT_FOUND, &json!({ "errorType": "NotFound", "errorMessage": what }))
}

/// GitHub's door: the raw body goes to `enqueue`, which checks the signature over it.
async fn webhook(State(door): State<Door>, headers: HeaderMap, uri: axum::http::Uri, body: Body) -> Response {
    let body = match tokio::time::timeout(BODY_DEADLINE, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return refused_body(&error),
        Err(_) => {
            return answer(
                StatusCode::REQUEST_TIMEOUT,
                &json!({ "errorType": "Timeout", "errorMessage": "the body did not arrive in time" }),
            );
        }
    };
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
    let request = HttpRequest {
        method: "POST".to_owned(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: headers.iter().filter_map(text).collect(),
        body: body.to_vec(),
    };
    let ctx = Ctx::with_timeout(WEBHOOK_DEADLINE);
    let request_id = ctx.request_id.clone();
    match door.registry.invoke_http("enqueue", ctx, request).await {
        Ok(accepted) => answer(StatusCode::ACCEPTED, &accepted),
        Err(InvokeError::Handler(HandlerError::Timeout(_))) => {
            // What was written all the same is found again when GitHub redelivers it, by its GUID or by what it means.
            tracing::warn!(request_id, "a webhook was not written within {} ms: it has to be redelivered", WEBHOOK_DEADLINE.as_millis());
            let busy = json!({ "errorType": "RetryAfter", "errorMessage": "the database is slow: redeliver this later", "stackTrace": [] });
            let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, &busy);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(5_u16));
            response
        }
        Err(InvokeError::Handler(error)) => {
            if matches!(error, HandlerError::Internal(_) | HandlerError::Panic(_)) {
                tracing::error!(request_id, "a webhook failed: {error:#}");
            }
            let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = answer(status, &error.to_public_json(&request_id));
            if let Some(seconds) = error.retry_after_seconds() {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Err(error @ InvokeError::Unknown { .. }) => {
            tracing::error!(request_id, "a webhook failed: {error}");
            answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "errorType": "Internal", "errorMessage": "see the log" }))
        }
    }
}

fn refused_body(error: &axum::Error) -> Response {
    let too_large = std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
    let (status, message) = match too_large {
        true => (StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {MAX_BODY_BYTES} bytes, the most that GitHub sends")),
        false => (StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")),
    };
    answer(status, &json!({ "errorType": "Invalid", "errorMessage": message }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
