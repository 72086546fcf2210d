//! One change on its way: what was done so far, and how more is done.

use config::failure;
use dispatch::HandlerError;
use domain::{AlarmAction, AlarmChange, CapacityError, NoticeError};
use redact::Redactor;
use store::StoreError;
use store::alarms::{self, Held};

use crate::AlarmReact;

/// When to try again after whoever is asked was away.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// A change that we act on.
pub(crate) struct Course<'a> {
    /// What can be done it with.
    pub(crate) with: &'a AlarmReact,
    /// The change.
    pub(crate) change: &'a AlarmChange,
    /// Our hold on it.
    pub(crate) held: Held,
    actions: Vec<AlarmAction>,
}

impl<'a> Course<'a> {
    /// Nothing was done yet, but by whoever held it before.
    pub(crate) fn new(with: &'a AlarmReact, change: &'a AlarmChange, held: Held) -> Self {
        let actions = held.actions.clone();
        Self { with, change, held, actions }
    }

    /// All that was done.
    pub(crate) fn actions(&self) -> &[AlarmAction] {
        &self.actions
    }

    /// The same, at the end.
    pub(crate) fn into_actions(self) -> Vec<AlarmAction> {
        self.actions
    }

    /// Says that everything was done.
    pub(crate) async fn complete(&self) -> Result<(), HandlerError> {
        match alarms::complete(&self.with.db, &self.held).await.map_err(failure::of_store)? {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }

    /// Takes over what the store did and wrote down in one transaction. What it did not do, because things have changed, is left out.
    pub(crate) fn took(&mut self, actions: Result<Option<Vec<AlarmAction>>, StoreError>) -> Result<(), HandlerError> {
        self.actions.extend(actions.map_err(failure::of_store)?.unwrap_or_default());
        Ok(())
    }

    /// Writes down what was done outside of the database, once.
    pub(crate) async fn did(&mut self, action: AlarmAction) -> Result<(), HandlerError> {
        if self.actions.contains(&action) {
            return Ok(());
        }
        match alarms::did(&self.with.db, &self.held, std::slice::from_ref(&action)).await.map_err(failure::of_store)? {
            true => self.actions.push(action),
            false => return Err(self.lost()),
        }
        Ok(())
    }

    /// Tells people, unless they were told already.
    pub(crate) async fn tell(&mut self, subject: &str, text: &str) -> Result<(), HandlerError> {
        if self.actions.iter().any(|action| matches!(action, AlarmAction::Told { .. })) {
            return Ok(());
        }
        let redactor = Redactor::of_process();
        let (subject, text) = (redactor.text(subject).into_owned(), redactor.text(text).into_owned());
        self.with.notices.publish(&subject, &text).await.map_err(of_notice)?;
        self.did(AlarmAction::Told { subject, text }).await
    }

    /// What happened, for the beginning of a notice.
    pub(crate) fn happened(&self) -> String {
        let AlarmChange { name, changed_at, reason, .. } = self.change;
        format!("{name} went off at {changed_at}.\n{reason}\n")
    }

    /// What was done beside telling, for a notice; empty when it was nothing.
    pub(crate) fn done(&self) -> String {
        let lines = self.actions.iter().filter(|action| !matches!(action, AlarmAction::Told { .. }));
        let lines: String = lines.map(|action| format!("- {action}\n")).collect();
        if lines.is_empty() { lines } else { format!("\nWhat was done:\n{lines}") }
    }

    fn lost(&self) -> HandlerError {
        HandlerError::LeaseLost(format!("somebody else acts on alarm {} now", self.held.alarm_id))
    }
}

fn of_notice(error: NoticeError) -> HandlerError {
    match error {
        NoticeError::Unavailable(_) => HandlerError::RetryAfter { after: PAUSE, message: error.to_string() },
        NoticeError::Refused(_) => failure::of_worker(&error),
    }
}

/// Whoever has the workers is away: the change is taken up again later.
pub(crate) fn of_capacity(error: &CapacityError) -> HandlerError {
    HandlerError::RetryAfter { after: PAUSE, message: error.to_string() }
}
