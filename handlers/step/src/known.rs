//! What this process knows of the jobs that it holds, kept from step to step: to read and decode the whole history again
//! would cost each step more than the one before. Under its epoch nobody else changes a job; what people say to it meanwhile
//! (`Work::heard`) is found out before each model call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent::PastStep;
use domain::{Epoch, JobId};
use store::steps::Work;

use crate::Turn;
use crate::checkouts::JobCheckout;

/// No process works on more jobs at the same time. Whoever calls steps by hand forgets none; theirs go here.
const MOST: usize = 64;

/// A job as it was after a step.
pub(crate) struct Known {
    pub work: Work,
    /// Its steps, decoded; those that are missing at the end are still to be.
    pub history: Vec<PastStep>,
    /// The request of its newest step, as it was sent.
    pub sent: Option<String>,
    /// Its checkout, as the newest step left it.
    pub checkout: Option<JobCheckout>,
}

impl Known {
    /// A job that was just loaded.
    pub(crate) fn of(work: Work) -> Self {
        Self { work, history: Vec::new(), sent: None, checkout: None }
    }
}

/// The jobs that were left after a step. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<HashMap<JobId, (Epoch, Known)>>>);

impl Memory {
    /// What is known of a job that is held under `epoch`. It is gone from here until it is kept again, so that a step that
    /// fails leaves nothing behind.
    pub(crate) fn take(&self, job_id: JobId, epoch: Epoch) -> Option<Known> {
        self.with(|jobs| jobs.remove(&job_id)).filter(|(held, _)| *held == epoch).map(|(_, known)| known)
    }

    /// Keeps a job that goes on.
    pub(crate) fn keep(&self, turn: Turn<'_>, checkout: JobCheckout) {
        let (job_id, epoch) = (turn.job_id(), turn.epoch);
        let Turn { work, history, sent, .. } = turn;
        self.with(|jobs| {
            if jobs.len() >= MOST {
                jobs.clear();
            }
            jobs.insert(job_id, (epoch, Known { work, history, sent, checkout: Some(checkout) }));
        });
    }

    /// Drops what is known of a job.
    pub(crate) fn drop(&self, job_id: JobId) {
        self.with(|jobs| jobs.remove(&job_id));
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<JobId, (Epoch, Known)>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
