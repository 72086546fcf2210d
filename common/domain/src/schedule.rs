//! Schedules: when work comes again by itself, and what becomes of the times at which nobody was there.

mod cron;
mod occurrences;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use cron::{Cron, CronError};

/// A run that is later than this counts as missed.
pub const PUNCTUAL_SECS: i64 = 60;
/// The most runs that are made up for at once.
pub const MOST_MADE_UP: usize = 50;

/// What becomes of runs that were missed: while no service ran, or the schedule's last ones took too long to
/// be looked at.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Missed {
    /// They are left out.
    Skip,
    /// One job stands for all of them.
    #[default]
    Once,
    /// Each is made up for; of more than [`MOST_MADE_UP`] only the newest.
    All,
}

/// A time zone that nobody knows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no time zone {0:?}: expected a name of the IANA database, such as America/Sao_Paulo or UTC")]
pub struct UnknownZone(pub String);

/// When something happens: a cron expression, read by the clocks of a time zone.
#[derive(Clone, Debug)]
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
}

/// Why a timetable cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TimetableError {
    /// The expression.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// The time zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
}

/// What is to be done about a schedule now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Due {
    /// The instants for each of which there is to be a job, oldest first.
    pub runs: Vec<OffsetDateTime>,
    /// How many more instants have passed for which there is none.
    pub left_out: usize,
    /// When it is due next; `None` = never again.
    pub next: Option<OffsetDateTime>,
}

impl Timetable {
    /// Reads `cron` (five fields, or `@daily` and its like) and the name of a time zone.
    ///
    /// # Errors
    /// What cannot be understood, and where it stands.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, TimetableError> {
        let cron = cron.parse()?;
        let zone = TimeZone::get(zone).map_err(|_| UnknownZone(zone.to_owned()))?;
        Ok(Self { cron, zone })
    }

    /// The first instant after `after`; `None` when there is none within the next eight years, as for
    /// 30 February.
    pub fn next_after(&self, after: OffsetDateTime) -> Option<OffsetDateTime> {
        occurrences::next(&self.cron, &self.zone, after)
    }

    /// What is to be done at `now` about a schedule that was due at `planned`.
    pub fn due(&self, planned: OffsetDateTime, now: OffsetDateTime, missed: Missed) -> Due {
        let mut due = Due::default();
        let mut instant = Some(planned);
        while let Some(at) = instant.filter(|at| *at <= now) {
            let late = (now - at).whole_seconds() > PUNCTUAL_SECS;
            if late && missed == Missed::Skip {
                due.left_out += 1;
            } else {
                due.runs.push(at);
            }
            let kept = if missed == Missed::All { MOST_MADE_UP } else { 1 };
            if due.runs.len() > kept {
                due.runs.remove(0);
                due.left_out += 1;
            }
            instant = self.next_after(at);
        }
        due.next = instant;
        due
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn hourly() -> Timetable {
        Timetable::parse("0 * * * *", "UTC").unwrap()
    }

    #[test]
    fn what_is_on_time_runs_whatever_is_done_about_missed_ones() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            let due = hourly().due(datetime!(2026-03-01 10:00 UTC), datetime!(2026-03-01 10:00:07 UTC), missed);
            let expected = Due { runs: vec![datetime!(2026-03-01 10:00 UTC)], left_out: 0, next: Some(datetime!(2026-03-01 11:00 UTC)) };
            assert_eq!(due, expected, "{missed}");
        }
    }

    #[test]
    fn what_is_not_due_yet_stays_planned() {
        let planned = datetime!(2026-03-01 10:00 UTC);
        let due = hourly().due(planned, datetime!(2026-03-01 09:59:59 UTC), Missed::All);
        assert_eq!(due, Due { runs: vec![], left_out: 0, next: Some(planned) });
    }

    #[test]
    fn a_missed_week_is_skipped_stood_for_or_made_up_for() {
        let (planned, now) = (datetime!(2026-03-01 10:00 UTC), datetime!(2026-03-08 10:30 UTC));
        let next = Some(datetime!(2026-03-08 11:00 UTC));
        assert_eq!(hourly().due(planned, now, Missed::Skip), Due { runs: vec![], left_out: 169, next });
        let last = datetime!(2026-03-08 10:00 UTC);
        assert_eq!(hourly().due(planned, now, Missed::Once), Due { runs: vec![last], left_out: 168, next });
        let all = hourly().due(planned, now, Missed::All);
        assert_eq!((all.runs.len(), all.left_out, all.runs.last(), all.next), (MOST_MADE_UP, 169 - MOST_MADE_UP, Some(&last), next));
        let weekly = Timetable::parse("@daily", "UTC").unwrap();
        let due = weekly.due(datetime!(2026-03-02 00:00 UTC), now, Missed::All);
        assert_eq!((due.runs.len(), due.left_out), (7, 0));
    }

    #[test]
    fn a_zone_that_nobody_knows_is_named() {
        let error = Timetable::parse("@daily", "Mars/Olympus").unwrap_err();
        assert!(error.to_string().starts_with(r#"no time zone "Mars/Olympus""#), "{error}");
    }
}
