//! Who performs the jobs of a run: the product's handlers, with the replies of each job's own script where no model is
//! asked.

use std::collections::HashMap;

use domain::{Epoch, JobId};
use store::queue::Claimed;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::leases::Lease;
use crate::perform::{Handlers, Perform, Performed};

/// The handlers of a run.
#[derive(Clone)]
pub(super) struct Performer {
    handlers: Handlers,
    /// By job, where replies come from scripts; `None` = models are asked.
    scripted: Option<watch::Sender<HashMap<JobId, Handlers>>>,
}

impl Performer {
    /// Asks models.
    pub(super) fn live(handlers: Handlers) -> Self {
        Self { handlers, scripted: None }
    }

    /// Asks nobody: each job waits until it [has its script](Self::scripted_by).
    pub(super) fn scripted(handlers: Handlers) -> Self {
        Self { handlers, scripted: Some(watch::Sender::new(HashMap::new())) }
    }

    /// From now on the replies to `job_id` are those of `handlers`.
    pub(super) fn scripted_by(&self, job_id: JobId, handlers: Handlers) {
        if let Some(scripted) = &self.scripted {
            scripted.send_modify(|all| {
                all.insert(job_id, handlers);
            });
        }
    }

    /// The handlers that the others are made from.
    pub(super) fn handlers(&self) -> &Handlers {
        &self.handlers
    }
}

impl Perform for Performer {
    async fn begin(&self) {
        self.handlers.begin().await;
    }

    async fn perform(&self, job: &Claimed, lease: &Lease, shutdown: &CancellationToken) -> Performed {
        let Some(scripted) = &self.scripted else {
            return self.handlers.perform(job, lease, shutdown).await;
        };
        // A worker may be faster than the one who enqueued the job and then says what its script is.
        let mut known = scripted.subscribe();
        let handlers = tokio::select! {
            found = known.wait_for(|all| all.contains_key(&job.job_id)) => {
                found.ok().and_then(|all| all.get(&job.job_id).cloned())
            }
            () = shutdown.cancelled() => None,
        };
        match handlers {
            Some(handlers) => handlers.perform(job, lease, shutdown).await,
            None => Performed::Released("the worker shuts down"),
        }
    }

    async fn forget(&self, job_id: JobId, epoch: Epoch) {
        self.handlers.forget(job_id, epoch).await;
    }
}
