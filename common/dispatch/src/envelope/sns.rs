//! Amazon SNS, both as Lambda gets it (<https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>) and as
//! a subscribed queue gets it: the bare notification in the body of an SQS message
//! (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>).

use aws_lambda_events::sns::{SnsEvent, SnsMessage};
use serde_json::Value;

use super::{Envelope, Source, all_records_are, json_or_text};
use crate::HandlerError;
use crate::decode::decode;

pub(super) const LAMBDA_SOURCE: Source = Source { recognises: |event| all_records_are(event, "EventSource", "aws:sns"), open };

pub(super) const NOTIFICATION_SOURCE: Source = Source {
    recognises: |event| event["Type"] == "Notification" && event["TopicArn"].is_string() && event["Message"].is_string(),
    open: open_notification,
};

fn open(event: Value) -> Result<Envelope, HandlerError> {
    let event: SnsEvent = decode("SNS event", event)?;
    Ok(Envelope::Each(event.records.into_iter().map(|record| json_or_text(record.sns.message)).collect()))
}

fn open_notification(event: Value) -> Result<Envelope, HandlerError> {
    let notification: SnsMessage = decode("SNS notification", event)?;
    Ok(Envelope::Inner(json_or_text(notification.message)))
}
