//! Cron expressions: five fields (minute, hour, day of month, month, day of week), or a nickname.
//!
//! As in Vixie cron: where both the day of month and the day of week are restricted, a day that fits either
//! is taken; 0 and 7 are Sunday; names are three letters.

use std::fmt;
use std::str::FromStr;

/// A cron expression that was understood. Displays as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cron {
    text: String,
    /// One bit for each value that fits.
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) days: u64,
    pub(super) months: u64,
    pub(super) weekdays: u64,
    /// Whether the day of month and the day of week are restricted.
    pub(super) any_day: bool,
    pub(super) any_weekday: bool,
    /// Whether minute or hour is a star: it then follows the time that passes, not the clock's face.
    pub(super) follows_time: bool,
}

/// An expression that cannot be understood, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cron {text:?}, character {position}: {problem}")]
pub struct CronError {
    /// The expression.
    pub text: String,
    /// Where it goes wrong: 1 = the first character.
    pub position: usize,
    /// What is wrong there, and what was expected.
    pub problem: String,
}

struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: &MONTHS },
    Field { name: "day of week", least: 0, most: 7, names: &WEEKDAYS },
];

const NICKNAMES: [(&str, &str); 6] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let error = |byte: usize, problem: String| {
            let position = text[..byte].chars().count() + 1;
            CronError { text: text.to_owned(), position, problem }
        };
        let start = text.len() - text.trim_start().len();
        let expanded = match text.trim() {
            name if name.starts_with('@') => {
                let known = NICKNAMES.iter().find(|(nickname, _)| nickname.eq_ignore_ascii_case(name));
                let names: Vec<&str> = NICKNAMES.iter().map(|(name, _)| *name).collect();
                known.map(|(_, fields)| *fields).ok_or_else(|| error(start, format!("{name:?} is not one of {}", names.join(", "))))?
            }
            _ => text,
        };
        let words: Vec<(usize, &str)> = words(expanded);
        if let Some((byte, word)) = words.get(FIELDS.len()) {
            return Err(error(
                *byte,
                format!("{word:?} is too much: expected 5 fields, minute hour day month weekday (no seconds, no year)"),
            ));
        }
        let mut bits = [0; 5];
        for (index, field) in FIELDS.iter().enumerate() {
            let Some((byte, word)) = words.get(index) else {
                return Err(error(text.len(), format!("the {} is missing: expected 5 fields, minute hour day month weekday", field.name)));
            };
            bits[index] = field.parse(word).map_err(|(offset, problem)| error(byte + offset, problem))?;
        }
        let [minutes, hours, days, months, weekdays] = bits;
        let starred = |index: usize| words[index].1.starts_with('*');
        Ok(Self {
            text: text.trim().to_owned(),
            minutes,
            hours,
            days,
            months,
            // 7 is Sunday too.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            any_day: starred(2),
            any_weekday: starred(4),
            follows_time: starred(0) || starred(1),
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The words of `text` with the byte at which each begins.
fn words(text: &str) -> Vec<(usize, &str)> {
    text.split_whitespace().map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word)).collect()
}

type Problem = (usize, String);

impl Field {
    /// The values of a list such as `1-5,10,*/15`, one bit each.
    fn parse(&self, word: &str) -> Result<u64, Problem> {
        let (mut bits, mut offset) = (0, 0);
        for part in word.split(',') {
            bits |= self.part(part).map_err(|(within, problem)| (offset + within, problem))?;
            offset += part.len() + 1;
        }
        Ok(bits)
    }

    fn part(&self, part: &str) -> Result<u64, Problem> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some((range.len() + 1, step))),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.least, if self.most == 7 { 6 } else { self.most }),
            Some((from, to)) => (self.value(from, 0)?, self.value(to, from.len() + 1)?),
            None => {
                let value = self.value(range, 0)?;
                // As elsewhere, 5/15 means from 5 on.
                (value, if step.is_some() { self.most } else { value })
            }
        };
        if from > to {
            return Err((0, format!("the {} {range:?} runs backwards: write it as two ranges", self.name)));
        }
        let step = match step {
            None => 1,
            Some((at, text)) => match text.parse::<usize>() {
                Ok(step) if step > 0 && step <= self.most as usize => step,
                _ => return Err((at, format!("the step {text:?} of the {} must be a number from 1 to {}", self.name, self.most))),
            },
        };
        Ok((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str, offset: usize) -> Result<u32, Problem> {
        if let Some(index) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(index as u32 + if self.most == 12 { 1 } else { 0 });
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u32>() {
            Ok(value) if digits && (self.least..=self.most).contains(&value) => Ok(value),
            _ => {
                let names = self.names.first().map(|first| format!(", or a name such as {first}")).unwrap_or_default();
                Err((offset, format!("the {} {text:?} must be a number from {} to {}{names}", self.name, self.least, self.most)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bits: u64) -> Vec<u32> {
        (0..64).filter(|value| bits >> value & 1 == 1).collect()
    }

    #[test]
    fn fields_are_lists_of_values_ranges_steps_and_names() {
        let cron: Cron = "*/20 1-3,7 1,15-17 jan,12 mon-wed,7".parse().unwrap();
        assert_eq!(values(cron.minutes), [0, 20, 40]);
        assert_eq!(values(cron.hours), [1, 2, 3, 7]);
        assert_eq!(values(cron.days), [1, 15, 16, 17]);
        assert_eq!(values(cron.months), [1, 12]);
        assert_eq!(values(cron.weekdays), [0, 1, 2, 3]);
        assert_eq!(values("5/15 10-20/5 * * *".parse::<Cron>().unwrap().minutes), [5, 20, 35, 50]);
        assert_eq!(values("0 0 * * sat-7".parse::<Cron>().unwrap().weekdays), [0, 6]);
    }

    #[test]
    fn nicknames_stand_for_fields() {
        let (daily, fields): (Cron, Cron) = ("@Daily".parse().unwrap(), "0 0 * * *".parse().unwrap());
        assert_eq!((daily.minutes, daily.hours, daily.days), (fields.minutes, fields.hours, fields.days));
        assert_eq!(daily.to_string(), "@Daily");
    }

    #[test]
    fn what_cannot_be_understood_is_named_with_its_place() {
        for (text, position, words) in [
            ("60 * * * *", 1, r#"the minute "60" must be a number from 0 to 59"#),
            ("0 9-25 * * *", 5, r#"the hour "25""#),
            ("0 0 1,x * *", 7, r#"the day of month "x""#),
            ("0 0 * foo *", 7, r#"the month "foo" must be a number from 1 to 12, or a name such as jan"#),
            ("0 0 * * 8", 9, r#"the day of week "8""#),
            ("*/0 * * * *", 3, r#"the step "0""#),
            ("0 5-3 * * *", 3, "runs backwards"),
            ("0 0 * *", 8, "the day of week is missing"),
            ("0 0 0 * *", 5, r#"the day of month "0""#),
            ("0 0 1 * * 2026", 11, "no seconds, no year"),
            ("  @often", 3, "@hourly"),
            ("", 1, "the minute is missing"),
            ("+1 * * * *", 1, r#"the minute "+1""#),
        ] {
            let error = text.parse::<Cron>().unwrap_err();
            assert_eq!(error.position, position, "{error}");
            assert!(error.problem.contains(words), "{error}");
        }
    }
}
