//! What the processes tell about themselves, read as those would who are told: a collector, Prometheus,
//! CloudWatch, and whoever searches the log.

mod collector;
mod figures;
mod log;
mod traces;
