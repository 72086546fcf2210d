use std::sync::Arc;
use std::time::Duration;

use github::{Access, Forge, ForgeError};
use serde_json::json;
use testkit::github::said;

use super::{MARKER, REPOSITORY, TestClock, World};

async fn token(world: &World, access: Access) -> String {
    world.github.credential(REPOSITORY, access).await.unwrap().unwrap().password.expose().to_owned()
}

#[tokio::test]
async fn each_kind_of_work_has_a_token_for_its_repository_with_no_more_than_it_needs() {
    let world = World::new().await;
    let credential = world.github.credential(REPOSITORY, Access::Read).await.unwrap().unwrap();
    assert_eq!(credential.user, "x-access-token");
    token(&world, Access::Write).await;
    world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap();
    let minted = world.server.state().minted.clone();
    let of = |permissions| json!({ "repositories": ["shop"], "permissions": permissions });
    let expected = [
        of(json!({ "contents": "read", "metadata": "read" })),
        of(json!({ "contents": "write", "metadata": "read" })),
        of(json!({ "checks": "write", "contents": "read", "issues": "write", "metadata": "read", "pull_requests": "write" })),
    ];
    assert_eq!(minted, expected);
}

#[tokio::test]
async fn every_token_is_told_before_it_is_used() {
    let world = World::new().await;
    let (read, write) = (token(&world, Access::Read).await, token(&world, Access::Write).await);
    world.github.person("ada").await.unwrap();
    let told = world.tokens.lock().unwrap().clone();
    assert_eq!(told, [read, write, "ghs_0000000000000003".to_owned()]);
}

#[tokio::test]
async fn a_token_is_used_until_five_minutes_before_its_end() {
    let clock = TestClock::at("2026-11-26T12:00:00Z");
    let world = World::with(|options| options.clock = Arc::new(clock.clone())).await;
    world.server.state().expires_at = "2026-11-26T13:00:00Z".to_owned();
    let first = token(&world, Access::Read).await;
    clock.forward(Duration::from_secs(54 * 60));
    assert_eq!(token(&world, Access::Read).await, first);
    clock.forward(Duration::from_secs(2 * 60));
    world.server.state().expires_at = "2026-11-26T14:00:00Z".to_owned();
    let second = token(&world, Access::Read).await;
    assert_ne!(second, first);
    // The installation is asked for once, however repositories are written.
    let other = world.github.credential("Acme/Shop", Access::Read).await.unwrap().unwrap();
    assert_eq!((other.password.expose(), world.asked("GET /repos/acme/shop/installation")), (second.as_str(), 1));
}

#[tokio::test]
async fn a_token_that_is_not_taken_any_more_is_replaced_once() {
    let world = World::new().await;
    world.github.put_comment(REPOSITORY, 7, MARKER, MARKER).await.unwrap();
    world.server.state().revoked.push("ghs_0000000000000001".to_owned());
    world.github.put_comment(REPOSITORY, 7, MARKER, &format!("{MARKER} 2")).await.unwrap();
    assert_eq!(world.server.state().minted.len(), 2);
    for number in 1..=4 {
        world.server.state().revoked.push(format!("ghs_{number:016}"));
    }
    let refused = world.github.find_comment(REPOSITORY, 7, MARKER).await.unwrap_err();
    assert!(matches!(refused, ForgeError::Denied(_)), "{refused:?}");
    assert_eq!(world.server.state().minted.len(), 3);
}

#[tokio::test]
async fn what_git_was_refused_with_is_not_given_to_it_again() {
    let world = World::new().await;
    let (read, write) = (token(&world, Access::Read).await, token(&world, Access::Write).await);
    world.github.refused("Acme/Shop", Access::Write).await;
    let again = (token(&world, Access::Read).await, token(&world, Access::Write).await);
    assert_eq!((&again.0, world.server.state().minted.len()), (&read, 3));
    assert_ne!(again.1, write);
}

#[tokio::test]
async fn an_app_that_was_installed_anew_is_found_under_its_new_number() {
    let world = World::new().await;
    token(&world, Access::Read).await;
    world.server.state().installations.insert("acme".to_owned(), 78);
    token(&world, Access::Write).await;
    assert_eq!(world.asked("POST /app/installations/78/access_tokens"), 1);
}

#[tokio::test]
async fn what_the_owner_has_not_granted_and_where_the_app_is_not_is_said() {
    let world = World::new().await;
    world.fail("POST /app/installations", said(422, "The permissions requested are not granted to this installation."));
    let refused = world.github.credential(REPOSITORY, Access::Write).await.unwrap_err();
    assert!(matches!(&refused, ForgeError::Denied(text) if text.contains("accept the App's permissions")), "{refused:?}");
    let nowhere = world.github.credential("globex/shop", Access::Read).await.unwrap_err();
    assert!(matches!(&nowhere, ForgeError::NotFound(text) if text.contains("not installed on globex/shop")), "{nowhere:?}");
    let odd = world.github.credential("../app", Access::Read).await.unwrap_err();
    assert!(matches!(odd, ForgeError::Invalid(_)), "{odd:?}");
}

#[tokio::test]
async fn people_and_the_app_itself_have_their_numeric_addresses() {
    let world = World::new().await;
    let author = world.github.author().await.unwrap();
    assert_eq!((author.name.as_str(), author.email.as_str()), ("code-team[bot]", "99+code-team[bot]@users.noreply.github.com"));
    world.github.author().await.unwrap();
    assert_eq!(world.asked("GET /users/code-team%5Bbot%5D"), 1);
    let ada = world.github.person("ada").await.unwrap().unwrap();
    assert_eq!((ada.name.as_str(), ada.email.as_str()), ("Ada Lovelace", "7+Ada@users.noreply.github.com"));
    assert_eq!(world.github.person("nobody").await.unwrap(), None);
    assert_eq!(world.server.state().minted, [json!({ "permissions": { "metadata": "read" } })]);
    assert_eq!(world.github.remote(REPOSITORY).await.unwrap(), "https://github.com/acme/shop.git");
}

#[tokio::test]
async fn what_somebody_may_do_is_asked_each_time() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(world.github.permission(REPOSITORY, "ada").await.unwrap(), github::Permission::Maintain);
    }
    assert_eq!(world.github.permission(REPOSITORY, "../../x").await.unwrap(), github::Permission::None);
    assert_eq!(world.asked("GET /repos/acme/shop/collaborators/ada/permission"), 2);
    assert_eq!(world.asked("GET /repos/acme/shop/collaborators/..%2F..%2Fx/permission"), 1);
}
