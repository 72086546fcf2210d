//! The REST API, version 1, under `/api/v1`: bearer tokens, JSON, problems as RFC 9457, live events as Server-Sent
//! Events, described by `/api/v1/openapi.json`.

mod create;
mod dead;
mod extract;
mod guard;
mod hub;
mod jobs;
mod limits;
mod model;
mod money;
mod openapi;
mod problem;
mod queue;
mod records;
mod schedules;
mod steer;
mod stream;
mod workers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use config::Services;
use dispatch::Registry;
use domain::NewJob;
use serde::Serialize;
use store::Db;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use hub::Hub;
use limits::Rate;
use problem::{Kind, Problem};

/// Where the API lies.
pub const BASE: &str = "/api/v1";
/// The one path that is open to everybody.
const OPENAPI_PATH: &str = "/openapi.json";

/// The largest body.
const MOST_BODY_BYTES: usize = 1024 * 1024;
/// How long a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(15);
/// How long a request may take until its answer begins.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often a comment is sent down a stream on which nothing happens, so that what lies between keeps it open.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What may be set.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Take the caller's address from the last entry of `X-Forwarded-For`: a balancer stands before the server.
    pub forwarded_for: bool,
    /// Requests per second of one address, and at once.
    pub address_rate: (u32, u32),
    /// Requests per second of one token, and at once.
    pub token_rate: (u32, u32),
    /// Requests under way at the same time.
    pub requests: usize,
    /// Streams open at the same time.
    pub streams: usize,
    /// Time between two heartbeats of a stream.
    pub heartbeat: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { forwarded_for: false, address_rate: (100, 400), token_rate: (50, 200), requests: 64, streams: 200, heartbeat: HEARTBEAT }
    }
}

/// The API. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

/// What `enqueue` would say of a job: what is wrong with it.
type CheckJob = dyn Fn(&NewJob) -> Result<(), String> + Send + Sync;

/// What the endpoints work with.
pub struct Inner {
    db: Db,
    registry: Registry,
    check_job: Box<CheckJob>,
    options: Options,
    addresses: Rate<IpAddr>,
    holders: Rate<String>,
    places: Semaphore,
    streams: Arc<Semaphore>,
    hub: Hub,
    shutdown: CancellationToken,
}

impl std::ops::Deref for Api {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Api {
    /// An API on `db`. New jobs go through the handler `enqueue` of `registry`. Streams end at `shutdown`.
    ///
    /// # Errors
    /// A file of models that cannot be used.
    pub fn new(services: &Services, db: Db, registry: Registry, options: Options, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let (models, local_remotes) = (services.models()?, services.settings.local_remotes);
        Ok(Self(Arc::new(Inner {
            check_job: Box::new(move |job| enqueue::check(job, &models, local_remotes)),
            registry,
            options,
            addresses: Rate::new(options.address_rate.0, options.address_rate.1),
            holders: Rate::new(options.token_rate.0, options.token_rate.1),
            places: Semaphore::new(options.requests),
            streams: Arc::new(Semaphore::new(options.streams)),
            hub: Hub::new(db.clone(), shutdown.clone()),
            shutdown,
            db,
        })))
    }

    /// Whether `enqueue` would take a job.
    fn check(&self, job: &NewJob) -> Result<(), String> {
        (self.check_job)(job)
    }

    /// Its routes, [`BASE`] included.
    pub fn router(&self) -> Router {
        let (router, document) = endpoints().split_for_parts();
        let document = openapi::finished(document);
        let router = router
            .route(OPENAPI_PATH, get(async || ([(header::CONTENT_TYPE, "application/json")], document)))
            .fallback(nothing_here)
            .method_not_allowed_fallback(not_so)
            .layer(from_fn_with_state(self.clone(), guard::guard))
            .with_state(self.clone());
        Router::new().nest(BASE, router)
    }
}

/// Every endpoint, once: its route and its description.
fn endpoints() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(jobs::list, create::create))
        .routes(routes!(jobs::show))
        .routes(routes!(records::events))
        .routes(routes!(records::steps))
        .routes(routes!(records::ledger))
        .routes(routes!(steer::stop))
        .routes(routes!(steer::retry))
        .routes(routes!(steer::requeue))
        .routes(routes!(steer::hint))
        .routes(routes!(dead::redrive))
        .routes(routes!(dead::discard))
        .routes(routes!(steer::bulk))
        .routes(routes!(dead::list))
        .routes(routes!(dead::redrive_all))
        .routes(routes!(dead::discard_all))
        .routes(routes!(queue::lanes))
        .routes(routes!(queue::limit))
        .routes(routes!(queue::gates, queue::pause, queue::resume))
        .routes(routes!(workers::list))
        .routes(routes!(money::budgets, money::set, money::remove))
        .routes(routes!(money::costs))
        .routes(routes!(money::verify))
        .routes(routes!(schedules::list, schedules::add))
        .routes(routes!(schedules::show, schedules::remove))
        .routes(routes!(schedules::enable))
        .routes(routes!(schedules::disable))
        .routes(routes!(schedules::run))
        .routes(routes!(stream::stream))
}

/// The description of the API: an OpenAPI document in JSON, as `/api/v1/openapi.json` gives it.
pub fn openapi_document() -> String {
    openapi::finished(endpoints().split_for_parts().1)
}

async fn nothing_here(request: Request) -> Problem {
    Problem::new(Kind::NotFound, format!("nothing answers {} {BASE}{}", request.method(), request.uri().path()))
}

async fn not_so(request: Request) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{BASE}{} does not know {}", request.uri().path(), request.method()))
}

/// An answer in JSON.
struct Json<T>(T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}
