//! Test databases, a model and a GitHub on loopback, repositories and builders. A dev-dependency only; it panics where a program would return errors.

mod build;
pub mod client;
mod database;
pub mod github;
pub mod model;
mod pooler;
mod repository;
mod tls;
mod words;

pub use build::{new_job, usage};
pub use database::{Open, TestDb, TestServer};
pub use model::{Answer, Hold, ModelStub};
pub use pooler::Pooler;
pub use repository::{PATH, Repository};
pub use tls::TlsPostgres;
pub use words::english_left;
