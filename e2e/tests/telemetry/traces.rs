//! One job, one trace, whoever works on it.

use std::collections::BTreeSet;

use e2e::product::Codeteam;
use e2e::wait::until;
use process::{Exit, Signal};

use super::collector::{Collector, Span};
use crate::crash::scene::{STEPS, Scene, Wait};

fn told(command: Codeteam, collector: &Collector) -> Codeteam {
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn fields<'a>(spans: &'a [Span], name: &str, field: &str) -> Vec<&'a str> {
    let mut values: Vec<&str> = named(spans, name).iter().map(|span| span.field(field)).collect();
    values.sort_unstable();
    values
}

#[tokio::test]
async fn a_job_has_one_trace_across_a_kill_and_a_resume() {
    let (collector, scene) = (Collector::start().await, Scene::new(Wait::InTool).await);
    let first = told(scene.command(["work"]), &collector).start();
    scene.waits().await;
    // Ended spans leave once a second: those of the steps before, and the call of the one under way.
    let sent = async || {
        let spans = collector.spans().await;
        (fields(&spans, "model_call", "step_no").contains(&"3") && fields(&spans, "step", "step_no").contains(&"2")).then_some(())
    };
    until("the spans so far are sent", sent).await;
    first.end(Signal::KILL).await;
    scene.nothing_runs().await;
    scene.expire_lease().await;
    let second = told(scene.command(["work"]), &collector).start();
    assert_eq!(scene.outcome().await, "succeeded", "{}", second.said());
    let (exit, said) = second.end(Signal::TERM).await;
    assert_eq!(exit, Exit::Code(0), "{said}");

    let spans = collector.spans().await;
    let traces: BTreeSet<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let [root] = named(&spans, "job")[..] else { panic!("{spans:#?}") };
    assert_eq!((root.parent.as_str(), root.field("job.id"), root.field("outcome"), root.failed), ("", &*scene.job_id, "succeeded", false));
    let millis = i64::from_str_radix(&scene.job_id.replace('-', "")[..12], 16).unwrap();
    assert_eq!(&root.trace[..8], format!("{:08x}", millis / 1_000), "X-Ray wants the second of the trace's beginning first");
    assert_eq!(root.start_ns, millis as u64 * 1_000_000);

    // The first claim, the sweep, the second claim: each raised the epoch.
    assert_eq!(fields(&spans, "claim", "epoch"), ["1", "3"]);
    // The last step ends the job and says no number.
    assert_eq!(fields(&spans, "step", "step_no"), ["", "1", "2", "3"]);
    assert_eq!(fields(&spans, "model_call", "step_no"), ["1", "2", "3", "4"], "nothing is bought twice");
    assert_eq!(fields(&spans, "tool", "tool"), ["finish", "read_file", "shell", "write_file"]);
    assert_eq!(named(&spans, "finalize").len(), 1);
    for name in ["claim", "step", "finalize"] {
        assert!(named(&spans, name).iter().all(|span| span.parent == root.id), "{name}: {spans:#?}");
    }
    let steps: BTreeSet<&str> = named(&spans, "step").iter().map(|span| span.id.as_str()).collect();
    let below = spans.iter().filter(|span| ["model_call", "tool", "prepare"].contains(&span.name.as_str()));
    let lost: Vec<&Span> = below.filter(|span| !steps.contains(span.parent.as_str())).collect();
    let parents: BTreeSet<&str> = lost.iter().map(|span| span.parent.as_str()).collect();
    let names: BTreeSet<&str> = lost.iter().map(|span| span.name.as_str()).collect();
    assert_eq!((parents.len(), names), (1, ["model_call", "prepare"].into()), "only what belongs to the step in flight: {lost:#?}");
    for call in named(&spans, "model_call") {
        assert_eq!((call.field("provider"), call.field("job.id"), call.failed), ("anthropic", &*scene.job_id, false));
        assert!(call.field("tokens").parse::<u64>().unwrap() > 0 && call.field("cost_microusd").parse::<u64>().unwrap() > 0, "{call:?}");
    }
    let all = String::from_utf8_lossy(&collector.bytes().await).into_owned();
    for private in ["Greet", "greeting.txt", "A shop.", "echo again", testkit::ModelStub::KEY] {
        assert!(!all.contains(private), "{private:?} is told to the collector");
    }
    assert_eq!(scene.model.calls(), [1; STEPS]);
}

#[tokio::test]
async fn a_worker_without_work_sends_nothing() {
    let (collector, db) = (Collector::start().await, testkit::TestDb::new().await);
    let worker = told(Codeteam::new(["work"]).on(db.url.expose()), &collector).start();
    worker.says("working on jobs").await;
    let (exit, said) = worker.end(Signal::TERM).await;
    assert_eq!((exit, collector.spans().await.len()), (Exit::Code(0), 0), "{said}");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_a_job_nothing_and_the_end_two_seconds() {
    let scene = Scene::new(Wait::Nowhere).await;
    // A listener that never accepts: connections stand, and nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://user:hunter2@{}", silent.local_addr().unwrap());
    let worker = scene.command(["work"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).start();
    assert_eq!(scene.outcome().await, "succeeded", "{}", worker.said());
    let (exit, said) = worker.end(Signal::TERM).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
    assert!(said.contains("the last spans could not be sent within 2 s"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let refused = scene.command(["work"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url hunter2").run().await;
    refused.expect(4, &["OTEL_EXPORTER_OTLP_ENDPOINT cannot be used"]);
    assert!(!refused.said().contains("hunter2"));
}
