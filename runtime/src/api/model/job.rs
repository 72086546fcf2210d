//! Jobs as they are asked for and listed.

use domain::{Caps, JobInput, Kind, Mode, OutcomeName, QueueState};
use serde::{Deserialize, Serialize};
use store::listing::{Line, State};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::whole::{number, number_or_null};

/// A job to be done. Everything but `repository` and `input.title` has a default.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateJob {
    /// `owner/name`; also the lane in which its jobs queue.
    #[schema(pattern = r"^[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}/[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}$", example = "acme/shop")]
    pub(crate) repository: String,
    /// Where to clone from and push to, where the forge does not know it: `https://…`, `http://…`, `ssh://…`,
    /// `user@host:path` or a path, which a server can refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = r"^((https?|ssh)://([^\s/@]+@)?[A-Za-z0-9\[][^\s/@]*(/\S*)?|file:///\S*|(?!-)(?!.*(::|://))[^\x00-\x1f\x7f-\x9f]+)$"
    )]
    pub(crate) remote: Option<String>,
    /// The request.
    pub(crate) input: Input,
    /// What it should produce.
    #[serde(default)]
    #[schema(value_type = JobKind, required = false)]
    pub(crate) kind: Kind,
    /// Who should do it; without it triage decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<JobMode>)]
    pub(crate) mode: Option<Mode>,
    /// The model to use, by its name in the price table; without it the mode's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// Lower caps than the mode's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) caps: Option<JobCaps>,
    /// Smaller runs first.
    #[serde(default, deserialize_with = "number")]
    #[schema(required = false, minimum = -32768, maximum = 32767)]
    pub(crate) priority: i16,
}

/// What is asked for, frozen as of now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// One line.
    #[schema(min_length = 1, max_length = 300, pattern = r"^[^\r\n]*[^\s][^\r\n]*$", example = "Round prices half up")]
    title: String,
    /// Markdown; may be empty; at most 256 KiB.
    #[serde(default)]
    #[schema(required = false)]
    body: String,
    /// The issue or pull request that asked, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number_or_null")]
    #[schema(minimum = 0, maximum = 9007199254740991_u64)]
    number: Option<u64>,
    /// The login of the person who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requester: Option<String>,
    /// The branch to start from, for a review the one that the change is to be merged into; without it the repository's default
    /// branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// For a review: the branch with the change; without it what pull request `number` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
}

impl From<JobInput> for Input {
    fn from(input: JobInput) -> Self {
        let JobInput { title, body, number, requester, base, head, is_pull_request: _ } = input;
        Self { title, body, number, requester, base, head }
    }
}

impl Input {
    /// Whether a job that was written down asks for the same. NUL cannot be stored: it becomes U+FFFD.
    pub(crate) fn same_as(&self, stored: &JobInput) -> bool {
        let text = |text: &str| text.replace('\0', "\u{fffd}");
        let maybe = |asked: &Option<String>| asked.as_deref().map(text);
        (text(&self.title), text(&self.body), self.number) == (stored.title.clone(), stored.body.clone(), stored.number)
            && (maybe(&self.requester), maybe(&self.base)) == (stored.requester.clone(), stored.base.clone())
            && maybe(&self.head) == stored.head
    }
}

/// What became of a request for a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobAccepted {
    /// The job.
    pub(crate) job_id: Uuid,
    /// Whether this request made it; `false` = an earlier one with the same key did.
    pub(crate) new: bool,
}

/// Which team of workers does a job.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the schema of `domain::Mode`, which knows nothing of schemas")]
pub(crate) enum JobMode {
    Mechanic,
    Genius,
}

/// What a job produces: a pull request, a comment with findings, a review, an answer.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the schema of `domain::Kind`")]
pub(crate) enum JobKind {
    Change,
    Analysis,
    Review,
    Question,
}

/// How a job ended.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the schema of `domain::OutcomeName`")]
pub(crate) enum JobOutcome {
    Succeeded,
    Capped,
    Failed,
    Stopped,
    Dead,
    Refused,
}

/// The limits of one job. Tokens count what is new; time is model and tool time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobCaps {
    #[serde(deserialize_with = "number")]
    #[schema(minimum = 0, maximum = 4294967295_u64)]
    steps: u32,
    #[serde(deserialize_with = "number")]
    #[schema(minimum = 0, maximum = 9007199254740991_u64)]
    tokens: u64,
    /// In millionths of a US dollar.
    #[serde(deserialize_with = "number")]
    #[schema(minimum = -9007199254740991_i64, maximum = 9007199254740991_u64)]
    cost_microusd: i64,
    #[serde(deserialize_with = "number")]
    #[schema(minimum = 0, maximum = 9007199254740991_u64)]
    active_ms: u64,
}

impl From<Caps> for JobCaps {
    fn from(caps: Caps) -> Self {
        Self { steps: caps.steps, tokens: caps.tokens, cost_microusd: caps.cost_microusd.0, active_ms: caps.active_ms }
    }
}

/// Where a job stands: in the queue (a dead job rests there until it is redriven or discarded), or finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    Ready,
    Leased,
    Waiting,
    Dead,
    Finished,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Queued(QueueState::Ready) => Self::Ready,
            State::Queued(QueueState::Leased) => Self::Leased,
            State::Queued(QueueState::Waiting) => Self::Waiting,
            State::Queued(QueueState::Dead) => Self::Dead,
            State::Finished => Self::Finished,
        }
    }
}

impl From<JobState> for &'static str {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Ready => "ready",
            JobState::Leased => "leased",
            JobState::Waiting => "waiting",
            JobState::Dead => "dead",
            JobState::Finished => "finished",
        }
    }
}

impl From<JobState> for State {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Ready => Self::Queued(QueueState::Ready),
            JobState::Leased => Self::Queued(QueueState::Leased),
            JobState::Waiting => Self::Queued(QueueState::Waiting),
            JobState::Dead => Self::Queued(QueueState::Dead),
            JobState::Finished => Self::Finished,
        }
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobsQuery {
    /// Only jobs that stand so.
    #[param(inline)]
    pub(crate) state: Option<JobState>,
    /// Only jobs of this repository, `owner/name`.
    #[param(pattern = r"^[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}/[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}$")]
    pub(crate) repository: Option<String>,
    /// Only jobs of this mode.
    #[param(value_type = Option<JobMode>, inline)]
    pub(crate) mode: Option<Mode>,
    /// Only jobs that produce this.
    #[param(value_type = Option<JobKind>, inline)]
    pub(crate) kind: Option<Kind>,
    /// Only jobs that ended so.
    #[param(value_type = Option<JobOutcome>, inline)]
    pub(crate) outcome: Option<OutcomeName>,
    /// Only jobs written at this time or later (RFC 3339).
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(crate) since: Option<OffsetDateTime>,
    /// Where to go on: `next` of the page before.
    #[param(pattern = "^b[0-9a-f]{32}$")]
    pub(crate) cursor: Option<String>,
    /// The most jobs on a page; 50.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<u32>,
}

impl JobsQuery {
    /// The same query, going on at `cursor`.
    pub(crate) fn with_cursor(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(state) = self.state {
            query.append_pair("state", state.into());
        }
        if let Some(repository) = &self.repository {
            query.append_pair("repository", repository);
        }
        if let Some(mode) = self.mode {
            query.append_pair("mode", mode.into());
        }
        if let Some(kind) = self.kind {
            query.append_pair("kind", kind.into());
        }
        if let Some(outcome) = self.outcome {
            query.append_pair("outcome", outcome.into());
        }
        if let Some(since) = self.since.and_then(|since| since.format(&Rfc3339).ok()) {
            query.append_pair("since", &since);
        }
        if let Some(limit) = self.limit {
            query.append_pair("limit", &limit.to_string());
        }
        query.append_pair("cursor", cursor).finish()
    }
}

/// A part of a list, the newest jobs first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobPage {
    /// The jobs. With a filter there can be fewer than asked for, even none, and more to come.
    pub(crate) jobs: Vec<JobLine>,
    /// The cursor of the next page; null = this was all. The header `Link` has the whole address.
    #[schema(required)]
    pub(crate) next: Option<String>,
}

/// A job in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobLine {
    job_id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    repository: String,
    #[schema(value_type = JobKind)]
    kind: Kind,
    /// null until triage decides.
    #[schema(value_type = Option<JobMode>, required)]
    mode: Option<Mode>,
    /// The request's first line.
    title: String,
    state: JobState,
    /// What a waiting job waits for: triage, budget, answer, snooze.
    #[schema(required)]
    waiting_for: Option<String>,
    #[schema(value_type = Option<JobOutcome>, required)]
    outcome: Option<OutcomeName>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    finished_at: Option<OffsetDateTime>,
    /// So far.
    steps: i32,
    /// So far, in millionths of a US dollar.
    cost_microusd: i64,
}

impl From<Line> for JobLine {
    fn from(line: Line) -> Self {
        Self {
            job_id: line.job_id.0,
            created_at: line.created_at,
            repository: line.repository,
            kind: line.kind,
            mode: line.mode,
            title: line.title,
            state: line.state.into(),
            waiting_for: line.waiting_for,
            outcome: line.outcome,
            finished_at: line.finished_at,
            steps: line.steps,
            cost_microusd: line.cost_microusd.0,
        }
    }
}
