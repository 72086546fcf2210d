//! What the emulator cannot make of the template, exactly; that the rest is deployed by SAM, in both environments; and that what
//! came of it has the names that people and the product use.

use std::collections::BTreeSet;

use e2e::aws::{self, Emulator, Kind};
use serde_json::{Value, json};
use testkit::client::request;

use super::client::{CLOUDWATCH, ECS, SCALING, SQS, ask, queue_url};
use super::deploy::{Taken, deploy, strip};

/// Every resource that the test template lacks. A new one fails the test until it stands here, with what else looks at it.
const LACKING: &[(&str, &str, &str)] = &[
    // No traffic flows in an emulator; cfn-lint and the tests of the template look at these.
    ("deploy/network.yaml", "AWS::EC2::EIP", "NatAddress"),
    ("deploy/network.yaml", "AWS::EC2::NatGateway", "Nat"),
    ("deploy/network.yaml", "AWS::EC2::SecurityGroupEgress", "DashboardToDatabase"),
    ("deploy/network.yaml", "AWS::EC2::SecurityGroupEgress", "DashboardToPooler"),
    ("deploy/network.yaml", "AWS::EC2::SecurityGroupEgress", "PoolerToDatabase"),
    ("deploy/network.yaml", "AWS::EC2::SecurityGroupEgress", "WorkerToDatabase"),
    ("deploy/network.yaml", "AWS::EC2::SecurityGroupEgress", "WorkerToPooler"),
    ("deploy/network.yaml", "AWS::EC2::SecurityGroupIngress", "DashboardFromBalancer"),
    ("deploy/data.yaml", "AWS::RDS::DBProxy", "Proxy"),
    ("deploy/data.yaml", "AWS::RDS::DBProxyTargetGroup", "ProxyTargets"),
    // Moto knows the API: see below.
    ("deploy/services.yaml", "AWS::ApplicationAutoScaling::ScalableTarget", "DashboardCapacity"),
    ("deploy/services.yaml", "AWS::ApplicationAutoScaling::ScalingPolicy", "DashboardScaling"),
    // What it sends is among the sample events.
    ("deploy/monitoring.yaml", "AWS::Budgets::Budget", "Budget"),
];

#[tokio::test]
async fn the_test_template_lacks_exactly_the_listed_resources() {
    let Some(python) = aws::program("python3", "the template for the emulator") else { return };
    let (_folder, taken) = strip(&python).await;
    let found: BTreeSet<_> = taken.iter().map(|one| (one.template.as_str(), one.kind.as_str(), one.resource.as_str())).collect();
    assert_eq!(found, LACKING.iter().copied().collect());
}

#[tokio::test]
async fn both_environments_are_deployed_beside_each_other_and_a_rollback_takes_the_command_of_the_architecture() {
    let what = "the deployment of both environments";
    let (Some(python), Some(emulator)) = (aws::program("python3", what), Emulator::start(Kind::Ministack, what).await) else { return };
    let (stripped, _) = strip(&python).await;
    let zone = format!("HostedZoneId={}", hosted_zone(&emulator.address, "example.com").await);
    let domain = ["DomainName=codeteam.example.com", &zone, "NotificationEmail=team@example.com"];
    deploy(&emulator, stripped.path(), "prod", &[["Phase=running", "Pooler=rds-proxy", "DatabaseAuth=iam"].as_slice(), &domain].concat())
        .await;
    deploy(&emulator, stripped.path(), "dev", &["Phase=ground"]).await;
    // A second deploy that changes something is an update.
    deploy(&emulator, stripped.path(), "dev", &["Phase=running", "WorkerTag=0123abc"]).await;
    let address = &emulator.address;

    for (environment, cluster, suffix) in [("prod", "ai-coding-team", ""), ("dev", "ai-coding-team-dev", "-dev")] {
        let services = json!({ "cluster": cluster, "services": ["dashboard", "mechanic-worker", "genius-worker"] });
        let answer = ask(address, ECS, "DescribeServices", services).await;
        let families = answer["services"].as_array().unwrap().iter().map(|service| {
            let definition = service["taskDefinition"].as_str().unwrap();
            definition.split(['/', ':']).rev().nth(1).unwrap().to_owned()
        });
        let wanted = ["dashboard", "mechanic-worker", "genius-worker"].map(|family| format!("{family}{suffix}"));
        assert_eq!(families.collect::<Vec<_>>(), wanted, "{answer:#}");
        the_alarms_reach_the_queue(address, environment).await;
    }
    let worker = ask(address, ECS, "DescribeTaskDefinition", json!({ "taskDefinition": "mechanic-worker-dev" })).await;
    assert_eq!(worker["taskDefinition"]["revision"], 2, "{worker:#}");
    let image = worker["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap();
    assert!(image.ends_with("/worker-dev:0123abc"), "{image}");

    // aws ecs update-service --cluster ai-coding-team --service dashboard --task-definition dashboard:PREVIOUS_VERSION
    let rollback = json!({ "cluster": "ai-coding-team", "service": "dashboard", "taskDefinition": "dashboard:1" });
    let answer = ask(address, ECS, "UpdateService", rollback).await;
    assert!(answer["service"]["taskDefinition"].as_str().unwrap().ends_with(":task-definition/dashboard:1"), "{answer:#}");
}

/// A zone of Route 53, which whoever has a domain has made before; its id.
async fn hosted_zone(address: &str, domain: &str) -> String {
    let authorization = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=0";
    let headers = format!("content-type: application/xml\r\nauthorization: {authorization}\r\n");
    let zone = format!(
        "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{domain}</Name>\
         <CallerReference>a test</CallerReference></CreateHostedZoneRequest>"
    );
    let answer = request(address, "POST", "/2013-04-01/hostedzone", &headers, zone.as_bytes()).await;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    let id = said.split("<Id>/hostedzone/").nth(1).and_then(|rest| rest.split('<').next());
    id.unwrap_or_else(|| panic!("{}: {said}", answer.status)).to_owned()
}

/// All five, with their topic, and the topic with the queue: told by hand, each one comes.
async fn the_alarms_reach_the_queue(address: &str, environment: &str) {
    let prefix = format!("ai-coding-team-{environment}-");
    let alarms = ask(address, CLOUDWATCH, "DescribeAlarms", json!({ "AlarmNamePrefix": prefix })).await;
    let names = alarms["MetricAlarms"].as_array().unwrap().iter().map(|alarm| alarm["AlarmName"].as_str().unwrap().to_owned());
    let names: BTreeSet<String> = names.collect();
    let wanted = ["budget", "database-connections", "queue-depth", "stale-workers", "stuck-jobs"];
    assert_eq!(names, wanted.iter().map(|suffix| format!("{prefix}{suffix}")).collect());
    for name in &names {
        let state = json!({ "AlarmName": name, "StateValue": "ALARM", "StateReason": "a test" });
        ask(address, CLOUDWATCH, "SetAlarmState", state).await;
    }
    let told = super::client::drain(address, &format!("{prefix}alarms")).await;
    let told = told.iter().map(|message| {
        let envelope: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        let alarm: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
        alarm["AlarmName"].as_str().unwrap().to_owned()
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), names);
    let url = queue_url(address, &format!("{prefix}alarms")).await;
    let attributes = ask(address, SQS, "GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": ["RedrivePolicy"] })).await;
    let redrive: Value = serde_json::from_str(attributes["Attributes"]["RedrivePolicy"].as_str().unwrap()).unwrap();
    let dead = redrive["deadLetterTargetArn"].as_str().unwrap();
    assert!(dead.ends_with(&format!(":{prefix}alarms-dead")), "{dead}");
}

#[tokio::test]
async fn application_auto_scaling_takes_what_the_template_says_of_the_dashboard() {
    let what = "the scaling of the dashboard";
    let (Some(python), Some(moto)) = (aws::program("python3", what), Emulator::start(Kind::Moto, what).await) else { return };
    let (_folder, taken) = strip(&python).await;
    let of = |kind: &str| taken.iter().find(|one| one.kind.ends_with(kind)).map(|one: &Taken| one.properties.clone()).unwrap();
    let (mut target, mut policy) = (of("ScalableTarget"), of("ScalingPolicy"));
    let address = &moto.address;
    // What CloudFormation does: functions are worked out, and a policy is asked for by its target's three names.
    let (cluster, service) = ("ai-coding-team", "dashboard");
    ask(address, ECS, "CreateCluster", json!({ "clusterName": cluster })).await;
    let container = json!({ "name": service, "image": service, "memory": 512 });
    ask(address, ECS, "RegisterTaskDefinition", json!({ "family": service, "containerDefinitions": [container] })).await;
    ask(address, ECS, "CreateService", json!({ "cluster": cluster, "serviceName": service, "taskDefinition": service, "desiredCount": 1 }))
        .await;
    assert!(target["ResourceId"]["Fn::Sub"].as_str().is_some_and(|text| text.starts_with("service/")), "{target:#}");
    target["ResourceId"] = json!(format!("service/{cluster}/{service}"));
    ask(address, SCALING, "RegisterScalableTarget", target.clone()).await;
    policy.as_object_mut().unwrap().remove("ScalingTargetId").expect("a policy names its target");
    for name in ["ServiceNamespace", "ResourceId", "ScalableDimension"] {
        policy[name] = target[name].clone();
    }
    let answer = ask(address, SCALING, "PutScalingPolicy", policy).await;
    assert_eq!(answer["Alarms"].as_array().unwrap().len(), 2, "one up, one down: {answer:#}");

    let named = json!({ "ServiceNamespace": "ecs", "ResourceIds": [format!("service/{cluster}/{service}")] });
    let targets = ask(address, SCALING, "DescribeScalableTargets", named).await;
    let [known] = &targets["ScalableTargets"].as_array().unwrap()[..] else { panic!("one target: {targets:#}") };
    assert_eq!((&known["MinCapacity"], &known["MaxCapacity"]), (&json!(1), &json!(2)));
    let policies = ask(address, SCALING, "DescribeScalingPolicies", json!({ "ServiceNamespace": "ecs" })).await;
    let tracking = &policies["ScalingPolicies"][0]["TargetTrackingScalingPolicyConfiguration"];
    assert_eq!(tracking["PredefinedMetricSpecification"]["PredefinedMetricType"], "ECSServiceAverageCPUUtilization", "{policies:#}");
    assert_eq!(tracking["TargetValue"].as_f64(), Some(70.0), "{policies:#}");
}
