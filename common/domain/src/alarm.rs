//! Alarms: what CloudWatch or AWS Budgets says of the team, whichever way it came, and what was done about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, Time};
use uuid::Uuid;

use crate::{JobId, Mode, Scope};

/// What an alarm says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// All is well.
    Ok,
    /// Something is wrong.
    Alarm,
    /// Nobody knows.
    InsufficientData,
}

/// An alarm that went from one state to another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlarmChange {
    /// The alarm's name, such as `ai-coding-team-prod-queue-depth`; of AWS Budgets the budget's.
    pub name: String,
    /// What it says now.
    pub state: AlarmState,
    /// What it said before; `None` = that was not told.
    pub previous: Option<AlarmState>,
    /// Why, in the words of whoever watches.
    pub reason: String,
    /// When, by the clock of whoever watches; of AWS Budgets the day.
    #[serde(with = "time::serde::rfc3339")]
    pub changed_at: OffsetDateTime,
    /// Its full name in AWS, where that was told.
    pub arn: Option<String>,
    /// Whose: the number of an AWS account.
    pub account: Option<String>,
    /// Where, as it was told: `us-east-1` or `US East (N. Virginia)`.
    pub region: Option<String>,
    /// What it watches; `None` for an alarm over other alarms, and for a budget.
    pub metric: Option<AlarmMetric>,
    /// The newest figure that made it change.
    pub value: Option<f64>,
    /// What the figure is compared with.
    pub threshold: Option<f64>,
    /// What was spent, when AWS Budgets says it.
    pub spending: Option<Spending>,
}

impl AlarmChange {
    /// The change of which no more is known: the least that an alarm says.
    pub fn new(name: impl Into<String>, state: AlarmState, changed_at: OffsetDateTime) -> Self {
        Self {
            name: name.into(),
            state,
            previous: None,
            reason: String::new(),
            changed_at,
            arn: None,
            account: None,
            region: None,
            metric: None,
            value: None,
            threshold: None,
            spending: None,
        }
    }

    /// The name of this change: however often and by whichever way it is told, the same. It has nothing that only one of the ways tells.
    pub fn key(&self) -> String {
        match &self.spending {
            Some(spending) => {
                let kind = if spending.is_forecast { "FORECASTED" } else { "ACTUAL" };
                format!("budget {} {} {kind} {}", self.name, self.changed_at.date(), spending.threshold)
            }
            None => {
                let moment = self.changed_at.format(&Rfc3339).unwrap_or_else(|_| self.changed_at.to_string());
                format!("alarm {} {} {moment}", self.name, self.state)
            }
        }
    }
}

/// A metric with its dimensions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AlarmMetric {
    /// Such as `AICodeTeam` or `AWS/RDS`.
    pub namespace: String,
    /// Such as `QueueDepth`.
    pub name: String,
    /// Such as `Environment` = `prod`.
    pub dimensions: BTreeMap<String, String>,
}

/// How far a budget of AWS is used up, in the currency of the account.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Spending {
    /// The most that was to be spent in the period.
    pub limit: f64,
    /// What was spent, or will be if it goes on like this.
    pub amount: f64,
    /// Whether `amount` lies in the future.
    pub is_forecast: bool,
    /// The bound that was passed, as AWS writes it: `> $80.00`.
    pub threshold: String,
    /// What the budget is for.
    pub period: Period,
}

impl Spending {
    /// How much of the budget that is, in percent; a budget of nothing is always used up.
    pub fn percent(&self) -> f64 {
        if self.limit <= 0.0 { 100.0 } else { self.amount * 100.0 / self.limit }
    }
}

/// The time that a budget is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Period {
    /// A UTC day.
    Day,
    /// A month.
    Month,
    /// Three months, from January, April, July or October.
    Quarter,
    /// A year.
    Year,
}

impl Period {
    /// When the period in which `moment` lies is over: the first midnight after it, UTC.
    pub fn end(self, moment: OffsetDateTime) -> OffsetDateTime {
        let day = moment.to_offset(time::UtcOffset::UTC).date();
        let month = u8::from(day.month());
        let months = match self {
            Self::Day => return midnight(day.next_day().unwrap_or(day)),
            Self::Month => 1,
            Self::Quarter => 3 - (month - 1) % 3,
            Self::Year => 13 - month,
        };
        let ahead = month - 1 + months;
        let next = Month::December.nth_next(ahead % 12 + 1);
        midnight(Date::from_calendar_date(day.year() + i32::from(ahead / 12), next, 1).unwrap_or(day))
    }
}

fn midnight(day: Date) -> OffsetDateTime {
    day.with_time(Time::MIDNIGHT).assume_utc()
}

/// Something that was done because of an alarm. What was done to a job is an event of the job as well.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum AlarmAction {
    /// People were told.
    Told {
        /// The notice's first line.
        subject: String,
        /// The notice.
        text: String,
    },
    /// The lease of a lost worker's job was taken back.
    TookBack {
        /// The job.
        job_id: JobId,
        /// Whose lease it was.
        owner: Uuid,
        /// Attempts without progress so far.
        attempt: i32,
        /// Whether it was the last, so that the job is only finalized, as dead.
        given_up: bool,
    },
    /// The task of a lost worker was stopped, for another to take its place; or it was gone already.
    StoppedTask {
        /// The worker.
        owner: Uuid,
        /// Its task.
        task: String,
        /// Whether it was still there.
        was_there: bool,
    },
    /// The task of a lost worker could not be stopped: a person has to.
    CouldNotStop {
        /// The worker.
        owner: Uuid,
        /// Its task, where it has one.
        task: Option<String>,
        /// Why.
        why: String,
    },
    /// A lost worker was crossed off, so that nobody waits for it.
    CrossedOff {
        /// The worker.
        owner: Uuid,
        /// Its machine.
        host: String,
        /// How long nobody had seen it.
        silent_secs: i64,
    },
    /// A job that stood still was taken from its worker: it is tried again, or given up.
    Unstuck {
        /// The job.
        job_id: JobId,
        /// `owner/name`.
        repository: String,
        /// Its mode; `None` before triage.
        mode: Option<Mode>,
        /// Who held it.
        owner: Uuid,
        /// How long nothing had been written.
        idle_secs: i64,
        /// Attempts without progress so far.
        attempt: i32,
        /// Whether it was the last, so that the job is only finalized, as dead.
        given_up: bool,
    },
    /// A session of the database that had been idle within a transaction was ended.
    EndedSession {
        /// The server's number of it.
        pid: i32,
        /// Its role.
        user: String,
        /// What it called itself.
        application: String,
        /// How long it had been idle.
        idle_secs: i64,
    },
    /// A session like that could not be ended.
    CouldNotEnd {
        /// The server's number of it.
        pid: i32,
        /// Its role.
        user: String,
        /// Why.
        why: String,
    },
    /// A part of the work waits.
    ClosedGate {
        /// What waits.
        scope: Scope,
        /// Until then.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
}

impl fmt::Display for AlarmAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let then = |given_up: &bool| if *given_up { "it was the last, the job is given up" } else { "it is tried again" };
        match self {
            Self::Told { subject, .. } => write!(f, "people were told: {subject}"),
            Self::TookBack { job_id, owner, attempt, given_up } => {
                write!(f, "job {job_id} was taken back from worker {} after attempt {attempt}: {}", owner.simple(), then(given_up))
            }
            Self::StoppedTask { owner, task, was_there: true } => write!(f, "task {task} of worker {} was stopped", owner.simple()),
            Self::StoppedTask { owner, task, was_there: false } => write!(f, "task {task} of worker {} was gone already", owner.simple()),
            Self::CouldNotStop { owner, task: Some(task), why } => {
                write!(f, "task {task} of worker {} could not be stopped: {why}", owner.simple())
            }
            Self::CouldNotStop { owner, task: None, why } => write!(f, "worker {} could not be stopped: {why}", owner.simple()),
            Self::CrossedOff { owner, host, silent_secs } => {
                write!(f, "worker {} on {host} was crossed off: nobody had seen it for {silent_secs} s", owner.simple())
            }
            Self::Unstuck { job_id, repository, owner, idle_secs, attempt, given_up, .. } => write!(
                f,
                "job {job_id} of {repository} was taken from worker {}, after {idle_secs} s without progress in attempt {attempt}: {}",
                owner.simple(),
                then(given_up)
            ),
            Self::EndedSession { pid, user, application, idle_secs } => {
                write!(f, "session {pid} of {user} ({application}) was ended: idle in a transaction for {idle_secs} s")
            }
            Self::CouldNotEnd { pid, user, why } => write!(f, "session {pid} of {user} could not be ended: {why}"),
            Self::ClosedGate { scope, until } => write!(f, "new jobs of {scope} wait until {until}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_period_ends_at_the_first_midnight_behind_it() {
        let moment = datetime!(2026-11-26 18:13:44 UTC);
        assert_eq!(Period::Day.end(moment), datetime!(2026-11-27 00:00 UTC));
        assert_eq!(Period::Month.end(moment), datetime!(2026-12-01 00:00 UTC));
        assert_eq!(Period::Quarter.end(moment), datetime!(2027-01-01 00:00 UTC));
        assert_eq!(Period::Year.end(moment), datetime!(2027-01-01 00:00 UTC));
        assert_eq!(Period::Month.end(datetime!(2026-12-31 23:59 UTC)), datetime!(2027-01-01 00:00 UTC));
        assert_eq!(Period::Quarter.end(datetime!(2026-02-28 12:00 UTC)), datetime!(2026-04-01 00:00 UTC));
        assert_eq!(Period::Quarter.end(datetime!(2026-03-31 12:00 UTC)), datetime!(2026-04-01 00:00 UTC));
        assert_eq!(Period::Day.end(datetime!(2026-12-31 22:30 -3)), datetime!(2027-01-02 00:00 UTC));
    }

    #[test]
    fn every_state_is_read_as_aws_writes_it() {
        for (text, state) in [("OK", AlarmState::Ok), ("ALARM", AlarmState::Alarm), ("INSUFFICIENT_DATA", AlarmState::InsufficientData)] {
            assert_eq!((text.parse(), state.to_string().as_str()), (Ok(state), text));
        }
        assert!("alarm".parse::<AlarmState>().is_err());
    }

    fn change(state: AlarmState, changed_at: OffsetDateTime) -> AlarmChange {
        AlarmChange::new("team-queue-depth", state, changed_at)
    }

    #[test]
    fn the_name_of_a_change_has_nothing_that_one_way_of_telling_leaves_out() {
        let at = datetime!(2026-11-26 18:13:44.123 UTC);
        let plain = change(AlarmState::Alarm, at);
        let told = AlarmChange { arn: Some("arn".to_owned()), account: Some("1".to_owned()), value: Some(3.0), ..plain.clone() };
        assert_eq!(plain.key(), "alarm team-queue-depth ALARM 2026-11-26T18:13:44.123Z");
        assert_eq!(plain.key(), told.key());
        assert_ne!(plain.key(), change(AlarmState::Ok, at).key());
        assert_ne!(plain.key(), change(AlarmState::Alarm, at + time::Duration::MILLISECOND).key());
    }

    #[test]
    fn each_bound_of_a_budget_is_a_change_of_its_own() {
        let spending = |threshold: &str, is_forecast| {
            let period = Period::Month;
            let spending = Spending { limit: 100.0, amount: 85.32, is_forecast, threshold: threshold.to_owned(), period };
            AlarmChange { spending: Some(spending), ..change(AlarmState::Alarm, datetime!(2026-11-26 00:00 UTC)) }
        };
        assert_eq!(spending("> $80.00", false).key(), "budget team-queue-depth 2026-11-26 ACTUAL > $80.00");
        assert_ne!(spending("> $80.00", false).key(), spending("> $100.00", false).key());
        assert_ne!(spending("> $80.00", false).key(), spending("> $80.00", true).key());
        assert!((spending("> $80.00", false).spending.unwrap().percent() - 85.32).abs() < 1e-9);
    }
}
