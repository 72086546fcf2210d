//! The product on AWS, on emulators: what `sam deploy` makes of the templates, and the built binary between the queues, alarms,
//! secrets and services that came of it.

mod alarms;
mod app;
mod client;
mod deploy;
mod endings;
mod envelopes;
mod fleet;
mod flow;
mod gate;
mod http;
mod sqs;
mod template;
mod world;
