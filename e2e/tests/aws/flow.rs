//! From nothing to nothing: a webhook, a wake, a worker, a job that is done, and no worker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use testkit::{Answer, ModelStub};
use tokio::time::{Instant, sleep};

use super::client::{SQS, ask, queue_url};
use super::fleet::What;
use super::http::{Served, exchange};
use super::sqs::Weather;
use super::world::{MODEL_KEY, Setting, WEBHOOK_SECRET, World, long, put_secret, quick};

const WORKER: &str = "mechanic-worker";
/// How long a mode has to be without work before its workers go, and what a tick and a start may add.
const SCALE_IN: Duration = Duration::from_secs(60 + 15 + 10);

#[tokio::test]
async fn a_webhook_wakes_a_worker_from_zero_its_job_is_done_and_then_there_is_none_again() {
    let setting = Setting { start: Duration::from_secs(1), ..Setting::of(quick()) };
    let Some(world) = World::start("from a webhook to zero again", setting).await else { return };
    assert_eq!((world.desired(WORKER).await, world.fleet.processes(WORKER).len()), (0, 0));

    let (asked, job) = (Instant::now(), world.job("mechanic").await);
    world.until("a worker is asked for", async || (world.desired(WORKER).await == 1).then_some(())).await;
    let wanted = asked.elapsed();
    world.done(1).await;
    e2e::measured(&format!(
        "a webhook at zero: {:.1} s to a desired worker, {:.1} s to the end of its job",
        wanted.as_secs_f64(),
        asked.elapsed().as_secs_f64()
    ));
    let claimed = format!("select count(*) from events where job_id = '{job}' and kind = 'claimed'");
    assert_eq!(world.db.value(&claimed).await, "1");
    let pulls = world.github.at("acme/tally").pulls.len();
    assert_eq!(pulls, 1, "{}", world.told());
    nothing_secret_is_in_an_environment(&world);

    // It protected itself before it claimed, and not for longer than it worked.
    let wanted = [What::Started, What::Protected(true), What::Protected(false)];
    let idle = async || (world.fleet.happened(WORKER).len() >= 3).then_some(());
    world.until("the worker drops its protection", idle).await;
    let happened: Vec<What> = world.fleet.happened(WORKER).into_iter().map(|one| one.what).collect();
    assert_eq!(happened, wanted);

    let quiet = Instant::now();
    while !world.fleet.processes(WORKER).is_empty() {
        assert!(quiet.elapsed() < SCALE_IN, "still there {:?} after its job: {}", quiet.elapsed(), world.told());
        sleep(Duration::from_millis(200)).await;
    }
    assert!(quiet.elapsed() > Duration::from_secs(45), "gone {:?} after its job", quiet.elapsed());
    assert_eq!(world.desired(WORKER).await, 0);
    let gone = async || world.fleet.happened(WORKER).iter().any(|one| matches!(one.what, What::Ended(_))).then_some(());
    world.until("the worker has ended", gone).await;
    world.nobody_was_hurt();
    assert_eq!(world.desired("genius-worker").await, 0);
    assert!(world.fleet.happened("genius-worker").is_empty(), "a job of one mode wakes no worker of the other");
}

/// Secrets come from Secrets Manager: no process of the product has one among its variables or arguments.
fn nothing_secret_is_in_an_environment(world: &World) {
    let key = testkit::github::app_key();
    let middle = key.lines().nth(1).unwrap().to_owned();
    let secrets = [world.db.url.expose(), WEBHOOK_SECRET, MODEL_KEY, &middle];
    let mut looked = 0;
    for id in ["dashboard", WORKER].iter().flat_map(|service| world.fleet.processes(service)) {
        for file in ["environ", "cmdline"] {
            // An undumpable process shows its environment to root alone.
            let Ok(bytes) = std::fs::read(format!("/proc/{id}/{file}")) else {
                e2e::skipped("secrets in a process's environment", &format!("/proc/{id}/{file} shows itself to root alone"));
                continue;
            };
            looked += 1;
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.is_empty(), "/proc/{id}/{file}");
            assert!(secrets.iter().all(|secret| !text.contains(*secret)), "a secret is in /proc/{id}/{file}");
        }
    }
    assert!(looked >= 2, "no process was looked at");
    let told = world.told();
    assert!(secrets.iter().all(|secret| !told.contains(*secret)), "a secret is in a log");
}

/// A vendor of models that takes one key at a time, in front of one that takes [`ModelStub::KEY`]: where it is, and the key.
async fn vendor(model: &ModelStub) -> (Served, Arc<Mutex<String>>) {
    let (taken, behind) = (Arc::new(Mutex::new(MODEL_KEY.to_owned())), model.url().trim_start_matches("http://").to_owned());
    let key = Arc::clone(&taken);
    let served = Served::start(move |asked| {
        let (right, behind) = (asked.headers.get("x-api-key") == Some(&*key.lock().unwrap()), behind.clone());
        async move {
            if !right {
                let refused = json!({ "type": "error", "error": { "type": "authentication_error", "message": "invalid x-api-key" } });
                return Some((401, refused.to_string().into_bytes()));
            }
            let headers = format!("x-api-key: {}\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n", ModelStub::KEY);
            Some(exchange(&behind, &asked.method, &asked.path, &headers, &asked.body).await)
        }
    });
    (served.await, taken)
}

#[tokio::test]
async fn a_models_key_that_is_replaced_is_used_by_the_next_call_without_a_restart() {
    let (write, finish) = (quick().remove(0), quick().remove(1));
    let model = ModelStub::start([Answer::call(write.0, write.1), Answer::call(finish.0, finish.1)]).await;
    let (served, taken) = vendor(&model).await;
    let environment = vec![("ANTHROPIC_BASE_URL", format!("http://{}", served.address)), ("MODEL", "claude-haiku-4-5".to_owned())];
    let setting = Setting { environment, ..Setting::of(Vec::new()) };
    let Some(world) = World::start("the rotation of a secret", setting).await else { return };
    world.job("mechanic").await;
    world.done(1).await;
    let before = (world.fleet.processes("dashboard"), world.fleet.processes(WORKER));
    // The vendor takes a new one from now on, and a person has put it into Secrets Manager.
    let fresh = "sk-ant-of-the-second-day-91be";
    fresh.clone_into(&mut taken.lock().unwrap());
    put_secret(&world.emulator.address, "ANTHROPIC_API_KEY", fresh).await;
    world.job("mechanic").await;
    world.done(2).await;
    assert_eq!((world.fleet.processes("dashboard"), world.fleet.processes(WORKER)), before, "nothing was restarted");
    assert_eq!((model.calls(), model.refusals()), (vec![2, 2], Vec::new()), "every step was paid for once");
    let told = world.told();
    assert!(!told.contains(fresh) && !told.contains(MODEL_KEY), "a key is in a log");
    assert_eq!(world.label("mechanic", "whsec-of-nobody").await.status, 401, "and who may sign webhooks is asked as before");
}

#[tokio::test]
async fn jobs_are_done_in_time_with_wake_messages_lost_doubled_shuffled_and_the_queue_down() {
    let setting = Setting::of(quick());
    let Some(world) = World::start("bad weather over SQS", setting).await else { return };
    // Somebody is there already, so that only the wake is between a job and its worker.
    world.job("mechanic").await;
    world.done(1).await;
    let (mut jobs, mut worst) = (1, Vec::new());
    for weather in [Weather::Fair, Weather::Lost, Weather::Doubled, Weather::Shuffled, Weather::Down] {
        world.door.set(weather);
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(world.job("mechanic").await);
            jobs += 1;
            world.done(jobs).await;
        }
        let at = |kind: &str| format!("(select job_id, min(created_at) as at from events where kind = '{kind}' group by job_id) as {kind}");
        let query = format!(
            "select max(extract(epoch from claimed.at - triaged.at))::text from {} join {} using (job_id) where job_id = any('{{{}}}')",
            at("triaged"),
            at("claimed"),
            ids.join(",")
        );
        let seconds: f64 = world.db.value(&query).await.parse().unwrap();
        worst.push((weather, seconds));
        // The sweep is a second long; five more are what the promise allows.
        assert!(seconds < 6.0, "{weather:?}: {seconds} s from ready to claimed");
    }
    e2e::measured(&format!("from ready to claimed at worst, by what befell SQS: {worst:.2?}"));
    let (sent, received) = world.door.passed();
    assert!(sent >= 10 && received > 0, "the queue was used at all: {sent} sent, {received} asked");
    assert_eq!(world.db.value("select count(*) from jobs").await, jobs.to_string());
    assert_eq!(world.github.at("acme/tally").pulls.len(), jobs, "one pull request each");

    // A wake is a hint: whatever else lies in the queue is taken out and does nothing.
    world.door.set(Weather::Fair);
    let url = queue_url(&world.emulator.address, "ai-coding-team-dev-wake-mechanic").await;
    for body in ["", "{", "{\"job_id\": \"00000000-0000-7000-8000-000000000000\", \"mode\": \"mechanic\"}", "null", "drop table jobs"] {
        let body = if body.is_empty() { " " } else { body };
        ask(&world.emulator.address, SQS, "SendMessage", json!({ "QueueUrl": url, "MessageBody": body })).await;
    }
    let empty = async || (super::client::held(&world.emulator.address, "ai-coding-team-dev-wake-mechanic").await == 0).then_some(());
    world.until("the queue is empty", empty).await;
    assert_eq!(world.db.value("select count(*) from jobs").await, jobs.to_string());
    world.nobody_was_hurt();
}

#[tokio::test]
async fn a_scale_in_leaves_a_busy_worker_alone_and_a_deploy_gives_its_job_back() {
    let setting = Setting::of(long(8));
    let Some(world) = World::start("a scale-in beside a busy worker", setting).await else { return };
    world.job("mechanic").await;
    let busy = "select count(*) from queue where state = 'leased' and step_no >= 1";
    world.until("it works", async || (world.db.value(busy).await == "1").then_some(())).await;
    // Somebody asks for none, past the product: ECS would have to leave this one alone until it is done.
    world.desire(WORKER, 0).await;
    world.done(1).await;
    let happened = world.fleet.happened(WORKER);
    let of_first = |what: &dyn Fn(&What) -> bool| happened.iter().position(|one| one.task == happened[0].task && what(&one.what));
    let (dropped, told) = (of_first(&|what| *what == What::Protected(false)), of_first(&|what| matches!(what, What::Told(_))));
    assert!(told.is_none_or(|told| dropped.is_some_and(|dropped| dropped < told)), "{happened:#?}");

    // A deploy stops tasks whatever they do: the job is given back and goes on elsewhere, at its step.
    world.job("mechanic").await;
    world.until("it works again", async || (world.db.value(busy).await == "1").then_some(())).await;
    let asked = Instant::now();
    for task in world.fleet.tasks(WORKER) {
        let stop = json!({ "cluster": super::world::CLUSTER, "task": task, "reason": "a deploy" });
        ask(&world.emulator.address, super::client::ECS, "StopTask", stop).await;
    }
    let ended = async || {
        let happened = world.fleet.happened(WORKER);
        let at = happened.iter().position(|one| one.what == What::Told("a deploy".to_owned()))?;
        happened[at..].iter().any(|one| one.task == happened[at].task && matches!(one.what, What::Ended(_))).then_some(())
    };
    world.until("the stopped worker has ended", ended).await;
    assert!(asked.elapsed() < Duration::from_secs(30), "stopTimeout is 120 s, and it took {:?}", asked.elapsed());
    world.done(2).await;
    assert_eq!(world.db.value("select count(*) from ledger where kind = 'reserved' and step_no = 1").await, "2", "no step was paid twice");
    world.nobody_was_hurt();
}
