//! `codeteam alarms`.

use config::Services;
use domain::AlarmAction;
use store::Db;
use store::alarms::{self, Alarm};

use crate::cli::{Alarms, AlarmsCommand};
use crate::exit::Outcome;
use crate::screen::{self, one_line, table};

/// Lists the alarms that went off or ended, or shows one.
pub(crate) async fn run(args: Alarms, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    match args.command {
        Some(AlarmsCommand::Show { id }) => show(&db, id, json).await,
        None => list(&db, args.before, args.limit, json).await,
    }
}

async fn list(db: &Db, before: Option<i64>, limit: u32, json: bool) -> Outcome {
    let listed = alarms::list(db, before, limit).await?;
    if json {
        for alarm in &listed {
            screen::data(true, alarm, String::new)?;
        }
        return Ok(());
    }
    if listed.is_empty() {
        screen::progress("no alarm was told");
        return Ok(());
    }
    let row = |alarm: &Alarm| {
        vec![
            alarm.alarm_id.to_string(),
            alarm.state.to_string(),
            alarm.changed_at.to_string(),
            standing(alarm).to_owned(),
            one_line(&alarm.name, 50),
            one_line(&summary(&alarm.actions), 80),
        ]
    };
    let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
    screen::data(false, &(), || table(&["ID", "STATE", "SINCE", "REACTION", "ALARM", "WHAT WAS DONE"], &rows))?;
    Ok(())
}

async fn show(db: &Db, alarm_id: i64, json: bool) -> Outcome {
    let alarm = alarms::get(db, alarm_id).await?;
    screen::data(json, &alarm, || text(&alarm))?;
    Ok(())
}

fn standing(alarm: &Alarm) -> &'static str {
    match (&alarm.completed_at, &alarm.problem) {
        (Some(_), _) => "done",
        (None, Some(_)) => "failed",
        (None, None) => "begun",
    }
}

/// `took_back 2, crossed_off 1`.
fn summary(actions: &[AlarmAction]) -> String {
    let mut counted: Vec<(String, u32)> = Vec::new();
    for action in actions {
        let name = serde_json::to_value(action).ok().and_then(|action| action["action"].as_str().map(str::to_owned)).unwrap_or_default();
        match counted.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counted.push((name, 1)),
        }
    }
    let words = counted.iter().map(|(name, count)| if *count == 1 { name.clone() } else { format!("{name} {count}") });
    words.collect::<Vec<_>>().join(", ")
}

fn text(alarm: &Alarm) -> String {
    let Alarm { alarm_id, name, state, changed_at, change, reaction, intended, received_at, deliveries, actions, problem, completed_at } =
        alarm;
    let mut lines = vec![
        format!("alarm {alarm_id}: {name} is {state} since {changed_at}"),
        format!("  why        {}", change.reason),
        format!("  told       {deliveries} times, first at {received_at}"),
        format!("  reaction   {reaction}: {intended}"),
        match completed_at {
            Some(at) => format!("  done       {at}"),
            None => "  done       not yet".to_owned(),
        },
    ];
    lines.extend(problem.iter().map(|problem| format!("  problem    {problem}")));
    lines.extend(actions.iter().map(|action| format!("  - {action}")));
    let told = actions.iter().filter_map(|action| match action {
        AlarmAction::Told { subject, text } => Some(format!("\n{subject}\n{text}")),
        _ => None,
    });
    lines.extend(told);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_counted_by_kind() {
        let told = AlarmAction::Told { subject: "s".to_owned(), text: "t".to_owned() };
        let could_not = AlarmAction::CouldNotEnd { pid: 7, user: "u".to_owned(), why: "w".to_owned() };
        assert_eq!(summary(&[could_not.clone(), could_not, told]), "could_not_end 2, told");
        assert_eq!(summary(&[]), "");
    }
}
