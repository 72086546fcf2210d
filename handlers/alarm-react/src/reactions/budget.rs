//! Money runs out: people are told, and when it has run out, jobs of a genius wait until the time of the budget is over.
//!
//! The budgets of the product close by themselves: a scope of which less than 1 % is left takes no new job until midnight, whether or
//! not an alarm goes off. What is added here is what such an alarm knows beyond that: the bill of AWS.

use std::fmt::Write;

use async_trait::async_trait;
use config::failure;
use dispatch::HandlerError;
use domain::{AlarmAction, AlarmChange, Mode, Period, Scope};
use store::alarms;
use store::budgets::{self, Budget as Spent};
use time::OffsetDateTime;

use super::Reaction;
use crate::course::Course;

pub(super) struct Budget;

#[async_trait]
impl Reaction for Budget {
    fn suffix(&self) -> &'static str {
        "budget"
    }

    fn intends(&self) -> &'static str {
        "tell people, and let new jobs of a genius wait if the budget is used up"
    }

    /// Of AWS Budgets by what it tells, whatever the budget is called.
    fn answers(&self, change: &AlarmChange) -> bool {
        let suffix = self.suffix();
        change.spending.is_some() || change.name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
    }

    async fn react(&self, course: &mut Course<'_>) -> Result<(), HandlerError> {
        let with = course.with;
        let budgets = budgets::list(&with.db).await.map_err(failure::of_store)?;
        let closed = closes(course.change, &budgets, with.clock.now());
        if let Some((until, why)) = &closed
            && !course.actions().iter().any(|action| matches!(action, AlarmAction::ClosedGate { .. }))
        {
            let gate = alarms::close_gate(&with.db, &course.held, &Scope::Mode(Mode::Genius), *until, why).await;
            course.took(gate.map(|action| action.map(|action| vec![action])))?;
        }
        let mut text = course.happened();
        if !budgets.is_empty() {
            text.push_str("\nThe budgets of this UTC day:\n");
        }
        for budget in &budgets {
            let closed = if budget.closed_until.is_some() { ", closed until midnight UTC" } else { "" };
            let (percent, used, limit) = (budget.used_percent(), budget.used_microusd(), budget.limit_microusd);
            let _ = writeln!(text, "- {}: {percent:.1} %, {used} of {limit}{closed}", budget.scope);
        }
        text.push_str(&course.done());
        text.push_str("\nWhat you can type: `codeteam cost` shows what was paid for, `codeteam budget list` what is left, `codeteam pause mode:genius` holds jobs back.\n");
        if closed.is_some() {
            text.push_str(
                "Jobs of a genius run again before that time after `codeteam resume mode:genius`, or after `codeteam budget set mode:genius \
                 DOLLARS`: so much a day from then on.\n",
            );
        }
        let percent = percent(course.change, &budgets).map(|percent| format!("{percent:.0} % are used")).unwrap_or_default();
        let subject = format!("{}: {percent}", course.change.name);
        course.tell(subject.trim_end_matches([':', ' ']), &text).await
    }
}

/// How much is used, by whoever says the most.
fn percent(change: &AlarmChange, budgets: &[Spent]) -> Option<f64> {
    let told = change.spending.as_ref().map(domain::Spending::percent).or(change.value);
    match change.spending {
        Some(_) => told,
        None => budgets.iter().map(Spent::used_percent).chain(told).reduce(f64::max),
    }
}

/// Until when jobs of a genius wait, and why; `None` = they do not.
///
/// Of AWS Budgets when what was spent reaches the budget, not when a forecast does. Of the product's own budgets when one that a genius
/// spends from is used up; one of a repository or of the mechanics closes its own scope and nobody else's.
fn closes(change: &AlarmChange, budgets: &[Spent], now: OffsetDateTime) -> Option<(OffsetDateTime, String)> {
    const ALL_OF_IT: f64 = 100.0;
    if let Some(spending) = &change.spending {
        let until = spending.period.end(change.changed_at);
        let is_spent = !spending.is_forecast && spending.percent() >= ALL_OF_IT;
        return (is_spent && until > now).then(|| (until, format!("AWS budget {}: {}", change.name, change.reason)));
    }
    let used_up: Vec<&Spent> = budgets.iter().filter(|budget| budget.used_percent() >= ALL_OF_IT).collect();
    if let Some(budget) = used_up.iter().find(|budget| matches!(budget.scope, Scope::All | Scope::Mode(Mode::Genius))) {
        return Some((Period::Day.end(now), format!("the day's budget of {} is used up", budget.scope)));
    }
    // The figure speaks of a budget that closed its own scope already, or of one that we do not see.
    let until = Period::Day.end(change.changed_at);
    let told = change.value.filter(|percent| *percent >= ALL_OF_IT && used_up.is_empty() && until > now)?;
    Some((until, format!("{told:.0} % of a day's budget are used")))
}

#[cfg(test)]
mod tests {
    use domain::{AlarmState, MicroUsd, Spending};
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-26 18:00 UTC);

    fn change(value: Option<f64>, spending: Option<Spending>) -> AlarmChange {
        AlarmChange { value, spending, ..AlarmChange::new("team", AlarmState::Alarm, NOW - time::Duration::HOUR) }
    }

    fn aws(amount: f64, is_forecast: bool, period: Period) -> AlarmChange {
        change(None, Some(Spending { limit: 200.0, amount, is_forecast, threshold: String::new(), period }))
    }

    fn budget(scope: Scope, used: i64) -> Spent {
        let (limit_microusd, settled_microusd) = (MicroUsd(100), MicroUsd(used));
        Spent { scope, limit_microusd, reserved_microusd: MicroUsd::ZERO, settled_microusd, closed_until: None }
    }

    fn until(change: &AlarmChange, budgets: &[Spent]) -> Option<OffsetDateTime> {
        closes(change, budgets, NOW).map(|(until, _)| until)
    }

    #[test]
    fn a_bill_of_aws_closes_until_its_period_ends_and_a_forecast_closes_nothing() {
        assert_eq!(until(&aws(199.99, false, Period::Month), &[]), None);
        assert_eq!(until(&aws(200.0, false, Period::Month), &[]), Some(datetime!(2026-12-01 00:00 UTC)));
        assert_eq!(until(&aws(200.0, false, Period::Day), &[]), Some(datetime!(2026-11-27 00:00 UTC)));
        assert_eq!(until(&aws(900.0, true, Period::Month), &[]), None);
        let late = AlarmChange { changed_at: datetime!(2026-10-31 00:00 UTC), ..aws(200.0, false, Period::Month) };
        assert_eq!(until(&late, &[]), None);
    }

    #[test]
    fn a_budget_that_a_genius_spends_from_closes_until_midnight() {
        let midnight = Some(datetime!(2026-11-27 00:00 UTC));
        let told = change(Some(85.0), None);
        assert_eq!(until(&told, &[budget(Scope::All, 100)]), midnight);
        assert_eq!(until(&told, &[budget(Scope::Mode(Mode::Genius), 120)]), midnight);
        assert_eq!(until(&told, &[budget(Scope::All, 99)]), None);
        let others = [budget(Scope::Mode(Mode::Mechanic), 100), budget(Scope::Repository("acme/shop".to_owned()), 130)];
        assert_eq!(until(&change(Some(130.0), None), &others), None);
        assert_eq!(until(&change(Some(100.0), None), &[]), midnight);
        assert_eq!(until(&change(None, None), &[]), None);
    }

    #[test]
    fn what_is_told_is_the_most_that_anybody_says() {
        let budgets = [budget(Scope::All, 85), budget(Scope::Mode(Mode::Genius), 90)];
        assert_eq!(percent(&change(Some(81.0), None), &budgets), Some(90.0));
        assert_eq!(percent(&change(Some(95.0), None), &budgets), Some(95.0));
        assert_eq!(percent(&aws(170.0, false, Period::Month), &budgets), Some(85.0));
        assert_eq!(percent(&change(None, None), &[]), None);
    }
}
