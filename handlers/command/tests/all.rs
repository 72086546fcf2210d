//! `command` on a real database, with a forge that is a directory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod again;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use command::CommandHandler;
use dispatch::{Ctx, InvokeError, Registry};
use domain::{
    Clock, Command, CommentRef, JobId, JobInput, Kind, Mode, NewCommand, NewJob, Outcome, OwnerId, StopCause, SystemClock, Trigger,
};
use github::{LocalForge, Permission, Triggers, Unregistered};
use serde_json::{Value, json};
use store::commands;
use store::enqueue::{Delivery, Enqueued, enqueue};
use store::{finish, jobs, queue};
use tempfile::TempDir;
use testkit::{TestDb, new_job};

/// A database, a forge that knows `acme/shop` and its people, and the handler.
struct World {
    test: TestDb,
    forge: LocalForge,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let (test, folder) = (TestDb::new().await, TempDir::new().unwrap());
        let forge = LocalForge::new(folder.path().join("forge"), Unregistered::Refuse);
        let people = [("bea", Permission::Write), ("cid", Permission::Triage)];
        forge.register("acme/shop", "/srv/shop.git", people.map(|(login, may)| (login.to_owned(), may))).await.unwrap();
        Self { test, forge, _folder: folder }
    }

    fn registry(&self) -> Registry {
        let (db, forge) = (self.test.db.clone(), Arc::new(self.forge.clone()));
        Registry::new().with(CommandHandler { db, forge, triggers: Triggers::default() })
    }

    async fn handle(&self) -> Value {
        self.try_handle(json!({})).await.unwrap()
    }

    async fn try_handle(&self, request: Value) -> Result<Value, InvokeError> {
        self.registry().invoke("command", Ctx::with_timeout(Duration::from_secs(20)), request).await
    }

    /// A command of `actor` on issue 7, as its webhook writes it; the id it got.
    async fn asked(&self, actor: &str, command: Command) -> String {
        let key = format!("github:{}", JobId::new());
        let comment = Some(CommentRef { id: 31, at_line: false });
        self.written(&key, NewCommand { actor: actor.to_owned(), comment, ..about(command) }).await
    }

    async fn written(&self, key: &str, new: NewCommand) -> String {
        let delivery = Delivery { delivery_id: key, event: "issue_comment", body: b"{}" };
        match commands::write(&self.test.db, &new, key, delivery).await.unwrap() {
            Enqueued::Command(command_id) => command_id.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// A mechanic's job that somebody asked for on issue 7.
    async fn job(&self, trigger: Trigger) -> JobId {
        self.write(NewJob { trigger, input: JobInput { number: Some(7), ..new_job().input }, ..new_job() }).await
    }

    async fn write(&self, job: NewJob) -> JobId {
        match enqueue(&self.test.db, &job, None, None, None).await.unwrap() {
            Enqueued::New(job_id) => job_id,
            other => panic!("{other:?}"),
        }
    }

    /// Lets the job end as stopped.
    async fn end(&self, job_id: JobId) {
        let claimed = queue::claim_one(&self.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().unwrap();
        finish::finish(&self.test.db, job_id, claimed.epoch, &Outcome::Stopped, &json!({})).await.unwrap();
    }

    /// What is to be said: the parts of the outbox, oldest first.
    async fn said(&self) -> Vec<String> {
        let said = self
            .test
            .value("select string_agg(coalesce(detail ->> 'body', detail ->> 'emotion'), E'\\n--\\n' order by outbox_id) from outbox")
            .await;
        if said.is_empty() { Vec::new() } else { said.split("\n--\n").map(str::to_owned).collect() }
    }

    async fn stopped(&self, job_id: JobId) -> bool {
        self.test.value(&format!("select cancel_requested from queue where job_id = '{job_id}'")).await == "true"
    }
}

fn about(command: Command) -> NewCommand {
    NewCommand {
        repository: "acme/shop".to_owned(),
        number: Some(7),
        job_id: None,
        actor: "bea".to_owned(),
        command,
        comment: None,
        asked_at: Some(SystemClock.now()),
    }
}

fn stop() -> Command {
    Command::Stop { because: StopCause::Asked }
}

fn label() -> Trigger {
    Trigger::Label { label: "mechanic".to_owned() }
}

#[tokio::test]
async fn the_sample_event_does_nothing_where_nothing_waits() {
    let world = World::new().await;
    let sample = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/command.json")).unwrap();
    assert_eq!(world.try_handle(serde_json::from_slice(&sample).unwrap()).await.unwrap(), json!({ "handled": "nothing" }));
}

#[tokio::test]
async fn whoever_may_push_stops_the_newest_job_of_the_issue_and_sees_that_it_was_heard() {
    let world = World::new().await;
    let (old, new) = (world.job(label()).await, world.job(label()).await);
    let elsewhere = world.write(NewJob { input: JobInput { number: Some(8), ..new_job().input }, trigger: label(), ..new_job() }).await;
    let command_id = world.asked("BEA", stop()).await;
    assert_eq!(world.handle().await, json!({ "handled": "done", "command_id": command_id, "command": "stop", "jobs": [new] }));
    assert_eq!((world.stopped(new).await, world.stopped(old).await, world.stopped(elsewhere).await), (true, false, false));
    assert_eq!(world.said().await, ["eyes"]);
    assert_eq!(world.handle().await, json!({ "handled": "nothing" }));
}

#[tokio::test]
async fn whoever_may_not_push_is_refused_once_on_each_issue() {
    let world = World::new().await;
    let job_id = world.job(label()).await;
    for command in [stop(), Command::Status, Command::Unknown { word: "dance".to_owned() }] {
        let command_id = world.asked("cid", command).await;
        assert_eq!(world.handle().await, json!({ "handled": "refused", "command_id": command_id, "actor": "cid" }));
    }
    world.asked("nobody", stop()).await;
    assert_eq!(world.handle().await["handled"], "refused");
    let refused = |login| format!("{login} may not push to this repository, and only who may do that can start and steer jobs.");
    assert_eq!(world.said().await, [refused("cid"), refused("nobody")]);
    assert!(!world.stopped(job_id).await);
}

#[tokio::test]
async fn a_label_taken_off_stops_what_it_started_and_nobody_is_asked_or_told() {
    let world = World::new().await;
    let (by_label, by_other) = (world.job(label()).await, world.job(Trigger::Label { label: "genius".to_owned() }).await);
    let because = StopCause::Unlabeled { label: "Mechanic".to_owned() };
    let by_bot = NewCommand { actor: "tidy[bot]".to_owned(), ..about(Command::Stop { because }) };
    world.written("k", by_bot).await;
    assert_eq!(world.handle().await["jobs"], json!([by_label]));
    assert_eq!((world.stopped(by_label).await, world.stopped(by_other).await), (true, false));
    assert_eq!(world.said().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_closed_issue_stops_what_was_asked_there_and_not_what_began_long_after() {
    let world = World::new().await;
    let asked = world.job(label()).await;
    let by_api = world.job(Trigger::Api).await;
    let closed = Command::Stop { because: StopCause::Closed };
    let late = NewCommand { asked_at: Some(SystemClock.now() - Duration::from_secs(3600)), ..about(closed.clone()) };
    world.written("late", late).await;
    assert_eq!(world.handle().await["jobs"], json!([]), "redelivered an hour later, it does not mean what began since");
    world.written("now", about(closed)).await;
    assert_eq!(world.handle().await["jobs"], json!([asked]));
    assert!(!world.stopped(by_api).await);
}

#[tokio::test]
async fn a_hint_reaches_the_running_job_once_and_is_refused_by_one_that_ends() {
    let world = World::new().await;
    let job_id = world.job(label()).await;
    let hint = Command::Hint { text: "round half up".to_owned() };
    world.asked("bea", hint.clone()).await;
    assert_eq!(world.handle().await["jobs"], json!([job_id]));
    let told = world.test.value("select concat_ws(' by ', data ->> 'text', data ->> 'by') from events where kind = 'hint'").await;
    assert_eq!(told, "round half up by bea");
    queue::stop(&world.test.db, job_id).await.unwrap();
    world.asked("bea", hint).await;
    assert_eq!(world.handle().await["jobs"], json!([]));
    assert_eq!(world.said().await[2], "The job is about to end or has ended: no further step will read a hint.");
    world.asked("bea", Command::Hint { text: String::new() }).await;
    world.handle().await;
    assert!(world.said().await[4].starts_with("The hint is empty"), "{:?}", world.said().await);
}

#[tokio::test]
async fn a_retry_writes_the_newest_ended_job_again_in_the_mode_that_is_asked_for() {
    let world = World::new().await;
    let job_id = world.job(label()).await;
    world.asked("bea", Command::Retry { mode: Some(Mode::Genius) }).await;
    assert_eq!(world.handle().await["jobs"], json!([]));
    assert!(world.said().await[0].starts_with("The last job is still under way"));
    world.end(job_id).await;
    world.asked("bea", Command::Retry { mode: Some(Mode::Genius) }).await;
    let again: JobId = serde_json::from_value(world.handle().await["jobs"][0].clone()).unwrap();
    let standing = jobs::get(&world.test.db, again).await.unwrap().job;
    assert_eq!((standing.retry_of, standing.mode, standing.input.number), (Some(job_id), Some(Mode::Genius), Some(7)));
    assert_eq!(world.said().await[1], "eyes");
}

#[tokio::test]
async fn what_somebody_was_refused_is_begun_when_one_who_may_asks_for_it_and_only_then() {
    for (mode, command) in [(None, "/codeteam retry genius"), (Some(Mode::Mechanic), "/codeteam retry mechanic")] {
        let world = World::new().await;
        let input = JobInput { number: Some(7), requester: Some("cid".to_owned()), ..new_job().input };
        let genius = Trigger::Label { label: "genius".to_owned() };
        let refused = world.write(NewJob { mode: None, trigger: genius, input, ..new_job() }).await;
        let (_, epoch) = queue::claim_triage(&world.test.db, OwnerId::new(), None, queue::LEASE, None).await.unwrap().unwrap();
        let outcome = Outcome::Refused { reason: "cid may not push".to_owned() };
        finish::finish(&world.test.db, refused, epoch, &outcome, &json!({})).await.unwrap();
        world.asked("cid", Command::Retry { mode }).await;
        assert_eq!(world.handle().await["handled"], "refused");
        world.asked("bea", Command::Retry { mode }).await;
        let again: JobId = serde_json::from_value(world.handle().await["jobs"][0].clone()).unwrap();
        let jobs::Standing { job, queue } = jobs::get(&world.test.db, again).await.unwrap();
        let comment = Some(CommentRef { id: 31, at_line: false });
        assert_eq!(job.trigger, Trigger::Command { command: command.to_owned(), comment });
        assert_eq!((job.retry_of, job.mode, job.input.requester.as_deref()), (Some(refused), None, Some("bea")));
        assert_eq!(queue.unwrap().waiting_for.as_deref(), Some("triage"), "nobody has looked at it yet");
        assert_eq!(Triggers::default().mode(&job.trigger), Some(mode.unwrap_or(Mode::Genius)));
    }
}

#[tokio::test]
async fn a_button_is_about_its_job_and_only_in_its_own_repository() {
    let world = World::new().await;
    let (older, _newer) = (world.job(label()).await, world.job(label()).await);
    let button = |repository: &str| NewCommand {
        job_id: Some(older),
        number: None,
        asked_at: None,
        repository: repository.to_owned(),
        ..about(stop())
    };
    world.forge.register("acme/other", "/srv/other.git", [("bea".to_owned(), Permission::Admin)]).await.unwrap();
    world.written("foreign", button("acme/other")).await;
    assert_eq!(world.handle().await["jobs"], json!([]));
    assert!(!world.stopped(older).await);
    world.written("own", button("acme/shop")).await;
    assert_eq!(world.handle().await["jobs"], json!([older]));
    assert!(world.stopped(older).await);
}

#[tokio::test]
async fn a_pull_request_knows_the_job_that_opened_it() {
    let world = World::new().await;
    let job_id = world.job(label()).await;
    world.end(job_id).await;
    world
        .test
        .execute(&format!(
            "insert into effects (job_id, name, state, detail) values ('{job_id}', 'pull_request', 'confirmed', '{{\"number\": 12}}')"
        ))
        .await;
    world.written("k", NewCommand { number: Some(12), ..about(Command::Retry { mode: None }) }).await;
    let again: JobId = serde_json::from_value(world.handle().await["jobs"][0].clone()).unwrap();
    assert_eq!(jobs::get(&world.test.db, again).await.unwrap().job.retry_of, Some(job_id));
}

#[tokio::test]
async fn a_push_is_told_to_the_review_that_runs_and_to_nothing_else() {
    let world = World::new().await;
    let input = JobInput { number: Some(7), ..new_job().input };
    let review = world.write(NewJob { kind: Kind::Review, input, trigger: label(), ..new_job() }).await;
    let change = world.job(label()).await;
    let moved = |key: &'static str| world.written(key, about(Command::HeadMoved { to: Some("7e6d5c4".to_owned()) }));
    moved("before").await;
    assert_eq!(world.handle().await["jobs"], json!([]), "it has not begun, so it will see the new head");
    world.test.execute("update jobs set base_commit = '3f1a0c5'").await;
    moved("after").await;
    assert_eq!(world.handle().await["jobs"], json!([review]));
    let told = world.test.value("select job_id || ' ' || (data ->> 'text') from events where kind = 'hint'").await;
    assert!(told.starts_with(&format!("{review} The head of pull request #7 has moved to 7e6d5c4")), "{told}, {change}");
    assert_eq!(world.said().await, Vec::<String>::new());
}

#[tokio::test]
async fn status_and_cost_list_the_jobs_of_the_issue_and_agree_with_the_tables() {
    let world = World::new().await;
    let (ended, running) = (world.job(label()).await, world.job(label()).await);
    world.end(ended).await;
    world.test.execute("update jobs set cost_microusd = 1234567, tokens = 50, steps = 2 where outcome is not null").await;
    world.test.execute("update queue set cost_microusd = 765433, tokens = 7, step_no = 1").await;
    world.asked("bea", Command::Status).await;
    assert_eq!(world.handle().await["jobs"], json!([running, ended]));
    world.asked("bea", Command::Cost).await;
    world.handle().await;
    let said = world.said().await;
    let line = |job: JobId, rest: &str| format!("| `{}` | change, mechanic | {rest} |\n", job.short());
    for text in &said {
        assert!(text.contains(&line(running, "waits for a worker | 1 | 7 | $0.765433")), "{text}");
        assert!(text.contains(&line(ended, "stopped | 2 | 50 | $1.234567")), "{text}");
    }
    assert!(said[1].contains("Together $2.000000."), "{}", said[1]);
}

#[tokio::test]
async fn what_nobody_knows_is_answered_with_what_can_be_asked() {
    let world = World::new().await;
    world.asked("bea", Command::Unknown { word: "dance".to_owned() }).await;
    assert_eq!(world.handle().await["command"], "unknown");
    world.asked("bea", Command::Help).await;
    world.handle().await;
    let said = world.said().await;
    assert!(said[0].starts_with("I do not know `/codeteam dance`."), "{}", said[0]);
    assert!(said[1].contains("`/codeteam stop`") && said[1].contains("`/genius …`"), "{}", said[1]);
}

#[tokio::test]
async fn an_answer_at_a_line_goes_to_its_thread_in_the_language_of_the_request() {
    let world = World::new().await;
    let input = JobInput {
        title: "O total do carrinho está errado".to_owned(),
        body: "Os centavos somem quando dividimos a conta entre três pessoas.".to_owned(),
        number: Some(7),
        ..JobInput::default()
    };
    let job_id = world.write(NewJob { input, trigger: label(), ..new_job() }).await;
    world.end(job_id).await;
    world.written("k", NewCommand { comment: Some(CommentRef { id: 50, at_line: true }), ..about(stop()) }).await;
    world.handle().await;
    assert_eq!(world.said().await, ["Nenhuma tarefa está em andamento aqui."]);
    assert_eq!(world.test.value("select detail ->> 'thread' from outbox").await, "50");
}
