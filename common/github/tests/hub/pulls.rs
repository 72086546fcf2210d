use github::{Forge, ForgeError, NewPullRequest};
use serde_json::json;
use testkit::github::{Reply, said};

use super::{REPOSITORY, World};

const HEAD: &str = "codeteam/1-fix-tax";

fn new(title: &str) -> NewPullRequest {
    NewPullRequest { head: HEAD.into(), base: "main".into(), title: title.into(), body: "why".into(), draft: true }
}

#[tokio::test]
async fn a_pull_request_is_opened_once_and_changed_after() {
    let world = World::new().await;
    assert_eq!(world.github.find_pull_request(REPOSITORY, HEAD).await.unwrap(), None);
    let opened = world.github.put_pull_request(REPOSITORY, &new("Fix tax")).await.unwrap();
    assert_eq!((opened.number, opened.open, &opened.fork, opened.head_commit.as_deref()), (1, true, &None, Some("c0ffee")));
    assert_eq!(opened.request, new("Fix tax"));
    let changed = world.github.put_pull_request(REPOSITORY, &new("Fix the tax")).await.unwrap();
    assert_eq!((changed.number, changed.request.title.as_str()), (1, "Fix the tax"));
    world.github.put_pull_request(REPOSITORY, &new("Fix the tax")).await.unwrap();
    assert_eq!((world.asked("POST /repos"), world.asked("PATCH")), (1, 1));
}

#[tokio::test]
async fn a_pull_request_whose_reply_was_lost_is_found_by_the_next_attempt() {
    let world = World::new().await;
    world.cutting.lose_the_reply_to("POST /repos/acme/shop/pulls");
    let lost = world.github.put_pull_request(REPOSITORY, &new("Fix tax")).await.unwrap_err();
    assert!(matches!(lost, ForgeError::Unavailable(_)), "{lost:?}");
    assert_eq!(world.github.put_pull_request(REPOSITORY, &new("Fix tax")).await.unwrap().number, 1);
    assert_eq!(world.shop().pulls.len(), 1);
}

#[tokio::test]
async fn one_that_somebody_opened_meanwhile_is_taken() {
    let world = World::new().await;
    // The look-up sees nothing yet.
    world.fail("GET /repos/acme/shop/pulls", Reply::json(200, &json!([])));
    let there = world.shop().pull(HEAD, "main", &json!({ "title": "Fix tax", "body": "why" }));
    assert_eq!(world.github.put_pull_request(REPOSITORY, &new("Fix tax")).await.unwrap().number, there);
    assert_eq!((world.asked("POST /repos"), world.shop().pulls.len()), (1, 1));
}

#[tokio::test]
async fn one_that_a_person_closed_is_not_opened_a_second_time() {
    let world = World::new().await;
    let closed = world.shop().pull(HEAD, "main", &json!({ "state": "closed" }));
    let put = world.github.put_pull_request(REPOSITORY, &new("Fix tax")).await.unwrap();
    assert_eq!((put.number, put.open), (closed, false));
    // Among several the open one counts.
    let open = world.shop().pull(HEAD, "main", &json!({}));
    world.shop().pull(HEAD, "main", &json!({ "state": "closed" }));
    assert_eq!(world.github.find_pull_request(REPOSITORY, HEAD).await.unwrap().unwrap().number, open);
}

#[tokio::test]
async fn what_github_refuses_is_told_in_its_words() {
    let world = World::new().await;
    world.fail("POST /repos/acme/shop/pulls", said(422, "No commits between main and codeteam/1-fix-tax"));
    let refused = world.github.put_pull_request(REPOSITORY, &new("Fix tax")).await.unwrap_err();
    let expected = "GitHub answers POST /repos/acme/shop/pulls with 422: No commits between main and codeteam/1-fix-tax (request AB12:34)";
    assert!(matches!(&refused, ForgeError::Invalid(text) if text == expected), "{refused:?}");
}

#[tokio::test]
async fn where_there_are_no_drafts_it_is_opened_as_it_may_be() {
    let world = World::new().await;
    world.fail("POST /repos/acme/shop/pulls", said(422, "Draft pull requests are not supported in this repository."));
    let opened = world.github.put_pull_request(REPOSITORY, &new("Fix tax")).await.unwrap();
    assert!(!opened.request.draft);
    assert_eq!(world.asked("POST /repos"), 2);
}

#[tokio::test]
async fn a_fork_and_a_fork_that_is_gone_are_told_apart_from_the_repository_itself() {
    let world = World::new().await;
    let (fork, gone) = {
        let mut state = world.shop();
        let head = |repo| json!({ "head": { "ref": HEAD, "sha": "c0ffee", "repo": repo } });
        (state.pull(HEAD, "main", &head(json!({ "full_name": "ada/shop" }))), state.pull(HEAD, "main", &head(json!(null))))
    };
    let get = async |number| world.github.pull_request(REPOSITORY, number).await.unwrap();
    assert_eq!(get(fork).await.unwrap().fork.as_deref(), Some("ada/shop"));
    assert_eq!(get(gone).await.unwrap().fork.as_deref(), Some(""));
    assert_eq!(get(999).await, None);
    // Neither is the repository's own branch of that name.
    assert_eq!(world.github.find_pull_request(REPOSITORY, HEAD).await.unwrap(), None);
}
