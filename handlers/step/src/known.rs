//! What this process knows of the jobs that it holds, kept from step to step: to read and decode the whole history again
//! would cost each step more than the one before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent::PastStep;
use domain::{Epoch, JobId};
use store::steps::Work;

use crate::Turn;

/// No process works on more jobs at the same time. Whoever calls steps by hand forgets none; theirs go here.
const MOST: usize = 64;

/// A job as it was after a step, its history decoded.
pub(crate) struct Known {
    epoch: Epoch,
    pub work: Work,
    pub history: Vec<PastStep>,
    /// The request of its newest step, as it was sent.
    pub sent: Option<String>,
}

/// The jobs that were left after a step. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<HashMap<JobId, Known>>>);

impl Memory {
    /// What is known of a job that is held under `epoch`. It is gone from here until it is kept again, so that a step that
    /// fails leaves nothing behind.
    pub(crate) fn take(&self, job_id: JobId, epoch: Epoch) -> Option<Known> {
        self.with(|jobs| jobs.remove(&job_id)).filter(|known| known.epoch == epoch)
    }

    /// Keeps what the database has said. The newest step has only been written so far: it is read back, since what is stored
    /// of it, and any other worker reads, may have lost a secret on the way.
    pub(crate) fn keep(&self, turn: Turn<'_>) {
        let (job_id, epoch, newest) = (turn.job_id(), turn.epoch, turn.step_no());
        let Turn { mut work, mut history, sent, .. } = turn;
        work.steps.retain(|step| step.step_no.unsigned_abs() < newest);
        history.retain(|step| step.step_no < newest);
        self.with(|jobs| {
            if jobs.len() >= MOST {
                jobs.clear();
            }
            jobs.insert(job_id, Known { epoch, work, history, sent });
        });
    }

    /// Drops what is known of a job.
    pub(crate) fn drop(&self, job_id: JobId) {
        self.with(|jobs| jobs.remove(&job_id));
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<JobId, Known>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
