//! Lanes and gates.

use domain::Scope;
use github::RepositoryName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::gates;
use store::lanes;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::whole::number_or_null;
use crate::api::problem::Problem;

/// Lanes by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Lanes {
    pub(crate) lanes: Vec<Lane>,
}

/// The queue of one repository. Lanes take turns.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Lane {
    repository: String,
    /// At most so many of its jobs run at the same time; null = as many as there are workers.
    #[schema(required)]
    max_running: Option<i32>,
    /// Jobs that a worker may take now, or when their pause is over.
    ready: i64,
    /// Jobs that a worker holds.
    running: i64,
    /// Jobs that wait for triage, a budget, an answer or a time.
    waiting: i64,
    /// Jobs that were given up.
    dead: i64,
}

impl From<lanes::Lane> for Lane {
    fn from(lane: lanes::Lane) -> Self {
        let lanes::Lane { repository, max_running, ready, running, waiting, dead } = lane;
        Self { repository, max_running, ready, running, waiting, dead }
    }
}

/// How many jobs of a repository may run at the same time.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaneLimit {
    /// null = as many as there are workers.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(required, minimum = 1, maximum = 65535)]
    max_running: Option<u16>,
}

impl LaneLimit {
    pub(crate) fn checked(self) -> Result<Option<u16>, Problem> {
        match self.max_running {
            Some(0) => Err(Problem::field("/max_running", "0 jobs are a pause: POST /gates, or expected 1 to 65535 or null")),
            limit => Ok(limit),
        }
    }
}

/// The limit of a lane.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Limited {
    pub(crate) repository: String,
    #[schema(required)]
    pub(crate) max_running: Option<u16>,
}

/// Closed gates by scope.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Gates {
    pub(crate) gates: Vec<Gate>,
}

/// What keeps the jobs of a scope from being started.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Gate {
    /// `all`, `mode:mechanic`, `mode:genius` or `repository:owner/name`.
    scope: String,
    /// paused, budget; more may come.
    reason: String,
    /// null = until somebody opens it.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    until: Option<OffsetDateTime>,
    /// Who closed it and why, or how the budget stands; alarm = the number of the alarm that closed it.
    #[schema(value_type = Object)]
    detail: Value,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl From<gates::Gate> for Gate {
    fn from(gate: gates::Gate) -> Self {
        let gates::Gate { scope, reason, until, detail, created_at } = gate;
        Self { scope: scope.into(), reason, until, detail, created_at }
    }
}

/// What to pause.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pause {
    /// `all`, `mode:mechanic`, `mode:genius` or `repository:owner/name`.
    #[schema(
        pattern = r"^(all|mode:(mechanic|genius)|repository:[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}/[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99})$",
        example = "repository:acme/shop"
    )]
    pub(crate) scope: String,
    /// For whoever wonders.
    pub(crate) why: Option<String>,
}

/// Which part of the work.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScopeQuery {
    /// `all`, `mode:mechanic`, `mode:genius` or `repository:owner/name`.
    #[param(
        pattern = r"^(all|mode:(mechanic|genius)|repository:[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}/[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99})$",
        example = "repository:acme/shop"
    )]
    scope: String,
}

impl ScopeQuery {
    pub(crate) fn checked(&self) -> Result<Scope, Problem> {
        scope(&self.scope).map_err(|wrong| Problem::parameter("scope", wrong))
    }
}

/// A scope by its text.
pub(crate) fn scope(text: &str) -> Result<Scope, String> {
    let scope: Scope = text.parse().map_err(|error: domain::NoScope| error.to_string())?;
    if let Scope::Repository(name) = &scope {
        RepositoryName::parse(name.as_str()).map_err(|error| error.to_string())?;
    }
    Ok(scope)
}

/// A scope that is no longer paused.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Opened {
    pub(crate) scope: String,
    /// Whether it was paused, or closed by an alarm.
    pub(crate) was_paused: bool,
}
