//! Clients for the archive service.

mod connection;

pub use connection::{Connection, ConnectionError};
