//! Row by row what the architecture fixes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{CHOICES, Template, list};

#[tokio::test]
async fn there_is_no_function_and_nothing_else_that_the_architecture_excludes() {
    for choice in CHOICES {
        assert_eq!(excluded(&Template::of(choice).await), Vec::<String>::new(), "{choice:?}");
    }
}

/// Fargate for everything, PostgreSQL as the one database, secrets in Secrets Manager.
pub(super) fn excluded(template: &Template) -> Vec<String> {
    let never = [
        "AWS::Lambda::",
        "AWS::Serverless::Function",
        "AWS::EC2::Instance",
        "AWS::EC2::LaunchTemplate",
        "AWS::AutoScaling::",
        "AWS::DynamoDB::",
        "AWS::RDS::DBCluster",
        "AWS::SSM::Parameter",
    ];
    let is_excluded = |kind: &str| never.iter().any(|start| kind.starts_with(start));
    template.0.iter().filter(|one| is_excluded(&one.kind)).map(|one| format!("{} is {}", one.name, one.kind)).collect()
}

#[tokio::test]
async fn services_and_images_have_the_names_that_the_rollback_command_uses() {
    for (template, cluster, suffix) in
        [(Template::prod().await, "ai-coding-team", ""), (Template::dev().await, "ai-coding-team-dev", "-dev")]
    {
        assert_eq!(template.get("Cluster").text("/ClusterName"), cluster);
        let services: BTreeSet<[String; 4]> = template
            .all("AWS::ECS::Service")
            .map(|service| {
                let task = template.referred(&service.text("/TaskDefinition"));
                let image = task.text("/ContainerDefinitions/0/Image");
                let (reference, tag) = image.rsplit_once(':').expect("an image has a tag");
                let repository = template.referred(reference).text("/RepositoryName");
                [service.text("/ServiceName"), service.text("/Cluster"), task.text("/Family"), format!("{repository}:{tag}")]
            })
            .collect();
        let row = |service: &str, image: &str| {
            [service.to_owned(), "${Cluster}".to_owned(), format!("{service}{suffix}"), format!("{image}{suffix}:latest")]
        };
        let expected = [("dashboard", "dashboard"), ("mechanic-worker", "worker"), ("genius-worker", "worker"), ("pooler", "dashboard")];
        assert_eq!(services, expected.map(|(service, image)| row(service, image)).into());
        // One goes back to a revision that was replaced, so it must still be there.
        for task in template.all("AWS::ECS::TaskDefinition") {
            assert_eq!(task.policies[1].as_deref(), Some("Retain"), "{}", task.name);
        }
    }
}

#[tokio::test]
async fn every_service_runs_on_fargate_in_private_subnets_and_a_deploy_that_fails_goes_back() {
    for choice in CHOICES {
        let template = Template::of(choice).await;
        for service in template.all("AWS::ECS::Service") {
            let subnets: Vec<String> =
                service.text("/NetworkConfiguration/AwsvpcConfiguration/Subnets").split(',').map(str::to_owned).collect();
            let found = json!({
                "launch": service.properties["LaunchType"],
                "public": service.properties["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"],
                "subnets": subnets,
                "breaker": service.properties["DeploymentConfiguration"]["DeploymentCircuitBreaker"],
                "tags": service.properties["PropagateTags"],
            });
            let expected = json!({
                "launch": "FARGATE",
                "public": "DISABLED",
                "subnets": ["${PrivateSubnetA}", "${PrivateSubnetB}"],
                "breaker": { "Enable": true, "Rollback": true },
                "tags": "SERVICE",
            });
            assert_eq!(found, expected, "{}", service.name);
            let task = template.referred(&service.text("/TaskDefinition"));
            let last = task.properties["ContainerDefinitions"].as_array().and_then(|all| all.last()).expect("a task has containers");
            assert!(last["HealthCheck"]["Command"][0] == "CMD", "{}: nobody asks whether it is well", task.name);
            assert_eq!(last["ReadonlyRootFilesystem"], true, "{}", task.name);
        }
    }
}

#[tokio::test]
async fn services_scale_within_the_bounds_of_the_architecture() {
    for (template, least_busy) in [(Template::prod().await, "2"), (Template::dev().await, "0")] {
        let capacity = template.get("DashboardCapacity");
        let scaling = &template.get("DashboardScaling").properties["TargetTrackingScalingPolicyConfiguration"];
        let environment = template.get("DashboardTask").environment(0);
        let found = json!({
            "dashboard": [capacity.properties["MinCapacity"], capacity.properties["MaxCapacity"]],
            "trigger": [scaling["PredefinedMetricSpecification"]["PredefinedMetricType"], scaling["TargetValue"]],
            "mechanic": environment["WORKERS_MAX_MECHANIC"],
            "genius": environment["WORKERS_MAX_GENIUS"],
            "least busy": environment["WORKERS_MIN_BUSY"],
        });
        let expected = json!({
            "dashboard": [1, 2],
            "trigger": ["ECSServiceAverageCPUUtilization", 70],
            "mechanic": "10",
            "genius": "3",
            "least busy": least_busy,
        });
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_deploy_never_says_how_many_workers_run_but_for_the_first_where_none_do() {
    let running = Template::prod().await;
    let ground = Template::of("Environment=prod Phase=ground").await;
    let counts = |template: &Template| -> BTreeMap<String, Value> {
        template.all("AWS::ECS::Service").map(|service| (service.name.clone(), service.properties["DesiredCount"].clone())).collect()
    };
    let expected = |worker: Value, pooler: u32| {
        let names = ["DashboardService", "GeniusService", "MechanicService"];
        let mut all: BTreeMap<String, Value> = names.into_iter().map(|name| (name.to_owned(), worker.clone())).collect();
        all.insert("PoolerService".to_owned(), json!(pooler));
        all
    };
    assert_eq!(counts(&running), expected(Value::Null, 1));
    assert_eq!(counts(&ground), expected(json!(0), 0));
    assert!(!ground.has("DashboardCapacity"), "scaling would start the dashboard before there is an image");
}

#[tokio::test]
async fn the_database_is_the_one_of_each_environment() {
    let row = |template: &Template| {
        let database = template.get("Database");
        let settings = template.referred(&database.text("/DBParameterGroupName"));
        json!({
            "engine": database.properties["Engine"],
            "class": database.properties["DBInstanceClass"],
            "multi az": database.properties["MultiAZ"],
            "storage": [database.text("/AllocatedStorage"), database.text("/StorageType")],
            "grows": database.number("/MaxAllocatedStorage") > 20,
            "encrypted": database.properties["StorageEncrypted"],
            "public": database.properties["PubliclyAccessible"],
            "backups": database.number("/BackupRetentionPeriod") > 0,
            "protected": database.properties["DeletionProtection"],
            "tokens": database.properties["EnableIAMDatabaseAuthentication"],
            "connections": settings.text("/Parameters/max_connections"),
            "tls": settings.text("/Parameters/rds.force_ssl"),
            "vectors": settings.text("/Parameters/rds.allowed_extensions").split(',').any(|one| one == "vector"),
        })
    };
    let expected = |class: &str, prod: bool, connections: &str| {
        json!({
            "engine": "postgres", "class": class, "multi az": prod, "storage": ["20", "gp3"], "grows": true, "encrypted": true,
            "public": false, "backups": true, "protected": prod, "tokens": true, "connections": connections, "tls": "1", "vectors": true,
        })
    };
    assert_eq!(row(&Template::prod().await), expected("db.t3.small", true, "100"));
    assert_eq!(row(&Template::dev().await), expected("db.t3.micro", false, "20"));
}

#[tokio::test]
async fn the_network_is_that_of_the_architecture() {
    for template in [Template::prod().await, Template::dev().await] {
        assert_eq!(template.get("Vpc").text("/CidrBlock"), "10.0.0.0/16");
        let subnets: BTreeSet<[String; 3]> = template
            .all("AWS::EC2::Subnet")
            .map(|subnet| [subnet.name.clone(), subnet.text("/CidrBlock"), subnet.text("/AvailabilityZone")])
            .collect();
        let expected = [
            ["PublicSubnetA", "10.0.1.0/24", "us-east-1a"],
            ["PublicSubnetB", "10.0.2.0/24", "us-east-1b"],
            ["PrivateSubnetA", "10.0.10.0/24", "us-east-1a"],
            ["PrivateSubnetB", "10.0.20.0/24", "us-east-1b"],
        ];
        assert_eq!(subnets, expected.map(|row| row.map(str::to_owned)).into());
        let ways: BTreeSet<[String; 3]> = template
            .all("AWS::EC2::Route")
            .map(|route| [route.text("/RouteTableId"), route.text("/GatewayId"), route.text("/NatGatewayId")])
            .collect();
        let expected = [["${PublicRoutes}", "${InternetGateway}", "-"], ["${PrivateRoutes}", "-", "${Nat}"]];
        assert_eq!(ways, expected.map(|row| row.map(str::to_owned)).into());
        let tables: BTreeSet<[String; 2]> =
            template.all("AWS::EC2::SubnetRouteTableAssociation").map(|one| [one.text("/SubnetId"), one.text("/RouteTableId")]).collect();
        let expected = [
            ["${PublicSubnetA}", "${PublicRoutes}"],
            ["${PublicSubnetB}", "${PublicRoutes}"],
            ["${PrivateSubnetA}", "${PrivateRoutes}"],
            ["${PrivateSubnetB}", "${PrivateRoutes}"],
        ];
        assert_eq!(tables, expected.map(|row| row.map(str::to_owned)).into());
        assert_eq!(template.get("Nat").text("/SubnetId"), "${PublicSubnetA}");
        assert_eq!(template.get("Balancer").text("/Subnets"), "${PublicSubnetA},${PublicSubnetB}");
        assert_eq!(template.get("DatabaseSubnets").text("/SubnetIds"), "${PrivateSubnetA},${PrivateSubnetB}");
    }
}

#[tokio::test]
async fn nobody_from_outside_reaches_anything_but_cloudfront_the_balancer() {
    for choice in CHOICES {
        assert_eq!(open_doors(&Template::of(choice).await), Vec::<String>::new(), "{choice:?}");
    }
}

/// Ways in that do not come from a group of our own or from CloudFront.
pub(super) fn open_doors(template: &Template) -> Vec<String> {
    let mut open = Vec::new();
    let own = |rule: &Value| rule["SourceSecurityGroupId"].as_str().is_some_and(|group| group.starts_with("${"));
    for group in template.all("AWS::EC2::SecurityGroup") {
        for rule in group.properties["SecurityGroupIngress"].as_array().into_iter().flatten() {
            let cloudfront = group.name == "BalancerGroup" && rule["SourcePrefixListId"] == "pl-3b927c52";
            if !own(rule) && !cloudfront {
                open.push(format!("{}: {rule}", group.name));
            }
        }
        // Without a list of its own, AWS lets everything out.
        for rule in group.properties["SecurityGroupEgress"].as_array().map_or(&[Value::Null][..], Vec::as_slice) {
            if rule["FromPort"] != rule["ToPort"] || rule["FromPort"].is_null() {
                open.push(format!("{} may ask everybody: {rule}", group.name));
            }
        }
    }
    for rule in template.all("AWS::EC2::SecurityGroupIngress") {
        if !own(&rule.properties) {
            open.push(format!("{}: {}", rule.name, rule.properties));
        }
    }
    open
}

#[tokio::test]
async fn the_way_in_leads_from_the_domain_over_cloudfront_to_the_dashboard() {
    let domain = Template::of(CHOICES[2]).await;
    let bare = Template::prod().await;
    let records: BTreeSet<[String; 3]> =
        domain.all("AWS::Route53::RecordSet").map(|one| [one.text("/Name"), one.text("/Type"), one.text("/AliasTarget/DNSName")]).collect();
    let target = "${Distribution.DomainName}";
    let expected = [["codeteam.example.com", "A", target], ["codeteam.example.com", "AAAA", target]];
    assert_eq!(records, expected.map(|row| row.map(str::to_owned)).into());
    assert_eq!((bare.all("AWS::Route53::RecordSet").count(), bare.all("AWS::CertificateManager::Certificate").count()), (0, 0));
    for (template, port, protocol, to_origin) in [(&domain, 443, "HTTPS", "https-only"), (&bare, 80, "HTTP", "http-only")] {
        let distribution = template.get("Distribution").properties["DistributionConfig"].clone();
        assert_eq!(distribution["Origins"][0]["DomainName"], "${Balancer.DNSName}");
        assert_eq!(distribution["Origins"][0]["CustomOriginConfig"]["OriginProtocolPolicy"], to_origin);
        let listener = template.get("Listener");
        assert_eq!((listener.number("/Port"), listener.text("/Protocol").as_str()), (port, protocol));
        assert_eq!(template.get("BalancerGroup").number("/SecurityGroupIngress/0/FromPort"), port);
        let targets = template.referred(&listener.text("/DefaultActions/0/TargetGroupArn"));
        assert_eq!((targets.text("/HealthCheckPath").as_str(), targets.number("/Port")), ("/healthz", 8787));
        assert_eq!(template.get("DashboardService").text("/LoadBalancers/0/TargetGroupArn"), format!("${{{}}}", targets.name));
        // Live events are silent for 15 s at the most, and must not be kept or squeezed together on the way.
        let idle = template.get("Balancer").properties["LoadBalancerAttributes"].as_array().cloned().unwrap_or_default();
        assert!(idle.contains(&json!({ "Key": "idle_timeout.timeout_seconds", "Value": "120" })));
        for behavior in distribution["CacheBehaviors"].as_array().expect("API and webhooks have behaviors") {
            let caching_disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
            assert_eq!((&behavior["CachePolicyId"], &behavior["Compress"]), (&json!(caching_disabled), &json!(false)), "{behavior}");
        }
        let paths: Vec<&Value> = distribution["CacheBehaviors"].as_array().into_iter().flatten().map(|one| &one["PathPattern"]).collect();
        assert_eq!(paths, ["/api/*", "/webhooks/*"]);
    }
}

#[tokio::test]
async fn secrets_are_those_of_the_architecture_and_the_additions_that_are_listed() {
    let of_the_architecture = ["DATABASE_URL", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GITHUB_APP_PRIVATE_KEY"];
    let additions = [
        "GITHUB_APP_ID",
        "GITHUB_WEBHOOK_SECRET",
        "DATABASE_LISTEN_URL",
        "DATABASE_OWNER_PASSWORD",
        "DATABASE_APP_PASSWORD",
        "owner/DATABASE_URL",
        "owner/DATABASE_APP_URL",
        "pooler/DATABASE_URL",
    ];
    let secrets: BTreeSet<String> = Template::prod().await.all("AWS::SecretsManager::Secret").map(|secret| secret.text("/Name")).collect();
    let expected = of_the_architecture.iter().chain(&additions).map(|name| format!("ai-coding-team/prod/{name}")).collect();
    assert_eq!(secrets, expected);
}

#[tokio::test]
async fn workers_have_the_settings_of_their_mode() {
    let rows = [("MechanicTask", ["mechanic", "20", "50000", "60000"]), ("GeniusTask", ["genius", "100", "200000", "300000"])];
    for template in [Template::prod().await, Template::dev().await] {
        for (task, expected) in rows {
            let environment = template.get(task).environment(0);
            let found = ["MODE", "STEP_CAP", "TOKEN_CAP", "TIME_LIMIT_MS"].map(|name| environment[name].as_str());
            assert_eq!(found, expected, "{task}");
            assert_eq!(environment["MODEL"], "", "{task}: a name would stand for the mode's whole list");
            let container = &template.get(task).properties["ContainerDefinitions"][0];
            assert_eq!((&container["StopTimeout"], &container["User"]), (&json!(120), &Value::Null), "{task}");
        }
    }
    // What stands in for an empty MODEL.
    let prices: toml::Value =
        std::fs::read_to_string(e2e::root().join("common/llm/prices.toml")).unwrap().parse::<toml::Table>().unwrap().into();
    let first_three = |mode: &str| -> Vec<String> {
        prices["modes"][mode].as_array().expect("a list").iter().take(3).map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(first_three("mechanic"), ["gpt-5-mini", "gemini-2.5-flash", "claude-haiku-4-5"]);
    assert_eq!(first_three("genius"), ["gpt-5.1", "claude-opus-4-5", "gemini-3-pro-preview"]);
}

#[tokio::test]
async fn queues_hide_a_message_for_a_time_give_it_up_after_some_and_are_encrypted() {
    let template = Template::prod().await;
    let row = |name: &str| {
        let queue = template.get(name);
        let dead = template.referred(&queue.text("/RedrivePolicy/deadLetterTargetArn"));
        json!([
            queue.text("/QueueName"),
            dead.text("/QueueName"),
            queue.number("/VisibilityTimeout"),
            queue.number("/ReceiveMessageWaitTimeSeconds"),
            queue.properties["SqsManagedSseEnabled"],
            dead.properties["SqsManagedSseEnabled"],
            queue.number("/RedrivePolicy/maxReceiveCount"),
            dead.number("/MessageRetentionPeriod") > queue.number("/MessageRetentionPeriod"),
        ])
    };
    let expected = |name: &str, hidden: u64| {
        let name = format!("ai-coding-team-prod-{name}");
        json!([name, format!("{name}-dead"), hidden, 20, true, true, 5, true])
    };
    assert_eq!(row("WakeMechanic"), expected("wake-mechanic", 30));
    assert_eq!(row("WakeGenius"), expected("wake-genius", 30));
    assert_eq!(row("AlarmQueue"), expected("alarms", 60));
    for (task, own) in [("MechanicTask", "${WakeMechanic}"), ("GeniusTask", "${WakeGenius}")] {
        let environment = template.get(task).environment(0);
        let named = &environment[&format!("WAKE_QUEUE_URL_{}", environment["MODE"].to_uppercase())];
        assert_eq!(named, own);
    }
    assert_eq!(list(&json!("one")), ["one"]);
}
