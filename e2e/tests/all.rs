//! The built product from outside, and the walls between its crates from inside.

// `cfg(test)` tells clippy that the helpers in there are tests too.
#[cfg(test)]
mod walls;
