//! `converse` on a real database, with a forge that is a directory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use converse::Converse;
use dispatch::{Ctx, Registry};
use domain::job::Confidence;
use domain::project::LowerCaps;
use domain::{Caps, Emotion, Epoch, Finish, JobId, JobInput, NewJob, Outcome, OwnerId, Trigger};
use github::{CheckRun, CheckState, Comment, Forge, LocalForge, Unregistered};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::enqueue::{Enqueued, enqueue};
use store::outbox::{self, NewPart, Part};
use store::steps::{self, Prepared};
use store::{finish, jobs, queue};
use tempfile::TempDir;
use testkit::{TestDb, english_left, new_job};

/// A database, a forge in a folder, and the handler.
struct World {
    test: TestDb,
    folder: TempDir,
    forge: LocalForge,
    registry: Registry,
}

impl World {
    async fn new() -> Self {
        let (test, folder) = (TestDb::new().await, TempDir::new().unwrap());
        let forge = LocalForge::new(folder.path(), Unregistered::Record);
        let handler = Converse {
            db: test.db.clone(),
            owner: OwnerId::new(),
            forge: Arc::new(forge.clone()),
            mechanic: Caps::MECHANIC,
            genius: Caps::GENIUS,
        };
        Self { test, folder, forge, registry: Registry::new().with(handler) }
    }

    /// A mechanic's job that a label on issue 7 asked for, with its conversation.
    async fn labeled(&self, title: &str) -> JobId {
        let input = JobInput { title: title.to_owned(), number: Some(7), ..JobInput::default() };
        let job = NewJob { input, trigger: Trigger::Label { label: "mechanic".to_owned() }, ..new_job() };
        let Enqueued::New(job_id) = enqueue(&self.test.db, &job, None, None, None).await.unwrap() else { panic!("known") };
        outbox::open(&self.test.db, &jobs::get(&self.test.db, job_id).await.unwrap().job).await.unwrap();
        job_id
    }

    async fn claimed(&self, job_id: JobId) -> Epoch {
        let epoch = queue::claim_one(&self.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().unwrap().epoch;
        let base = "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d";
        let prepared = Prepared { base_commit: base, caps: LowerCaps { steps: Some(7), ..LowerCaps::default() }, ..Prepared::default() };
        steps::prepared(&self.test.db, job_id, epoch, prepared).await.unwrap();
        epoch
    }

    async fn finish(&self, job_id: JobId, epoch: Epoch, outcome: &Outcome) {
        finish::finish(&self.test.db, job_id, epoch, outcome, &json!({ "comment": "https://forge.example/7#1" })).await.unwrap();
    }

    /// Says everything that is due now; what it was.
    async fn say_all(&self) -> Vec<String> {
        let sample = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/converse.json")).unwrap();
        let request: Value = serde_json::from_slice(&sample).unwrap();
        let mut said = Vec::new();
        loop {
            let answer = self.registry.invoke("converse", Ctx::with_timeout(Duration::from_secs(20)), request.clone()).await.unwrap();
            match answer["said"].as_str().unwrap() {
                "nothing" => return said,
                how => said.push(format!("{how} {}", answer["part"].as_str().unwrap())),
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> T {
        let bytes = std::fs::read(self.folder.path().join("acme/shop").join(file)).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn comments(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("acme/shop/issues/7/comments")).map(Iterator::count).unwrap_or_default()
    }
}

fn succeeded() -> Outcome {
    let finish = Finish {
        summary: "It is rounded twice.".to_owned(),
        title: "Rounded twice".to_owned(),
        tests_run: Vec::new(),
        confidence: Confidence::High,
        needs_human: None,
        comments: Vec::new(),
    };
    Outcome::Succeeded { finish }
}

#[tokio::test]
async fn a_job_is_told_from_its_first_second_to_its_end_in_one_comment_and_one_check_run() {
    let world = World::new().await;
    let job_id = world.labeled("Fix the rounding").await;
    assert_eq!(world.say_all().await, ["sent reaction", "sent comment"]);
    assert_eq!(world.read::<Vec<Emotion>>("reactions/issue-7.json"), [Emotion::Eyes]);
    let comment: Comment = world.read("issues/7/comments/1.json");
    assert!(comment.body.starts_with("**AI Code Team** · queued · change, mechanic\n"), "{}", comment.body);

    let epoch = world.claimed(job_id).await;
    assert_eq!(world.say_all().await, ["sent comment", "sent check_run"]);
    let check: CheckRun = world.read("checks/1.json");
    assert_eq!((check.state, check.title.as_str()), (CheckState::InProgress, "working · change, mechanic"));
    assert_eq!(check.commit, "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d");
    assert!(check.summary.contains("| 0 of 7 |"), "the repository lowered it: {}", check.summary);

    world.finish(job_id, epoch, &succeeded()).await;
    assert_eq!(world.say_all().await, ["sent comment", "sent reaction", "sent check_run"]);
    assert_eq!(world.read::<Vec<Emotion>>("reactions/issue-7.json"), [Emotion::Eyes, Emotion::Rocket]);
    let comment: Comment = world.read("issues/7/comments/1.json");
    assert!(comment.body.contains("- ☑ [answer](https://forge.example/7#1)\n"), "{}", comment.body);
    assert_eq!((world.comments(), world.read::<CheckRun>("checks/1.json").state), (1, CheckState::Success));
    assert_eq!(world.test.value("select count(*) from outbox where done_at is null").await, "0");
    assert_eq!(world.say_all().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_failure_is_answered_in_the_language_of_the_issue_and_with_another_reaction() {
    let world = World::new().await;
    let job_id = world.labeled("O total do carrinho está errado").await;
    let epoch = world.claimed(job_id).await;
    world.finish(job_id, epoch, &Outcome::Failed { cause: "no branch \"main\"".to_owned() }).await;
    world.say_all().await;
    let comment: Comment = world.read("issues/7/comments/1.json");
    assert!(comment.body.contains("falhou · mudança") && comment.body.contains("De novo: `/codeteam retry`."), "{}", comment.body);
    assert_eq!(world.read::<Vec<Emotion>>("reactions/issue-7.json"), [Emotion::Eyes, Emotion::Confused]);
}

#[tokio::test]
async fn a_comment_that_somebody_deleted_is_not_written_again() {
    let world = World::new().await;
    let job_id = world.labeled("Fix the rounding").await;
    world.say_all().await;
    std::fs::remove_file(world.folder.path().join("acme/shop/issues/7/comments/1.json")).unwrap();
    let epoch = world.claimed(job_id).await;
    world.say_all().await;
    world.finish(job_id, epoch, &Outcome::Stopped).await;
    world.say_all().await;
    assert_eq!(world.comments(), 0);
}

#[tokio::test]
async fn a_sender_that_died_after_it_spoke_is_followed_by_one_who_finds_its_words() {
    let world = World::new().await;
    world.labeled("Fix the rounding").await;
    world.say_all().await;
    // As if nothing had been written down about what was sent.
    world.test.execute("update outbox set remote_id = null, shown_seq = 0, shown_state = null, done_at = null").await;
    world.say_all().await;
    assert_eq!((world.comments(), world.read::<Vec<Emotion>>("reactions/issue-7.json")), (1, vec![Emotion::Eyes]));
}

#[tokio::test]
async fn a_notice_is_written_once_whoever_asks_for_it() {
    let world = World::new().await;
    let part = || Part::Notice { number: 7, thread: None, body: "dan may not start jobs here.".to_owned() };
    let notice = || NewPart { repository: "acme/shop".to_owned(), job_id: None, key: "refusal:acme/shop#7:dan".to_owned(), part: part() };
    outbox::say(&world.test.db, &[notice()]).await.unwrap();
    outbox::say(&world.test.db, &[notice()]).await.unwrap();
    assert_eq!(world.say_all().await, ["sent notice"]);
    world.test.execute("update outbox set done_at = null").await;
    assert_eq!(world.say_all().await, ["sent notice"]);
    assert_eq!(world.comments(), 1);
    let found = world.forge.find_comment("acme/shop", 7, "<!-- codeteam:notice:").await.unwrap().unwrap();
    assert!(found.body.starts_with("dan may not start jobs here.\n\n<!-- "), "{}", found.body);
}

#[tokio::test]
async fn whoever_asks_in_portuguese_reads_in_portuguese_why_it_is_tried_again_and_why_it_was_given_up() {
    let world = World::new().await;
    let job_id = world.labeled("Corrigir o arredondamento dos preços").await;
    let epoch = world.claimed(job_id).await;
    let busy = "openai is overloaded or broken (HTTP 503): busy; the next call goes to claude-haiku-4-5";
    queue::fail_attempt(&world.test.db, job_id, epoch, busy).await.unwrap();
    world.say_all().await;
    let told = |world: &World| world.read::<Comment>("issues/7/comments/1.json").body;
    let last = "A última tentativa falhou: openai está sobrecarregado ou com defeito (HTTP 503): “busy”; a próxima chamada vai para claude-haiku-4-5";
    assert!(told(&world).contains(last), "{}", told(&world));

    // Its worker is lost again and again.
    let epoch = loop {
        world.test.execute("update queue set run_at = now()").await;
        let epoch = queue::claim_one(&world.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().unwrap().epoch;
        if world.test.value("select outcome_pending ->> 'outcome' from queue").await == "dead" {
            break epoch;
        }
        world.test.execute("update queue set lease_until = now() - interval '1 second'").await;
        queue::sweep(&world.test.db, None).await.unwrap();
    };
    let pending: Outcome = serde_json::from_str(&world.test.value("select outcome_pending from queue").await).unwrap();
    world.finish(job_id, epoch, &pending).await;
    world.say_all().await;
    let body = told(&world);
    assert!(body.contains("Causa: o executor se perdeu 5 vezes sem progresso\n\nO que foi feito até ali está guardado."), "{body}");
    assert!(body.contains("De novo: `/codeteam retry`."), "{body}");
    assert_eq!(english_left(body.split("<sub>").next().unwrap()), Vec::<String>::new(), "{body}");
}
