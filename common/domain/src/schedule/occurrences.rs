//! The instants of a cron expression in a time zone, across the days on which clocks are changed.
//!
//! An expression with a fixed minute and hour means a time on the clock's face: where clocks skip it, it
//! happens when they have; where they show it twice, the first time only. One with a star in minute or hour
//! means time that passes: it happens whenever the clock fits, twice where the clock shows an hour twice.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use time::OffsetDateTime;

use super::Cron;

/// Longer than from one 29 February to the next, also around 2100.
const DAYS_AHEAD: usize = 8 * 366 + 2;

/// The first instant after `after`.
pub(super) fn next(cron: &Cron, zone: &TimeZone, after: OffsetDateTime) -> Option<OffsetDateTime> {
    let after = Timestamp::from_second(after.unix_timestamp()).ok()?;
    let mut date = zone.to_datetime(after).date();
    // A skipped time of the day before may still be to come.
    date = date.yesterday().unwrap_or(date);
    for _ in 0..DAYS_AHEAD {
        if cron.fits_day(date)
            && let Some(instant) = first_of_day(cron, zone, date, after)
        {
            return OffsetDateTime::from_unix_timestamp(instant.as_second()).ok();
        }
        date = date.tomorrow().ok()?;
    }
    None
}

impl Cron {
    fn fits_day(&self, date: Date) -> bool {
        let has = |bits: u64, value: i8| bits >> value.unsigned_abs() & 1 == 1;
        let (day, weekday) = (has(self.days, date.day()), has(self.weekdays, date.weekday().to_sunday_zero_offset()));
        has(self.months, date.month()) && if self.any_day || self.any_weekday { day && weekday } else { day || weekday }
    }
}

/// The first instant of a day that fits, after `after`.
fn first_of_day(cron: &Cron, zone: &TimeZone, date: Date, after: Timestamp) -> Option<Timestamp> {
    let hours = (0..24i8).filter(|hour| cron.hours >> hour & 1 == 1);
    let times = hours.flat_map(|hour| {
        let minutes = (0..60i8).filter(|minute| cron.minutes >> minute & 1 == 1);
        minutes.map(move |minute| date.at(hour, minute, 0, 0))
    });
    // Not in the order of the clock's face: in a repeated hour, 01:30 comes before the second 01:00.
    times.flat_map(|time| instants(zone, time, cron.follows_time)).filter(|instant| *instant > after).min()
}

/// When clocks of the zone show `time`.
fn instants(zone: &TimeZone, time: DateTime, follows_time: bool) -> Vec<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous.compatible().into_iter().collect(),
        AmbiguousOffset::Gap { .. } if follows_time => Vec::new(),
        // The earlier reading lies before the change: the next transition is the end of the gap.
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().and_then(|instant| instant.checked_sub(SignedDuration::from_secs(1)));
            before.ok().and_then(|before| zone.following(before).next()).map(|change| change.timestamp()).into_iter().collect()
        }
        AmbiguousOffset::Fold { .. } if follows_time => {
            let later = zone.to_ambiguous_timestamp(time).later();
            ambiguous.earlier().into_iter().chain(later).collect()
        }
        AmbiguousOffset::Fold { .. } => ambiguous.earlier().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use time::format_description::well_known::Rfc3339;

    use crate::schedule::Timetable;

    /// The next `count` instants, in UTC.
    fn next(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let timetable = Timetable::parse(cron, zone).unwrap();
        let mut at = time::OffsetDateTime::parse(after, &Rfc3339).unwrap();
        let mut found = Vec::new();
        while found.len() < count {
            let Some(next) = timetable.next_after(at) else { break };
            found.push(next.format(&Rfc3339).unwrap());
            at = next;
        }
        found
    }

    #[test]
    fn a_time_of_day_stays_on_the_clocks_face_when_clocks_change() {
        let days = next("30 9 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        assert_eq!(days, ["2026-03-28T08:30:00Z", "2026-03-29T07:30:00Z", "2026-03-30T07:30:00Z"]);
    }

    #[test]
    fn a_time_that_clocks_skip_happens_when_they_have() {
        // On 29 March 2026, 02:00 becomes 03:00 in Berlin, at 01:00 UTC.
        let days = next("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        assert_eq!(days, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        // Two skipped times on one day happen once.
        let days = next("15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 3);
        assert_eq!(days, ["2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z", "2026-03-30T00:45:00Z"]);
        // Midnight itself is skipped in Santiago, and the gap ends on the same day.
        let days = next("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", 2);
        assert_eq!(days, ["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"]);
    }

    #[test]
    fn a_time_that_clocks_show_twice_happens_once() {
        // On 25 October 2026, 03:00 becomes 02:00 in Berlin, at 01:00 UTC.
        let days = next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(days, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn what_comes_every_half_hour_follows_the_time_that_passes() {
        let spring = next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:10:00Z", 3);
        assert_eq!(spring, ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]);
        let autumn = next("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 5);
        let each = ["00:00", "00:30", "01:00", "01:30", "02:00"].map(|time| format!("2026-10-25T{time}:00Z"));
        assert_eq!(autumn, each);
    }

    #[test]
    fn leap_days_come_every_four_years_and_not_in_2100() {
        let days = next("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2);
        assert_eq!(days, ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        assert_eq!(next("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"]);
        assert_eq!(next("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", 1), Vec::<String>::new());
    }

    #[test]
    fn either_of_two_restricted_days_is_enough() {
        // Friday the 13th is not what this says: every 13th, and every Friday.
        let days = next("0 0 13 * fri", "UTC", "2026-02-10T00:00:00Z", 3);
        assert_eq!(days, ["2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z"]);
        assert_eq!(next("0 0 13 * *", "UTC", "2026-02-14T00:00:00Z", 1), ["2026-03-13T00:00:00Z"]);
        assert_eq!(next("0 0 * * fri", "UTC", "2026-02-14T00:00:00Z", 1), ["2026-02-20T00:00:00Z"]);
    }
}
