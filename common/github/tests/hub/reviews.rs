use domain::review::Side;
use github::{CheckAction, CheckRun, CheckState, Forge, ForgeError, LineComment, NewReview};
use serde_json::{Value, json};
use testkit::github::{BOT, said};

use super::{MARKER, REPOSITORY, World, job};

fn new(body: &str) -> NewReview {
    let at = |line, side, body: &str| LineComment { path: "src/lib.rs".into(), line, side, body: body.into() };
    let comments = vec![at(3, Side::Right, "off by one"), at(9, Side::Left, "this was right")];
    NewReview { commit: "c0ffee".into(), body: format!("{body} {MARKER}"), comments }
}

#[tokio::test]
async fn a_review_is_written_once_and_only_its_body_changes_after() {
    let world = World::new().await;
    assert_eq!(world.github.find_review(REPOSITORY, 3, MARKER).await.unwrap(), None);
    let first = world.github.put_review(REPOSITORY, 3, MARKER, &new("Two findings.")).await.unwrap();
    assert_eq!(first.review, new("Two findings."));
    let second = world.github.put_review(REPOSITORY, 3, MARKER, &NewReview { comments: vec![], ..new("Two.") }).await.unwrap();
    assert_eq!((second.id, second.review), (first.id, new("Two.")));
    assert_eq!(world.github.find_review(REPOSITORY, 3, MARKER).await.unwrap().unwrap().review, new("Two."));
    assert_eq!(world.github.review_comments(REPOSITORY, 3, first.id).await.unwrap(), new("").comments);
    assert_eq!((world.asked("PUT"), world.shop().reviews.len()), (1, 1));
}

#[tokio::test]
async fn a_review_whose_reply_was_lost_is_found_by_the_next_attempt() {
    let world = World::new().await;
    world.cutting.lose_the_reply_to("POST /repos/acme/shop/pulls/3/reviews");
    world.github.put_review(REPOSITORY, 3, MARKER, &new("Two.")).await.unwrap_err();
    world.github.put_review(REPOSITORY, 3, MARKER, &new("Two.")).await.unwrap();
    let state = world.shop();
    assert_eq!((state.reviews.len(), state.at_lines.len()), (1, 2));
}

#[tokio::test]
async fn a_second_review_gives_way_to_the_first_and_keeps_what_people_answered() {
    let world = World::new().await;
    let first = world.github.put_review(REPOSITORY, 3, MARKER, &new("Two.")).await.unwrap();
    let (late, answered) = {
        let mut state = world.shop();
        state.review(3, "ada", &format!("copied {MARKER}"), "c0ffee");
        let late = state.review(3, BOT, &format!("Two. {MARKER}"), "c0ffee");
        let answered = state.at_line(3, BOT, "off by one", &json!({ "pull_request_review_id": late }));
        state.at_line(3, BOT, "this was right", &json!({ "pull_request_review_id": late }));
        state.at_line(3, "ada", "thanks", &json!({ "in_reply_to_id": answered }));
        (late, answered)
    };
    assert_eq!(world.github.put_review(REPOSITORY, 3, MARKER, &new("Two.")).await.unwrap().id, first.id);
    let state = world.shop();
    assert_eq!(state.reviews[&(3, late)]["body"], format!("→ {}", first.url));
    let of_late: Vec<u64> = state
        .at_lines
        .values()
        .filter(|comment| comment["pull_request_review_id"] == late)
        .filter_map(|comment| comment["id"].as_u64())
        .collect();
    assert_eq!(of_late, [answered]);
}

#[tokio::test]
async fn a_line_outside_of_the_change_is_said_to_be_one() {
    let world = World::new().await;
    world.fail("POST /repos/acme/shop/pulls/3/reviews", said(422, "Unprocessable Entity: \"Line could not be resolved\""));
    let refused = world.github.put_review(REPOSITORY, 3, MARKER, &new("Two.")).await.unwrap_err();
    let ForgeError::Invalid(text) = refused else { panic!("{refused:?}") };
    assert!(text.contains("Line could not be resolved") && text.contains("src/lib.rs:3, src/lib.rs:9"), "{text}");
}

#[tokio::test]
async fn comments_whose_lines_have_moved_on_are_where_they_were_and_a_review_that_is_not_there_is_missing() {
    let world = World::new().await;
    let review = {
        let mut state = world.shop();
        let review = state.review(3, BOT, "x", "c0ffee");
        let of_review = |line: Value, original: Value| json!({ "pull_request_review_id": review, "line": line, "original_line": original });
        state.at_line(3, BOT, "moved on", &of_review(json!(null), json!(12)));
        state.at_line(3, BOT, "whole file", &of_review(json!(null), json!(null)));
        review
    };
    let lines: Vec<u32> =
        world.github.review_comments(REPOSITORY, 3, review).await.unwrap().into_iter().map(|comment| comment.line).collect();
    assert_eq!(lines, [12, 1]);
    let missing = world.github.review_comments(REPOSITORY, 3, 999).await.unwrap_err();
    assert!(matches!(missing, ForgeError::NotFound(_)), "{missing:?}");
}

fn run(state: CheckState) -> CheckRun {
    CheckRun {
        job_id: job(),
        commit: "c0ffee".into(),
        name: "AI Code Team".into(),
        state,
        title: "step 3".into(),
        summary: "12 of 20 steps".into(),
        actions: vec![CheckAction::Stop, CheckAction::Retry],
    }
}

#[tokio::test]
async fn a_check_run_is_created_once_and_renewed_with_its_id_and_without() {
    let world = World::new().await;
    world.cutting.lose_the_reply_to("POST /repos/acme/shop/check-runs");
    world.github.put_check_run(REPOSITORY, None, &run(CheckState::Queued)).await.unwrap_err();
    let id = world.github.put_check_run(REPOSITORY, None, &run(CheckState::InProgress)).await.unwrap();
    assert_eq!(world.github.put_check_run(REPOSITORY, Some(id), &run(CheckState::Success)).await.unwrap(), id);
    // An id that is nobody's any more does not stop it.
    assert_eq!(world.github.put_check_run(REPOSITORY, Some(999), &run(CheckState::Cancelled)).await.unwrap(), id);
    let state = world.shop();
    assert_eq!(state.checks.len(), 1);
    let check = &state.checks[&id];
    assert_eq!((&check["status"], &check["conclusion"]), (&json!("completed"), &json!("cancelled")));
    assert_eq!((&check["external_id"], &check["head_sha"]), (&json!(job().to_string()), &json!("c0ffee")));
    for action in check["actions"].as_array().unwrap() {
        let length = |name: &str| action[name].as_str().unwrap().chars().count();
        assert!(length("label") <= 20 && length("description") <= 40 && length("identifier") <= 20, "{action}");
    }
    assert_eq!(check["actions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_second_check_run_of_a_job_is_skipped_and_one_of_another_app_is_not_touched() {
    let world = World::new().await;
    let first = world.github.put_check_run(REPOSITORY, None, &run(CheckState::InProgress)).await.unwrap();
    {
        let mut state = world.shop();
        let mut late = state.checks[&first].clone();
        late["id"] = json!(900);
        state.checks.insert(900, late.clone());
        late["id"] = json!(901);
        late["app"] = json!({ "id": 1 });
        state.checks.insert(901, late);
    }
    for _ in 0..2 {
        assert_eq!(world.github.put_check_run(REPOSITORY, None, &run(CheckState::InProgress)).await.unwrap(), first);
    }
    assert_eq!(world.asked("PATCH /repos/acme/shop/check-runs/900"), 1);
    let state = world.shop();
    assert_eq!((&state.checks[&900]["conclusion"], &state.checks[&900]["actions"]), (&json!("skipped"), &json!([])));
    assert_eq!(state.checks[&901]["status"], "in_progress");
}
