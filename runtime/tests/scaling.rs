//! Workers as processes of this machine, scaled in at random moments while they work: the agent that protects them and the
//! binary are the real ones.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use codeteam::agent::Agent;
use domain::{Capacity, JobInput, Mode, NewJob};
use process::workers::Plan;
use process::{Command, Workers};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use store::enqueue;
use testkit::{PATH, Repository, TestDb, new_job};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Where all randomness of the test comes from.
const SEED: u64 = 6;
const SCALE_INS: u32 = 200;
const MOST: u32 = 3;

/// A model that takes its time: a job is caught in the middle of a call, or between two.
fn script() -> tempfile::NamedTempFile {
    let call = |name: &str, input: serde_json::Value| json!({ "text": "so", "tool_calls": [{ "name": name, "input": input }] });
    let replies = [
        call("write_file", json!({ "path": "greeting.txt", "content": "hello\n" })),
        call("finish", json!({ "title": "Greet", "summary": "It greets.", "confidence": "high" })),
    ];
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &json!({ "name": "a test", "delay_ms": 150, "replies": replies })).unwrap();
    file
}

#[tokio::test]
async fn no_worker_is_taken_away_from_a_job_over_200_random_scale_ins() {
    let (test, script) = (TestDb::new().await, script());
    // The users of the sandbox pass through.
    let state = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o711)).tempdir().unwrap();
    let repository = Repository::with(&[("README.md", "A shop.\n")]).await;
    let agent = Agent::bind().await.unwrap();
    let address = agent.address();
    let environment = [
        ("DATABASE_URL", test.url.expose().to_owned()),
        ("DATABASE_CONNECTIONS", "4".to_owned()),
        ("CODETEAM_STATE_DIR", state.path().display().to_string()),
        ("CODETEAM_SCRIPT", script.path().display().to_string()),
        ("CODETEAM_LOCAL_REMOTES", "1".to_owned()),
        ("CODETEAM_USER", "root".to_owned()),
        ("LOG_FORMAT", "text".to_owned()),
        ("RUST_LOG", "error".to_owned()),
    ];
    let command = Box::new(move |mode: Mode, name: &str, slots: u16| {
        let work = Command::new(env!("CARGO_BIN_EXE_codeteam")).args(["work", "--mode", mode.into(), "--slots"]).arg(slots.to_string());
        work.path(PATH).envs(environment.clone()).envs(Agent::environment(address, name))
    });
    let (workers, mut told) = Workers::new(Plan { command, room: 6, slots: 2, start_delay: Duration::ZERO });
    let workers = Arc::new(workers);
    let (shutdown, end) = (CancellationToken::new(), CancellationToken::new());
    let answering = tokio::spawn(agent.run(workers.as_ref().clone(), end.clone()));
    let living = tokio::spawn({
        let (workers, shutdown) = (workers.clone(), shutdown.clone());
        async move { workers.run(shutdown).await }
    });

    let job = NewJob {
        remote: Some(repository.path("origin.git").display().to_string()),
        input: JobInput { title: "Greet".to_owned(), ..JobInput::default() },
        model: Some("scripted".to_owned()),
        ..new_job()
    };
    let mut random = StdRng::seed_from_u64(SEED);
    let (mut scale_ins, mut written) = (0, 0);
    let mut desired = 0;
    while scale_ins < SCALE_INS {
        if random.random_bool(0.3) {
            enqueue::enqueue(&test.db, &job, None, None, None).await.unwrap();
            written += 1;
        }
        let wanted = random.random_range(0..=MOST);
        scale_ins += u32::from(wanted < desired);
        desired = wanted;
        workers.set_desired(Mode::Mechanic, desired).await.unwrap();
        sleep(Duration::from_millis(random.random_range(0..120))).await;
    }
    // Whoever is needed stays, until all is done.
    workers.set_desired(Mode::Mechanic, MOST).await.unwrap();
    let left = async || test.value("select count(*) from queue").await;
    for _ in 0..1_200 {
        if left().await == "0" {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(left().await, "0", "everything is done");
    workers.set_desired(Mode::Mechanic, 0).await.unwrap();
    for _ in 0..600 {
        if workers.counts(Mode::Mechanic).await.unwrap().running == 0 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(workers.counts(Mode::Mechanic).await.unwrap().running, 0, "whoever is idle goes");
    shutdown.cancel();
    living.await.unwrap();
    end.cancel();
    answering.await.unwrap();

    let kinds = "select coalesce(jsonb_object_agg(kind, n), '{}') from (select kind, count(*) n from events
                 where kind in ('claimed', 'finalized', 'released', 'lease_expired', 'attempt_failed') group by kind) as counted";
    let expected = json!({ "claimed": written, "finalized": written });
    let found: serde_json::Value = serde_json::from_str(&test.value(kinds).await).unwrap();
    assert_eq!(found, expected, "each job was claimed once, by a worker that brought it to its end");
    assert_eq!(test.value("select count(*) from jobs where outcome = 'succeeded'").await, written.to_string());
    let stopped: u32 = test.value("select count(*) from workers where stopped_at is not null").await.parse().unwrap();
    assert!(stopped >= 20, "workers came and went meanwhile: {stopped}");
    while let Ok(told) = told.try_recv() {
        assert!(!matches!(told, process::workers::Told::Fell(..)), "{told:?}");
    }
}
