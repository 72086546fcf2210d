//! Whether a change can be merged into what came meanwhile.

use git::{CommitId, Identity, TreeId};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{World, commit_all, write};

#[tokio::test]
async fn the_files_that_conflict_with_what_came_meanwhile_are_named() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("src/price.py"), "def price():\n    return 2\n");
    write(&checkout.workspace().join("new.md"), "ours\n");
    let tree: TreeId = checkout.checkpoint().await.unwrap().tree;
    let author = Identity { name: "Team".to_owned(), email: "team@example.com".to_owned() };
    let commit = checkout.commit(&tree, "Change the price\n", &author, None, OffsetDateTime::UNIX_EPOCH).await.unwrap();

    let meanwhile = async |path: &str, text: &str| -> CommitId {
        write(&world.path("shop").join(path), text);
        commit_all(&world.path("shop"), "meanwhile").await;
        let mirror = world.mirror().await;
        let tip = mirror.resolve(Some("main")).await.unwrap();
        mirror.bring(&tip, &CancellationToken::new()).await.unwrap();
        tip
    };
    assert_eq!(checkout.conflicts(&commit, checkout.base()).await.unwrap(), Vec::<String>::new());
    let elsewhere = meanwhile("README.md", "# Another shop\n").await;
    assert_eq!(checkout.conflicts(&commit, &elsewhere).await.unwrap(), Vec::<String>::new());
    let same_line = meanwhile("src/price.py", "def price():\n    return 3\n").await;
    assert_eq!(checkout.conflicts(&commit, &same_line).await.unwrap(), ["src/price.py"]);
    let both = meanwhile("new.md", "theirs\n").await;
    assert_eq!(checkout.conflicts(&commit, &both).await.unwrap(), ["new.md", "src/price.py"]);
}
