//! Amazon EventBridge: the request is the event's `detail`
//! (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>).

use aws_lambda_events::eventbridge::EventBridgeEvent;

use super::{Envelope, Source};
use crate::decode::decode;

pub(super) const SOURCE: Source = Source {
    recognises: |event| event["detail-type"].is_string() && event["source"].is_string() && event.get("detail").is_some(),
    open: |event| {
        let event: EventBridgeEvent = decode("EventBridge event", event)?;
        Ok(Envelope::Inner(event.detail))
    },
};
