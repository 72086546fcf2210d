//! The container image and how it is deployed.

mod container;
mod deploy;
mod workflow;
