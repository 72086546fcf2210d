//! Acts on alarms: puts right what a program can, and tells people the rest.
//!
//! An alarm is told in four ways (`parse.rs`), some of them at the same time. Each change of its state is one row of `alarms`: what is
//! to be done is written first, then every action as it is done. So a change that is told twice is acted on once, and one whose
//! handler died is taken up again where it stood. What is to be done is one file of `reactions`.

mod course;
mod instance;
mod parse;
mod reactions;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::{AlarmAction, AlarmChange, AlarmState, Capacity, Clock, Mode, Notices, SystemClock};
use serde::Serialize;
use serde_json::Value;
use store::Db;
use store::alarms::{self, HELD, IDLE_TOO_LONG, Intent, STALE_AFTER, STUCK_AFTER};

use course::Course;
use reactions::Reaction;

pub use instance::DatabaseInstance;

/// When to come back to a change on which somebody acts at this moment.
const BUSY: Duration = Duration::from_secs(5);

/// Acts on a change of an alarm's state.
///
/// Harmless twice: the change has a key, and whoever takes it up again knows what was done.
#[derive(Clone)]
pub struct AlarmReact {
    /// Where alarms, jobs and workers are.
    pub db: Db,
    /// How people are told.
    pub notices: Arc<dyn Notices>,
    /// Who can stop a worker; `None` = whoever started it.
    pub capacity: Option<Arc<dyn Capacity>>,
    /// Who knows the machine of the database; `None` = nobody here.
    pub instance: Option<Arc<dyn DatabaseInstance>>,
    /// The most workers of the mechanics and of the geniuses.
    pub workers_max: [u32; 2],
    /// How long is too long.
    pub limits: Limits,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// How long is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For a worker that nobody sees.
    pub stale: Duration,
    /// For a job of which nothing is written.
    pub stuck: Duration,
    /// For a session that is idle within a transaction.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stale: STALE_AFTER, stuck: STUCK_AFTER, idle: IDLE_TOO_LONG }
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reacted {
    /// The change's number: `codeteam alarms show` knows it.
    pub alarm_id: i64,
    /// The alarm.
    pub name: String,
    /// What it says.
    pub state: AlarmState,
    /// Which reaction answered it, or `unknown`.
    pub reaction: &'static str,
    /// What was done; empty when it had been done before.
    pub actions: Vec<AlarmAction>,
    /// Whether it had been done before.
    pub was_done: bool,
}

impl Handler for AlarmReact {
    const NAME: &'static str = "alarm-react";
    type Request = Value;
    type Response = Reacted;

    async fn handle(&self, _ctx: Ctx, request: Value) -> Result<Reacted, HandlerError> {
        let invalid = |why| HandlerError::Invalid(format!("alarm-react request: {why}"));
        let change = parse::change(&request, self.clock.now()).map_err(invalid)?;
        let reaction = reactions::of(&change);
        let (name, state) = (change.name.clone(), change.state);
        let reacted = |alarm_id, actions, was_done| Reacted { alarm_id, name, state, reaction: reaction.suffix(), actions, was_done };
        let intent = alarms::intend(&self.db, &change, reaction.suffix(), intended(reaction, state), HELD).await;
        let held = match intent.map_err(failure::of_store)? {
            Intent::Done { alarm_id } => return Ok(reacted(alarm_id, Vec::new(), true)),
            Intent::Busy { alarm_id } => {
                let message = format!("somebody acts on alarm {alarm_id} at this moment");
                return Err(HandlerError::RetryAfter { after: BUSY, message });
            }
            Intent::Ours(held) => held,
        };
        let alarm_id = held.alarm_id;
        let mut course = Course::new(self, &change, held);
        match self.act(reaction, &mut course).await {
            Ok(()) => {
                course.complete().await?;
                let actions = course.into_actions();
                actions.iter().for_each(|action| tracing::info!(alarm.id = alarm_id, "alarm {}: {action}", change.name));
                Ok(reacted(alarm_id, actions, false))
            }
            Err(error) => {
                if let Err(problem) = alarms::failed(&self.db, &course.held, &format!("{error:#}")).await {
                    tracing::warn!(alarm.id = alarm_id, "cannot write down why alarm {alarm_id} is not done: {problem}");
                }
                Err(error)
            }
        }
    }
}

/// What is written down before anything is done.
fn intended(reaction: &dyn Reaction, state: AlarmState) -> &'static str {
    match state {
        AlarmState::Alarm => reaction.intends(),
        AlarmState::Ok => "tell people that it is over, if they were told of it",
        AlarmState::InsufficientData => "nothing: missing data is no alarm",
    }
}

impl AlarmReact {
    async fn act(&self, reaction: &dyn Reaction, course: &mut Course<'_>) -> Result<(), HandlerError> {
        let AlarmChange { name, state, reason, changed_at, .. } = course.change;
        match state {
            AlarmState::Alarm => reaction.react(course).await,
            AlarmState::Ok if alarms::was_told(&self.db, name, *changed_at).await.map_err(failure::of_store)? => {
                let text = format!(
                    "{name} is OK again since {changed_at}.\n\n{reason}\n\nNothing is left to do. `codeteam alarms` shows what was done."
                );
                course.tell(&format!("{name}: over"), &text).await
            }
            AlarmState::Ok | AlarmState::InsufficientData => Ok(()),
        }
    }

    /// The most workers of `mode`.
    fn workers_max(&self, mode: Mode) -> u32 {
        self.workers_max[mode as usize]
    }
}

/// The ends of the names of all alarms that have a reaction of their own.
pub fn suffixes() -> impl Iterator<Item = &'static str> {
    reactions::ALL.iter().map(|reaction| reaction.suffix())
}

impl Configured for AlarmReact {
    const NEEDS: &'static [Need] = &[Need::Database];

    async fn configure(services: &Services) -> Result<Self> {
        let deployment = &services.settings.deployment;
        Ok(Self {
            db: services.db().await?,
            notices: services.notices()?,
            capacity: services.capacity().await?,
            instance: services.database_instance()?.map(|instance| Arc::new(instance) as Arc<dyn DatabaseInstance>),
            workers_max: [Mode::Mechanic, Mode::Genius].map(|mode| *deployment.workers_max.of(mode)),
            limits: Limits { idle: deployment.database_idle.unwrap_or(IDLE_TOO_LONG), ..Limits::default() },
            clock: Arc::new(SystemClock),
        })
    }
}
