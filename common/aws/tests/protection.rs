use aws::protection::{Protection, Task};
use aws::{AwsError, Http, Proxy};
use domain::Secret;
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const ARN: &str = "arn:aws:ecs:us-east-1:123456789012:task/ai-coding-team/0123456789abcdef";

fn protection(agent: &MockServer) -> Protection {
    Protection::new(&Http::new(None).unwrap(), &format!("{}/api/1", agent.uri()))
}

/// An agent that answers what is asked for `wanted`.
async fn answers(agent: &MockServer, wanted: Value, status: u16, answer: Value) {
    let put = Mock::given(method("PUT")).and(path("/api/1/task-protection/v1/state")).and(header("content-type", "application/json"));
    let put = put.and(body_json(wanted)).respond_with(ResponseTemplate::new(status).set_body_json(answer));
    put.expect(1).mount(agent).await;
}

fn hold() -> Value {
    json!({"ProtectionEnabled": true, "ExpiresInMinutes": 10})
}

#[tokio::test]
async fn a_task_is_protected_for_ten_minutes_and_released() {
    let agent = MockServer::start().await;
    let on = json!({"protection": {"ExpirationDate": "2026-01-02T03:14:05Z", "ProtectionEnabled": true, "TaskArn": ARN}});
    answers(&agent, hold(), 200, on).await;
    let until = protection(&agent).hold().await.unwrap().unwrap();
    assert_eq!(until.unix_timestamp(), 1_767_323_645);
    let off = json!({"protection": {"ProtectionEnabled": false, "TaskArn": ARN}});
    answers(&agent, json!({"ProtectionEnabled": false}), 200, off).await;
    protection(&agent).release().await.unwrap();
}

#[tokio::test]
async fn a_task_that_is_not_protected_is_told_so() {
    let what = || "this task's protection".to_owned();
    let action = "ecs:UpdateTaskProtection";
    let cases = [
        (
            400,
            json!({"error": {"Arn": ARN, "Code": "AccessDeniedException", "Message": "not authorized"}}),
            AwsError::Denied { action, what: what(), told: "AccessDeniedException: not authorized".to_owned() },
        ),
        (
            400,
            json!({"error": {"Arn": ARN, "Code": "ThrottlingException", "Message": "Rate exceeded"}}),
            AwsError::Throttled { action, what: what() },
        ),
        (
            200,
            json!({"failure": {"Arn": ARN, "Detail": null, "Reason": "TASK_NOT_VALID"}}),
            AwsError::Other { action, what: what(), told: "TASK_NOT_VALID".to_owned() },
        ),
        (
            500,
            json!({"error": {"Arn": ARN, "Code": "ServerException", "Message": "oops"}}),
            AwsError::Unreachable { action, what: what(), cause: "ServerException: oops".to_owned() },
        ),
        (
            200,
            json!({"protection": {"ProtectionEnabled": false, "TaskArn": ARN}}),
            AwsError::Other { action, what: what(), told: "the agent says that it is not protected".to_owned() },
        ),
    ];
    for (status, answer, expected) in cases {
        let agent = MockServer::start().await;
        answers(&agent, hold(), status, answer).await;
        assert_eq!(protection(&agent).hold().await.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn a_task_knows_itself_from_its_metadata_whatever_the_proxy() {
    let metadata = MockServer::start().await;
    let task = json!({
        "Cluster": "ai-coding-team", "TaskARN": ARN, "Family": "mechanic-worker", "Revision": "7", "DesiredStatus": "RUNNING",
        "Containers": [],
    });
    let get = Mock::given(method("GET")).and(path("/v4/1/task")).respond_with(ResponseTemplate::new(200).set_body_json(task));
    get.mount(&metadata).await;
    let nowhere = Proxy { url: Secret::new("http://127.0.0.1:9"), except: None };
    let http = Http::new(Some(&nowhere)).unwrap();
    let expected =
        Task { arn: ARN.to_owned(), cluster: "ai-coding-team".to_owned(), family: "mechanic-worker".to_owned(), revision: "7".to_owned() };
    assert_eq!(Task::own(&http, &format!("{}/v4/1", metadata.uri())).await.unwrap(), expected);
    let error = Task::own(&http, &format!("{}/v4/2", metadata.uri())).await.unwrap_err();
    assert_eq!(error.to_string(), "this task: GET of the task's metadata cannot be called at the moment: status 404");
}
