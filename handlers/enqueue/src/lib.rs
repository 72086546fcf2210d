//! Turns a webhook or a new job into a job row, or a webhook into the row of a command.

mod request;

use anyhow::Result;
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError, HttpRequest};
use domain::{CommandId, JobId, NewJob};
use failpoints::fail_point;
use github::signature::SIGNATURE_HEADER;
use github::webhook::{self, DELIVERY_HEADER, EVENT_HEADER, MAX_BODY_BYTES};
use github::{Reaction, Triggers, WebhookSecrets, interpret};
use llm::Models;
use serde::Serialize;
use store::enqueue::{Delivery, Enqueued};
use store::{Db, commands, enqueue as table};

pub use request::{EnqueueRequest, check};

/// Writes a job or a command, in one short transaction that asks nobody anything.
///
/// Harmless twice: a delivery's GUID, the human action behind it and a caller's idempotency key each stand
/// for one of them.
#[derive(Clone)]
pub struct Enqueue {
    /// Where jobs are written.
    pub db: Db,
    /// Who may sign webhooks; `None` = webhooks are refused.
    pub secrets: Option<WebhookSecrets>,
    /// Which labels and commands start jobs.
    pub triggers: Triggers,
    /// Which models a job may ask for.
    pub models: Models,
    /// Whether a job may name a repository on this machine, or a URL with a password.
    pub local_remotes: bool,
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "accepted", rename_all = "snake_case")]
pub enum JobAccepted {
    /// It is a new job.
    New {
        /// Its id.
        job_id: JobId,
    },
    /// It was this job already.
    Known {
        /// Its id.
        job_id: JobId,
    },
    /// It is a new command about jobs that are there.
    Command {
        /// Its id.
        command_id: CommandId,
    },
    /// It was this command already.
    KnownCommand {
        /// Its id.
        command_id: CommandId,
    },
    /// It asks for nothing.
    Ignored {
        /// Why.
        reason: String,
    },
}

impl From<Enqueued> for JobAccepted {
    fn from(enqueued: Enqueued) -> Self {
        match enqueued {
            Enqueued::New(job_id) => Self::New { job_id },
            Enqueued::Known(job_id) => Self::Known { job_id },
            Enqueued::Command(command_id) => Self::Command { command_id },
            Enqueued::KnownCommand(command_id) => Self::KnownCommand { command_id },
            Enqueued::Ignored(reason) => Self::Ignored { reason },
        }
    }
}

impl Handler for Enqueue {
    const NAME: &'static str = "enqueue";
    type Request = EnqueueRequest;
    type Response = JobAccepted;

    async fn handle(&self, _ctx: Ctx, request: EnqueueRequest) -> Result<JobAccepted, HandlerError> {
        fail_point!(BeforeEnqueue);
        let accepted = match request {
            EnqueueRequest::Job(job) => self.job(*job).await,
            EnqueueRequest::Webhook(webhook) => self.webhook(&webhook).await,
        };
        fail_point!(AfterEnqueue);
        accepted
    }

    fn from_http(request: HttpRequest) -> Result<EnqueueRequest, HandlerError> {
        EnqueueRequest::from_http(request)
    }
}

impl Enqueue {
    async fn job(&self, job: NewJob) -> Result<JobAccepted, HandlerError> {
        request::check(&job, &self.models, self.local_remotes).map_err(HandlerError::Invalid)?;
        let key = job.idempotency_key.as_ref().map(|key| format!("api:{}:{key}", job.repository));
        Ok(table::enqueue(&self.db, &job, key.as_deref(), None, None).await.map_err(failure::of_store)?.into())
    }

    async fn webhook(&self, http: &HttpRequest) -> Result<JobAccepted, HandlerError> {
        if http.body.len() > MAX_BODY_BYTES {
            return Err(HandlerError::Invalid(format!("the body has {} bytes: GitHub sends at most {MAX_BODY_BYTES}", http.body.len())));
        }
        let Some(secrets) = &self.secrets else {
            return Err(HandlerError::Denied("webhooks are refused: no GITHUB_WEBHOOK_SECRET is set".to_owned()));
        };
        secrets.verify(http.header(SIGNATURE_HEADER), &http.body).map_err(failure::of_signature)?;
        let header = |name: &str| {
            http.header(name).filter(|value| !value.is_empty()).ok_or_else(|| HandlerError::Invalid(format!("header {name} is missing")))
        };
        let delivery = Delivery { delivery_id: header(DELIVERY_HEADER)?, event: header(EVENT_HEADER)?, body: &http.body };
        let enqueued = match webhook::parse(delivery.event, delivery.delivery_id, delivery.body) {
            Ok(webhook) => match interpret(&webhook, &self.triggers) {
                Reaction::Job { mut job, natural_key } => {
                    request::shorten_title(&mut job.input);
                    let key = format!("github:{natural_key}");
                    table::enqueue(&self.db, &job, Some(&key), Some(delivery), None).await
                }
                Reaction::Command { command, natural_key } => {
                    commands::write(&self.db, &command, &format!("github:{natural_key}"), delivery).await
                }
                Reaction::Ignored { reason } => table::ignore(&self.db, delivery, &reason).await,
            },
            Err(error) => {
                // Signed, so GitHub did send it: it is kept for whoever looks into it.
                table::ignore(&self.db, delivery, &error.to_string()).await.map_err(failure::of_store)?;
                return Err(HandlerError::Invalid(error.to_string()));
            }
        };
        Ok(enqueued.map_err(failure::of_store)?.into())
    }
}

impl Configured for Enqueue {
    const NEEDS: &'static [Need] = &[Need::Database, Need::Webhooks];

    async fn configure(services: &Services) -> Result<Self> {
        Ok(Self {
            db: services.db().await?,
            secrets: services.webhook_secrets()?,
            triggers: services.triggers()?,
            models: services.models()?,
            local_remotes: services.settings.local_remotes,
        })
    }
}
