//! All settings.

use crate::{args, environment, file};

/// What the program was told.
pub struct Settings {
    pub port: u16,
    pub workers: u16,
}

/// Asks one source after the other. A value that is no number counts as none, and the next source is asked.
pub fn load() -> Settings {
    Settings { port: number("port", 8080), workers: number("workers", 2) }
}

fn number(name: &str, otherwise: u16) -> u16 {
    let sources = [args::value, file::value, environment::value];
    sources.iter().filter_map(|source| source(name)).find_map(|value| value.parse().ok()).unwrap_or(otherwise)
}
