//! AWS Secrets Manager: the secrets of a deployment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use domain::Secret;
use redact::Redactor;
use tokio::time::Instant;

use crate::calls::Call;
use crate::{Aws, AwsError};

/// How long a secret is used before it is asked for again.
const FRESH: Duration = Duration::from_secs(300);
/// The rights that are needed: of a service the first, of whoever puts values in the others too.
const GET: &str = "secretsmanager:GetSecretValue";
const DESCRIBE: &str = "secretsmanager:DescribeSecret";
const PUT: &str = "secretsmanager:PutSecretValue";

/// The entries whose names begin with one prefix. Cheap to clone; clones share what they have read.
#[derive(Clone, Debug)]
pub struct Vault {
    client: Client,
    prefix: String,
    region: String,
    fresh: Duration,
    known: Arc<Mutex<Known>>,
}

/// Whether a value can be put into an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// There is none.
    Missing,
    /// It is being deleted, so nothing can be put in unless that is taken back.
    BeingDeleted,
    /// It is there, with a value or without.
    There,
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
        let (id, at) = (self.id(name), Instant::now());
        let what = format!("secret {id}");
        let asked = self.client.get_secret_value().secret_id(&id).send().await;
        let read = match asked.map_err(|error| self.call(GET, &what).failed(error)) {
            Ok(answer) => match (answer.secret_string, answer.secret_binary) {
                (Some(text), _) => Some(text),
                (None, Some(bytes)) => Some(String::from_utf8(bytes.into_inner()).map_err(|_| AwsError::Other {
                    action: GET,
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

    /// Whether a value can be put into the entry `name`.
    ///
    /// # Errors
    /// When that cannot be asked.
    pub async fn look(&self, name: &str) -> Result<Entry, AwsError> {
        let id = self.id(name);
        let asked = self.client.describe_secret().secret_id(&id).send().await;
        match asked.map_err(|error| self.call(DESCRIBE, &format!("secret {id}")).failed(error)) {
            Ok(told) if told.deleted_date().is_some() => Ok(Entry::BeingDeleted),
            Ok(_) => Ok(Entry::There),
            Err(AwsError::NotFound { .. }) => Ok(Entry::Missing),
            Err(error) => Err(error),
        }
    }

    /// Puts `value` into the entry `name`, which has to be there.
    ///
    /// # Errors
    /// When it was not put in, for all that is known: [`AwsError::NotFound`] where there is no such entry. No text holds the value.
    pub async fn put(&self, name: &str, value: &Secret) -> Result<(), AwsError> {
        let (id, at) = (self.id(name), Instant::now());
        let sent = self.client.put_secret_value().secret_id(&id).secret_string(value.expose()).send().await;
        // What is wrong with a value may be told with the value.
        sent.map_err(|error| without(value, self.call(PUT, &format!("secret {id}")).failed(error)))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), (at, Some(value.clone())));
        Ok(())
    }

    /// What the entry `name` is called at AWS.
    pub fn id(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    fn call<'a>(&'a self, action: &'static str, what: &'a str) -> Call<'a> {
        Call { action, what, region: &self.region }
    }
}

/// `error` with `value`, as it is or in any encoding that the redactor knows, taken out of what AWS told.
fn without(value: &Secret, mut error: AwsError) -> AwsError {
    let redactor = Redactor::new();
    redactor.register("VALUE", value);
    if let AwsError::Denied { told, .. } | AwsError::Other { told, .. } | AwsError::Unreachable { cause: told, .. } = &mut error {
        *told = redactor.text(told).into_owned();
    }
    error
}
