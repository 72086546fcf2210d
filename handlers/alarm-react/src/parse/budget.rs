//! What AWS Budgets writes to a topic: a letter to a person, with its figures in lines.
//! <https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html> says how it comes there.

use domain::{AlarmChange, AlarmState, Period, Spending};
use time::{Date, Month, OffsetDateTime};

/// The change that `text` tells. Its moment is the day that the letter names, or today. A letter without the figures is an alarm that
/// nobody knows, with all its words.
pub(super) fn change(text: &str, now: OffsetDateTime) -> Result<AlarmChange, String> {
    let field = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix(':').map(str::trim));
    let name = field("Budget Name").filter(|name| !name.is_empty());
    let Some(name) = name else {
        return Err(format!("a text without a line \"Budget Name: …\", so not of AWS Budgets: {:?}", first_words(text)));
    };
    let kind = field("Alert Type").unwrap_or("ACTUAL").to_ascii_uppercase();
    let limit = field("Budgeted Amount").and_then(amount);
    let spent = field(&format!("{kind} Amount")).or_else(|| field("ACTUAL Amount")).and_then(amount);
    let spending = limit.zip(spent).map(|(limit, amount)| Spending {
        limit,
        amount,
        is_forecast: kind.starts_with("FORECAST"),
        threshold: field("Alert Threshold").unwrap_or_default().to_owned(),
        period: period(text),
    });
    let reason = match &spending {
        Some(spending) => format!(
            "{kind}: {} of {} ({:.1} % of the {}'s budget)",
            field(&format!("{kind} Amount")).or_else(|| field("ACTUAL Amount")).unwrap_or_default(),
            field("Budgeted Amount").unwrap_or_default(),
            spending.percent(),
            spending.period
        ),
        None => first_words(text),
    };
    let day = text.lines().find_map(day).unwrap_or(now.date());
    Ok(AlarmChange {
        reason,
        account: text.lines().find_map(|line| line.trim().strip_prefix("AWS Account")).map(|account| account.trim().to_owned()),
        value: spending.as_ref().map(Spending::percent),
        spending,
        ..AlarmChange::new(name, AlarmState::Alarm, day.midnight().assume_utc())
    })
}

/// `$1,234.56`, `1234.56 USD`, `USD 80`: the number in it.
fn amount(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    digits.trim_matches('.').parse().ok()
}

/// `… greater than $80.00 for the current month.`
fn period(text: &str) -> Period {
    let periods = [("current day", Period::Day), ("current quarter", Period::Quarter), ("current year", Period::Year)];
    let told = text.to_ascii_lowercase();
    periods.iter().find(|(words, _)| told.contains(words)).map_or(Period::Month, |(_, period)| *period)
}

/// `AWS Budget Notification December 01, 2025`
fn day(line: &str) -> Option<Date> {
    let line = line.trim().strip_prefix("AWS Budget Notification")?.replace(',', " ");
    let mut words = line.split_whitespace();
    let month: Month = words.next()?.parse().ok()?;
    let (day, year) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Date::from_calendar_date(year, month, day).ok()
}

/// The beginning of a text, for people.
fn first_words(text: &str) -> String {
    const MOST: usize = 300;
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = words.char_indices().nth(MOST) {
        words.truncate(at);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-26 18:00 UTC);

    fn letter(kind: &str, limit: &str, amount: &str) -> String {
        format!(
            "AWS Budget Notification December 01, 2025\nAWS Account 123456789012\n\nDear AWS Customer,\n\nYou requested that we alert you \
             when the {kind} Cost associated with your team budget is greater than $400.00 for the current month. The {kind} Cost \
             associated with this budget is {amount}.\n\nBudget Name: team\nBudget Type: Cost\nBudgeted Amount: {limit}\nAlert Type: \
             {kind}\nAlert Threshold: > $400.00\n{kind} Amount: {amount}\n"
        )
    }

    #[test]
    fn a_letter_of_aws_budgets_is_an_alarm_of_its_day() {
        let change = change(&letter("ACTUAL", "$500.00", "$412.37"), NOW).unwrap();
        let spending =
            Spending { limit: 500.0, amount: 412.37, is_forecast: false, threshold: "> $400.00".to_owned(), period: Period::Month };
        assert!((spending.percent() - 82.474).abs() < 1e-9);
        let expected = AlarmChange {
            reason: "ACTUAL: $412.37 of $500.00 (82.5 % of the month's budget)".to_owned(),
            account: Some("123456789012".to_owned()),
            value: Some(spending.percent()),
            spending: Some(spending),
            ..AlarmChange::new("team", AlarmState::Alarm, datetime!(2025-12-01 00:00 UTC))
        };
        assert_eq!(change, expected);
    }

    #[test]
    fn amounts_are_read_with_and_without_currency() {
        let read = ["$1,234.56", "1234.56 USD", "USD 1,234.56", "1,234.56", "$1234.56."].map(amount);
        assert_eq!(read, [Some(1234.56); 5]);
        assert_eq!(["", "-", "n/a"].map(amount), [None, None, None]);
    }

    #[test]
    fn a_forecast_is_no_spending_of_today() {
        let told = change(&letter("FORECASTED", "$500.00", "$612.00").replace("month", "quarter"), NOW).unwrap().spending.unwrap();
        assert_eq!((told.is_forecast, told.amount, told.period), (true, 612.0, Period::Quarter));
    }

    #[test]
    fn a_letter_without_figures_or_day_is_still_an_alarm() {
        let told = change("  Budget Name :  team \nSomething happened.", NOW).unwrap();
        assert_eq!((told.name.as_str(), told.spending, told.changed_at), ("team", None, datetime!(2026-11-26 00:00 UTC)));
        assert_eq!(told.reason, "Budget Name : team Something happened.");
    }

    #[test]
    fn any_other_text_is_refused_with_its_first_words() {
        let refused = change(&format!("not JSON {}", "at all ".repeat(100)), NOW).unwrap_err();
        assert!(refused.starts_with("a text without a line \"Budget Name: …\", so not of AWS Budgets: \"not JSON at all"), "{refused}");
        assert!(refused.len() < 400);
    }
}
