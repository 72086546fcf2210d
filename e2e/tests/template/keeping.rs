//! What is kept, what is named, and what must stand nowhere.

use std::collections::BTreeMap;

use serde_json::json;

use super::{CHOICES, Resource, Template};

/// What happens to each kind of thing that holds something, when it goes and when it is replaced.
fn kept(resource: &Resource) -> Option<[&'static str; 2]> {
    match resource.kind.as_str() {
        "AWS::RDS::DBInstance" => Some(["Snapshot", "Snapshot"]),
        "AWS::KMS::Key" | "AWS::ECR::Repository" => Some(["Retain", "Retain"]),
        // What a person put in stays; what was made for this database goes with it.
        "AWS::SecretsManager::Secret" if made(resource) => Some(["Delete", "Delete"]),
        "AWS::SecretsManager::Secret" => Some(["Retain", "Retain"]),
        "AWS::ECS::TaskDefinition" => Some(["Delete", "Retain"]),
        "AWS::Logs::LogGroup" | "AWS::SQS::Queue" => Some(["Delete", "Delete"]),
        _ => None,
    }
}

fn made(secret: &Resource) -> bool {
    !secret.properties["GenerateSecretString"].is_null() || !secret.properties["SecretString"].is_null()
}

#[tokio::test]
async fn whatever_holds_data_says_what_becomes_of_it() {
    for choice in CHOICES {
        let template = Template::of(choice).await;
        assert_eq!(forgotten(&template), Vec::<String>::new(), "{choice:?}");
    }
    assert!(Template::prod().await.all("AWS::RDS::DBInstance").count() == 1);
}

pub(super) fn forgotten(template: &Template) -> Vec<String> {
    let differs = |one: &&Resource| kept(one).is_some_and(|expected| one.policies != expected.map(|policy| Some(policy.to_owned())));
    template.0.iter().filter(differs).map(|one| format!("{}: {:?}", one.name, one.policies)).collect()
}

#[tokio::test]
async fn everything_is_tagged_by_the_stack_it_is_in() {
    for choice in CHOICES {
        assert_eq!(untagged(&Template::of(choice).await), Vec::<String>::new(), "{choice:?}");
    }
}

/// The root has nothing but applications; each of these is a stack with two tags, which CloudFormation hands to all in it.
pub(super) fn untagged(template: &Template) -> Vec<String> {
    let environment = template.get("DashboardTask").environment(0)["ENVIRONMENT"].clone();
    let tags = json!({ "Project": "ai-coding-team", "Environment": environment });
    let wrong = |one: &&Resource| match (one.file.as_str(), one.kind.as_str()) {
        (_, "AWS::Serverless::Application") => one.properties["Tags"] != tags,
        (file, "AWS::ECS::Service") => file == "template.yaml" || one.properties["PropagateTags"] != "SERVICE",
        (file, _) => file == "template.yaml",
    };
    template.0.iter().filter(wrong).map(|one| one.name.clone()).collect()
}

#[tokio::test]
async fn no_name_stands_for_two_things() {
    let template = Template::prod().await;
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for resource in &template.0 {
        let before = seen.insert(&resource.name, &resource.file);
        assert_eq!(before, None, "{} is in {} as well", resource.name, resource.file);
    }
}

#[tokio::test]
async fn no_secret_has_a_value_in_the_template_and_none_reaches_an_environment() {
    for choice in CHOICES {
        assert_eq!(spilled(&Template::of(choice).await), Vec::<String>::new(), "{choice:?}");
    }
}

/// Where a value of a secret would stand or go. Only AWS resolves `{{resolve:secretsmanager:…}}`, and only into a secret or the database.
pub(super) fn spilled(template: &Template) -> Vec<String> {
    let mut wrong = Vec::new();
    for resource in &template.0 {
        let text = resource.properties.to_string();
        let may = match resource.kind.as_str() {
            "AWS::SecretsManager::Secret" => {
                let value = resource.text("/SecretString");
                // Whoever shows tokens has a URL without a secret.
                value.contains(":{{resolve:secretsmanager:${") || value.starts_with("postgres://codeteam_app@${Database.")
            }
            "AWS::RDS::DBInstance" => resource.text("/MasterUserPassword").starts_with("{{resolve:secretsmanager:${"),
            _ => false,
        };
        if text.contains("{{resolve:") && !may {
            wrong.push(format!("{} resolves a secret", resource.name));
        }
        if !resource.properties["SecretString"].is_null() && !may {
            wrong.push(format!("{} has a value", resource.name));
        }
        if resource.kind == "AWS::RDS::DBInstance" && !may {
            wrong.push(format!("{} has a password", resource.name));
        }
        for container in resource.properties["ContainerDefinitions"].as_array().into_iter().flatten() {
            // ECS would put these into the environment.
            if !container["Secrets"].is_null() {
                wrong.push(format!("{} has secrets in its environment", resource.name));
            }
            for pair in container["Environment"].as_array().into_iter().flatten() {
                let name = pair["Name"].as_str().unwrap_or_default();
                let is_secret =
                    ["KEY", "PASSWORD", "TOKEN", "DATABASE_URL", "LISTEN_URL", "WEBHOOK_SECRET"].iter().any(|part| name.contains(part));
                if is_secret && name != "TOKEN_CAP" {
                    wrong.push(format!("{}: {name}", resource.name));
                }
            }
        }
    }
    wrong
}

#[tokio::test]
async fn what_lies_still_is_encrypted_and_logs_end() {
    for choice in CHOICES {
        let template = Template::of(choice).await;
        for resource in &template.0 {
            let encrypted = match resource.kind.as_str() {
                "AWS::RDS::DBInstance" => resource.properties["StorageEncrypted"] == true,
                "AWS::SQS::Queue" => resource.properties["SqsManagedSseEnabled"] == true,
                "AWS::SNS::Topic" => resource.text("/KmsMasterKeyId") == "${Key.Arn}",
                "AWS::Logs::LogGroup" => resource.text("/KmsKeyId") == "${Key.Arn}" && resource.number("/RetentionInDays") == 30,
                "AWS::SecretsManager::Secret" => resource.text("/KmsKeyId") == "${Key}",
                "AWS::ECR::Repository" => resource.text("/EncryptionConfiguration/EncryptionType") == "KMS",
                _ => true,
            };
            assert!(encrypted, "{} of {choice:?}: {}", resource.name, resource.properties);
        }
    }
}

#[tokio::test]
async fn every_check_that_is_skipped_says_why_in_a_sentence() {
    let mut skips = 0;
    for choice in CHOICES {
        for resource in Template::of(choice).await.0 {
            for skip in resource.metadata["checkov"]["skip"].as_array().into_iter().flatten() {
                let comment = skip["comment"].as_str().unwrap_or_default();
                assert!(comment.len() > 30 && comment.ends_with('.'), "{}: {skip}", resource.name);
                assert!(skip["id"].as_str().is_some_and(|id| id.starts_with("CKV")), "{}: {skip}", resource.name);
                skips += 1;
            }
        }
    }
    assert!(skips > 0);
}
