//! Budgets, costs, and whether the ledger holds.

use axum::extract::State;
use axum::http::StatusCode;
use domain::MicroUsd;
use store::budgets as budget_table;
use store::cost::cost;
use store::ledger;

use super::extract::{Body, OptionalBody, Query};
use super::guard::{Admin, Allowed, JobsRead};
use super::model::{Budgets, Costs, CostsQuery, MOST_LIMIT_MICROUSD, ScopeQuery, SetBudget, Verification, Verify, scope};
use super::problem::{Kind, Problem};
use super::{Api, Json};

/// List the daily budgets, with what today has used of them.
#[utoipa::path(
    get, path = "/budgets", operation_id = "list_budgets", tag = "money", security(("token" = ["jobs:read"])),
    responses((status = 200, description = "All of them, by scope", body = Budgets)),
)]
pub(crate) async fn budgets(_: Allowed<JobsRead>, State(api): State<Api>) -> Result<Json<Budgets>, Problem> {
    all(&api).await
}

/// Set what a scope may spend on a UTC day. What today has spent already counts.
#[utoipa::path(
    put, path = "/budgets", operation_id = "set_budget", tag = "money", request_body = SetBudget, security(("token" = ["admin"])),
    responses((status = 200, description = "All budgets as they are now", body = Budgets)),
)]
pub(crate) async fn set(_: Allowed<Admin>, State(api): State<Api>, Body(budget): Body<SetBudget>) -> Result<Json<Budgets>, Problem> {
    let scope = scope(&budget.scope).map_err(|wrong| Problem::field("/scope", wrong))?;
    if !(0..=MOST_LIMIT_MICROUSD).contains(&budget.limit_microusd) {
        return Err(Problem::field("/limit_microusd", format!("expected 0 to {MOST_LIMIT_MICROUSD}")));
    }
    budget_table::set(&api.db, &scope, MicroUsd(budget.limit_microusd)).await?;
    all(&api).await
}

/// Take a budget away: the scope may spend without a limit.
#[utoipa::path(
    delete, path = "/budgets", operation_id = "remove_budget", tag = "money", params(ScopeQuery), security(("token" = ["admin"])),
    responses((status = 204, description = "It is gone")),
)]
pub(crate) async fn remove(_: Allowed<Admin>, State(api): State<Api>, Query(query): Query<ScopeQuery>) -> Result<StatusCode, Problem> {
    let scope = query.checked()?;
    match budget_table::remove(&api.db, &scope).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(Kind::NotFound, format!("there is no budget of {scope}"))),
    }
}

async fn all(api: &Api) -> Result<Json<Budgets>, Problem> {
    let budgets = budget_table::list(&api.db).await?;
    Ok(Json(Budgets { budgets: budgets.into_iter().map(Into::into).collect() }))
}

/// Add up what was paid, by repository, model, mode or day.
#[utoipa::path(
    get, path = "/costs", operation_id = "add_up_costs", tag = "money", params(CostsQuery), security(("token" = ["jobs:read"])),
    responses((status = 200, description = "One line for each", body = Costs)),
)]
pub(crate) async fn costs(_: Allowed<JobsRead>, State(api): State<Api>, Query(query): Query<CostsQuery>) -> Result<Json<Costs>, Problem> {
    let (from, to) = query.days()?;
    let costs = cost(&api.db, query.by.into(), from, to).await?;
    Ok(Json(Costs { costs: costs.into_iter().map(Into::into).collect() }))
}

/// Recompute the chains of the ledger, and say where they break.
#[utoipa::path(
    post, path = "/ledger/verify", operation_id = "verify_ledger", tag = "money", request_body = Option<Verify>, security(("token" = ["admin"])),
    responses((status = 200, description = "What was found", body = Verification)),
)]
pub(crate) async fn verify(
    _: Allowed<Admin>,
    State(api): State<Api>,
    OptionalBody(asked): OptionalBody<Option<Verify>>,
) -> Result<Json<Verification>, Problem> {
    let verified = match asked.unwrap_or_default().full {
        true => ledger::verify(&api.db, None).await?,
        false => ledger::verify_new(&api.db).await?,
    };
    Ok(Json(verified.into()))
}
