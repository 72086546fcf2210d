//! Builders: a test names what matters, these fill in the rest.

use domain::{JobInput, Kind, Mode, NewJob, Trigger, Usage};

/// A mechanic's job in `acme/shop`, as the API would ask for it.
pub fn new_job() -> NewJob {
    NewJob {
        repository: "acme/shop".to_owned(),
        remote: None,
        input: JobInput { title: "Fix the rounding".to_owned(), ..JobInput::default() },
        kind: Kind::Change,
        mode: Some(Mode::Mechanic),
        model: None,
        caps: None,
        priority: 0,
        trigger: Trigger::Api,
        idempotency_key: None,
    }
}

/// Plain input and output, nothing cached.
pub fn usage(uncached_input: u64, output: u64) -> Usage {
    Usage { uncached_input, output, ..Usage::default() }
}
