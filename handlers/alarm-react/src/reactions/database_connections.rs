//! The database has few connections left: people are told who has them, and sessions that forgot a transaction are ended.

use std::fmt::Write;

use async_trait::async_trait;
use config::failure;
use dispatch::HandlerError;
use domain::AlarmAction;
use store::StoreError;
use store::alarms::{self, Holder, Idle, Sessions};

use super::{Reaction, span};
use crate::course::Course;

/// The most lines of each list.
const MOST: u32 = 20;

pub(super) struct DatabaseConnections;

#[async_trait]
impl Reaction for DatabaseConnections {
    fn suffix(&self) -> &'static str {
        "database-connections"
    }

    fn intends(&self) -> &'static str {
        "end sessions that have been idle within a transaction for too long, and tell people who has the connections"
    }

    async fn react(&self, course: &mut Course<'_>) -> Result<(), HandlerError> {
        let with = course.with;
        let sessions = alarms::sessions(&with.db, MOST).await.map_err(failure::of_store)?;
        for session in &sessions.idle {
            if session.is_ours && session.idle_secs.unsigned_abs() >= with.limits.idle.as_secs() {
                end(course, session).await?;
            }
        }
        let instance = match &with.instance {
            Some(instance) => match instance.describe().await {
                Ok(told) => told,
                Err(why) => format!("what machine that is could not be asked: {why}"),
            },
            None => "what machine that is is not known here: RDS_INSTANCE is not set".to_owned(),
        };
        let text = notice(&course.happened(), &instance, &sessions, course);
        let subject = format!("{}: {} of {} connections are in use", course.change.name, sessions.used, sessions.max_connections);
        course.tell(&subject, &text).await
    }
}

async fn end(course: &mut Course<'_>, session: &Idle) -> Result<(), HandlerError> {
    let Idle { pid, user, application, idle_secs, .. } = session;
    let (pid, user) = (*pid, user.clone());
    let action = match alarms::end_session(&course.with.db, session, course.with.limits.idle).await {
        Ok(true) => AlarmAction::EndedSession { pid, user, application: application.clone(), idle_secs: *idle_secs },
        // It went on meanwhile, or ended by itself.
        Ok(false) => return Ok(()),
        Err(StoreError::Refused(why)) => AlarmAction::CouldNotEnd { pid, user, why },
        Err(error) => return Err(failure::of_store(error)),
    };
    course.did(action).await
}

fn notice(happened: &str, instance: &str, sessions: &Sessions, course: &Course<'_>) -> String {
    let Sessions { max_connections, used, hidden, role, holders, idle } = sessions;
    let mut text = format!("{happened}\n{used} of {max_connections} connections are in use. The database: {instance}\n\nWho has them:\n");
    for Holder { application, user, state, sessions } in holders {
        let application = if application.is_empty() { "no name" } else { application };
        let _ = writeln!(text, "- {sessions} of {user} ({application}): {state}");
    }
    if !idle.is_empty() {
        text.push_str("\nIdle within a transaction:\n");
    }
    for Idle { pid, user, application, idle_secs, is_ours, .. } in idle {
        let elsewhere = if *is_ours { "" } else { ", in another database: left alone" };
        let _ = writeln!(text, "- session {pid} of {user} ({application}) for {}{elsewhere}", span(*idle_secs));
    }
    text.push_str(&course.done());
    text.push_str(
        "\nWhat you can do: give the tasks fewer connections each (DATABASE_CONNECTIONS), or put a pooler before the database.\n",
    );
    if *hidden > 0 {
        let _ = writeln!(text, "What {hidden} sessions of other roles do is hidden from {role}: `grant pg_monitor to {role}` shows it.");
    }
    if course.actions().iter().any(|action| matches!(action, AlarmAction::CouldNotEnd { .. })) {
        let _ =
            writeln!(text, "To let {role} end sessions of other roles: `grant pg_signal_backend to {role}`, as whoever owns the server.");
    }
    text
}
