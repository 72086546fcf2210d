//! A repository that is somewhere else, behind a URL.

use e2e::git::GitServer;
use process::Exit;

use super::{branch_of_a_run, package, the_branch_undoes_the_bug};

#[tokio::test]
async fn a_remote_given_by_url_gets_the_branch() {
    let Some(package) = package::colorama().await else { return };
    let repository = package.under_git().await;
    let bare = repository.bare().await;
    let server = GitServer::start(&bare).await;
    let url = format!("{}/work.git", server.url);

    let (branch, _) = branch_of_a_run(&package, &url, &package.check()).await;
    the_branch_undoes_the_bug(&package, &bare, &branch).await;
    let clone = repository.clone_of(&url, &branch).await;
    assert_eq!(package.test(&clone).await.exit, Exit::Code(0));
}
