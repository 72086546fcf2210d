//! Amazon ECS: how many workers there are.

use async_trait::async_trait;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::Builder;
use domain::{Capacity, CapacityError, Counts, Mode, Secret};

use crate::calls::Call;
use crate::{Aws, AwsError};

/// The longest reason that is kept.
const REASON_LIMIT: usize = 255;

/// The services of a cluster that hold the workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workers {
    client: Client,
    cluster: String,
    mechanic: String,
    genius: String,
    region: String,
}

impl Workers {
    /// The services `mechanic` and `genius` of `cluster`, through `endpoint` where it is not the region's own.
    pub fn new(aws: &Aws, cluster: &str, mechanic: &str, genius: &str, endpoint: Option<&Secret>) -> Self {
        let config = Builder::from(&aws.service(endpoint)).build();
        Self {
            client: Client::from_conf(config),
            cluster: cluster.to_owned(),
            mechanic: mechanic.to_owned(),
            genius: genius.to_owned(),
            region: aws.region().to_owned(),
        }
    }

    /// The service that holds the workers of `mode`.
    pub fn service(&self, mode: Mode) -> &str {
        match mode {
            Mode::Mechanic => &self.mechanic,
            Mode::Genius => &self.genius,
        }
    }

    async fn describe(&self, mode: Mode) -> Result<Counts, AwsError> {
        const ACTION: &str = "ecs:DescribeServices";
        let service = self.service(mode);
        let asked = self.client.describe_services().cluster(&self.cluster).services(service).send().await;
        let answer = asked.map_err(|error| self.of_service(mode, ACTION, |call| call.failed(error)))?;
        let found = answer.services().first().filter(|service| service.status() != Some("INACTIVE"));
        let Some(found) = found else {
            // A service that is not there is no error to ECS, but a failure beside the answer.
            let reason = answer.failures().first().and_then(|failure| failure.reason()).unwrap_or("MISSING");
            let what = format!("service {service} in cluster {} ({reason})", self.cluster);
            return Err(AwsError::NotFound { what, region: self.region.clone() });
        };
        let count = |count: i32| u32::try_from(count).unwrap_or(0);
        Ok(Counts { desired: count(found.desired_count()), running: count(found.running_count()) })
    }

    async fn update(&self, mode: Mode, desired: u32) -> Result<(), AwsError> {
        let desired = i32::try_from(desired).unwrap_or(i32::MAX);
        let update = self.client.update_service().cluster(&self.cluster).service(self.service(mode)).desired_count(desired);
        update.send().await.map(drop).map_err(|error| self.of_service(mode, "ecs:UpdateService", |call| call.failed(error)))
    }

    async fn stop_task(&self, task: &str, reason: &str) -> Result<bool, AwsError> {
        let reason: String = reason.chars().take(REASON_LIMIT).collect();
        let stopped = self.client.stop_task().cluster(&self.cluster).task(task).reason(reason).send().await;
        let Err(error) = stopped else { return Ok(true) };
        // The only word that ECS has for a task that is gone, or never was.
        let gone = error.as_service_error().is_some_and(|known| {
            known.is_invalid_parameter_exception() && known.meta().message().is_some_and(|told| told.contains("not found"))
        });
        let what = format!("task {task} in cluster {}", self.cluster);
        match gone {
            true => Ok(false),
            false => Err(Call { action: "ecs:StopTask", what: &what, region: &self.region }.failed(error)),
        }
    }

    fn of_service(&self, mode: Mode, action: &'static str, failed: impl FnOnce(Call<'_>) -> AwsError) -> AwsError {
        failed(Call { action, what: &format!("service {} in cluster {}", self.service(mode), self.cluster), region: &self.region })
    }
}

#[async_trait]
impl Capacity for Workers {
    async fn counts(&self, mode: Mode) -> Result<Counts, CapacityError> {
        Ok(self.describe(mode).await?)
    }

    async fn set_desired(&self, mode: Mode, desired: u32) -> Result<(), CapacityError> {
        Ok(self.update(mode, desired).await?)
    }

    async fn stop(&self, task: &str, reason: &str) -> Result<bool, CapacityError> {
        Ok(self.stop_task(task, reason).await?)
    }
}
