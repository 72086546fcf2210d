//! Workers of `codeteam up`: none while there is nothing to do, woken by a job, let go when they are idle, and never taken from
//! their work.

use std::os::unix::fs::PermissionsExt;

use e2e::wait::{processes, until};
use e2e::{Codeteam, Repository, Up, tools};
use process::sandbox::Machine;
use process::{Exit, Signal};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use testkit::TestDb;
use testkit::client as http;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{call, root, script};

/// An `up` whose workers do jobs of `replies` in a repository of its own.
struct Team {
    db: TestDb,
    repository: Repository,
    script: NamedTempFile,
}

impl Team {
    /// Each job waits in its shell for as long, then writes a file.
    async fn of(command: &str) -> Self {
        let replies = [
            call("shell", json!({ "command": command, "timeout_s": 600 })),
            call("write_file", json!({ "path": "greeting.txt", "content": "hello\n" })),
            call("finish", json!({ "title": "Greet", "summary": "It greets.", "confidence": "high" })),
        ];
        let repository = Repository::of(&[("README.md", "A shop.\n")]).await;
        Self { db: TestDb::new().await, repository, script: script(&replies) }
    }

    async fn up(&self, arguments: &[&str]) -> Up {
        self.up_with(arguments, &[]).await
    }

    async fn up_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Up {
        let arguments = [&["up", "--listen", "127.0.0.1:0"], arguments].concat();
        let up = Codeteam::new(arguments).on(self.db.url.expose()).env("MODEL", "scripted").env("CODETEAM_SCRIPT", self.script.path());
        let up = Up::start(settings.iter().fold(up, |up, (name, value)| up.env(name, value))).await;
        up.running.says("Ctrl-C stops everything").await;
        up
    }

    fn request(&self, mode: &str) -> String {
        let remote = self.repository.path.to_str().unwrap();
        let job = json!({ "repository": "acme/shop", "remote": remote, "input": { "title": "Greet" }, "mode": mode, "model": "scripted" });
        job.to_string()
    }

    /// Asks for a job, past `up`.
    async fn job(&self, mode: &str) -> String {
        let enqueue = Codeteam::new(["invoke", "enqueue", "-"]).stdin(self.request(mode)).env("CODETEAM_LOCAL_REMOTES", "1");
        enqueue.on(self.db.url.expose()).run().await.json(0)["job_id"].as_str().unwrap().to_owned()
    }

    /// Asks `up` itself for one.
    async fn job_of(&self, up: &Up, mode: &str) -> String {
        let answer = http::post(&up.address, "/2015-03-31/functions/enqueue/invocations", &[], self.request(mode).as_bytes()).await;
        answer.json()["job_id"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, job_id: &str) {
        self.ended_as(job_id, "succeeded").await;
    }

    async fn ended_as(&self, job_id: &str, outcome: &str) {
        let query = format!("select outcome from jobs where job_id = '{job_id}'");
        let found = until("the job ends", async || Some(self.db.value(&query).await).filter(|outcome| !outcome.is_empty())).await;
        assert_eq!(found, outcome, "job {job_id}");
    }

    /// How many workers are there, as they say themselves.
    async fn present(&self) -> String {
        self.db.value("select count(*) from workers where stopped_at is null").await
    }

    /// Seconds from the request to the first claim.
    async fn waited(&self, job_id: &str) -> f64 {
        let claimed = format!("select min(events.created_at) from events where job_id = '{job_id}' and kind = 'claimed'");
        until("a worker claims the job", async || (!self.db.value(&claimed).await.is_empty()).then_some(())).await;
        let waited = format!("select extract(epoch from ({claimed}) - created_at) from jobs where job_id = '{job_id}'");
        self.db.value(&waited).await.parse().unwrap()
    }
}

/// A worker that comes as slowly as a task of Fargate, beside one that comes at once: the one waits while the other is watched.
#[tokio::test]
async fn a_job_at_zero_wakes_a_worker_within_a_minute_and_a_minute_without_work_lets_it_go() {
    let (slow, team) = (Team::of("true").await, Team::of("true").await);
    let far = slow.up(&["--start-delay", "45"]).await;
    let late = slow.job("genius").await;
    let up = team.up(&["--slots", "1"]).await;
    assert_eq!(team.db.value("select count(*) from workers").await, "0", "nobody is up for nothing");

    let first = team.job("mechanic").await;
    team.ended(&first).await;
    e2e::measured(&format!("from a request at zero to its claim, with this machine's other tests: {:.2} s", team.waited(&first).await));
    assert_eq!(team.db.value("select task_arn like 'mechanic-%' from workers").await, "true", "it knows which worker it is");
    let second = team.job("mechanic").await;
    team.ended(&second).await;
    assert_eq!(team.db.value("select count(*) from workers").await, "1", "the one that is up does it");

    // With room for one, it makes room for another mode as soon as it may be taken away.
    let genius = team.job("genius").await;
    team.ended(&genius).await;
    up.running.says("no mechanic is up any more").await;
    up.running.says("a genius wakes up").await;
    team.db.execute("update scaling set busy_at = now() - interval '1 minute'").await;
    team.db.execute("notify codeteam_ready, 'genius'").await;
    up.running.says("no genius is up any more").await;
    until("it said so itself", async || (team.present().await == "0").then_some(())).await;

    let third = team.job("mechanic").await;
    team.ended(&third).await;
    assert_eq!(team.db.value("select count(*) from events where kind = 'released'").await, "0", "nobody was taken away from a job");
    assert_eq!(up.running.end(Signal::INT).await.0, Exit::Code(0));

    let waited = slow.waited(&late).await;
    e2e::measured(&format!("the same with a worker that takes 45 s to come: {waited:.2} s"));
    assert!((45.0..60.0).contains(&waited), "{waited} s");
    assert_eq!(far.running.end(Signal::TERM).await.0, Exit::Code(0));
}

#[tokio::test]
async fn workers_give_their_jobs_back_when_up_is_told_to_stop_and_die_with_it_when_it_is_killed() {
    let team = Team::of("sleep 300").await;
    let mut up = team.up(&[]).await;
    for signal in [Signal::TERM, Signal::KILL] {
        let job_id = team.job("mechanic").await;
        team.waited(&job_id).await;
        let children = || workers_of(up.running.id());
        assert_eq!(children().len(), 1);
        let child = children()[0];
        up.running.signal(signal);
        // One that has ended and that nobody has buried yet has no command line.
        let line = || std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        until("the worker is gone", async || line().is_empty().then_some(())).await;
        if signal == Signal::TERM {
            assert_eq!(up.running.end(Signal::CONT).await.0, Exit::Code(0));
            let state = format!("select state || ' ' || attempt from queue where job_id = '{job_id}'");
            assert_eq!(team.db.value(&state).await, "ready 0", "given back, and the attempt does not count");
            Codeteam::new(["stop", &job_id]).on(team.db.url.expose()).run().await.expect(0, &[]);
            up = team.up(&[]).await;
            team.ended_as(&job_id, "stopped").await;
        }
    }
}

/// The workers that the process `up` has started.
fn workers_of(up: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{up}/task/{up}/children")).unwrap_or_default();
    let all = std::fs::read_dir(format!("/proc/{up}/task")).into_iter().flatten().flatten();
    let of_threads = all.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let listed = of_threads.fold(children, |all, more| all + " " + &more);
    let mut ids: Vec<u32> = listed.split_whitespace().filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains("work\0--mode")));
    ids
}

#[tokio::test]
async fn a_worker_has_the_walls_of_up_whoever_that_becomes() {
    if !Machine::this().users {
        return e2e::skipped("the walls of workers where up gives root up", "only root can be given up");
    }
    const USER: &str = "64604";
    let team = Team::of("id -u > who.txt; true").await;
    let folder = tempfile::Builder::new().prefix("e2e-up-").permissions(PermissionsExt::from_mode(0o711)).tempdir().unwrap();
    root::open_way_to_database(team.db.url.expose());
    std::fs::set_permissions(team.script.path(), PermissionsExt::from_mode(0o644)).unwrap();
    let place = team.repository.path.parent().unwrap();
    std::fs::set_permissions(place, PermissionsExt::from_mode(0o711)).unwrap();
    tools::run("chown", &["-R", &format!("{USER}:{USER}"), "."], place).await;
    let up = Codeteam::new(["up", "--listen", "127.0.0.1:0"]).on(team.db.url.expose()).state(&folder.path().join("state"));
    let up = up.env("CODETEAM_USER", USER).env("CODETEAM_CACHE_DIR", folder.path().join("cache"));
    let up = Up::start(up.env("MODEL", "scripted").env("CODETEAM_SCRIPT", team.script.path())).await;
    let job_id = team.job("mechanic").await;
    team.ended(&job_id).await;
    let said = up.running.said();
    let levels: Vec<&str> = said.lines().filter_map(|line| line.split("tools run in a sandbox of level ").nth(1)).collect();
    assert!(levels.len() == 2 && levels[0] == levels[1], "{levels:?}: {said}");
    assert!(levels[0].starts_with("full") || levels[0].starts_with("uid"), "{levels:?}");
    let child = workers_of(up.running.id())[0];
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap();
    let of_user = status.lines().any(|line| line.starts_with("Uid:") && line.contains(USER));
    assert!(of_user, "{status}");
    up.running.signal(Signal::KILL);
    until("no spawner is left", async || processes(&format!("codeteam-spawner {USER}")).is_empty().then_some(())).await;
}

/// SQS as far as the wake queues use it: it says nothing that is true, or all of it twice.
async fn queue(messages: &[&str]) -> MockServer {
    let server = MockServer::start().await;
    let of = |action: &str| Mock::given(header("x-amz-target", format!("AmazonSQS.{action}").as_str()));
    let message = |(no, body): (usize, &&str)| json!({ "MessageId": no.to_string(), "ReceiptHandle": no.to_string(), "Body": body, "Attributes": { "ApproximateReceiveCount": "1" } });
    let messages: Vec<Value> = messages.iter().enumerate().map(message).collect();
    let received =
        ResponseTemplate::new(200).set_body_json(json!({ "Messages": messages })).set_delay(std::time::Duration::from_millis(200));
    of("ReceiveMessage").respond_with(received).mount(&server).await;
    of("SendMessage").respond_with(ResponseTemplate::new(200).set_body_json(json!({ "MessageId": "1" }))).mount(&server).await;
    let deleted =
        json!({ "Successful": messages.iter().map(|message| json!({ "Id": message["MessageId"] })).collect::<Vec<_>>(), "Failed": [] });
    of("DeleteMessageBatch").respond_with(ResponseTemplate::new(200).set_body_json(deleted)).mount(&server).await;
    server
}

/// What was asked of SQS by one action.
async fn asked(server: &MockServer, action: &str) -> Vec<Value> {
    let target = format!("AmazonSQS.{action}");
    let all = server.received_requests().await.unwrap();
    let of_action =
        all.iter().filter(|request| request.headers.get("x-amz-target").is_some_and(|found| found.as_bytes() == target.as_bytes()));
    of_action.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[tokio::test]
async fn sqs_is_told_of_ready_jobs_and_whatever_it_says_every_job_is_done_once() {
    let team = Team::of("true").await;
    let lies = ["", "hello", r#"{"mode":"wizard"}"#, r#"{"job_id":"0198cb5e-7a40-7c21-9f3e-5b6d8a2c4e10","mode":"mechanic"}"#];
    let server = queue(&[&lies[..], &lies[..]].concat()).await;
    let url = server.uri();
    let queue = format!("{url}/123456789012/wake-mechanic");
    let keys = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"),
    ];
    let queues = [("AWS_ENDPOINT_URL_SQS", &*url), ("WAKE_QUEUE_URL_MECHANIC", &*queue)];
    let up = team.up_with(&[], &[&keys[..], &queues[..]].concat()).await;
    for _ in 0..2 {
        let job_id = team.job_of(&up, "mechanic").await;
        team.ended(&job_id).await;
    }
    let sent = until("SQS was told", async || Some(asked(&server, "SendMessage").await).filter(|sent| !sent.is_empty())).await;
    let hint: Value = serde_json::from_str(sent[0]["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!((sent[0]["QueueUrl"].as_str(), &hint["mode"]), (Some(&*queue), &json!("mechanic")));
    assert_eq!(team.db.value(&format!("select count(*) from jobs where job_id = '{}'", hint["job_id"].as_str().unwrap())).await, "1");
    until("they are deleted", async || (!asked(&server, "DeleteMessageBatch").await.is_empty()).then_some(())).await;
    assert_eq!(team.db.value("select count(*) from events where kind = 'claimed'").await, "2");
    assert_eq!(up.running.end(Signal::TERM).await.0, Exit::Code(0));

    // Nobody answers any more.
    let gone = format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let queue = format!("{gone}/123456789012/wake-mechanic");
    let queues = [("AWS_ENDPOINT_URL_SQS", &*gone), ("WAKE_QUEUE_URL_MECHANIC", &*queue)];
    let up = team.up_with(&[], &[&keys[..], &queues[..]].concat()).await;
    let job_id = team.job_of(&up, "mechanic").await;
    team.ended(&job_id).await;
    up.running.says("the wake queue of mode mechanic is not heard, jobs start at the next look").await;
    assert_eq!(up.running.end(Signal::TERM).await.0, Exit::Code(0));
}

const ARN: &str = "arn:aws:ecs:us-east-1:123456789012:task/ai-coding-team/158d1c8083dd49d6b527399fd6414f5c";

/// The agent of a task of ECS, which answers a wish to be protected with this; it tells the task who it is.
async fn agent(server: &MockServer, answer: Value) {
    server.reset().await;
    let state = Mock::given(method("PUT")).and(path("/task-protection/v1/state"));
    state.respond_with(ResponseTemplate::new(200).set_body_json(answer)).mount(server).await;
    let task = json!({ "Cluster": "ai-coding-team", "TaskARN": ARN, "Family": "mechanic-worker", "Revision": "7" });
    Mock::given(path("/task")).respond_with(ResponseTemplate::new(200).set_body_json(task)).mount(server).await;
}

/// Whether it was asked for protection (`true`), or to take it away, each time.
async fn wishes(server: &MockServer) -> Vec<bool> {
    let asked = server.received_requests().await.unwrap();
    let wishes = asked.iter().filter(|request| request.method.as_str() == "PUT");
    let wish = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    wishes
        .map(|request| {
            let wish = wish(&request.body);
            let held = json!({ "ProtectionEnabled": true, "ExpiresInMinutes": 10 });
            assert!(wish == held || wish == json!({ "ProtectionEnabled": false }), "{wish}");
            wish == held
        })
        .collect()
}

#[tokio::test]
async fn a_task_claims_only_under_protection_and_gives_its_jobs_back_under_it() {
    let team = Team::of("sleep 301").await;
    let server = MockServer::start().await;
    let granted = json!({ "protection": { "ExpirationDate": "2026-01-01T00:10:00Z", "ProtectionEnabled": true, "TaskArn": ARN } });
    agent(&server, json!({ "failure": { "Arn": ARN, "Detail": null, "Reason": "DEPLOYMENT_BLOCKED" } })).await;
    let work = Codeteam::new(["work", "--mode", "mechanic"]).on(team.db.url.expose()).env("CODETEAM_SCRIPT", team.script.path());
    let work = work.env("ECS_AGENT_URI", server.uri()).env("ECS_CONTAINER_METADATA_URI_V4", server.uri()).env("LOG_FORMAT", "text");
    let worker = work.env("CODETEAM_LOCAL_REMOTES", "1").start();
    worker.says("working on jobs").await;
    until("it says which task it is", async || (team.db.value("select count(*) from workers").await == "1").then_some(())).await;
    assert_eq!(team.db.value("select task_arn from workers").await, ARN);
    assert_eq!(wishes(&server).await, Vec::<bool>::new(), "for nothing it needs no protection");

    let job_id = team.job("mechanic").await;
    worker.says("claims nothing until it is protected").await;
    assert_eq!(team.db.value("select state from queue").await, "ready", "{}", worker.said());
    assert!(worker.said().contains("DEPLOYMENT_BLOCKED"), "{}", worker.said());
    agent(&server, granted.clone()).await;
    team.waited(&job_id).await;
    assert_eq!(wishes(&server).await, [true]);
    until("its tool runs", async || (!processes("sleep 301").is_empty()).then_some(())).await;
    worker.signal(Signal::TERM);
    until("the job is given back", async || (team.db.value("select state || attempt from queue").await == "ready0").then_some(())).await;
    let (exit, said) = worker.end(Signal::CONT).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
    assert_eq!(wishes(&server).await, [true, false], "only when it held nothing any more");
}
