use aws::sns::Topic;
use domain::{NoticeError, Notices};
use wiremock::ResponseTemplate;

use crate::stub::{Stub, refused_in_xml};
use crate::with_keys;

const ARN: &str = "arn:aws:sns:us-east-1:123456789012:notifications";

fn topic(stub: &Stub) -> Topic {
    Topic::new(&with_keys(), ARN, stub.endpoint().as_ref())
}

fn publish<'a>(subject: &'a str, text: &'a str) -> [(&'a str, &'a str); 5] {
    [("Action", "Publish"), ("Version", "2010-03-31"), ("TopicArn", ARN), ("Subject", subject), ("Message", text)]
}

#[tokio::test]
async fn a_notice_is_published_with_its_subject_in_one_line() {
    let stub = Stub::start("sns").await;
    let answer = "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>";
    let call = stub.form(&publish("120 jobs wait, 10 of 10 workers", "first\nsecond & third"));
    call.respond_with(ResponseTemplate::new(200).set_body_string(answer)).expect(1).mount(&stub.server).await;
    let notices: &dyn Notices = &topic(&stub);
    notices.publish("120 jobs wait,\n10 of 10 workers", "first\nsecond & third").await.unwrap();
}

#[tokio::test]
async fn a_notice_that_may_not_be_published_says_which_right_is_missing() {
    let stub = Stub::start("sns").await;
    let denied = refused_in_xml(403, "AuthorizationError", "not authorized to perform: SNS:Publish");
    stub.form(&publish("a", "b")).respond_with(denied).expect(1).mount(&stub.server).await;
    let told = "arn:aws:sns:us-east-1:123456789012:notifications in us-east-1: sns:Publish is denied; allow it in the policy of the task's \
                role (AuthorizationError: not authorized to perform: SNS:Publish)";
    assert_eq!(topic(&stub).publish("a", "b").await.unwrap_err(), NoticeError::Refused(told.to_owned()));
}

#[tokio::test]
async fn a_service_that_is_away_is_told_apart_from_one_that_refuses() {
    let stub = Stub::start("sns").await;
    stub.form(&publish("a", "b")).respond_with(refused_in_xml(500, "InternalError", "oops")).expect(3).mount(&stub.server).await;
    assert!(matches!(topic(&stub).publish("a", "b").await.unwrap_err(), NoticeError::Unavailable(_)));
}

#[tokio::test]
async fn a_topic_says_how_many_hear_it() {
    let stub = Stub::start("sns").await;
    let entry = |name: &str, count: u32| format!("<entry><key>{name}</key><value>{count}</value></entry>");
    let entries = entry("SubscriptionsConfirmed", 2) + &entry("SubscriptionsPending", 1);
    let answer = format!(
        "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes>{entries}</Attributes></GetTopicAttributesResult>\
         </GetTopicAttributesResponse>"
    );
    let call = stub.form(&[("Action", "GetTopicAttributes"), ("Version", "2010-03-31"), ("TopicArn", ARN)]);
    call.respond_with(ResponseTemplate::new(200).set_body_string(answer)).mount(&stub.server).await;
    assert_eq!(topic(&stub).check().await.unwrap(), (2, 1));
}
