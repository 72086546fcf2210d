//! Amazon S3 notifications: the request is a record, `{eventName, s3: {bucket, object}, …}`
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>).

use aws_lambda_events::s3::S3Event;
use serde_json::Value;

use super::{Envelope, Source, all_records_are};
use crate::HandlerError;
use crate::decode::decode;

pub(super) const SOURCE: Source = Source { recognises: |event| all_records_are(event, "eventSource", "aws:s3"), open };

/// S3 sends this once to every target that a bucket's notifications are pointed at.
pub(super) const TEST_SOURCE: Source =
    Source { recognises: |event| event["Service"] == "Amazon S3" && event["Event"] == "s3:TestEvent", open: |_| Ok(Envelope::Probe) };

/// S3 sends keys as a web form would encode them (`a+b%C3%A9`); `urlDecodedKey` beside the key says what
/// the object is called, as in AWS's own event libraries.
fn open(event: Value) -> Result<Envelope, HandlerError> {
    let mut event: S3Event = decode("S3 event", event)?;
    for (index, record) in event.records.iter_mut().enumerate() {
        let object = &mut record.s3.object;
        let key = object.key.as_deref().ok_or_else(|| HandlerError::Invalid(format!("S3 event: Records[{index}].s3.object: no key")))?;
        object.url_decoded_key = Some(url_decode(key));
    }
    let records = event.records.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    records.map(Envelope::Each).map_err(|error| HandlerError::Internal(anyhow::Error::new(error).context("cannot write an S3 record")))
}

fn url_decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        rest = tail;
        match (first, escaped) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_like_form_fields() {
        let decoded = ["reports/2026+plan.md", "caf%C3%A9%2B.pdf", "100%", "a%zz", "%"].map(url_decode);
        assert_eq!(decoded, ["reports/2026 plan.md", "café+.pdf", "100%", "a%zz", "%"]);
    }
}
