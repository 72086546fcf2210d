//! Ctrl-C at every stage.

use process::{Exit, Signal};

use super::{demo, nothing_is_left, postgres_of, temporary};
use e2e::wait;

/// Interrupts a demonstration as soon as it says `words`.
async fn interrupted_at(words: &str) {
    let temporary = temporary();
    let running = demo(&temporary).start();
    running.says(words).await;
    let postgres = postgres_of(running.id());
    let (exit, said) = running.end(Signal::INT).await;
    assert!(matches!(exit, Exit::Code(code) if code != 0), "{exit} after {words:?}:\n{said}");
    nothing_is_left(&temporary).await;
    if let Some(postgres) = postgres {
        wait::until("its PostgreSQL is gone", async || (!std::path::Path::new(&postgres).exists()).then_some(())).await;
        wait::until("its PostgreSQL has ended", async || wait::processes(&postgres).is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn an_interruption_while_the_database_starts_leaves_nothing() {
    interrupted_at("1. A database of its own").await;
}

#[tokio::test]
async fn an_interruption_while_the_repository_is_made_leaves_nothing() {
    interrupted_at("2. A git repository").await;
}

#[tokio::test]
async fn an_interruption_while_the_job_runs_leaves_nothing() {
    interrupted_at("step 2/20").await;
}
