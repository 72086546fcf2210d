//! Workers that are killed, frozen and told to stop, as real processes on a real database and a real git
//! repository, with a model that counts what it is asked.
//!
//! Nothing in the product helps: PostgreSQL itself halts a worker at a statement (`halt`), the model's end holds
//! a reply, a tool waits for a file, and a hook of the repository holds a push.

mod halt;
pub mod scene;

mod drain;
mod half_steps;
mod in_flight;
mod stop;
