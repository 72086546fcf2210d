//! AWS as the settings name it: where secrets are, where workers come from, what wakes them, who protects them from being taken away,
//! how alarms arrive and people hear of them.

use std::sync::Arc;

use ::aws::protection::{Protection, Task};
use ::aws::rds::Instance;
use ::aws::secrets::Vault;
use ::aws::sns::Topic;
use ::aws::sqs::{Inbox, WakeQueue};
use ::aws::{Access, Aws, Http, Proxy, ecs};
use anyhow::{Context, anyhow};
use async_trait::async_trait;
use domain::{Capacity, Mode, NoticeError, Notices};
use llm::AwsAccess;

use crate::{Services, Settings, aws};

impl Settings {
    /// AWS, in the region and with the keys or the role of this process.
    ///
    /// # Errors
    /// No region is set, or the proxy is no URL.
    pub(crate) fn aws(&self) -> anyhow::Result<Aws> {
        let region = self.aws_region.as_deref().context("AWS_REGION is not set: name the region of the deployment")?;
        // A key for Bedrock opens nothing else.
        let lookup = |name: &str| self.environment.text(name).filter(|_| name != "AWS_BEARER_TOKEN_BEDROCK").map(str::to_owned);
        let access = aws::access(lookup).and_then(|access| match access {
            AwsAccess::Keys { id, secret, session } => Some(Access::Keys { id, secret, session }),
            AwsAccess::Container { url, token, token_file } => Some(Access::Container { url, token, token_file }),
            AwsAccess::ApiKey(_) => None,
        });
        Ok(Aws::new(&self.aws_http()?, region, access))
    }

    fn aws_http(&self) -> anyhow::Result<Http> {
        let except = self.environment.text("NO_PROXY").map(str::to_owned);
        let proxy = self.proxy.clone().map(|url| Proxy { url, except });
        Http::new(proxy.as_ref()).map_err(|error| anyhow!("cannot set up the way to AWS: {error}"))
    }

    /// The deployment's entries in Secrets Manager; `None` = the environment holds the secrets.
    pub(crate) fn vault(&self) -> anyhow::Result<Option<Vault>> {
        let Some(prefix) = &self.deployment.secrets else { return Ok(None) };
        Ok(Some(Vault::new(&self.aws()?, prefix, self.deployment.endpoints.secrets_manager.as_ref())))
    }
}

impl Services {
    /// AWS, in the region and with the keys or the role of this process.
    ///
    /// # Errors
    /// No region is set, or the proxy is no URL.
    pub fn aws(&self) -> anyhow::Result<Aws> {
        self.settings.aws()
    }

    /// The services of the cluster that the settings name; `None` = they name none.
    pub(crate) fn cluster(&self) -> anyhow::Result<Option<Arc<dyn Capacity>>> {
        let deployment = &self.settings.deployment;
        let Some(cluster) = &deployment.cluster else { return Ok(None) };
        let (mechanic, genius) = (&deployment.services.mechanic, &deployment.services.genius);
        let workers = ecs::Workers::new(&self.aws()?, cluster, mechanic, genius, deployment.endpoints.ecs.as_ref());
        Ok(Some(Arc::new(workers)))
    }

    /// What wakes the idle workers of `mode`, beside the database; `None` = no queue is named.
    ///
    /// # Errors
    /// As [`Services::aws`].
    pub fn wake_queue(&self, mode: Mode) -> anyhow::Result<Option<WakeQueue>> {
        let deployment = &self.settings.deployment;
        let Some(url) = deployment.wake_queues.of(mode) else { return Ok(None) };
        Ok(Some(WakeQueue::new(&self.aws()?, url, deployment.endpoints.sqs.as_ref())))
    }

    /// The queue in which alarms arrive; `None` = none is named.
    ///
    /// # Errors
    /// As [`Services::aws`].
    pub fn alarm_inbox(&self) -> anyhow::Result<Option<Inbox>> {
        let deployment = &self.settings.deployment;
        let Some(url) = &deployment.alarm_queue else { return Ok(None) };
        Ok(Some(Inbox::new(&self.aws()?, url, deployment.endpoints.sqs.as_ref())))
    }

    /// The topic that people hear; `None` = none is named.
    ///
    /// # Errors
    /// As [`Services::aws`].
    pub fn alarm_topic(&self) -> anyhow::Result<Option<Topic>> {
        let deployment = &self.settings.deployment;
        let Some(arn) = &deployment.alarm_topic else { return Ok(None) };
        Ok(Some(Topic::new(&self.aws()?, arn, deployment.endpoints.sns.as_ref())))
    }

    /// How people are told: by the topic, or where none is named in the log alone.
    ///
    /// # Errors
    /// As [`Services::aws`].
    pub fn notices(&self) -> anyhow::Result<Arc<dyn Notices>> {
        Ok(match self.alarm_topic()? {
            Some(topic) => Arc::new(topic),
            None => Arc::new(LoggedNotices),
        })
    }

    /// The database's instance; `None` = it is not one of RDS, or not named.
    ///
    /// # Errors
    /// As [`Services::aws`].
    pub fn database_instance(&self) -> anyhow::Result<Option<Instance>> {
        let deployment = &self.settings.deployment;
        let Some(id) = &deployment.database_instance else { return Ok(None) };
        Ok(Some(Instance::new(&self.aws()?, id, deployment.endpoints.rds.as_ref())))
    }

    /// Who protects this process from being taken away; `None` = nobody takes it away.
    ///
    /// # Errors
    /// The proxy is no URL.
    pub fn protection(&self) -> anyhow::Result<Option<Protection>> {
        let Some(agent) = &self.settings.deployment.agent else { return Ok(None) };
        Ok(Some(Protection::new(&self.settings.aws_http()?, agent)))
    }

    /// The name of this process to whoever may take it away: its task's ARN. `None` = it is no task.
    ///
    /// # Errors
    /// Nobody tells it.
    pub async fn own_task(&self) -> anyhow::Result<Option<String>> {
        let Some(metadata) = &self.settings.deployment.metadata else { return Ok(None) };
        Ok(Some(Task::own(&self.settings.aws_http()?, metadata).await?.arn))
    }
}

/// Tells whoever reads the log.
struct LoggedNotices;

#[async_trait]
impl Notices for LoggedNotices {
    async fn publish(&self, subject: &str, text: &str) -> Result<(), NoticeError> {
        tracing::warn!("nobody is told, since ALARM_TOPIC_ARN is not set: {subject}: {text}");
        Ok(())
    }
}
