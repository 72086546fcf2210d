//! Workers are lost: their jobs go on elsewhere at once, and their tasks are stopped so that new ones take their place.

use async_trait::async_trait;
use config::failure;
use dispatch::HandlerError;
use domain::{AlarmAction, CapacityError};
use store::alarms::{self, Silent};

use super::Reaction;
use crate::course::{Course, of_capacity};

pub(super) struct StaleWorkers;

#[async_trait]
impl Reaction for StaleWorkers {
    fn suffix(&self) -> &'static str {
        "stale-workers"
    }

    fn intends(&self) -> &'static str {
        "take the jobs of lost workers back, stop their tasks, and cross them off"
    }

    async fn react(&self, course: &mut Course<'_>) -> Result<(), HandlerError> {
        let silent = alarms::silent(&course.with.db, course.with.limits.stale).await.map_err(failure::of_store)?;
        for worker in &silent {
            replace(course, worker).await?;
        }
        let left: Vec<String> = course
            .actions()
            .iter()
            .filter(|action| matches!(action, AlarmAction::CouldNotStop { .. }))
            .map(|action| format!("- {action}\n"))
            .collect();
        // What was put right is in `codeteam alarms`; nobody has to be woken for it.
        if left.is_empty() {
            return Ok(());
        }
        let text = format!(
            "{}\nThese workers are lost, and a person has to see to it that others take their place:\n{}{}\nWhat you can type: `codeteam workers` \
             shows who is left. A task that hangs is stopped with `aws ecs stop-task --cluster CLUSTER --task TASK`, a worker of your own is \
             started with `codeteam work`.\n",
            course.happened(),
            left.concat(),
            course.done()
        );
        let subject = format!("{}: {} lost workers could not be replaced", course.change.name, left.len());
        course.tell(&subject, &text).await
    }
}

async fn replace(course: &mut Course<'_>, worker: &Silent) -> Result<(), HandlerError> {
    let (with, stale) = (course.with, course.with.limits.stale);
    // First of all the jobs: from now on the worker can write nothing, dead or alive.
    let taken = alarms::take_back(&with.db, &course.held, worker.owner, stale).await;
    if matches!(taken, Ok(None)) {
        // It is there after all.
        return Ok(());
    }
    course.took(taken)?;
    match stop(course, worker).await? {
        Stopped::Yes => {}
        // Nobody here could do more later either.
        Stopped::NotHere(why) => course.did(AlarmAction::CouldNotStop { owner: worker.owner, task: worker.task.clone(), why }).await?,
        // It stays on the list, and the alarm goes on, until a person has set right what is in the way.
        Stopped::Refused(why) => {
            return course.did(AlarmAction::CouldNotStop { owner: worker.owner, task: worker.task.clone(), why }).await;
        }
    }
    let crossed = alarms::cross_off(&with.db, &course.held, worker, stale).await;
    course.took(crossed.map(|action| action.map(|action| vec![action])))
}

enum Stopped {
    Yes,
    NotHere(String),
    Refused(String),
}

async fn stop(course: &mut Course<'_>, worker: &Silent) -> Result<Stopped, HandlerError> {
    let Silent { owner, host, task, silent_secs } = worker;
    let Some(task) = task else {
        return Ok(Stopped::NotHere(format!("it has no task: somebody started it by hand on {host}")));
    };
    let Some(capacity) = &course.with.capacity else {
        return Ok(Stopped::NotHere("no workers can be stopped from here: ECS_CLUSTER is not set".to_owned()));
    };
    match capacity.stop(task, &format!("nobody has seen its worker for {silent_secs} s")).await {
        Ok(was_there) => {
            course.did(AlarmAction::StoppedTask { owner: *owner, task: task.clone(), was_there }).await?;
            Ok(Stopped::Yes)
        }
        Err(error @ CapacityError::Unavailable(_)) => Err(of_capacity(&error)),
        Err(CapacityError::Refused(why)) => Ok(Stopped::Refused(why)),
    }
}
