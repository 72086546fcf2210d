//! AWS Secrets Manager: the secrets of a deployment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use domain::Secret;
use tokio::time::Instant;

use crate::calls::Call;
use crate::{Aws, AwsError};

/// How long a secret is used before it is asked for again.
const FRESH: Duration = Duration::from_secs(300);
/// The right that is needed.
const ACTION: &str = "secretsmanager:GetSecretValue";

/// The entries whose names begin with one prefix. Cheap to clone; clones share what they have read.
#[derive(Clone, Debug)]
pub struct Vault {
    client: Client,
    prefix: String,
    region: String,
    fresh: Duration,
    known: Arc<Mutex<Known>>,
}

/// What was read, by the names after the prefix. `None` = there is no such entry.
type Known = HashMap<String, (Instant, Option<Secret>)>;

impl Vault {
    /// The entries `<prefix>/<NAME>`, through `endpoint` where it is not the region's own.
    pub fn new(aws: &Aws, prefix: &str, endpoint: Option<&Secret>) -> Self {
        let config = Builder::from(&aws.service(endpoint)).build();
        let (prefix, region) = (prefix.to_owned(), aws.region().to_owned());
        Self { client: Client::from_conf(config), prefix, region, fresh: FRESH, known: Arc::default() }
    }

    /// The same with another time for which what was read is used (5 min unless said).
    #[must_use]
    pub fn fresh_for(mut self, fresh: Duration) -> Self {
        self.fresh = fresh;
        self
    }

    /// The secret `name`, as it was read in the last 5 min, else as it is now; `None` = there is no such entry, or an empty one.
    ///
    /// # Errors
    /// When it cannot be read: above all [`AwsError::Denied`] with the name of the entry and of the right.
    pub async fn get(&self, name: &str) -> Result<Option<Secret>, AwsError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match known {
            Some((at, secret)) if at.elapsed() < self.fresh => Ok(secret),
            _ => self.read(name).await,
        }
    }

    /// The secret `name` as it is now: for whoever was refused with what [`Vault::get`] gave.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub async fn read(&self, name: &str) -> Result<Option<Secret>, AwsError> {
        let (id, at) = (format!("{}/{name}", self.prefix), Instant::now());
        let what = format!("secret {id}");
        let asked = self.client.get_secret_value().secret_id(&id).send().await;
        let read = match asked.map_err(|error| Call { action: ACTION, what: &what, region: &self.region }.failed(error)) {
            Ok(answer) => match (answer.secret_string, answer.secret_binary) {
                (Some(text), _) => Some(text),
                (None, Some(bytes)) => Some(String::from_utf8(bytes.into_inner()).map_err(|_| AwsError::Other {
                    action: ACTION,
                    what,
                    told: "it holds bytes that are no text".to_owned(),
                })?),
                (None, None) => None,
            },
            Err(AwsError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let secret = read.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).map(Secret::new);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), (at, secret.clone()));
        Ok(secret)
    }
}
