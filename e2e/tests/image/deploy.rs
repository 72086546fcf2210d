//! `make deploy`, `rollback` and `destroy`: what they ask for first, what they would do, and that a step that fails is the last one. AWS's
//! own command line is played by a script that writes down what it was called with.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use e2e::{root, tools};
use process::{Command, Exit, Output};
use tempfile::TempDir;

/// The programs that a machine has without those of AWS.
const USUAL: [&str; 18] = [
    "bash", "cat", "date", "dirname", "env", "find", "git", "grep", "head", "id", "mktemp", "python3", "rm", "sed", "tail", "tee", "tr",
    "uname",
];

/// Plays AWS: each call is a line of the file `calls`; answers what a sound environment would, but for the exit code of tasks.
const AWS: &str = r#"#!/usr/bin/env bash
echo "aws $*" >>"$CALLS"
case "$*" in
    *get-caller-identity*) echo 123456789012 ;;
    *describe-stacks*StackStatus*) [ "$STACK" != none ] && echo "$STACK" ;;
    *describe-stacks*Url*) echo https://team.example.com ;;
    *"describe-task-definition"*"taskDefinition --output json"*)
        echo '{"taskDefinitionArn": "a", "revision": 1, "family": "migrate", "containerDefinitions": [{"image": "old"}]}' ;;
    *register-task-definition*) cat "${4#file://}" >>"$CALLS"; echo arn:aws:ecs:us-east-1:123456789012:task-definition/migrate:2 ;;
    *describe-services*taskDefinition*) echo dashboard:7 ;;
    *get-log-events*) printf 'every chain holds\tand more\n' ;;
    *describe-services*networkConfiguration*) echo '{"awsvpcConfiguration": {}}' ;;
    *run-task*) echo arn:aws:ecs:us-east-1:123456789012:task/ai-coding-team/1234 ;;
    *describe-tasks*) printf '%s\tEssential container in task exited\n' "$EXIT_CODE" ;;
    *list-secret-version-ids*GITHUB_APP_ID*) echo None ;;
    *list-secret-version-ids*) echo a-version ;;
esac
"#;

struct Machine {
    folder: TempDir,
}

impl Machine {
    /// Without any of AWS's programs.
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-deploy-").tempdir().unwrap();
        for program in USUAL {
            let found =
                ["/usr/local/bin", "/usr/bin", "/bin"].map(|place| Path::new(place).join(program)).into_iter().find(|path| path.exists());
            symlink(found.unwrap_or_else(|| panic!("no {program}")), folder.path().join(program)).unwrap();
        }
        Self { folder }
    }

    /// With AWS's programs, and docker, played.
    fn with_aws() -> Self {
        let machine = Self::new();
        machine.put("aws", AWS);
        for program in ["sam", "docker"] {
            machine.put(program, &format!("#!/usr/bin/env bash\necho \"{program} $*\" >>\"$CALLS\"\n"));
        }
        machine
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut words = line.split(' ');
        let program = root().join(words.next().unwrap());
        let calls = self.folder.path().join("calls");
        Command::new(program)
            .args(words)
            .cwd(root())
            .path(self.folder.path())
            .env("CALLS", calls)
            .env("STACK", "UPDATE_COMPLETE")
            .env("EXIT_CODE", "0")
    }

    /// What was called, in order.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

async fn run(command: Command) -> Output {
    tools::attempt(command).await
}

fn expect(output: &Output, code: i32, words: &[&str]) -> String {
    let said = format!("{}\n{}", output.stdout_text(), output.stderr_text());
    assert_eq!(output.exit, Exit::Code(code), "{said}");
    for words in words {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    said
}

/// Fails unless every one of `words` is in a line of its own, in this order.
#[track_caller]
fn in_order(lines: &[String], words: &[&str]) {
    let mut from = 0;
    for words in words {
        let found = lines[from..].iter().position(|line| line.contains(words));
        from += found.unwrap_or_else(|| panic!("{words:?} does not come after line {from} of {lines:#?}")) + 1;
    }
}

#[tokio::test]
async fn what_is_missing_is_said_with_what_installs_it_before_anything_is_done() {
    let machine = Machine::new();
    let words = ["deploy: aws is missing: pip install awscli", "deploy: sam is missing: pip install aws-sam-cli=="];
    expect(&run(machine.command("scripts/deploy.sh dev")).await, 1, &words);
    expect(&run(machine.command("scripts/deploy-rollback.sh prod dashboard 41")).await, 1, &["rollback: aws is missing"]);
    expect(&run(machine.command("scripts/deploy-destroy.sh dev")).await, 1, &["destroy: aws is missing"]);
}

#[tokio::test]
async fn wrong_arguments_are_answered_with_how_it_goes() {
    let machine = Machine::with_aws();
    let cases = [
        ("scripts/deploy.sh", 2, "make deploy ENV=dev"),
        ("scripts/deploy.sh dev prod", 2, "make deploy ENV=dev"),
        ("scripts/deploy.sh dev --force", 2, "make deploy ENV=dev"),
        ("scripts/deploy.sh staging", 1, "there is no environment \"staging\": dev or prod"),
        ("scripts/deploy-rollback.sh prod", 2, "make rollback SERVICE=dashboard REVISION=41"),
        ("scripts/deploy-rollback.sh prod worker 3", 1, "there is no service \"worker\": dashboard mechanic-worker genius-worker"),
        ("scripts/deploy-rollback.sh prod dashboard latest", 1, "REVISION is \"latest\": expected the number"),
        ("scripts/deploy-destroy.sh", 2, "make destroy ENV=dev"),
    ];
    for (line, code, words) in cases {
        expect(&run(machine.command(line)).await, code, &[words]);
    }
    let parameters = |value: &str| machine.command("scripts/deploy.sh dev").env("PARAMETERS", value);
    expect(&run(parameters("Domain")).await, 1, &["PARAMETERS has \"Domain\": expected Name=value"]);
    expect(&run(parameters("Phase=ground")).await, 1, &["Phase, which this command sets itself"]);
    expect(&run(machine.command("scripts/deploy.sh dev").env("AWS_REGION", "eu-west-1")).await, 1, &["AWS_REGION is eu-west-1"]);
    assert_eq!(machine.calls(), Vec::<String>::new(), "AWS was asked");
}

#[tokio::test]
async fn a_dry_run_says_every_step_in_order_and_calls_nobody() {
    let machine = Machine::with_aws();
    let deploy = machine.command("scripts/deploy.sh dev --dry-run").env("TAG", "0.1.0-abc").env("CONTAINER_ENGINE", "docker");
    let said = expect(&run(deploy.env("PARAMETERS", "NotificationEmail=team@example.com")).await, 0, &[]);
    let lines: Vec<String> = said.lines().filter(|line| line.starts_with("would run")).map(str::to_owned).collect();
    let registry = "000000000000.dkr.ecr.us-east-1.amazonaws.com";
    in_order(
        &lines,
        &[
            "sam deploy --template-file template.yaml --stack-name ai-coding-team-dev --region us-east-1",
            &format!("docker push {registry}/dashboard-dev:0.1.0-abc"),
            &format!("docker push {registry}/worker-dev:0.1.0-abc"),
            "register-task-definition",
            "run-task --cluster ai-coding-team-dev --task-definition migrate-dev",
            "wait tasks-stopped",
            "Phase=running DashboardTag=0.1.0-abc WorkerTag=0.1.0-abc NotificationEmail=team@example.com",
            "wait services-stable --cluster ai-coding-team-dev --services dashboard mechanic-worker genius-worker",
        ],
    );
    assert!(lines[0].contains("Environment=dev Phase=ground "), "the first time nothing runs yet: {}", lines[0]);
    assert_eq!(machine.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn the_services_are_updated_after_the_migration_with_its_image() {
    let machine = Machine::with_aws();
    let deploy = machine.command("scripts/deploy.sh prod").env("TAG", "0.1.0-abc");
    expect(&run(deploy).await, 0, &["not set yet: GITHUB_APP_ID (", "done: https://team.example.com"]);
    let calls = machine.calls();
    in_order(
        &calls,
        &[
            "register-task-definition",
            r#"{"family": "migrate", "containerDefinitions": [{"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/dashboard:0.1.0-abc"}]}"#,
            "run-task --cluster ai-coding-team --task-definition arn:aws:ecs:us-east-1:123456789012:task-definition/migrate:2",
            "wait tasks-stopped",
            "sam deploy",
            "wait services-stable --cluster ai-coding-team",
        ],
    );
    let deploys: Vec<&String> = calls.iter().filter(|call| call.starts_with("sam ")).collect();
    assert!(deploys.len() == 1 && deploys[0].contains("Environment=prod Phase=running DashboardTag=0.1.0-abc"), "{deploys:?}");
    assert!(!calls.iter().any(|call| call.contains("get-secret-value") || call.starts_with("docker push")), "{calls:?}");
}

#[tokio::test]
async fn a_migration_that_fails_is_the_last_step() {
    let machine = Machine::with_aws();
    let deploy = machine.command("scripts/deploy.sh prod").env("TAG", "0.1.0-abc").env("EXIT_CODE", "4");
    expect(
        &run(deploy).await,
        1,
        &["the migration ended with 4", "aws logs tail /ai-coding-team/prod/dashboard", "nothing else was changed"],
    );
    assert!(!machine.calls().iter().any(|call| call.starts_with("sam ")), "{:?}", machine.calls());
}

#[tokio::test]
async fn a_stack_that_is_not_sound_is_left_alone() {
    let machine = Machine::with_aws();
    for (status, words) in [("UPDATE_IN_PROGRESS", "wait until that has ended"), ("ROLLBACK_COMPLETE", "A deploy that failed")] {
        let deploy = machine.command("scripts/deploy.sh prod").env("TAG", "0.1.0-abc").env("STACK", status);
        expect(&run(deploy).await, 1, &[status, words]);
    }
    assert!(machine.calls().iter().all(|call| call.contains("get-caller-identity") || call.contains("describe-stacks")));
}

#[tokio::test]
async fn a_rollback_is_the_command_of_the_architecture() {
    let machine = Machine::with_aws();
    expect(&run(machine.command("scripts/deploy-rollback.sh prod dashboard 41")).await, 0, &["dashboard runs dashboard:41"]);
    let update = "aws ecs update-service --cluster ai-coding-team --service dashboard --task-definition dashboard:41";
    in_order(&machine.calls(), &[update, "aws ecs wait services-stable --cluster ai-coding-team --services dashboard"]);
    let dry = run(machine.command("scripts/deploy-rollback.sh dev genius-worker 7 --dry-run")).await;
    expect(
        &dry,
        0,
        &["would run: aws ecs update-service --cluster ai-coding-team-dev --service genius-worker --task-definition genius-worker-dev:7"],
    );
}

#[tokio::test]
async fn a_command_runs_as_the_service_and_its_words_and_exit_code_come_back() {
    let machine = Machine::with_aws();
    let ran = run(machine.command("scripts/deploy-task.sh prod ledger verify").env("EXIT_CODE", "1")).await;
    expect(&ran, 1, &["every chain holds\nand more"]);
    let overrides = r#"--overrides {"containerOverrides": [{"name": "dashboard", "command": ["ledger", "verify"]}]}"#;
    let started = format!(
        "run-task --cluster ai-coding-team --task-definition dashboard:7 --launch-type FARGATE --started-by task --network-configuration {{\"awsvpcConfiguration\": {{}}}} {overrides}"
    );
    in_order(
        &machine.calls(),
        &[
            &started,
            "wait tasks-stopped",
            "logs get-log-events --log-group-name /ai-coding-team/prod/dashboard --log-stream-name dashboard/dashboard/1234",
        ],
    );
    assert!(!machine.calls().iter().any(|call| call.contains("delete-log-stream")));
    expect(&run(machine.command("scripts/deploy-task.sh prod --forget token create ci --scope admin")).await, 0, &["every chain holds"]);
    in_order(
        &machine.calls(),
        &[
            "get-log-events",
            "logs delete-log-stream --log-group-name /ai-coding-team/prod/dashboard --log-stream-name dashboard/dashboard/1234",
        ],
    );
    expect(&run(machine.command("scripts/deploy-task.sh prod")).await, 2, &["make task ENV=prod RUN="]);
}

#[tokio::test]
async fn nothing_is_destroyed_before_the_right_words_were_typed() {
    let machine = Machine::with_aws();
    for (environment, typed) in [("dev", "yes"), ("dev", ""), ("prod", "ai-coding-team-prod"), ("prod", "destroy prod")] {
        let destroy = machine.command(&format!("scripts/deploy-destroy.sh {environment}")).stdin(format!("{typed}\n"));
        expect(&run(destroy).await, 1, &["a last snapshot", "nothing was changed"]);
    }
    let changes = |calls: &[String]| {
        calls.iter().filter(|call| !call.contains(" describe-") && !call.contains("get-caller")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(changes(&machine.calls()), Vec::<String>::new());
    let destroy = machine.command("scripts/deploy-destroy.sh prod").stdin("destroy prod in 123456789012\n");
    expect(&run(destroy).await, 0, &["destroy: done"]);
    let changes = changes(&machine.calls());
    in_order(
        &changes,
        &["--no-deletion-protection", "deletion_protection.enabled,Value=false", "delete-stack --stack-name ai-coding-team-prod"],
    );
    let missing = run(machine.command("scripts/deploy-destroy.sh dev").env("STACK", "none")).await;
    expect(&missing, 1, &["there is no stack ai-coding-team-dev in account 123456789012"]);
}

#[test]
fn names_are_those_of_the_template() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (script, names, template) = (read("scripts/deploy.sh"), read("scripts/deploy-names.sh"), read("template.yaml"));
    let (services, data) = (read("deploy/services.yaml"), read("deploy/data.yaml"));
    let (parameters, outputs) = template.split_once("\nOutputs:\n").expect("the template has outputs");
    for parameter in ["Environment", "Phase", "DashboardTag", "WorkerTag"] {
        assert!(parameters.contains(&format!("\n  {parameter}:\n    Type: ")), "template.yaml has no parameter {parameter}");
        assert!(script.contains(&format!("{parameter}=")), "scripts/deploy.sh does not set {parameter}");
    }
    assert!(outputs.contains("  Url:\n"), "template.yaml has no output Url");
    for family in ["dashboard", "mechanic-worker", "genius-worker", "migrate"] {
        assert!(services.contains(&format!("Family: !If [IsProd, {family}, {family}-dev]")), "deploy/services.yaml has no family {family}");
    }
    let listed = names.split_once("services=(").and_then(|(_, rest)| rest.split_once(')')).expect("a list").0;
    for service in listed.split(' ') {
        assert!(services.contains(&format!("ServiceName: {service}\n")), "deploy/services.yaml has no service {service}");
    }
    let secrets = script.split_once("for secret in ").and_then(|(_, rest)| rest.split_once(';')).expect("a list").0;
    for secret in secrets.split(' ') {
        assert!(
            data.contains(&format!("Name: !Sub \"ai-coding-team/${{Environment}}/{secret}\"")),
            "deploy/data.yaml has no secret {secret}"
        );
    }
    assert!(template.contains("[IsProd, ai-coding-team, ai-coding-team-dev]"), "the cluster's names");
}
