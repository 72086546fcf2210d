use github::{Emotion, Forge, ForgeError, Subject};
use serde_json::json;
use testkit::github::BOT;

use super::{MARKER, REPOSITORY, World};

#[tokio::test]
async fn a_comment_is_written_once_and_changed_after() {
    let world = World::new().await;
    let first = world.github.put_comment(REPOSITORY, 7, MARKER, &format!("{MARKER} 1")).await.unwrap();
    let second = world.github.put_comment(REPOSITORY, 7, MARKER, &format!("{MARKER} 2")).await.unwrap();
    assert_eq!((first.id, first.url.as_str()), (second.id, "https://github.com/acme/shop/issues/7#issuecomment-1"));
    assert_eq!(world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap().unwrap(), second);
    assert_eq!(world.shop().comments.len(), 1);
    // What is there already is not sent again.
    world.github.put_comment(REPOSITORY, 7, MARKER, &format!("{MARKER} 2")).await.unwrap();
    assert_eq!(world.asked("PATCH"), 1);
}

#[tokio::test]
async fn a_comment_whose_reply_was_lost_is_found_by_the_next_attempt() {
    let world = World::new().await;
    world.cutting.lose_the_reply_to("POST /repos/acme/shop/issues/7/comments");
    let lost = world.github.put_comment(REPOSITORY, 7, MARKER, MARKER).await.unwrap_err();
    assert!(matches!(lost, ForgeError::Unavailable(_)), "{lost:?}");
    assert!(world.cutting.has_cut());
    let found = world.github.put_comment(REPOSITORY, 7, MARKER, MARKER).await.unwrap();
    assert_eq!(found.id, 1);
    assert_eq!(world.shop().comments.len(), 1);
}

#[tokio::test]
async fn of_two_comments_with_one_marker_the_oldest_stays_whatever_page_they_are_on() {
    let world = World::new().await;
    {
        world.server.state().page = 2;
        let mut state = world.shop();
        for _ in 0..3 {
            state.comment(7, "ada", "hello");
        }
        state.comment(7, BOT, &format!("late {MARKER}"));
        state.comment(7, "ada", "hello");
        state.comment(7, BOT, &format!("later {MARKER}"));
        state.comment(8, BOT, &format!("another issue's {MARKER}"));
    }
    let kept = world.github.put_comment(REPOSITORY, 7, MARKER, &format!("new {MARKER}")).await.unwrap();
    assert_eq!((kept.id, kept.body), (4, format!("new {MARKER}")));
    let ids: Vec<u64> = world.shop().comments.keys().map(|(_, id)| *id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 7]);
}

#[tokio::test]
async fn a_marker_in_somebody_elses_comment_is_not_ours() {
    let world = World::new().await;
    for login in ["ada", "code-team", "other-app[bot]"] {
        world.shop().comment(7, login, MARKER);
    }
    world.shop().comments.insert((7, 50), json!({ "id": 50, "html_url": "u", "body": MARKER, "user": null }));
    assert_eq!(world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap(), None);
    let ours = world.github.put_comment(REPOSITORY, 7, MARKER, &format!("ours {MARKER}")).await.unwrap();
    assert_eq!(ours.id, 4);
    let state = world.shop();
    assert_eq!(state.comments.len(), 5);
    assert!(state.comments.iter().all(|((_, id), comment)| *id == 4 || comment["body"] == MARKER));
}

#[tokio::test]
async fn a_comment_that_somebody_deleted_is_said_to_be_gone() {
    let world = World::new().await;
    let id = world.shop().comment(7, BOT, "old");
    world.github.edit_comment(REPOSITORY, 7, id, "new").await.unwrap();
    assert_eq!(world.shop().comments[&(7, id)]["body"], "new");
    let gone = world.github.edit_comment(REPOSITORY, 7, 999, "new").await.unwrap_err();
    assert!(matches!(gone, ForgeError::NotFound(_)), "{gone:?}");
}

#[tokio::test]
async fn reactions_go_to_issues_comments_and_comments_at_lines() {
    let world = World::new().await;
    world.github.react(REPOSITORY, Subject::Issue { number: 7 }, Emotion::Eyes).await.unwrap();
    world.github.react(REPOSITORY, Subject::Comment { id: 8 }, Emotion::Rocket).await.unwrap();
    world.github.react(REPOSITORY, Subject::LineComment { id: 9 }, Emotion::Confused).await.unwrap();
    let reactions = [
        ("/repos/acme/shop/issues/7/reactions", "eyes"),
        ("/repos/acme/shop/issues/comments/8/reactions", "rocket"),
        ("/repos/acme/shop/pulls/comments/9/reactions", "confused"),
    ];
    let expected = reactions.map(|(path, content)| (path.to_owned(), content.to_owned()));
    assert_eq!(world.shop().reactions, expected);
}

#[tokio::test]
async fn an_answer_goes_to_the_beginning_of_its_thread_once() {
    let world = World::new().await;
    let (first, asked) = {
        let mut state = world.shop();
        let first = state.at_line(3, BOT, "this looks wrong", &json!({}));
        let asked = state.at_line(3, "ada", "why?", &json!({ "in_reply_to_id": first }));
        state.at_line(3, "ada", &format!("copied {MARKER}"), &json!({ "in_reply_to_id": first }));
        (first, asked)
    };
    let answer = world.github.put_reply(REPOSITORY, 3, asked, MARKER, &format!("since … {MARKER}")).await.unwrap();
    assert_eq!(world.shop().at_lines[&(3, answer.id)]["in_reply_to_id"], first);
    // A second process, frozen meanwhile, has answered too.
    world.shop().at_line(3, BOT, &format!("since … {MARKER}"), &json!({ "in_reply_to_id": first }));
    let again = world.github.put_reply(REPOSITORY, 3, asked, MARKER, &format!("because … {MARKER}")).await.unwrap();
    assert_eq!((again.id, again.body), (answer.id, format!("because … {MARKER}")));
    assert_eq!(world.shop().at_lines.len(), 4);
    let nowhere = world.github.put_reply(REPOSITORY, 3, 999, MARKER, MARKER).await.unwrap_err();
    assert!(matches!(nowhere, ForgeError::NotFound(_)), "{nowhere:?}");
}
