//! AWS as the product uses it, one file for each service, each behind a feature of its own: queues (SQS), notices (SNS), workers
//! (ECS) and their protection, the database's instance and its tokens (RDS), secrets (Secrets Manager).
//!
//! All speak through one HTTP client, with one source of credentials, and tell errors apart by what the caller can do.

mod access;
#[cfg(any(feature = "ecs", feature = "rds", feature = "secrets", feature = "sns", feature = "sqs"))]
mod calls;
#[cfg(feature = "ecs")]
pub mod ecs;
mod error;
mod http;
#[cfg(feature = "protection")]
pub mod protection;
#[cfg(feature = "rds")]
pub mod rds;
#[cfg(feature = "secrets")]
pub mod secrets;
#[cfg(feature = "sns")]
pub mod sns;
#[cfg(feature = "sqs")]
pub mod sqs;

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

pub use access::Access;
pub use error::AwsError;
pub use http::{Http, Proxy};

/// How long one attempt of a call may take, and all of its attempts together.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(25));
/// How often a call is made that failed for a reason that passes.
const ATTEMPTS: u32 = 3;

/// A region of AWS and the right to call it: what every service is made from. Cheap to clone. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Aws {
    sdk: SdkConfig,
    region: String,
}

impl Aws {
    /// Nothing is asked yet. `access` = `None` where nobody gave any: then every call ends with [`AwsError::Credentials`].
    pub fn new(http: &Http, region: &str, access: Option<Access>) -> Self {
        let credentials = SharedCredentialsProvider::new(access::Provider::new(http.clone(), access));
        let (attempt, all) = PATIENCE;
        let sdk = SdkConfig::builder()
            // The SDK's defaults as they were when this was written; a later version of it keeps them.
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(credentials)
            .region(Region::new(region.to_owned()))
            .http_client(http.clone())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(all).build())
            // Replies are read as a whole, and the timeout counts that too.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self { sdk: sdk.build(), region: region.to_owned() }
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// What a client of one service is made from: the region's own address, or `endpoint`.
    #[cfg(any(feature = "ecs", feature = "rds", feature = "secrets", feature = "sns", feature = "sqs"))]
    fn service(&self, endpoint: Option<&domain::Secret>) -> SdkConfig {
        let mut sdk = self.sdk.to_builder();
        sdk.set_endpoint_url(endpoint.map(|endpoint| endpoint.expose().to_owned()));
        sdk.build()
    }
}
