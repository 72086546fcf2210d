//! Amazon RDS: the database's instance, and the tokens that open it in the place of a password.

use aws_sdk_rds::Client;
use aws_sdk_rds::auth_token::{AuthTokenGenerator, Config};
use aws_sdk_rds::config::Builder;
use aws_types::SdkConfig;
use domain::Secret;
use redact::Redactor;
use std::time::Duration;

use crate::calls::Call;
use crate::{Aws, AwsError};

/// How long a token opens new sessions: the longest there is. Sessions that are open stay so.
pub const TOKEN_LIFE: Duration = Duration::from_secs(900);

/// The database's instance. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Instance {
    client: Client,
    id: String,
    region: String,
}

/// What an instance is like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstanceState {
    /// Its identifier.
    pub id: String,
    /// `available`, `storage-full`, `rebooting` and their like.
    pub status: String,
    /// Such as `db.t3.small`.
    pub class: String,
    /// The engine's version, such as `17.4`.
    pub version: String,
    /// Whether another one stands by in another zone.
    pub multi_az: bool,
    /// The storage that it has now.
    pub storage_gib: u32,
    /// The storage that it may grow to; `None` = it does not grow.
    pub storage_most_gib: Option<u32>,
    /// Its parameter groups, each with `in-sync`, `pending-reboot` or what else is up with it.
    pub parameter_groups: Vec<(String, String)>,
}

/// Makes the tokens that a database with IAM authentication takes for a password. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens(SdkConfig);

impl Instance {
    /// The instance `id`, through `endpoint` where it is not the region's own.
    pub fn new(aws: &Aws, id: &str, endpoint: Option<&Secret>) -> Self {
        let config = Builder::from(&aws.service(endpoint)).build();
        Self { client: Client::from_conf(config), id: id.to_owned(), region: aws.region().to_owned() }
    }

    /// What it is like now.
    ///
    /// # Errors
    /// As for every call.
    pub async fn describe(&self) -> Result<InstanceState, AwsError> {
        let what = format!("database instance {}", self.id);
        let call = Call { action: "rds:DescribeDBInstances", what: &what, region: &self.region };
        let asked = self.client.describe_db_instances().db_instance_identifier(&self.id).send().await;
        let answer = asked.map_err(|error| call.failed(error))?;
        let Some(found) = answer.db_instances().first() else {
            return Err(AwsError::NotFound { what, region: self.region.clone() });
        };
        let text = |value: Option<&str>| value.unwrap_or("unknown").to_owned();
        let gib = |value: Option<i32>| value.and_then(|gib| u32::try_from(gib).ok());
        let group = |group: &aws_sdk_rds::types::DbParameterGroupStatus| {
            (text(group.db_parameter_group_name()), text(group.parameter_apply_status()))
        };
        Ok(InstanceState {
            id: text(found.db_instance_identifier()),
            status: text(found.db_instance_status()),
            class: text(found.db_instance_class()),
            version: text(found.engine_version()),
            multi_az: found.multi_az().unwrap_or(false),
            storage_gib: gib(found.allocated_storage()).unwrap_or(0),
            storage_most_gib: gib(found.max_allocated_storage()),
            parameter_groups: found.db_parameter_groups().iter().map(group).collect(),
        })
    }
}

impl Tokens {
    /// Tokens that the credentials of `aws` sign.
    pub fn new(aws: &Aws) -> Self {
        Self(aws.sdk.clone())
    }

    /// A token for `user` at the database on `host` and `port`, good for a quarter of an hour. The redactor knows it.
    ///
    /// # Errors
    /// [`AwsError::Credentials`] where there is nothing to sign with. Nobody is asked whether the user may connect: the right
    /// `rds-db:connect` is looked at when the token is shown.
    pub async fn token(&self, host: &str, port: u16, user: &str) -> Result<Secret, AwsError> {
        let failed = |told: String| AwsError::Credentials { action: "rds-db:connect", what: format!("user {user} of {host}"), told };
        let config =
            Config::builder().hostname(host.to_ascii_lowercase()).port(port.into()).username(user).expires_in(TOKEN_LIFE.as_secs());
        let generator = AuthTokenGenerator::new(config.build().map_err(|error| failed(error.to_string()))?);
        let token = generator.auth_token(&self.0).await.map_err(|error| failed(crate::http::chain(error.as_ref())))?;
        let token = Secret::new(token.as_str());
        Redactor::of_process().register_for("DATABASE_AUTH", &token, TOKEN_LIFE);
        Ok(token)
    }
}
