//! Live events as Server-Sent Events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use domain::JobId;
use github::RepositoryName;
use serde::Deserialize;
use store::feed::{self, Cursor, Fed, Filter};
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use super::Api;
use super::extract::Query;
use super::guard::{Allowed, Caller, JobsRead, check};
use super::hub::Told;
use super::model::StreamedEvent;
use super::problem::{Kind, Problem};

/// How many events of the past are read at once.
const PAGE: u32 = 200;
/// How long a client waits before it comes back.
const RETRY_MS: u32 = 2_000;

/// Which events to follow.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Only those of this job.
    job: Option<uuid::Uuid>,
    /// Only those of jobs in this repository, `owner/name`.
    repository: Option<String>,
}

/// Follow what happens, as Server-Sent Events.
///
/// Without `Last-Event-ID` the stream begins now; with the id of an event it goes on after it, without loss and
/// without repetition. Each event has an `id` and one line of `data`: a `StreamedEvent` in JSON. Every 15 s without
/// events a comment is sent. The server may end a stream at any time, above all that of a client who does not read: come
/// back with the last id.
#[utoipa::path(
    get, path = "/events", operation_id = "follow_events", tag = "events", security(("token" = ["jobs:read"])),
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "Where to go on: the last id that was seen")),
    responses((status = 200, description = "The stream", content_type = "text/event-stream", body = String)),
)]
pub(crate) async fn stream(
    allowed: Allowed<JobsRead>,
    State(api): State<Api>,
    headers: HeaderMap,
    Query(query): Query<StreamQuery>,
) -> Result<Response, Problem> {
    if let Some(repository) = &query.repository {
        RepositoryName::parse(repository).map_err(|error| Problem::parameter("repository", error.to_string()))?;
    }
    let place = last_event_id(&headers)?;
    let slot = api.streams.clone().try_acquire_owned();
    let slot = slot.map_err(|_| Problem::new(Kind::Unavailable, "too many streams are open").retry_after(5))?;
    let (told, head) = api.hub.follow().await?;
    let following = Following {
        filter: Filter { job_id: query.job.map(JobId), repository: query.repository },
        place: place.unwrap_or(head),
        shown: None,
        head,
        told,
        beat_at: Instant::now() + api.options.heartbeat,
        opened: false,
        caller: allowed.caller,
        api,
        _slot: slot,
    };
    let body = futures_util::stream::unfold(following, async |mut following| {
        let text = following.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), following))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, [("x-accel-buffering", "no")], Body::from_stream(body)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Cursor>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or("?");
    match text.parse() {
        _ if text.is_empty() => Ok(None),
        Ok(place) => Ok(Some(place)),
        Err(error) => Err(Problem::parameter("Last-Event-ID", error.to_string())),
    }
}

/// One client's stream. It is asked for its next text only when the client has room for it, so nothing piles up here. A
/// client that takes nothing at all is cut off by its connection.
struct Following {
    api: Api,
    caller: Caller,
    filter: Filter,
    /// Up to here everything has been looked at.
    place: Cursor,
    /// The last place that the client was told.
    shown: Option<Cursor>,
    /// What lies before is read from the table, what comes after is told by the hub.
    head: Cursor,
    told: broadcast::Receiver<Told>,
    /// When a heartbeat is due.
    beat_at: Instant,
    opened: bool,
    _slot: OwnedSemaphorePermit,
}

impl Following {
    /// What is to be sent next; `None` = the stream ends.
    async fn next(&mut self) -> Option<String> {
        if !self.opened {
            self.opened = true;
            // With an id from the start, so that who is cut off before the first event loses none either.
            self.shown = Some(self.place);
            return Some(format!("retry: {RETRY_MS}\nid: {}\n\n", self.place));
        }
        loop {
            if self.api.shutdown.is_cancelled() {
                return None;
            }
            if self.place < self.head {
                match self.read_past().await? {
                    text if text.is_empty() => {}
                    text => return Some(text),
                }
                continue;
            }
            tokio::select! {
                biased;
                () = self.api.shutdown.cancelled() => return None,
                told = self.told.recv() => match told {
                    Ok(Told::Event(event)) => {
                        if let Some(text) = self.live(&event) {
                            return Some(text);
                        }
                    }
                    Ok(Told::Over) | Err(broadcast::error::RecvError::Closed) => return None,
                    // More was told than is kept for a client that reads slowly: it goes on from the table, at its own pace.
                    Err(broadcast::error::RecvError::Lagged(_)) => self.follow().await?,
                },
                () = sleep_until(self.beat_at) => return self.beat().await,
            }
        }
    }

    /// Listens anew; what was told meanwhile is read from the table.
    async fn follow(&mut self) -> Option<()> {
        let following = self.api.hub.follow().await;
        (self.told, self.head) = following.inspect_err(|error| tracing::warn!("a stream is ended: {error}")).ok()?;
        Some(())
    }

    /// The next events of the past; empty where none of them is wanted.
    async fn read_past(&mut self) -> Option<String> {
        let page = feed::page(&self.api.db, self.place, Some(self.head), &self.filter, PAGE).await;
        let page = page.inspect_err(|error| tracing::warn!("a stream is ended: {error}")).ok()?;
        self.place = if page.more { page.next } else { page.next.max(self.head) };
        if page.events.is_empty() && Instant::now() >= self.beat_at {
            return self.beat().await;
        }
        Some(page.events.iter().map(|event| self.show(event)).collect())
    }

    fn live(&mut self, event: &Arc<Fed>) -> Option<String> {
        // What the table gave already.
        if event.cursor <= self.place {
            return None;
        }
        self.place = event.cursor;
        self.filter.passes(event).then(|| self.show(event))
    }

    fn show(&mut self, event: &Fed) -> String {
        self.shown = Some(event.cursor);
        self.beat_at = Instant::now() + self.api.options.heartbeat;
        let data = serde_json::to_string(&StreamedEvent::from(event)).expect("an event has string keys and no failing serializer");
        format!("id: {}\ndata: {data}\n\n", event.cursor)
    }

    /// A comment that keeps the connection open, with the place where to go on if none was told for long. Whoever lost
    /// the right to listen meanwhile hears no more.
    async fn beat(&mut self) -> Option<String> {
        if let Err(problem) = check(&self.api, self.caller.token.clone()).await {
            tracing::info!(token.id = self.caller.token.id, "a stream is ended: {}", problem.detail());
            return None;
        }
        self.beat_at = Instant::now() + self.api.options.heartbeat;
        if self.shown == Some(self.place) {
            return Some(": still here\n\n".to_owned());
        }
        self.shown = Some(self.place);
        Some(format!(": still here\nid: {}\n\n", self.place))
    }
}
