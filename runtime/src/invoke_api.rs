//! The Lambda Invoke API over our handlers (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>),
//! so that `aws lambda invoke --endpoint-url`, `cargo lambda invoke` and every AWS SDK drive the very handlers
//! that production runs.
//!
//! Three things differ from AWS. There is one version of each handler, so every qualifier means `$LATEST`. The
//! qualifier `errors-as-status` (`name:errors-as-status` or `?Qualifier=errors-as-status`), or
//! [`Options::errors_as_status`], answers a handler's error by its HTTP status, for clients that look at
//! nothing else: `cargo lambda invoke` exits 0 on a function error. And `Event` runs a call at most once: it
//! lives in this process and is not tried again (what must not be lost is a job, not an event).

mod function;
mod log_tail;
mod refusal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dispatch::{Ctx, HandlerError, InvokeError, Registry};
use domain::Clock;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use self::function::Function;
pub use self::log_tail::{LogTail, LogTailLayer};
use self::refusal::Refusal;
use crate::sigv4::KeyPair;

/// The largest request, in bytes: 6 MiB, as on AWS. A limit of this door only.
pub const REQUEST_LIMIT: usize = 6_291_456;
/// The largest response, in bytes: 6 MiB and 100 bytes, as on AWS.
pub const RESPONSE_LIMIT: usize = 6_291_556;

/// How the door behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who may enter; `None` lets everybody in.
    pub keys: Option<KeyPair>,
    /// Calls of one handler that run at the same time; further ones are answered by 429.
    pub calls_per_handler: usize,
    /// How long a call may take.
    pub timeout: Duration,
    /// Answer every handler error by its HTTP status instead of 200.
    pub errors_as_status: bool,
}

/// Open, 64 calls per handler, 15 minutes (the longest that Lambda knows), errors as on AWS.
impl Default for Options {
    fn default() -> Self {
        Self { keys: None, calls_per_handler: 64, timeout: Duration::from_secs(900), errors_as_status: false }
    }
}

/// The door. Clones are the same door.
#[derive(Clone)]
pub struct InvokeApi(Arc<Door>);

struct Door {
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    options: Options,
    cancel: CancellationToken,
    bulkheads: BTreeMap<&'static str, Arc<Semaphore>>,
    calls: TaskTracker,
}

impl InvokeApi {
    /// A door to the handlers of `registry`; `cancel` cancels the calls that run through it.
    pub fn new(registry: Arc<Registry>, clock: Arc<dyn Clock>, options: Options, cancel: CancellationToken) -> Self {
        let bulkheads = registry.names().map(|name| (name, Arc::new(Semaphore::new(options.calls_per_handler)))).collect();
        Self(Arc::new(Door { registry, clock, options, cancel, bulkheads, calls: TaskTracker::new() }))
    }

    /// The routes of the door.
    pub fn router(&self) -> Router {
        Router::new().route("/2015-03-31/functions/{name}/invocations", post(invoke)).with_state(self.clone())
    }

    /// Waits until every call has ended, those of type `Event` and those whose client went away included.
    /// Cancel them before, or this takes as long as they do.
    pub async fn drained(&self) {
        self.0.calls.close();
        self.0.calls.wait().await;
    }
}

/// `X-Amz-Invocation-Type`.
enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

impl InvocationType {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        match headers.get("x-amz-invocation-type").map(|value| value.as_bytes()) {
            None | Some(b"RequestResponse") => Ok(Self::RequestResponse),
            Some(b"Event") => Ok(Self::Event),
            Some(b"DryRun") => Ok(Self::DryRun),
            Some(other) => Err(Refusal::invocation_type(&String::from_utf8_lossy(other))),
        }
    }
}

async fn invoke(State(api): State<InvokeApi>, Path(name): Path<String>, request: Request) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let mut response = match api.0.admit(&name, request, &request_id).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    let id = request_id.parse().expect("a UUID is a header value");
    response.headers_mut().insert("x-amzn-requestid", id);
    response
}

impl Door {
    /// Decides whether the request becomes a call, and answers it.
    async fn admit(self: &Arc<Self>, name: &str, request: Request, request_id: &str) -> Result<Response, Refusal> {
        let (head, body) = request.into_parts();
        if self.options.keys.is_none() {
            local_program(&head.headers)?;
        }
        let pending = self.options.keys.as_ref().map(|keys| keys.begin(&head, self.clock.now())).transpose()?;
        let body = read(body, &head.headers).await?;
        pending.map(|pending| pending.finish(&body)).transpose()?;

        let function = Function::parse(name, head.uri.query());
        let bulkhead = self.bulkheads.get(function.name).ok_or_else(|| Refusal::unknown(function.name, &self.registry))?;
        let invocation_type = InvocationType::of(&head.headers)?;
        let event = if body.is_empty() { json!({}) } else { serde_json::from_slice(&body).map_err(|error| Refusal::not_json(&error))? };
        let call = |permit| self.clone().call(function.name.to_owned(), request_id.to_owned(), event, permit);
        let permit = || bulkhead.clone().try_acquire_owned().map_err(|_| Refusal::full(function.name, self.options.calls_per_handler));
        match invocation_type {
            InvocationType::DryRun => Ok(StatusCode::NO_CONTENT.into_response()),
            InvocationType::Event => {
                self.calls.spawn(call(permit()?));
                Ok(StatusCode::ACCEPTED.into_response())
            }
            InvocationType::RequestResponse => {
                let ended = self.calls.spawn(call(permit()?)).await.map_err(|error| Refusal::broken(&error))?;
                let as_status = self.options.errors_as_status || function.errors_as_status();
                let tail = head.headers.get("x-amz-log-type").is_some_and(|value| value == "Tail");
                Ok(ended.into_response(as_status, tail))
            }
        }
    }

    /// Runs one call. It goes on when the client goes away, as on Lambda.
    async fn call(self: Arc<Self>, name: String, request_id: String, event: Value, permit: OwnedSemaphorePermit) -> Ended {
        let span = tracing::info_span!("invocation", function = %name, request_id = %request_id);
        let tail = LogTail::follow(&span);
        tail.push(&format!("START RequestId: {request_id} Version: $LATEST"));
        let started = Instant::now();
        let ctx = Ctx::new(&request_id, self.options.timeout).cancelled_by(self.cancel.clone());
        let result = async {
            let result = self.registry.invoke(&name, ctx, event).await.and_then(encode);
            if let Err(InvokeError::Handler(error)) = &result {
                tracing::warn!(error_type = error.error_type(), causes = ?error.causes(), "{name} failed: {error}");
            }
            result
        }
        .instrument(span)
        .await;
        let duration_ms = started.elapsed().as_secs_f64() * 1_000.0;
        tail.push(&format!("END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {duration_ms:.2} ms"));
        drop(permit);
        Ended { result, tail }
    }
}

/// A door without keys is for programs on this machine. A page in a browser on this machine is not one of
/// them, though it can send requests here: browsers say where a request comes from, and a name that was made
/// to point here is not a name of ours.
fn local_program(headers: &HeaderMap) -> Result<(), Refusal> {
    let browser = headers.contains_key(header::ORIGIN) || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let here = name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if browser || !here { Err(Refusal::browser()) } else { Ok(()) }
}

/// How a call ended.
struct Ended {
    result: Result<Vec<u8>, InvokeError>,
    tail: LogTail,
}

impl Ended {
    fn into_response(self, errors_as_status: bool, tail: bool) -> Response {
        let mut response = match self.result {
            Ok(body) if body.len() <= RESPONSE_LIMIT => (StatusCode::OK, body).into_response(),
            Ok(_) if errors_as_status => function_error(StatusCode::INTERNAL_SERVER_ERROR, &too_large()),
            Ok(_) => function_error(StatusCode::OK, &too_large()),
            Err(InvokeError::Handler(error)) if errors_as_status => error_as_status(&error),
            Err(InvokeError::Handler(error)) => function_error(StatusCode::OK, &error.to_json()),
            Err(unknown @ InvokeError::Unknown { .. }) => return Refusal::not_found(unknown.to_string()).into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        headers.insert("x-amz-executed-version", header::HeaderValue::from_static("$LATEST"));
        if tail {
            let encoded = BASE64_STANDARD.encode(self.tail.last_4_kib());
            headers.insert("x-amz-log-result", encoded.parse().expect("base64 is a header value"));
        }
        response
    }
}

fn encode(response: Value) -> Result<Vec<u8>, InvokeError> {
    serde_json::to_vec(&response).map_err(|error| HandlerError::Internal(error.into()).into())
}

fn function_error(status: StatusCode, error: &Value) -> Response {
    (status, [("x-amz-function-error", "Unhandled")], error.to_string()).into_response()
}

fn error_as_status(error: &HandlerError) -> Response {
    let status = StatusCode::from_u16(error.http_status()).expect("the statuses of errors are HTTP statuses");
    let mut response = function_error(status, &error.to_json());
    let headers = response.headers_mut();
    headers.insert("x-amzn-errortype", header::HeaderValue::from_static(error.error_type()));
    headers.extend(error.retry_after_seconds().map(|seconds| (header::RETRY_AFTER, seconds.into())));
    response
}

fn too_large() -> Value {
    let message = format!("Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes).");
    json!({ "errorType": "Function.ResponseSizeTooLarge", "errorMessage": message, "stackTrace": [] })
}

/// Reads a body of at most [`REQUEST_LIMIT`].
///
/// A client that is still sending does not read, so most of a larger body is taken off the wire before it is
/// refused: then the client sees why. From far too large ones nothing is read.
async fn read(body: Body, headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    const PATIENCE: usize = 8 * REQUEST_LIMIT;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > PATIENCE) {
        return Err(Refusal::too_large());
    }
    let mut stream: BodyDataStream = body.into_data_stream();
    let (mut read, mut size) = (Vec::with_capacity(announced.unwrap_or(0).min(REQUEST_LIMIT)), 0);
    while let Some(chunk) = stream.next().await {
        let chunk: Bytes = chunk.map_err(|error| Refusal::unreadable(&error))?;
        size += chunk.len();
        if size > PATIENCE {
            break;
        }
        if size <= REQUEST_LIMIT {
            read.extend_from_slice(&chunk);
        }
    }
    if size > REQUEST_LIMIT { Err(Refusal::too_large()) } else { Ok(read) }
}
