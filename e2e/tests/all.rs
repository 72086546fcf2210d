//! The built product from outside, and the walls between its crates from inside.

// `cfg(test)` tells clippy that the helpers in there are tests too.
#[cfg(test)]
mod alarms;
#[cfg(test)]
mod api;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod aws;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod eval;
#[cfg(test)]
mod github;
#[cfg(test)]
mod image;
#[cfg(test)]
mod invoke;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod pooler;
#[cfg(test)]
mod run;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod template;
#[cfg(test)]
mod walls;
