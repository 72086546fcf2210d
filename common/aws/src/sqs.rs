//! Amazon SQS: hints that wake idle workers, and the inbox in which alarms arrive.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName,
};
use aws_smithy_types::timeout::TimeoutConfig;
use domain::{JobId, Mode, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::calls::Call;
use crate::{Aws, AwsError};

/// How long the service holds a request open until there is something: the longest that it offers.
const WAIT: Duration = Duration::from_secs(20);
/// As many messages as one request takes.
const BATCH: i32 = 10;
/// How long a message that is being handled stays hidden from others, unless that is said again.
const VISIBILITY: Duration = Duration::from_secs(30);

/// What a wake-up says: look at the table, there may be this job in it. It may come late, twice, in another order, or never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// The job that was made ready.
    pub job_id: JobId,
    /// Whose work it is.
    pub mode: Mode,
}

/// The queue that wakes the idle workers of one mode. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WakeQueue(Queue);

/// A queue whose messages are handled: hidden from others meanwhile, deleted afterwards. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    queue: Queue,
    visibility: Duration,
}

/// A message to handle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its identity, the same each time it comes.
    pub id: String,
    /// What it says.
    pub body: String,
    /// How often it has come, this time included.
    pub received: u32,
    receipt: String,
}

/// What came of one look into an inbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Handled {
    /// As many messages were handled, and are deleted.
    pub done: usize,
    /// As many failed: they come again when nobody has said for the queue's time that they are being handled, and after some
    /// returns go to the dead-letter queue.
    pub failed: usize,
}

#[derive(Clone, Debug)]
struct Queue {
    client: Client,
    url: String,
    region: String,
}

impl WakeQueue {
    /// The queue at `url`, through `endpoint` where it is not the region's own.
    pub fn new(aws: &Aws, url: &str, endpoint: Option<&Secret>) -> Self {
        Self(Queue::new(aws, url, endpoint))
    }

    /// Says that there is something to do. After the commit: whoever hears it looks at the table at once.
    ///
    /// # Errors
    /// None that matters to the job: workers look at the table anyway.
    pub async fn send(&self, hint: Hint) -> Result<(), AwsError> {
        self.0.send(&serde_json::to_string(&hint).expect("a hint is plain JSON")).await
    }

    /// Waits up to 20 s for hints; empty = none came. Whatever came is deleted at once, as it says no more than that it is time to
    /// look; what is no hint is dropped.
    ///
    /// # Errors
    /// As for every call. Whoever goes on waiting should pause first.
    pub async fn receive(&self) -> Result<Vec<Hint>, AwsError> {
        let messages = self.0.receive(None).await?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        if let Err(error) = self.0.delete(&messages).await {
            // They come again, and are hints then as well.
            tracing::warn!("wake-ups could not be deleted: {error}");
        }
        let hints: Vec<Hint> = messages.iter().filter_map(|message| serde_json::from_str(&message.body).ok()).collect();
        let dropped = messages.len() - hints.len();
        if dropped > 0 {
            tracing::warn!(dropped, "{dropped} messages in the wake queue {} were no hints", self.0.name());
        }
        Ok(hints)
    }

    /// Whether the queue is there; gives its name.
    ///
    /// # Errors
    /// What is missing.
    pub async fn check(&self) -> Result<String, AwsError> {
        self.0.check().await
    }
}

impl Inbox {
    /// The queue at `url`, through `endpoint` where it is not the region's own.
    pub fn new(aws: &Aws, url: &str, endpoint: Option<&Secret>) -> Self {
        Self { queue: Queue::new(aws, url, endpoint), visibility: VISIBILITY }
    }

    /// The same with another time for which a message stays hidden (whole seconds; 30 unless said): how soon another reader takes
    /// over what a killed one had begun.
    #[must_use]
    pub fn hidden_for(mut self, visibility: Duration) -> Self {
        self.visibility = visibility;
        self
    }

    /// Waits up to 20 s for messages, has up to ten of them handled together, and deletes those that `handle` does not name by
    /// their ids as failed. While it runs, they stay hidden from others, however long that takes; when this future is dropped
    /// they come again. A message may come twice.
    ///
    /// # Errors
    /// When nothing can be received, or what is done cannot be deleted (so it comes again).
    pub async fn work<F>(&self, handle: impl FnOnce(Vec<Message>) -> F + Send) -> Result<Handled, AwsError>
    where
        F: Future<Output = Vec<String>> + Send,
    {
        let messages = self.queue.receive(Some(self.visibility)).await?;
        if messages.is_empty() {
            return Ok(Handled::default());
        }
        let handling = handle(messages.clone());
        let failed = tokio::select! {
            failed = handling => failed,
            never = self.keep(&messages) => match never {},
        };
        let (failed, done): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| failed.contains(&message.id));
        self.queue.delete(&done).await?;
        Ok(Handled { done: done.len(), failed: failed.len() })
    }

    /// Says again and again, well before the time ends, that `messages` are being handled.
    async fn keep(&self, messages: &[Message]) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(self.visibility / 3).await;
            if let Err(error) = self.queue.hide(messages, self.visibility).await {
                // Somebody else may get them as well, which is harmless.
                tracing::warn!("messages that are being handled could not be kept hidden: {error}");
            }
        }
    }

    /// Whether the queue is there; gives its name.
    ///
    /// # Errors
    /// What is missing.
    pub async fn check(&self) -> Result<String, AwsError> {
        self.queue.check().await
    }
}

/// `messages` as Lambda's own poller hands them to a function: what the runtime's envelopes take
/// (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).
pub fn event(messages: &[Message]) -> Value {
    let record = |message: &Message| {
        json!({
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": message.received.to_string()},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
        })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

impl Queue {
    fn new(aws: &Aws, url: &str, endpoint: Option<&Secret>) -> Self {
        let config = Builder::from(&aws.service(endpoint)).build();
        Self { client: Client::from_conf(config), url: url.to_owned(), region: aws.region().to_owned() }
    }

    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    async fn send(&self, body: &str) -> Result<(), AwsError> {
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        sent.map(drop).map_err(|error| self.call("sqs:SendMessage", |call| call.failed(error)))
    }

    async fn receive(&self, visibility: Option<Duration>) -> Result<Vec<Message>, AwsError> {
        let patience = WAIT + Duration::from_secs(10);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(patience).operation_timeout(patience).build();
        let asked = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(BATCH)
            .wait_time_seconds(seconds(WAIT))
            .set_visibility_timeout(visibility.map(seconds))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .customize()
            .config_override(aws_sdk_sqs::Config::builder().timeout_config(timeouts))
            .send()
            .await;
        let answer = asked.map_err(|error| self.call("sqs:ReceiveMessage", |call| call.failed(error)))?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(read).collect())
    }

    async fn delete(&self, messages: &[Message]) -> Result<(), AwsError> {
        if messages.is_empty() {
            return Ok(());
        }
        let entry = |(index, message): (usize, &Message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(&message.receipt);
            entry.build().expect("it has an id and a receipt")
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let asked = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
        let answer = asked.map_err(|error| self.call("sqs:DeleteMessage", |call| call.failed(error)))?;
        self.all(answer.failed.first(), "sqs:DeleteMessage")
    }

    async fn hide(&self, messages: &[Message], visibility: Duration) -> Result<(), AwsError> {
        let entry = |(index, message): (usize, &Message)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string()).receipt_handle(&message.receipt);
            entry.visibility_timeout(seconds(visibility)).build().expect("it has an id and a receipt")
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let asked = self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
        let answer = asked.map_err(|error| self.call("sqs:ChangeMessageVisibility", |call| call.failed(error)))?;
        self.all(answer.failed.first(), "sqs:ChangeMessageVisibility")
    }

    async fn check(&self) -> Result<String, AwsError> {
        let asked = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(QueueAttributeName::QueueArn).send().await;
        asked.map(|_| self.name().to_owned()).map_err(|error| self.call("sqs:GetQueueAttributes", |call| call.failed(error)))
    }

    /// An error where one message of several was refused.
    fn all(&self, failed: Option<&aws_sdk_sqs::types::BatchResultErrorEntry>, action: &'static str) -> Result<(), AwsError> {
        let Some(entry) = failed else { return Ok(()) };
        let told = format!("{}: {}", entry.code, entry.message.as_deref().unwrap_or("no reason given"));
        Err(AwsError::Other { action, what: format!("queue {}", self.name()), told })
    }

    fn call(&self, action: &'static str, failed: impl FnOnce(Call<'_>) -> AwsError) -> AwsError {
        failed(Call { action, what: &format!("queue {}", self.name()), region: &self.region })
    }
}

/// `None` = what no queue of AWS's gives out.
fn read(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    let received = message.attributes.as_ref().and_then(|known| known.get(&MessageSystemAttributeName::ApproximateReceiveCount));
    Some(Message {
        received: received.and_then(|count| count.parse().ok()).unwrap_or(1),
        id: message.message_id?,
        body: message.body.unwrap_or_default(),
        receipt: message.receipt_handle?,
    })
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
