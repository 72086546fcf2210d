use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use github::app::{Pacer, Turn};
use github::{Forge, ForgeError};
use testkit::github::{Reply, said};

use super::{MARKER, REPOSITORY, TestClock, World};

const COMMENTS: &str = "/repos/acme/shop/issues/7/comments";

/// Writes down what it is asked.
#[derive(Default)]
struct Book(Mutex<Vec<String>>);

#[async_trait]
impl Pacer for Book {
    async fn turn(&self, channel: &str) -> Result<Turn, ForgeError> {
        self.0.lock().unwrap().push(format!("turn {channel}"));
        Ok(Turn::free())
    }

    async fn hold(&self, channel: &str, wait: Duration) {
        self.0.lock().unwrap().push(format!("hold {channel} {}", wait.as_secs()));
    }
}

async fn world_with_book() -> (World, Arc<Book>) {
    let book = Arc::new(Book::default());
    let pacer = Arc::clone(&book);
    (World::with(|options| options.pacer = pacer).await, book)
}

fn wait(error: &ForgeError) -> u64 {
    match error {
        ForgeError::RetryAfter { after } => after.as_secs(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_change_waits_for_its_turn_and_no_question_does() {
    let (world, book) = world_with_book().await;
    world.github.find_comment("acme/Shop", 7, MARKER).await.unwrap();
    assert_eq!(*book.0.lock().unwrap(), Vec::<String>::new());
    world.github.put_comment(REPOSITORY, 7, MARKER, MARKER).await.unwrap();
    world.github.app().redeliver(5).await.unwrap();
    assert_eq!(*book.0.lock().unwrap(), ["turn acme", "turn @app"]);
}

#[tokio::test]
async fn a_secondary_limit_holds_the_channel_and_says_when_to_come_again() {
    let (world, book) = world_with_book().await;
    let limited = said(403, "You have exceeded a secondary rate limit.").header("retry-after", "17");
    world.fail(&format!("POST {COMMENTS}"), limited);
    let error = world.github.put_comment(REPOSITORY, 7, MARKER, MARKER).await.unwrap_err();
    assert_eq!(wait(&error), 17);
    assert_eq!(*book.0.lock().unwrap(), ["turn acme", "hold acme 17"]);
    world.github.put_comment(REPOSITORY, 7, MARKER, MARKER).await.unwrap();
    assert_eq!(world.shop().comments.len(), 1);
}

#[tokio::test]
async fn a_primary_limit_lasts_until_it_is_reset() {
    let clock = TestClock::at("2026-11-26T12:00:00Z");
    let world = World::with(|options| options.clock = Arc::new(clock.clone())).await;
    let reset =
        (time::OffsetDateTime::parse("2026-11-26T12:10:00Z", &time::format_description::well_known::Rfc3339).unwrap()).unix_timestamp();
    let limited = said(403, "API rate limit exceeded for installation ID 77.").header("x-ratelimit-remaining", "0");
    let limited = limited.header("x-ratelimit-reset", reset.to_string().as_str());
    world.fail(&format!("GET {COMMENTS}"), limited.clone());
    assert_eq!(wait(&world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap_err()), 601);
    // Where it meets a question of the App's own, as well.
    world.fail("GET /app/installations", limited);
    assert_eq!(wait(&world.github.person("ada").await.unwrap_err()), 601);
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again_later_by_whoever_asked() {
    let world = World::new().await;
    for status in [500, 502, 503] {
        world.fail(&format!("GET {COMMENTS}"), Reply::text(status, "<html>oops</html>"));
        let error = world.github.put_comment(REPOSITORY, 7, MARKER, MARKER).await.unwrap_err();
        assert!(matches!(error, ForgeError::Unavailable(_)), "{status}: {error:?}");
    }
    assert_eq!((world.asked(&format!("GET {COMMENTS}")), world.asked(&format!("POST {COMMENTS}"))), (3, 0));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for_longer_than_said() {
    let world = World::with(|options| options.http.timeout = Duration::from_millis(200)).await;
    world.fail(&format!("GET {COMMENTS}"), Reply::text(200, "").after(Duration::from_secs(30)));
    let error = world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn what_is_no_reply_of_githubs_is_no_answer() {
    let world = World::new().await;
    world.fail(&format!("GET {COMMENTS}"), Reply::text(200, "<html>Log in to the hotel's network</html>"));
    let error = world.github.put_comment(REPOSITORY, 7, MARKER, MARKER).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable(_)), "{error:?}");
    assert_eq!(world.asked(&format!("POST {COMMENTS}")), 0);
}

#[tokio::test]
async fn no_error_shows_a_token() {
    let world = World::new().await;
    let mut errors = Vec::new();
    for status in [400, 401, 403, 404, 422, 500] {
        for _ in 0..2 {
            world.fail(&format!("GET {COMMENTS}"), said(status, "no"));
        }
        let error = world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap_err();
        errors.push(format!("{error} {error:?}"));
        world.server.state().faults.clear();
    }
    world.cutting.lose_the_reply_to(&format!("GET {COMMENTS}"));
    let error = world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap_err();
    errors.push(format!("{error:#} {error:?}"));
    let tokens = world.tokens.lock().unwrap().clone();
    assert!(!tokens.is_empty());
    for error in errors {
        assert!(tokens.iter().all(|token| !error.contains(token)) && !error.contains("eyJ"), "{error}");
    }
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_not_followed_with_our_token() {
    let world = World::new().await;
    let moved = said(301, "Moved Permanently").header("location", "https://api.github.com/repositories/1/issues/7/comments");
    world.fail(&format!("GET {COMMENTS}"), moved);
    let error = world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap_err();
    assert!(matches!(&error, ForgeError::NotFound(text) if text.contains("renamed or moved")), "{error:?}");
}
