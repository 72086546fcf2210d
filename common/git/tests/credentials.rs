//! Passwords on their way to git.

use std::fs::{self, File};
use std::path::Path;

use git::{Checkout, Identity, Remote};
use process::{Command, Service};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{PATH, World, plain_git, write};

const PASSWORD: &str = "ghs_kX9vQ2mL7pRt4wZs8nBc";

/// The world's repositories over HTTP, for `x-access-token` with the password alone; its port.
async fn serve(world: &World) -> (Service, String) {
    let log = world.path("port");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_server.py");
    let backwards: String = PASSWORD.chars().rev().collect();
    let command = Command::new("python3").arg(script).arg(world.path("")).args(["x-access-token", &backwards]).path(PATH);
    let mut server = Service::start(&command, File::create(&log).unwrap()).unwrap();
    loop {
        let said = fs::read_to_string(&log).unwrap();
        if let Some(port) = said.strip_suffix('\n') {
            return (server, port.to_owned());
        }
        assert!(server.ended().unwrap().is_none(), "{said}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn remote(port: &str, password: &str) -> Remote {
    format!("http://x-access-token:{password}@127.0.0.1:{port}/forge.git").parse().unwrap()
}

#[tokio::test]
async fn a_password_opens_clone_and_push_and_is_seen_nowhere_meanwhile() {
    let world = World::new().await;
    plain_git(world.folder.path(), "clone -q --bare shop forge.git").await;
    let (_server, port) = serve(&world).await;
    let (remote, cancel) = (remote(&port, PASSWORD), CancellationToken::new());
    let cloned = async {
        let mirror = world.git.mirror(&remote, &cancel).await?;
        let base = mirror.resolve(None).await?;
        Checkout::create(&mirror, &base, &world.path("job"), &cancel).await
    };
    let checkout = cloned.await.unwrap_or_else(|error| panic!("{error}: {}", fs::read_to_string(world.path("port")).unwrap()));
    write(&checkout.workspace().join("new"), "new\n");
    let tree = checkout.snapshot().await.unwrap().tree;
    let author = Identity { name: "Team".into(), email: "team@example.com".into() };
    let commit = checkout.commit(&tree, "change", &author, None, OffsetDateTime::UNIX_EPOCH).await.unwrap();
    world.git.push(&checkout, &commit, &remote, "codeteam/x", &[]).await.unwrap();
    assert_eq!(plain_git(&world.path("forge.git"), "rev-parse codeteam/x").await, commit.as_str());
    assert_eq!(fs::read_to_string(world.path("port")).unwrap().trim(), port, "the server saw the password");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let world = World::new().await;
    plain_git(world.folder.path(), "clone -q --bare shop forge.git").await;
    let (_server, port) = serve(&world).await;
    let error = world.git.mirror(&remote(&port, "ghs_wrong4wZs8nBc"), &CancellationToken::new()).await.unwrap_err();
    assert!(!error.to_string().contains("ghs_wrong"), "{error}");
    assert!(world.git.mirror(&remote(&port, PASSWORD), &CancellationToken::new()).await.is_ok());
}

#[tokio::test]
async fn what_is_seen_in_a_folder_is_found() {
    let world = World::new().await;
    plain_git(world.folder.path(), "clone -q --bare shop forge.git").await;
    let (_server, port) = serve(&world).await;
    write(&world.path("mirrors/left"), PASSWORD);
    world.git.mirror(&remote(&port, PASSWORD), &CancellationToken::new()).await.unwrap_err();
    assert!(fs::read_to_string(world.path("port")).unwrap().contains("seen: "), "the control finds nothing");
}
