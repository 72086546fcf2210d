//! Where the product is deployed and what stands around it there: stage, queues, topic, cluster, database instance. Nothing of it is
//! set on a laptop.

use std::time::Duration;

use domain::{Mode, Secret};

use crate::SettingsError;
use crate::settings::{choice, parsed, positive};

/// What the template tells every task of a deployment. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deployment {
    /// `ENVIRONMENT`: `dev` or `prod`; `local` unless set.
    pub stage: Stage,
    /// `CODETEAM_SECRETS`: what the names of the deployment's entries in Secrets Manager begin with, such as `ai-coding-team/prod`;
    /// `None` = the environment holds the secrets.
    pub secrets: Option<String>,
    /// `AWS_ENDPOINT_URL`, and for one service `AWS_ENDPOINT_URL_SQS` and its like.
    pub endpoints: Endpoints,
    /// `WAKE_QUEUE_URL_MECHANIC` and `WAKE_QUEUE_URL_GENIUS`: the SQS queues that wake idle workers.
    pub wake_queues: ByMode<Option<String>>,
    /// `ALARM_QUEUE_URL`: the SQS queue in which alarms arrive.
    pub alarm_queue: Option<String>,
    /// `ALARM_TOPIC_ARN`: the SNS topic that people hear.
    pub alarm_topic: Option<String>,
    /// `ECS_CLUSTER`: the cluster whose services are scaled; `None` = workers are not ECS's.
    pub cluster: Option<String>,
    /// `ECS_SERVICE_MECHANIC` and `ECS_SERVICE_GENIUS`: `mechanic-worker` and `genius-worker` unless set.
    pub services: ByMode<String>,
    /// `WORKERS_MAX_MECHANIC` and `WORKERS_MAX_GENIUS`: the most workers; 10 and 3 unless set.
    pub workers_max: ByMode<u32>,
    /// `WORKERS_MIN_BUSY`: the least workers of a mode while its queue is not empty (see [`Deployment::workers_while_busy`]); 2 in
    /// prod and 0 elsewhere unless set.
    pub workers_min_busy: u32,
    /// `WORKER_SLOTS`: how many jobs a worker does at the same time; 1 unless set.
    pub worker_slots: u16,
    /// `RDS_INSTANCE`: the identifier of the database's instance.
    pub database_instance: Option<String>,
    /// `DATABASE_AUTH`: what the database is shown.
    pub database_auth: DatabaseAuth,
    /// `DATABASE_IDLE_SECS`: how long a session may be idle within a transaction before the alarm about connections ends it; `None` = as
    /// long as everywhere.
    pub database_idle: Option<Duration>,
    /// `ECS_AGENT_URI`, set by ECS: where a task asks not to be stopped.
    pub agent: Option<String>,
    /// `ECS_CONTAINER_METADATA_URI_V4`, set by ECS: where a task asks who it is.
    pub metadata: Option<String>,
}

/// Which deployment this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stage {
    /// None: somebody's own machine.
    #[default]
    Local,
    /// Where changes are tried.
    Dev,
    /// Where people's work is done.
    Prod,
}

/// What the database is shown to let us in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DatabaseAuth {
    /// `password`, and unless set: what `DATABASE_URL` holds.
    #[default]
    Password,
    /// `iam`: a token that AWS's credentials sign, good for a quarter of an hour.
    Iam,
}

/// Addresses of AWS's services, where they are not the region's own. Like every URL, each can hold a password.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL_SQS`; for this and the next `AWS_ENDPOINT_URL` unless set.
    pub sqs: Option<Secret>,
    /// `AWS_ENDPOINT_URL_SNS`.
    pub sns: Option<Secret>,
    /// `AWS_ENDPOINT_URL_ECS`.
    pub ecs: Option<Secret>,
    /// `AWS_ENDPOINT_URL_RDS`.
    pub rds: Option<Secret>,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    pub secrets_manager: Option<Secret>,
    /// `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`.
    pub bedrock_runtime: Option<Secret>,
}

/// One of each for the workers of each mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByMode<T> {
    /// The mechanics'.
    pub mechanic: T,
    /// The geniuses'.
    pub genius: T,
}

impl Stage {
    /// Its name in metrics, names of resources and secrets.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Dev => "dev",
            Self::Prod => "prod",
        }
    }
}

impl<T> ByMode<T> {
    /// The one of `mode`.
    pub const fn of(&self, mode: Mode) -> &T {
        match mode {
            Mode::Mechanic => &self.mechanic,
            Mode::Genius => &self.genius,
        }
    }
}

impl Default for Deployment {
    /// None: what is read from an empty environment.
    fn default() -> Self {
        Self {
            stage: Stage::Local,
            secrets: None,
            endpoints: Endpoints::default(),
            wake_queues: ByMode::default(),
            alarm_queue: None,
            alarm_topic: None,
            cluster: None,
            services: ByMode { mechanic: "mechanic-worker".to_owned(), genius: "genius-worker".to_owned() },
            workers_max: ByMode { mechanic: 10, genius: 3 },
            workers_min_busy: 0,
            worker_slots: 1,
            database_instance: None,
            database_auth: DatabaseAuth::Password,
            database_idle: None,
            agent: None,
            metadata: None,
        }
    }
}

impl Deployment {
    /// Reads what `text` gives for each name, and through `secret` what can hold a password.
    pub(crate) fn read(text: impl Fn(&str) -> Option<String>, secret: impl Fn(&str) -> Option<Secret>) -> Result<Self, SettingsError> {
        let usual = Self::default();
        let stage =
            choice(&text, "ENVIRONMENT", &[("dev", Stage::Dev), ("prod", Stage::Prod), ("local", Stage::Local)])?.unwrap_or_default();
        let queue = |name| begins(&text, name, &["https://", "http://"], "the URL of an SQS queue");
        let count = |name| parsed::<u32>(&text, name, "a whole number of workers");
        let local = |name| begins(&text, name, &["http://"], "the address that ECS gives to a task, http://...");
        let slots: Option<u16> = positive(&text, "WORKER_SLOTS", "a whole number of jobs from 1 to 1024")?;
        if let Some(many) = slots.filter(|slots| *slots > 1024) {
            return Err(wrong("WORKER_SLOTS", many.to_string(), "a whole number of jobs from 1 to 1024"));
        }
        Ok(Self {
            stage,
            secrets: prefix(&text)?,
            endpoints: Endpoints::read(secret),
            wake_queues: ByMode { mechanic: queue("WAKE_QUEUE_URL_MECHANIC")?, genius: queue("WAKE_QUEUE_URL_GENIUS")? },
            alarm_queue: queue("ALARM_QUEUE_URL")?,
            alarm_topic: begins(&text, "ALARM_TOPIC_ARN", &["arn:"], "the ARN of an SNS topic, arn:aws:sns:...")?,
            cluster: text("ECS_CLUSTER"),
            services: ByMode {
                mechanic: text("ECS_SERVICE_MECHANIC").unwrap_or(usual.services.mechanic),
                genius: text("ECS_SERVICE_GENIUS").unwrap_or(usual.services.genius),
            },
            workers_max: ByMode {
                mechanic: count("WORKERS_MAX_MECHANIC")?.unwrap_or(usual.workers_max.mechanic),
                genius: count("WORKERS_MAX_GENIUS")?.unwrap_or(usual.workers_max.genius),
            },
            workers_min_busy: count("WORKERS_MIN_BUSY")?.unwrap_or(if stage == Stage::Prod { 2 } else { 0 }),
            worker_slots: slots.unwrap_or(usual.worker_slots),
            database_instance: text("RDS_INSTANCE"),
            database_auth: choice(&text, "DATABASE_AUTH", &[("password", DatabaseAuth::Password), ("iam", DatabaseAuth::Iam)])?
                .unwrap_or_default(),
            database_idle: positive::<u32>(&text, "DATABASE_IDLE_SECS", "a whole number of seconds, one or more")?
                .map(|seconds| Duration::from_secs(seconds.into())),
            agent: local("ECS_AGENT_URI")?,
            metadata: local("ECS_CONTAINER_METADATA_URI_V4")?,
        })
    }

    /// The least workers of `mode` while there is something for them to do: never more than its most.
    pub fn workers_while_busy(&self, mode: Mode) -> u32 {
        self.workers_min_busy.min(*self.workers_max.of(mode))
    }
}

impl Endpoints {
    fn read(secret: impl Fn(&str) -> Option<Secret>) -> Self {
        let all = secret("AWS_ENDPOINT_URL");
        let of = |name: &str| secret(name).or_else(|| all.clone());
        Self {
            sqs: of("AWS_ENDPOINT_URL_SQS"),
            sns: of("AWS_ENDPOINT_URL_SNS"),
            ecs: of("AWS_ENDPOINT_URL_ECS"),
            rds: of("AWS_ENDPOINT_URL_RDS"),
            secrets_manager: of("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            bedrock_runtime: of("AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        }
    }
}

fn wrong(name: &'static str, value: String, expected: &str) -> SettingsError {
    SettingsError { name, value, expected: format!("expected {expected}") }
}

/// A value that begins with one of `starts`.
fn begins(
    text: impl Fn(&str) -> Option<String>,
    name: &'static str,
    starts: &[&str],
    expected: &str,
) -> Result<Option<String>, SettingsError> {
    match text(name) {
        Some(value) if !starts.iter().any(|start| value.starts_with(start)) => Err(wrong(name, value, expected)),
        value => Ok(value),
    }
}

/// The prefix of secrets' names, which a slash parts from the rest.
fn prefix(text: impl Fn(&str) -> Option<String>) -> Result<Option<String>, SettingsError> {
    const NAME: &str = "CODETEAM_SECRETS";
    let Some(value) = text(NAME) else { return Ok(None) };
    // What the names of secrets are made of: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    let usable = |letter: char| letter.is_ascii_alphanumeric() || "/_+=.@-".contains(letter);
    match value.chars().all(usable) && !value.starts_with('/') && !value.ends_with('/') {
        true => Ok(Some(value)),
        false => Err(wrong(NAME, value, "what the secrets' names begin with, without a slash at the end, such as ai-coding-team/prod")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Deployment, SettingsError> {
        let text = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Deployment::read(text, |name| text(name).map(Secret::new))
    }

    #[test]
    fn a_laptop_is_no_deployment() {
        assert_eq!(read(&[]).unwrap(), Deployment::default());
    }

    #[test]
    fn a_task_reads_all_that_the_template_tells_it() {
        let queue = |name: &str| format!("https://sqs.us-east-1.amazonaws.com/123456789012/{name}");
        let (mechanic, genius, alarms) = (queue("wake-mechanic"), queue("wake-genius"), queue("alarms"));
        let topic = "arn:aws:sns:us-east-1:123456789012:notifications";
        let deployment = read(&[
            ("ENVIRONMENT", "prod"),
            ("CODETEAM_SECRETS", "ai-coding-team/prod"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
            ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9324"),
            ("WAKE_QUEUE_URL_MECHANIC", &mechanic),
            ("WAKE_QUEUE_URL_GENIUS", &genius),
            ("ALARM_QUEUE_URL", &alarms),
            ("ALARM_TOPIC_ARN", topic),
            ("ECS_CLUSTER", "ai-coding-team"),
            ("ECS_SERVICE_GENIUS", "geniuses"),
            ("WORKERS_MAX_GENIUS", "1"),
            ("WORKER_SLOTS", "4"),
            ("RDS_INSTANCE", "ai-coding-team-prod"),
            ("DATABASE_AUTH", "iam"),
            ("DATABASE_IDLE_SECS", "600"),
            ("ECS_AGENT_URI", "http://169.254.170.2/api/1"),
            ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/1"),
        ]);
        let everywhere = || Some(Secret::new("http://127.0.0.1:4566"));
        let expected = Deployment {
            stage: Stage::Prod,
            secrets: Some("ai-coding-team/prod".to_owned()),
            endpoints: Endpoints {
                sqs: Some(Secret::new("http://127.0.0.1:9324")),
                sns: everywhere(),
                ecs: everywhere(),
                rds: everywhere(),
                secrets_manager: everywhere(),
                bedrock_runtime: everywhere(),
            },
            wake_queues: ByMode { mechanic: Some(mechanic), genius: Some(genius) },
            alarm_queue: Some(alarms),
            alarm_topic: Some(topic.to_owned()),
            cluster: Some("ai-coding-team".to_owned()),
            services: ByMode { mechanic: "mechanic-worker".to_owned(), genius: "geniuses".to_owned() },
            workers_max: ByMode { mechanic: 10, genius: 1 },
            workers_min_busy: 2,
            worker_slots: 4,
            database_instance: Some("ai-coding-team-prod".to_owned()),
            database_auth: DatabaseAuth::Iam,
            database_idle: Some(Duration::from_secs(600)),
            agent: Some("http://169.254.170.2/api/1".to_owned()),
            metadata: Some("http://169.254.170.2/v4/1".to_owned()),
        };
        assert_eq!(deployment.unwrap(), expected);
    }

    #[test]
    fn production_keeps_two_busy_workers_but_never_more_than_the_most() {
        let busy = |pairs: &[(&str, &str)]| {
            let deployment = read(pairs).unwrap();
            [Mode::Mechanic, Mode::Genius].map(|mode| deployment.workers_while_busy(mode))
        };
        assert_eq!(busy(&[("ENVIRONMENT", "prod")]), [2, 2]);
        assert_eq!(busy(&[("ENVIRONMENT", "prod"), ("WORKERS_MAX_GENIUS", "0")]), [2, 0]);
        assert_eq!(busy(&[("ENVIRONMENT", "dev")]), [0, 0]);
        assert_eq!(busy(&[("WORKERS_MIN_BUSY", "4")]), [4, 3]);
    }

    #[test]
    fn what_cannot_be_understood_is_named_with_what_was_expected() {
        let told = |name: &str, value: &str| read(&[(name, value)]).unwrap_err().to_string();
        assert_eq!(told("ENVIRONMENT", "production"), r#"ENVIRONMENT is "production": expected dev or prod or local"#);
        assert_eq!(told("WORKERS_MAX_GENIUS", "-1"), r#"WORKERS_MAX_GENIUS is "-1": expected a whole number of workers"#);
        assert_eq!(told("WORKER_SLOTS", "0"), r#"WORKER_SLOTS is "0": expected a whole number of jobs from 1 to 1024"#);
        assert_eq!(told("WORKER_SLOTS", "1025"), r#"WORKER_SLOTS is "1025": expected a whole number of jobs from 1 to 1024"#);
        assert_eq!(told("ALARM_QUEUE_URL", "alarms"), r#"ALARM_QUEUE_URL is "alarms": expected the URL of an SQS queue"#);
        assert_eq!(told("ALARM_TOPIC_ARN", "alarms"), r#"ALARM_TOPIC_ARN is "alarms": expected the ARN of an SNS topic, arn:aws:sns:..."#);
        assert_eq!(told("DATABASE_IDLE_SECS", "0"), r#"DATABASE_IDLE_SECS is "0": expected a whole number of seconds, one or more"#);
        assert_eq!(told("DATABASE_AUTH", "kerberos"), r#"DATABASE_AUTH is "kerberos": expected password or iam"#);
        let slash = "expected what the secrets' names begin with, without a slash at the end, such as ai-coding-team/prod";
        assert_eq!(told("CODETEAM_SECRETS", "prod/"), format!(r#"CODETEAM_SECRETS is "prod/": {slash}"#));
    }
}
