//! What a pull request says to its people: what was run, what conflicts, their own template, in their language.

use domain::{JobInput, NewJob};

use crate::{FIXED, World, asked, succeeded};

fn body(world: &World) -> String {
    world.pulls()[0]["body"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_was_run_is_told_as_it_was_seen_and_apart_from_what_the_model_says() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    let expected = "### How it was verified\n\n- `python3 -m unittest`: exit code 0\n\nIn the model's own words:\n\n\
                    - python3 -m unittest: OK\n\nConfidence: medium.\n";
    assert!(body(&world).contains(expected), "{}", body(&world));
    assert!(body(&world).contains("1 steps, 120 tokens, $0.000150, "), "to the micro-dollar: {}", body(&world));
}

#[tokio::test]
async fn who_asked_in_portuguese_is_answered_in_portuguese() {
    let world = World::new().await;
    let input = JobInput { title: "O total do carrinho está errado".to_owned(), number: Some(7), ..JobInput::default() };
    let (job_id, epoch) = world.changed(NewJob { input, ..asked() }).await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    for words in ["### Como foi verificado", "Confiança: média.", "Uma pessoa precisa decidir:", "1 passos, 120 tokens", "Refs #7"] {
        assert!(body(&world).contains(words), "{words} in {}", body(&world));
    }
}

#[tokio::test]
async fn the_template_of_the_repository_is_kept_in_the_pull_request() {
    let template = "## Checklist\n\n- [ ] I read the guide\n";
    let world = World::with(&[("price.py", "def price():\n    return 1\n"), (".github/PULL_REQUEST_TEMPLATE.md", template)]).await;
    let (job_id, epoch) = world.changed(asked()).await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert!(body(&world).contains("\n---\n\n## Checklist\n\n- [ ] I read the guide\n"), "{}", body(&world));
}

#[tokio::test]
async fn a_change_that_conflicts_with_what_came_meanwhile_is_handed_in_and_says_where() {
    let world = World::new().await;
    let (job_id, epoch) = world.job(asked()).await;
    world.step(job_id, epoch, 1, FIXED).await;
    world.repository.branch("main", &[("price.py", "def price():\n    return 3\n")]).await;
    let links = world.finalize(job_id, epoch, succeeded()).await.unwrap().links;
    assert!(links.branch.is_some());
    assert!(body(&world).contains("- main has moved since this was begun, and conflicts in `price.py`\n"), "{}", body(&world));
}
