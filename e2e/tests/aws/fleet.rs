//! Fargate's part of the emulator, which keeps tasks as records and starts none: for each task of a service the built product is
//! started as the task's definition says, on this machine; a task that is stopped ends its process, and one that ends is replaced.
//!
//! Scale-in protection, which the emulator lacks, is here too: ECS's agent as the processes see it, and a fleet that leaves
//! those alone that have protected themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use e2e::Codeteam;
use e2e::aws::KEY;
use e2e::product::Running;
use process::{Exit, Signal};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::client::{ECS, ask, attempt};
use super::http::{Answer, Asked, Served};

/// What is started: of other services (PgBouncer) there are only records.
const SERVICES: [&str; 3] = ["dashboard", "mechanic-worker", "genius-worker"];
const LOOK: Duration = Duration::from_millis(200);
/// `stopTimeout` of the tasks: how long after SIGTERM comes SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
/// Variables of a container that name places inside of it; the test's own stand in for them.
const PLACES: [&str; 2] = ["CODETEAM_STATE_DIR", "CODETEAM_CACHE_DIR"];

/// How the processes are started.
pub(super) struct Plan {
    /// The emulator.
    pub address: String,
    /// Where SQS is: the emulator, or something before it.
    pub sqs: String,
    /// The ECS cluster.
    pub cluster: String,
    /// How long Fargate takes from the task to its process.
    pub start: Duration,
    /// What every process finds in its environment, beside what its task's definition says.
    pub environment: Vec<(String, String)>,
}

/// Something that became of a task.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum What {
    Started,
    /// It protected itself, or dropped that.
    Protected(bool),
    /// It was told to end, for this reason.
    Told(String),
    Ended(Exit),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Happened {
    pub at: Instant,
    pub service: String,
    pub task: String,
    pub what: What,
}

struct Member {
    service: String,
    task: String,
    running: Running,
    /// Told to end, at that moment.
    told: Option<Instant>,
}

#[derive(Default)]
struct State {
    members: Vec<Member>,
    /// Tasks that have protected themselves, by ARN.
    protected: BTreeSet<String>,
    happened: Vec<Happened>,
    /// What tasks are called in their agent's URL.
    arns: BTreeMap<String, (String, String)>,
    /// Logs of processes that have ended: service and what was said.
    logs: Vec<(String, String)>,
}

/// The running processes. Dropped, they are killed.
pub(super) struct Fleet {
    state: Arc<Mutex<State>>,
    keeper: JoinHandle<()>,
    _agent: Arc<Served>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.keeper.abort();
        locked(&self.state).members.clear();
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn note(&mut self, service: &str, task: &str, what: What) {
        let at = Instant::now();
        self.happened.push(Happened { at, service: service.to_owned(), task: task.to_owned(), what });
    }
}

impl Fleet {
    pub(super) async fn start(plan: Plan) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let seen = Arc::clone(&state);
        let agent = Arc::new(Served::start(move |asked| std::future::ready(agent(&seen, &asked))).await);
        let keeper = tokio::spawn(keep(plan, Arc::clone(&state), Arc::clone(&agent)));
        Self { state, keeper, _agent: agent }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        assert!(!self.keeper.is_finished() || std::thread::panicking(), "the fleet has stopped looking");
        locked(&self.state)
    }

    /// What became of the tasks of `service` so far.
    pub(super) fn happened(&self, service: &str) -> Vec<Happened> {
        self.locked().happened.iter().filter(|one| one.service == service).cloned().collect()
    }

    /// The process ids of `service`, of those that were not told to end.
    pub(super) fn processes(&self, service: &str) -> Vec<u32> {
        let state = self.locked();
        state.members.iter().filter(|member| member.service == service && member.told.is_none()).map(|member| member.running.id()).collect()
    }

    /// The tasks of `service` that run, by ARN.
    pub(super) fn tasks(&self, service: &str) -> Vec<String> {
        let state = self.locked();
        state.members.iter().filter(|member| member.service == service && member.told.is_none()).map(|member| member.task.clone()).collect()
    }

    /// Sends `signal` to every process of `service`, past ECS.
    pub(super) fn signal(&self, service: &str, signal: Signal) {
        self.locked().members.iter().filter(|member| member.service == service).for_each(|member| member.running.signal(signal));
    }

    /// Everything that processes of `service` have said, those that have ended first.
    pub(super) fn said(&self, service: &str) -> String {
        let state = self.locked();
        let ended = state.logs.iter().filter(|(of, _)| of == service).map(|(_, log)| log.clone());
        let running = state.members.iter().filter(|member| member.service == service).map(|member| member.running.said());
        ended.chain(running).collect::<Vec<_>>().join("\n")
    }

    /// Everything that anybody has said, for a test that fails.
    pub(super) fn all_said(&self) -> String {
        SERVICES.map(|service| format!("=== {service}\n{}", self.said(service))).join("\n")
    }
}

/// ECS's agent and the metadata of tasks, as far as the product asks: `/agent/ID/task-protection/v1/state` and `/meta/ID/task`.
fn agent(state: &Mutex<State>, asked: &Asked) -> Answer {
    let mut state = locked(state);
    let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
    let known = parts.get(1).and_then(|id| state.arns.get(*id)).cloned();
    let Some((service, task)) = known else { return Some((404, b"{}".to_vec())) };
    let said = match (asked.method.as_str(), &parts[..]) {
        ("GET", ["meta", _, "task"]) => {
            json!({ "Cluster": "cluster", "TaskARN": task, "Family": service, "Revision": "1", "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING" })
        }
        ("PUT", ["agent", _, "task-protection", "v1", "state"]) => {
            let wanted: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
            let Some(protect) = wanted["ProtectionEnabled"].as_bool() else { return Some((400, b"{}".to_vec())) };
            let changed = if protect { state.protected.insert(task.clone()) } else { state.protected.remove(&task) };
            if changed {
                state.note(&service, &task, What::Protected(protect));
            }
            json!({ "protection": { "ProtectionEnabled": protect, "TaskArn": task, "ExpirationDate": "2030-01-01T00:00:00Z" } })
        }
        ("GET", ["agent", _, "task-protection", "v1", "state"]) => {
            json!({ "protection": { "ProtectionEnabled": state.protected.contains(&task), "TaskArn": task } })
        }
        _ => return Some((404, b"{}".to_vec())),
    };
    Some((200, said.to_string().into_bytes()))
}

/// What the emulator says of a task.
struct Record {
    service: String,
    definition: String,
    running: bool,
    reason: String,
}

async fn keep(plan: Plan, state: Arc<Mutex<State>>, agent: Arc<Served>) {
    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    // When tasks that have no process yet were first seen.
    let mut seen: BTreeMap<String, Instant> = BTreeMap::new();
    let mut short = BTreeSet::new();
    loop {
        let records = records(&plan, &state).await;
        for (task, record) in &records {
            let there = locked(&state).happened.iter().any(|one| one.task == *task);
            let since = *seen.entry(task.clone()).or_insert_with(Instant::now);
            if there || !record.running || since.elapsed() < plan.start {
                continue;
            }
            if !definitions.contains_key(&record.definition) {
                let wanted = json!({ "taskDefinition": record.definition });
                let answer = ask(&plan.address, ECS, "DescribeTaskDefinition", wanted).await;
                definitions.insert(record.definition.clone(), answer["taskDefinition"].clone());
            }
            let running = start(&plan, &definitions[&record.definition], (&record.service, task), &agent.address);
            let mut state = locked(&state);
            let id = task.rsplit('/').next().unwrap().to_owned();
            state.arns.insert(id, (record.service.clone(), task.clone()));
            let (service, task) = (record.service.clone(), task.clone());
            state.note(&service, &task, What::Started);
            state.members.push(Member { service, task, running, told: None });
        }
        let ended = {
            let mut state = locked(&state);
            tell(&mut state, &records);
            bury(&mut state)
        };
        for task in ended {
            let stop = json!({ "cluster": plan.cluster, "task": task, "reason": "Essential container in task exited" });
            attempt(&plan.address, ECS, "StopTask", stop).await;
        }
        replace(&plan, &mut short).await;
        sleep(LOOK).await;
    }
}

/// The service scheduler's part, which the emulator does only when it is asked to change something: a service that has been short of
/// tasks since the last look gets new ones. At the first look somebody else's change may be under way, which the emulator would do twice.
async fn replace(plan: &Plan, short: &mut BTreeSet<String>) {
    let answer = ask(&plan.address, ECS, "DescribeServices", json!({ "cluster": plan.cluster, "services": SERVICES })).await;
    let lacks =
        answer["services"].as_array().into_iter().flatten().filter(|one| one["runningCount"].as_u64() < one["desiredCount"].as_u64());
    let lacks: BTreeSet<String> = lacks.filter_map(|service| service["serviceName"].as_str().map(str::to_owned)).collect();
    for service in lacks.intersection(short) {
        attempt(&plan.address, ECS, "UpdateService", json!({ "cluster": plan.cluster, "service": service })).await;
    }
    *short = lacks;
}

/// Every task that the emulator lists as running, and every one that has a process here.
async fn records(plan: &Plan, state: &Mutex<State>) -> BTreeMap<String, Record> {
    let listed = ask(&plan.address, ECS, "ListTasks", json!({ "cluster": plan.cluster })).await;
    let listed = listed["taskArns"].as_array().into_iter().flatten().filter_map(|arn| arn.as_str().map(str::to_owned));
    let own = locked(state).members.iter().map(|member| member.task.clone()).collect::<Vec<_>>();
    let wanted: BTreeSet<String> = listed.chain(own).collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let described = ask(&plan.address, ECS, "DescribeTasks", json!({ "cluster": plan.cluster, "tasks": wanted })).await;
    let text = |task: &Value, name: &str| task[name].as_str().unwrap_or_default().to_owned();
    let tasks = described["tasks"].as_array().into_iter().flatten().filter_map(|task| {
        let service = task["group"].as_str()?.strip_prefix("service:")?.to_owned();
        SERVICES.contains(&service.as_str()).then(|| {
            let record = Record {
                service,
                definition: text(task, "taskDefinitionArn"),
                running: task["lastStatus"] == "RUNNING",
                reason: text(task, "stoppedReason"),
            };
            (text(task, "taskArn"), record)
        })
    });
    tasks.collect()
}

/// The built product as `definition` says, in a task of a service.
fn start(plan: &Plan, definition: &Value, (service, task): (&str, &str), agent: &str) -> Running {
    let container = &definition["containerDefinitions"][0];
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned();
    assert!(container["secrets"].as_array().is_none_or(Vec::is_empty), "a secret in the environment of a container: {container:#}");
    assert!(container["entryPoint"].as_array().is_none_or(Vec::is_empty), "the image's own entry starts codeteam: {container:#}");
    let mut arguments: Vec<String> = container["command"].as_array().expect("a container has a command").iter().map(text).collect();
    // Ports are the container's own, and so is root, which the sandbox's level wants.
    for index in 0..arguments.len() {
        if ["--listen", "--metrics-listen"].contains(&arguments[index].as_str()) {
            "127.0.0.1:0".clone_into(&mut arguments[index + 1]);
        }
        if arguments[index] == "--sandbox-min" {
            "none".clone_into(&mut arguments[index + 1]);
        }
    }
    let id = task.rsplit('/').next().unwrap();
    let mut command = Codeteam::new(arguments);
    for variable in container["environment"].as_array().into_iter().flatten() {
        let (name, value) = (text(&variable["name"]), text(&variable["value"]));
        if !PLACES.contains(&name.as_str()) {
            command = command.env(&name, value);
        }
    }
    for (name, value) in KEY {
        command = command.env(name, value);
    }
    // The role of the task, to whoever looks at it: the emulator does not.
    command = command.env("AWS_ACCESS_KEY_ID", service);
    command =
        command.env("AWS_ENDPOINT_URL", format!("http://{}", plan.address)).env("AWS_ENDPOINT_URL_SQS", format!("http://{}", plan.sqs));
    command = command.env("ECS_AGENT_URI", format!("http://{agent}/agent/{id}"));
    command = command.env("ECS_CONTAINER_METADATA_URI_V4", format!("http://{agent}/meta/{id}"));
    for (name, value) in &plan.environment {
        command = command.env(name, value);
    }
    command.start()
}

/// Tells those to end whose tasks are stopped, unless that was a scale-in and they have protected themselves.
fn tell(state: &mut State, records: &BTreeMap<String, Record>) {
    let State { members, protected, happened, .. } = state;
    for member in members.iter_mut() {
        let Some(record) = records.get(&member.task).filter(|record| !record.running) else { continue };
        let scaled_in = record.reason == "Service scaling down";
        match member.told {
            None if scaled_in && protected.contains(&member.task) => {}
            None => {
                member.running.signal(Signal::TERM);
                member.told = Some(Instant::now());
                let (service, task, what) = (member.service.clone(), member.task.clone(), What::Told(record.reason.clone()));
                happened.push(Happened { at: Instant::now(), service, task, what });
            }
            Some(at) if at.elapsed() > STOP_TIMEOUT => member.running.signal(Signal::KILL),
            Some(_) => {}
        }
    }
}

/// Takes those out that have ended; the tasks of those that nobody told to.
fn bury(state: &mut State) -> Vec<String> {
    let mut untold = Vec::new();
    let mut index = 0;
    while index < state.members.len() {
        let Some(exit) = state.members[index].running.ended() else {
            index += 1;
            continue;
        };
        let member = state.members.remove(index);
        state.protected.remove(&member.task);
        state.logs.push((member.service.clone(), member.running.said()));
        state.note(&member.service, &member.task, What::Ended(exit));
        if member.told.is_none() {
            untold.push(member.task);
        }
    }
    untold
}
