//! Requests about pull requests: what the forge adds to them, and who is told what.

use domain::review::Side;
use domain::{CommentRef, JobId, JobInput, Kind, NewJob, Trigger};
use github::{Forge, LineComment, NewPullRequest, NewReview, PullRequest};
use serde_json::{Value, json};
use store::jobs;
use testkit::new_job;

use crate::World;

/// A world whose pull request 1 goes from `odd-cents` to `release`, changed by `change`.
async fn world(change: impl FnOnce(&mut PullRequest)) -> World {
    let world = World::new().await;
    let new = NewPullRequest {
        head: "odd-cents".to_owned(),
        base: "release".to_owned(),
        title: "Hand out the odd cents".to_owned(),
        body: String::new(),
        draft: false,
    };
    let mut pull = world.forge.put_pull_request("acme/shop", &new).await.unwrap();
    change(&mut pull);
    let file = world.folder.path().join("forge/acme/shop/pulls/1.json");
    std::fs::write(file, serde_json::to_string(&pull).unwrap()).unwrap();
    world
}

fn command(line: &str) -> Trigger {
    Trigger::Command { command: line.to_owned(), comment: Some(CommentRef { id: 31, at_line: false }) }
}

async fn asked(world: &World, number: u64, kind: Kind, trigger: Trigger) -> (JobId, Value) {
    let input = JobInput {
        title: "Round once".to_owned(),
        body: "Keep the order.".to_owned(),
        number: Some(number),
        is_pull_request: true,
        requester: Some("bea".to_owned()),
        ..JobInput::default()
    };
    let job_id = world.write(NewJob { input, kind, trigger, ..new_job() }).await;
    (job_id, world.triage(json!({ "job_id": job_id })).await.unwrap())
}

async fn input(world: &World, job_id: JobId) -> JobInput {
    jobs::get(&world.test.db, job_id).await.unwrap().job.input
}

async fn notices(world: &World) -> String {
    world.test.value("select string_agg(detail ->> 'body', E'\\n' order by outbox_id) from outbox where part = 'notice'").await
}

#[tokio::test]
async fn a_change_of_a_pull_request_gets_its_branches_frozen_and_is_heard() {
    let world = world(|_| {}).await;
    let (job_id, decided) = asked(&world, 1, Kind::Change, command("/mechanic round once")).await;
    assert_eq!((&decided["decided"], &decided["kind"], &decided["mode"]), (&json!("ready"), &json!("change"), &json!("mechanic")));
    let frozen = input(&world, job_id).await;
    assert_eq!((frozen.head.as_deref(), frozen.base.as_deref()), (Some("odd-cents"), Some("release")));
    assert_eq!((frozen.title.as_str(), frozen.body.as_str()), ("Round once", "Keep the order."));
    let parts = world.test.value("select string_agg(part, ' ' order by outbox_id) from outbox").await;
    assert_eq!(parts, "reaction comment check_run");
}

#[tokio::test]
async fn a_fork_is_not_changed_and_its_requester_is_told_once() {
    let world = world(|pull| pull.fork = Some("octocat/shop".to_owned())).await;
    for _ in 0..2 {
        let (job_id, decided) = asked(&world, 1, Kind::Change, command("/mechanic round once")).await;
        assert_eq!(decided["decided"], "refused");
        assert!(jobs::get(&world.test.db, job_id).await.unwrap().queue.is_none());
    }
    let told = "#1 comes from the fork `octocat/shop`, where nothing can be pushed from here. A review of it is possible.";
    assert_eq!(notices(&world).await, told);
    let (job_id, decided) = asked(&world, 1, Kind::Review, Trigger::ReviewRequest).await;
    assert_eq!((&decided["decided"], &decided["kind"]), (&json!("ready"), &json!("review")));
    let frozen = input(&world, job_id).await;
    assert_eq!((frozen.head, frozen.base.as_deref()), (None, Some("release")));
}

#[tokio::test]
async fn nothing_is_begun_at_a_pull_request_that_is_closed_or_not_there() {
    let world = world(|pull| pull.open = false).await;
    for (number, told) in [(1, "#1 is closed. Open it again and ask once more."), (9, "There is no pull request #9 in this repository.")] {
        let (_, decided) = asked(&world, number, Kind::Change, command("/genius round once")).await;
        assert_eq!(decided["reason"], told);
    }
    assert_eq!(world.test.value("select count(*) from outbox where part <> 'notice'").await, "0");
}

#[tokio::test]
async fn a_review_that_asks_for_changes_is_frozen_with_what_it_says_at_lines() {
    let world = world(|_| {}).await;
    let comment = |line, body: &str| LineComment { path: "price.py".to_owned(), line, side: Side::Right, body: body.to_owned() };
    let comments = vec![comment(2, "Why 2?"), comment(5, "/mechanic sort this")];
    let new = NewReview { commit: "c".to_owned(), body: "m".to_owned(), comments };
    let review = world.forge.put_review("acme/shop", 1, "m", &new).await.unwrap();
    let (job_id, decided) = asked(&world, 1, Kind::Change, Trigger::Review { review_id: review.id }).await;
    assert_eq!((&decided["decided"], &decided["kind"]), (&json!("ready"), &json!("change")), "{decided}");
    let frozen = input(&world, job_id).await;
    assert_eq!(frozen.body, "Keep the order.\n\nAt `price.py`, line 2 (right):\n> Why 2?\n");
    assert_eq!(frozen.head.as_deref(), Some("odd-cents"));
}

#[tokio::test]
async fn whoever_may_not_push_is_told_once_on_each_issue_in_the_language_of_the_request() {
    let world = world(|_| {}).await;
    let ask = |title: &str, body: &str, number| {
        let input = JobInput {
            title: title.to_owned(),
            body: body.to_owned(),
            number: Some(number),
            requester: Some("cid".to_owned()),
            ..JobInput::default()
        };
        NewJob { input, trigger: Trigger::Label { label: "mechanic".to_owned() }, ..new_job() }
    };
    for number in [7, 7, 8] {
        let title = "O total do carrinho está errado";
        world.write(ask(title, "Os centavos somem quando dividimos a conta entre três pessoas.", number)).await;
        assert_eq!(world.triage(json!({})).await.unwrap()["decided"], "refused");
    }
    let told = "cid não tem permissão de escrita neste repositório, e só quem tem pode iniciar e conduzir tarefas.";
    assert_eq!(notices(&world).await, format!("{told}\n{told}"));
    assert_eq!(world.test.value("select count(*) from outbox where part <> 'notice'").await, "0");
}

#[tokio::test]
async fn an_issue_is_heard_before_a_model_is_asked_and_one_of_the_api_is_not_answered_on_the_forge() {
    let world = world(|_| {}).await;
    world.labeled("acme/shop", "ana").await;
    world.triage(json!({})).await.unwrap();
    // That request names no issue, so there is nowhere to answer.
    world.write(new_job()).await;
    world.triage(json!({})).await.unwrap();
    assert_eq!(world.test.value("select count(*) from outbox").await, "0");
}
