//! Amazon SQS: a batch of messages, each with a request in its body
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).

use aws_lambda_events::sqs::SqsEvent;
use serde_json::Value;

use super::{Envelope, Record, Source, all_records_are, json_or_text};
use crate::HandlerError;
use crate::decode::decode;

pub(super) const SOURCE: Source = Source { recognises: |event| all_records_are(event, "eventSource", "aws:sqs"), open };

fn open(event: Value) -> Result<Envelope, HandlerError> {
    let event: SqsEvent = decode("SQS event", event)?;
    let records = event.records.into_iter().enumerate().map(|(index, message)| {
        let id = message.message_id.ok_or_else(|| HandlerError::Invalid(format!("SQS event: Records[{index}]: no messageId")))?;
        Ok(Record { id, event: message.body.map_or(Value::Null, json_or_text) })
    });
    records.collect::<Result<_, _>>().map(Envelope::Batch)
}
