//! The same on GitHub: what people would see twice, not at all, or with another sum than the ledger's.

use std::time::Duration;

use chaos::check::{Violation, check};
use chaos::model::script::Kind;
use chaos::world::World;
use serde_json::json;
use testkit::github::{At, BOT};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_violation_on_github_is_seen_and_a_sound_world_has_none() {
    let (_folder, plan) = crate::plan();
    let mut world = World::on_github(&plan, "planted", 1).await.unwrap();
    for kind in [Kind::Work, Kind::Talk] {
        world.ask(kind).await.unwrap();
    }
    world.tickets[0].questions += 1;
    world.say(0, "/codeteam cost", 3).await.unwrap();
    world.quiet(Duration::from_secs(120)).await.unwrap();
    world.end().await.unwrap();
    let mut seen = violations(&world).await;
    assert_eq!(seen, []);

    let [work, talk] = [0, 1].map(|index| world.tickets[index].clone());
    let (job_id, talk_id) = (work.job_id.clone().unwrap(), talk.job_id.clone().unwrap());

    let pull = at(&world).pulls.values().next().unwrap().clone();
    at(&world).pull(pull["head"]["ref"].as_str().unwrap(), "main", &json!({ "body": pull["body"] }));
    planted("one visible effect", "(1, 2, 0)", &world, &mut seen).await;

    let sticky = comment(&world, &format!("codeteam:progress:{job_id}"));
    at(&world).comment(work.number, BOT, &sticky);
    planted("one visible effect", "has 2 comments", &world, &mut seen).await;

    let answer = comment(&world, &format!("codeteam:job:{talk_id}"));
    at(&world).comment(talk.number, BOT, &answer);
    planted("one visible effect", "(0, 0, 2)", &world, &mut seen).await;

    let notice = comment(&world, "codeteam:notice:");
    at(&world).comment(work.number, BOT, &notice);
    planted("everything is said", "2 commands were answered, of 1", &world, &mut seen).await;

    at(&world).comment(work.number, BOT, "who wrote this?");
    planted("one visible effect", "without a marker", &world, &mut seen).await;

    let run = at(&world).checks.values().find(|run| run["external_id"] == talk_id).unwrap().clone();
    at(&world).checks.insert(7, run);
    planted("one visible effect", "has 2 check runs", &world, &mut seen).await;

    at(&world).checks.values_mut().find(|run| run["external_id"] == job_id).unwrap()["status"] = json!("in_progress");
    planted("everything is said", "its check run says", &world, &mut seen).await;

    let path = format!("/repos/{}/issues/{}/reactions", work.repository, work.number);
    at(&world).reactions.push((path, "confused".to_owned()));
    planted("everything is said", "the reactions are", &world, &mut seen).await;

    // A micro-dollar.
    write(
        &world,
        &format!("update ledger set cost_microusd = cost_microusd + 1 where job_id = '{job_id}' and kind = 'settled' and step_no = 1"),
    )
    .await;
    planted("the sums agree", "its pull request does not say", &world, &mut seen).await;

    write(&world, &format!("update jobs set cost_microusd = cost_microusd + 1 where job_id = '{talk_id}'")).await;
    planted("the sums agree", "and the ledger's rows are", &world, &mut seen).await;

    write(&world, &format!("update outbox set done_at = null where job_id = '{talk_id}' and part = 'check_run'")).await;
    planted("everything is said", "not said", &world, &mut seen).await;

    write(&world, "update commands set done_at = null").await;
    planted("everything is said", "commands that are not done", &world, &mut seen).await;
}

fn at(world: &World) -> At<'_> {
    world.hub.as_ref().unwrap().server.at(&world.repositories[0].name)
}

/// The body of the comment with this in it.
fn comment(world: &World, marker: &str) -> String {
    let at = at(world);
    let mut bodies = at.comments.values().map(|comment| comment["body"].as_str().unwrap().to_owned());
    bodies.find(|body| body.contains(marker)).unwrap()
}

/// The check finds something new, that of this invariant, in these words.
async fn planted(invariant: &str, words: &str, world: &World, seen: &mut Vec<Violation>) {
    let now = violations(world).await;
    let new: Vec<&Violation> = now.iter().filter(|violation| !seen.contains(violation)).collect();
    let found = new.iter().any(|violation| violation.invariant == invariant && violation.what.contains(words));
    assert!(found, "expected {invariant:?} with {words:?} among what is new: {new:#?}");
    *seen = now;
}

async fn violations(world: &World) -> Vec<Violation> {
    check(world, &["succeeded"]).await.unwrap().violations
}

/// Past every trigger and reference.
async fn write(world: &World, statements: &str) {
    let statements = format!("set session_replication_role = replica; {statements}; set session_replication_role = origin");
    world.database.sql.execute(&statements).await.unwrap();
}
