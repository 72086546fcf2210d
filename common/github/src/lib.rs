//! What comes from GitHub and what goes back: webhook signatures, payloads and what they ask for, and
//! the [`Forge`] that clones, permissions, pull requests, comments and reviews go through.
//!
//! Bytes are believed only after [`WebhookSecrets::verify`]; what they say becomes a job or a plain
//! reason in [`interpret`], a function of plain values. [`GitHub`] is the forge on GitHub itself, as an
//! [`App`](app::App) of it. [`LocalForge`] answers for GitHub where there
//! is none: in the demo, in tests, and for `codeteam run` on a repository of one's own.

pub mod app;
pub mod check_run;
pub mod forge;
pub mod hub;
pub mod local;
pub mod repository;
pub mod signature;
pub mod trigger;
pub mod webhook;
pub mod words;

pub use check_run::{CheckAction, CheckRun, CheckState};
pub use domain::{Emotion, Subject};
pub use forge::{
    Access, Comment, Credential, Forge, ForgeError, LineComment, NewPullRequest, NewReview, Permission, Person, PullRequest, Review,
    hidden_marker, job_marker,
};
pub use hub::GitHub;
pub use local::{LocalForge, Unregistered};
pub use repository::{InvalidRepository, RepositoryName};
pub use signature::{EmptySecret, SignatureError, WebhookSecrets, sign};
pub use trigger::{Reaction, Triggers, interpret};
pub use webhook::{Webhook, WebhookError};
