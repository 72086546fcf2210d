use aws::ecs::Workers;
use domain::{Capacity, CapacityError, Counts, Mode};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;
use wiremock::matchers::body_json;

use crate::stub::{Stub, refused};
use crate::with_keys;

const DESCRIBE: &str = "AmazonEC2ContainerServiceV20141113.DescribeServices";
const UPDATE: &str = "AmazonEC2ContainerServiceV20141113.UpdateService";
const STOP: &str = "AmazonEC2ContainerServiceV20141113.StopTask";
const TASK: &str = "arn:aws:ecs:us-east-1:123456789012:task/ai-coding-team/0123456789abcdef";

fn workers(stub: &Stub) -> Workers {
    Workers::new(&with_keys(), "ai-coding-team", "mechanic-worker", "genius-worker", stub.endpoint().as_ref())
}

async fn answers(stub: &Stub, target: &str, asked: Value, answer: ResponseTemplate) {
    stub.json(target).and(body_json(asked)).respond_with(answer).expect(1).mount(&stub.server).await;
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

#[tokio::test]
async fn workers_are_counted_by_the_service_of_their_mode() {
    let stub = Stub::start("ecs").await;
    let service = json!({"serviceName": "genius-worker", "status": "ACTIVE", "desiredCount": 3, "runningCount": 1, "pendingCount": 2});
    let asked = json!({"cluster": "ai-coding-team", "services": ["genius-worker"]});
    answers(&stub, DESCRIBE, asked, ok(json!({"services": [service], "failures": []}))).await;
    assert_eq!(workers(&stub).counts(Mode::Genius).await.unwrap(), Counts { desired: 3, running: 1 });
}

#[tokio::test]
async fn a_service_that_is_missing_or_deleted_is_named() {
    let told = |reason: &str| {
        let told = format!("there is no service mechanic-worker in cluster ai-coding-team ({reason}) in us-east-1");
        CapacityError::Refused(told)
    };
    let asked = json!({"cluster": "ai-coding-team", "services": ["mechanic-worker"]});
    let stub = Stub::start("ecs").await;
    let missing = json!({"services": [], "failures": [{"arn": "arn:aws:ecs:1", "reason": "MISSING"}]});
    answers(&stub, DESCRIBE, asked.clone(), ok(missing)).await;
    assert_eq!(workers(&stub).counts(Mode::Mechanic).await.unwrap_err(), told("MISSING"));
    let stub = Stub::start("ecs").await;
    let deleted = json!({"services": [{"serviceName": "mechanic-worker", "status": "INACTIVE"}], "failures": []});
    answers(&stub, DESCRIBE, asked.clone(), ok(deleted)).await;
    assert_eq!(workers(&stub).counts(Mode::Mechanic).await.unwrap_err(), told("MISSING"));
    let stub = Stub::start("ecs").await;
    answers(&stub, DESCRIBE, asked, refused("ClusterNotFoundException", "Cluster not found.")).await;
    let told = "there is no service mechanic-worker in cluster ai-coding-team in us-east-1";
    assert_eq!(workers(&stub).counts(Mode::Mechanic).await.unwrap_err(), CapacityError::Refused(told.to_owned()));
}

#[tokio::test]
async fn a_target_is_set_and_no_difference() {
    let stub = Stub::start("ecs").await;
    let asked = json!({"cluster": "ai-coding-team", "service": "mechanic-worker", "desiredCount": 4});
    answers(&stub, UPDATE, asked, ok(json!({"service": {"serviceName": "mechanic-worker"}}))).await;
    workers(&stub).set_desired(Mode::Mechanic, 4).await.unwrap();
}

#[tokio::test]
async fn a_right_that_is_missing_stays_and_throttling_passes() {
    let stub = Stub::start("ecs").await;
    let asked = |desired: u32| json!({"cluster": "ai-coding-team", "service": "mechanic-worker", "desiredCount": desired});
    answers(&stub, UPDATE, asked(1), refused("AccessDeniedException", "not authorized")).await;
    let error = workers(&stub).set_desired(Mode::Mechanic, 1).await.unwrap_err();
    let CapacityError::Refused(told) = &error else { panic!("{error}") };
    assert!(told.contains("ecs:UpdateService is denied"), "{told}");
    let throttled = stub.json(UPDATE).and(body_json(asked(2))).respond_with(refused("ThrottlingException", "Rate exceeded"));
    throttled.expect(3).mount(&stub.server).await;
    assert!(matches!(workers(&stub).set_desired(Mode::Mechanic, 2).await.unwrap_err(), CapacityError::Unavailable(_)));
}

#[tokio::test]
async fn a_task_is_stopped_with_its_reason_and_one_that_is_gone_is_no_error() {
    let stub = Stub::start("ecs").await;
    let asked = |reason: &str| json!({"cluster": "ai-coding-team", "task": TASK, "reason": reason});
    answers(&stub, STOP, asked("no heartbeat"), ok(json!({"task": {"taskArn": TASK, "desiredStatus": "STOPPED"}}))).await;
    assert!(workers(&stub).stop(TASK, "no heartbeat").await.unwrap());
    answers(&stub, STOP, asked("again"), refused("InvalidParameterException", "The referenced task was not found.")).await;
    assert!(!workers(&stub).stop(TASK, "again").await.unwrap());
    answers(&stub, STOP, asked("third"), refused("InvalidParameterException", "taskId longer than 36.")).await;
    let told = format!("task {TASK} in cluster ai-coding-team: ecs:StopTask failed: InvalidParameterException: taskId longer than 36.");
    assert_eq!(workers(&stub).stop(TASK, "third").await.unwrap_err(), CapacityError::Refused(told));
}
