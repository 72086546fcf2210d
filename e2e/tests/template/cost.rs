//! `docs/cost.md` shows what `codeteam cost estimate` prints.

use e2e::{Codeteam, root};

#[tokio::test]
async fn the_document_shows_the_estimate_of_both_environments_as_it_is_printed() {
    let document = std::fs::read_to_string(root().join("docs/cost.md")).expect("there is a docs/cost.md");
    for environment in ["prod", "dev"] {
        let ran = Codeteam::new(["cost", "estimate", "--env", environment]).run().await;
        ran.expect(0, &[]);
        let printed = format!("$ codeteam cost estimate --env {environment}\n{}", ran.stdout);
        assert!(document.contains(&printed), "docs/cost.md does not show this:\n{printed}");
    }
}
