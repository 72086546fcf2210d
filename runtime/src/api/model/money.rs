//! Money.

use serde::{Deserialize, Serialize};
use store::ledger::Verified;
use store::{budgets, cost};
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::whole::number;
use crate::api::problem::Problem;

/// The largest budget: a billion dollars a day.
pub(crate) const MOST_LIMIT_MICROUSD: i64 = 1_000_000_000_000_000;

/// Budgets by scope.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Budgets {
    pub(crate) budgets: Vec<Budget>,
}

/// What a scope may spend on a UTC day, and has spent today, in millionths of a US dollar.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Budget {
    /// `all`, `mode:mechanic`, `mode:genius` or `repository:owner/name`.
    scope: String,
    limit_microusd: i64,
    /// Held back for calls under way.
    reserved_microusd: i64,
    /// Paid.
    settled_microusd: i64,
    /// Until when no job of it is started, since it is used up; null = its jobs run.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    closed_until: Option<OffsetDateTime>,
}

impl From<budgets::Budget> for Budget {
    fn from(budget: budgets::Budget) -> Self {
        let budgets::Budget { scope, limit_microusd, reserved_microusd, settled_microusd, closed_until } = budget;
        Self {
            scope: scope.into(),
            limit_microusd: limit_microusd.0,
            reserved_microusd: reserved_microusd.0,
            settled_microusd: settled_microusd.0,
            closed_until,
        }
    }
}

/// A daily budget.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetBudget {
    /// `all`, `mode:mechanic`, `mode:genius` or `repository:owner/name`.
    #[schema(
        pattern = r"^(all|mode:(mechanic|genius)|repository:[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}/[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99})$",
        example = "all"
    )]
    pub(crate) scope: String,
    /// In millionths of a US dollar.
    #[serde(deserialize_with = "number")]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_000_u64, example = 20_000_000)]
    pub(crate) limit_microusd: i64,
}

/// By what costs are added up, and of which days.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CostsQuery {
    #[param(inline)]
    pub(crate) by: CostsBy,
    /// The first UTC day, `YYYY-MM-DD`; without it the first of all.
    #[param(format = Date)]
    from: Option<String>,
    /// The last UTC day; without it today.
    #[param(format = Date)]
    to: Option<String>,
}

impl CostsQuery {
    pub(crate) fn days(&self) -> Result<(Option<Date>, Option<Date>), Problem> {
        Ok((day("from", self.from.as_deref())?, day("to", self.to.as_deref())?))
    }
}

fn day(name: &str, text: Option<&str>) -> Result<Option<Date>, Problem> {
    let parse = |text| Date::parse(text, format_description!("[year]-[month]-[day]"));
    text.map(parse).transpose().map_err(|_| Problem::parameter(name, "expected a day such as 2026-11-30"))
}

/// By what costs are added up.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CostsBy {
    Repository,
    Model,
    Mode,
    Day,
}

impl From<CostsBy> for cost::By {
    fn from(by: CostsBy) -> Self {
        match by {
            CostsBy::Repository => Self::Repository,
            CostsBy::Model => Self::Model,
            CostsBy::Mode => Self::Mode,
            CostsBy::Day => Self::Day,
        }
    }
}

/// Costs, a line for each repository, model, mode or day.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Costs {
    pub(crate) costs: Vec<Cost>,
}

/// What was paid for one repository, model, mode or day.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Cost {
    /// Which; null = jobs that are gone, or have no mode.
    #[schema(required)]
    key: Option<String>,
    /// Model calls that were paid.
    calls: i64,
    /// Tokens.
    uncached_input: i64,
    cache_read: i64,
    cache_write: i64,
    output: i64,
    /// In millionths of a US dollar.
    paid_microusd: i64,
    /// Held back for calls under way or lost.
    held_microusd: i64,
}

impl From<cost::Cost> for Cost {
    fn from(cost: cost::Cost) -> Self {
        let cost::Cost { key, calls, uncached_input, cache_read, cache_write, output, paid_microusd, held_microusd } = cost;
        let (paid_microusd, held_microusd) = (paid_microusd.0, held_microusd.0);
        Self { key, calls, uncached_input, cache_read, cache_write, output, paid_microusd, held_microusd }
    }
}

/// How much of the ledger to verify.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    /// All of it, and not only what was anchored since the last time that nothing was wrong.
    #[serde(default)]
    #[schema(required = false)]
    pub(crate) full: bool,
}

/// What a verification of the ledger found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Verification {
    /// Whether nothing is wrong.
    holds: bool,
    /// Jobs whose chain was recomputed.
    jobs: u64,
    /// Rows whose hash was recomputed.
    rows: u64,
    /// Anchors whose hash was recomputed.
    anchors: u64,
    /// Parts that retention dropped, as the anchors say.
    retired: Vec<String>,
    /// Where chains break.
    faults: Vec<ChainFault>,
    /// Where the chain of the anchors breaks.
    anchor_faults: Vec<AnchorFault>,
}

/// Where the chain of a job breaks.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChainFault {
    job_id: Uuid,
    seq: i64,
    what: String,
}

/// Where the chain of the anchors breaks.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AnchorFault {
    anchor_no: i64,
    what: String,
}

impl From<Verified> for Verification {
    fn from(verified: Verified) -> Self {
        let holds = verified.holds();
        let Verified { jobs, rows, anchors, retired, faults, anchor_faults } = verified;
        let faults = faults.into_iter().map(|fault| ChainFault { job_id: fault.job_id.0, seq: fault.seq, what: fault.what });
        let anchor_faults = anchor_faults.into_iter().map(|fault| AnchorFault { anchor_no: fault.anchor_no, what: fault.what });
        Self { holds, jobs, rows, anchors, retired, faults: faults.collect(), anchor_faults: anchor_faults.collect() }
    }
}
