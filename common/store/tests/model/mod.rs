//! The queue against a model of it: random operations on both, and after each one every row must be what the model
//! says. The model (`rules.rs`) is plain values; where the database may choose (which lane comes first, how long a
//! pause is), the model says what is permitted and goes on from what was chosen.
//!
//! `CASES` in the environment says how many sequences of [`OPERATIONS`]; 100,000 take the better part of an hour.

mod drive;
mod operations;
mod rules;

use tokio::time::Instant;

use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use drive::Drive;
use operations::Operations;

/// How long a sequence is.
const OPERATIONS: usize = 50;

/// Sequences when nobody asks for more: some twenty seconds.
const CASES: u32 = 300;

/// Databases, each with a thread of its own.
const DATABASES: u32 = 3;

#[test]
fn the_queue_does_what_the_model_says() {
    let (cases, start) = (cases(), Instant::now());
    let threads: Vec<_> =
        (0..DATABASES).map(|no| std::thread::spawn(move || run(cases / DATABASES + u32::from(no < cases % DATABASES)))).collect();
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    eprintln!("{cases} sequences of {OPERATIONS} operations without divergence, {:.0} a minute", f64::from(cases) / minutes);
}

fn run(cases: u32) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 3_000, ..Config::default() };
    let strategy = Operations::sequential_strategy(OPERATIONS..=OPERATIONS);
    let outcome = TestRunner::new(config.clone()).run(&strategy, |(initial, operations, seen)| {
        Drive::test_sequential(config.clone(), initial, operations, seen);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no `config`: how long to search is asked for by the environment")]
fn cases() -> u32 {
    std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}
