//! What it costs to reach a handler: ours against the two local Lambdas, in turns.

use std::time::Duration;

use anyhow::{Context, Result};
use config::Settings;
use serde_json::{Value, json};
use testkit::TestDb;

use crate::figures::{Figures, micros, say, show, table, verdict};
use crate::peers::Peer;

/// Turns of each peer.
const ROUNDS: usize = 40;
/// Calls in one turn: long enough that all of it is warm, short enough that noise hits everybody.
const CALLS: usize = 100;
/// How many times faster than the better peer we want to be.
const GOAL: f64 = 3.0;

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let settings = Settings::from_env(&[])?;
    let folder = tempfile::tempdir()?;
    let db = TestDb::new().await;
    let mut ours = vec![Peer::in_process(), Peer::over_http(&settings, folder.path(), &db).await?];
    let mut others = Vec::new();
    for (name, peer) in [
        ("cargo lambda watch", Peer::cargo_lambda(&settings, folder.path()).await?),
        ("the AWS runtime interface emulator", Peer::emulator(&settings, folder.path()).await?),
    ] {
        match peer {
            Some(peer) => others.push(peer),
            None => say(&format!("SKIPPED: {name} is not on the PATH; `make bench` brings it where the platform has it")),
        }
    }
    let count = ours.len();
    ours.append(&mut others);
    let figures = compete(&mut ours).await?;
    print(&figures, count);
    Ok(())
}

/// Lets the peers call in turns; the first turn of each warms it up and is not counted.
async fn compete(peers: &mut [Peer]) -> Result<Vec<(&'static str, Figures)>> {
    let event = json!({ "job_id": "0198c0de-0000-7000-8000-000000000001", "epoch": 7, "note": "what a small event looks like" });
    let bytes = serde_json::to_vec(&event)?;
    let mut times = vec![Vec::with_capacity(ROUNDS * CALLS); peers.len()];
    for round in 0..=ROUNDS {
        for (peer, times) in peers.iter_mut().zip(&mut times) {
            let turn = turn(peer, &event, &bytes).await.with_context(|| format!("a call through {}", peer.name))?;
            if round > 0 {
                times.extend(turn);
            }
        }
    }
    Ok(peers.iter().zip(&times).map(|(peer, times)| (peer.name, Figures::of(times))).collect())
}

async fn turn(peer: &mut Peer, event: &Value, bytes: &[u8]) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        times.push(peer.call(event, bytes).await?);
    }
    Ok(times)
}

/// The first `ours` figures are ours, the last of these is the one over HTTP.
fn print(figures: &[(&str, Figures)], ours: usize) {
    let (_, http) = figures[ours - 1];
    show(&format!("\nDispatch: an echo handler, warm, {} calls each, one at a time, in turns of {CALLS}", ROUNDS * CALLS));
    let mut rows = vec![["", "p50 : ours over HTTP", "p99 : ours over HTTP", "p50", "p99"].map(str::to_owned).to_vec()];
    for (name, figures) in figures {
        let (p50, p99) = figures.over(&http);
        rows.push(vec![(*name).to_owned(), format!("{p50:.3}"), format!("{p99:.3}"), micros(figures.p50), micros(figures.p99)]);
    }
    table(&rows);
    let best = |ratio: fn((f64, f64)) -> f64| figures[ours..].iter().map(|(_, figures)| ratio(figures.over(&http))).reduce(f64::min);
    match best(|(p50, _)| p50).zip(best(|(_, p99)| p99)) {
        Some((p50, p99)) => show(&format!(
            "  goal: ours at least {GOAL} times faster than the better peer: {p50:.1} times at p50, {p99:.1} times at p99: {}",
            verdict(p50 >= GOAL && p99 >= GOAL)
        )),
        None => show("  goal: not judged, there is no peer on this machine"),
    }
}
