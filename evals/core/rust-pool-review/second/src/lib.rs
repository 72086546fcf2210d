//! Clients for the archive service.

mod connection;
mod pool;

pub use connection::{Connection, ConnectionError};
pub use pool::Pool;
