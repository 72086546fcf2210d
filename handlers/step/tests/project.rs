//! What `.codeteam.toml` of the base commit does to a job.

use domain::{CapReached, JobInput, Kind, NewJob, Outcome};
use serde_json::json;
use step::StepResponse;
use store::steps;
use testkit::{Repository, english_left, new_job};

use crate::{World, calls, cause, finish, shell};

const FILE: &str = "allowed_paths = [\"src/**\"]\ntest_command = \"make check\"\ninstructions = \"docs/ai.md\"\n[caps]\nsteps = 2\n";

async fn world(file: &str) -> World {
    let mut world = World::new().await;
    let files = [(".codeteam.toml", file), ("docs/ai.md", "Count in cents.\n"), ("AGENTS.md", "Old advice.\n"), ("src/a.py", "a = 1\n")];
    world.repository = Repository::with(&files).await;
    world
}

/// The request of a step, as it was sent.
async fn request(world: &World, step_no: u32) -> String {
    world.test.value(&format!("select request_of(job_id, step_no) from steps where step_no = {step_no} and half = 'reply'")).await
}

#[tokio::test]
async fn the_repository_lowers_caps_names_its_tests_and_advice_and_limits_what_is_changed() {
    let world = world(FILE).await;
    let write = |path: &str| json!({ "name": "write_file", "input": { "path": path, "content": "x\n" } });
    let script = json!([{ "tool_calls": [write("README.md"), write("src/b.py"), write(".codeteam.toml")] }, shell("ls"), finish()]);
    let worker = world.worker("a", script);
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.drive(job_id, epoch).await.unwrap(), StepResponse::CapReached { cap: CapReached::Steps });
    let first = request(&world, 1).await;
    for words in ["The tests run with `make check`, as .codeteam.toml says.", "You have 2 steps", "Count in cents.", "src/**"] {
        assert!(first.contains(words), "{words} in {first}");
    }
    assert!(!first.contains("Old advice."), "{first}");
    let results = world.test.value("select results::text from steps where step_no = 1 and half = 'results'").await;
    assert_eq!(results.matches("allows only src/**").count(), 2, "{results}");
    assert!(results.contains("src/b.py is created"), "{results}");
    assert_eq!(steps::preparation(&world.test.db, job_id).await.unwrap().notes, Vec::<String>::new());
}

#[tokio::test]
async fn without_a_word_about_tests_the_files_of_the_base_commit_tell() {
    let mut world = World::new().await;
    let files = [("web/package.json", "{\"scripts\": {\"test\": \"vitest\"}}"), ("web/yarn.lock", ""), ("web/cart.ts", "")];
    world.repository = Repository::with(&files).await;
    let worker = world.worker("a", json!([finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.drive(job_id, epoch).await.unwrap();
    let told = "To judge by web/package.json and web/yarn.lock, the tests run with `cd web && yarn test`; nobody has tried it.";
    assert!(request(&world, 1).await.contains(told));
}

#[tokio::test]
async fn the_map_is_that_of_the_base_commit_and_the_same_for_every_worker() {
    let world = World::new().await;
    let script =
        json!([calls("write_file", json!({ "path": "price.py", "content": "def other():\n    return 1\n" })), shell("ls"), finish()]);
    let worker = world.worker("a", script.clone());
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    let first = request(&world, 1).await;
    assert!(first.contains(">\\nprice.py\\n    1  def price()\\n</untrusted-map-"), "{first}");
    // Another worker rebuilds the conversation from what is stored and from the same commit.
    let epoch = world.take_over(job_id).await;
    world.worker("b", script).step(job_id, epoch).await.unwrap();
    let second = request(&world, 2).await;
    let begin = |request: &str| {
        let words = request.split("</untrusted-map-").next().unwrap();
        words.split_once("\"system\"").unwrap().1.to_owned()
    };
    assert_eq!(begin(&first), begin(&second));
}

#[tokio::test]
async fn a_file_that_the_job_writes_itself_changes_nothing_for_it() {
    let world = World::new().await;
    let looser = calls("write_file", json!({ "path": ".codeteam.toml", "content": "[caps]\nsteps = 1\n" }));
    let worker = world.worker("a", json!([looser, shell("ls"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    assert!(matches!(worker.drive(job_id, epoch).await.unwrap(), StepResponse::Done { outcome: Outcome::Succeeded { .. } }));
}

#[tokio::test]
async fn faults_become_notes_and_the_rest_of_the_file_holds() {
    let world = world("test_command = \"make check\"\nstpes = 3\ninstructions = \"docs/none.md\"\n").await;
    let worker = world.worker("a", json!([shell("ls"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    assert!(matches!(worker.drive(job_id, epoch).await.unwrap(), StepResponse::Done { outcome: Outcome::Succeeded { .. } }));
    let notes = steps::preparation(&world.test.db, job_id).await.unwrap().notes;
    let [unknown, missing] = &notes[..] else { panic!("{notes:?}") };
    assert!(unknown.starts_with(".codeteam.toml, line 2, column 1: unknown key \"stpes\""), "{unknown}");
    assert!(missing.contains("\"docs/none.md\"") && missing.contains("AGENTS.md holds instead"), "{missing}");
    let first = request(&world, 1).await;
    assert!(first.contains("Old advice.") && first.contains("make check"), "{first}");
}

#[tokio::test]
async fn where_nobody_knows_what_may_be_changed_no_change_is_begun_and_an_answer_is() {
    let world = world("allowed_paths = [\n").await;
    let worker = world.worker("a", json!([finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    let StepResponse::Done { outcome: Outcome::Failed { cause } } = worker.drive(job_id, epoch).await.unwrap() else {
        panic!("it goes on")
    };
    assert!(cause.starts_with(".codeteam.toml, line 1, column 1") && cause.contains("nothing was begun: repair the file"), "{cause}");
    assert_eq!((worker.calls(), world.ledger().await.as_str()), (vec![], ""));
    let (job_id, epoch) = world.job(NewJob { kind: Kind::Question, ..new_job() }).await;
    assert!(matches!(worker.drive(job_id, epoch).await.unwrap(), StepResponse::Done { outcome: Outcome::Succeeded { .. } }));
}

#[tokio::test]
async fn whoever_asks_in_portuguese_reads_of_faults_and_refusals_in_portuguese() {
    let input = || JobInput { title: "Corrigir o arredondamento dos preços".to_owned(), ..JobInput::default() };
    let file = "stpes = 3\nnetwork = \"fetch\"\n[caps]\nsteps = \"three\"\n";
    let mut told = Vec::new();
    for file in [file, "allowed_paths = [\n"] {
        let world = world(file).await;
        let worker = world.worker("a", json!([finish()]));
        let (job_id, epoch) = world.job(NewJob { input: input(), ..new_job() }).await;
        let response = worker.drive(job_id, epoch).await.unwrap();
        told.extend(steps::preparation(&world.test.db, job_id).await.unwrap().notes);
        if let StepResponse::Done { outcome: Outcome::Failed { .. } } = &response {
            told.push(cause(response));
        }
    }
    for text in &told {
        assert_eq!(english_left(text), Vec::<String>::new(), "{text}");
    }
    let [unknown, cap, no_network, _, cause] = &told[..] else { panic!("{told:#?}") };
    assert!(unknown.starts_with(".codeteam.toml, linha 1, coluna 1: chave desconhecida \"stpes\""), "{unknown}");
    assert!(cap.ends_with("esperado: um número inteiro acima de 0; encontrado: \"three\""), "{cap}");
    assert!(no_network.starts_with("Não há rede, nem mesmo dentro desta máquina: o .codeteam.toml pede fetch"), "{no_network}");
    assert!(cause.ends_with("nada foi iniciado: corrija o arquivo e peça de novo"), "{cause}");
}
