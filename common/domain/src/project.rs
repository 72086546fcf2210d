//! `.codeteam.toml`: what a repository says about the jobs in it.
//!
//! ```toml
//! test_command = "make test"
//! allowed_paths = ["src/**", "tests/**", "*.md"]
//! network = "none"
//! instructions = "docs/for-agents.md"
//! sensitive_changes = ["workflows", "codeowners", "submodules", "symlinks"]
//!
//! [caps]
//! steps = 12
//! tokens = 30000
//! seconds = 45
//! cost_usd = 0.20
//! ```
//!
//! It is read from the commit that a job starts from, so a job cannot rewrite its own limits. What is wrong in it is
//! told with line and column and the rest of it holds; only where it is not known which paths may be changed, none may.

mod fault;
mod value;

use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use crate::sensitive::Permitted;
use crate::{AllowedPaths, Caps, MicroUsd};
pub use fault::{Fault, Found, Wanted, Wrong, quoted};
use value::{Place, Spanned};

/// Its place in the repository.
pub const FILE: &str = ".codeteam.toml";
/// The most that it may have, in bytes.
pub const MOST_BYTES: usize = 64 << 10;

/// The keys of the file.
pub const KEYS: &[&str] = &["test_command", "allowed_paths", "sensitive_changes", "caps", "network", "instructions"];
/// Those of its table of caps.
pub const CAPS: &[&str] = &["steps", "tokens", "seconds", "cost_usd"];

const MOST_COMMAND_CHARS: usize = 1_000;

/// What the file says; where it says nothing, the default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Project {
    /// The command that runs the tests.
    pub test_command: Option<String>,
    /// What a job may change.
    pub allowed_paths: AllowedPaths,
    /// Caps below those of the mode.
    pub caps: LowerCaps,
    /// What commands may reach; `None` = what the operator says.
    pub network: Option<Network>,
    /// The file with standing advice for the model, in the place of AGENTS.md.
    pub instructions: Option<String>,
    /// Which changes a job may hand in that reach further than the code.
    pub sensitive_changes: Permitted,
}

/// Caps that a repository lowers; `None` = as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LowerCaps {
    /// [`Caps::steps`].
    pub steps: Option<u32>,
    /// [`Caps::tokens`].
    pub tokens: Option<u64>,
    /// [`Caps::cost_microusd`].
    pub cost_microusd: Option<MicroUsd>,
    /// [`Caps::active_ms`].
    pub active_ms: Option<u64>,
}

impl LowerCaps {
    /// `caps`, lowered by these; none is raised.
    pub fn lower(self, caps: Caps) -> Caps {
        caps.lowest(Caps {
            steps: self.steps.unwrap_or(u32::MAX),
            tokens: self.tokens.unwrap_or(u64::MAX),
            cost_microusd: self.cost_microusd.unwrap_or(MicroUsd(i64::MAX)),
            active_ms: self.active_ms.unwrap_or(u64::MAX),
        })
    }
}

/// What the commands of a job may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, strum::EnumString, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Network {
    /// Nothing.
    None,
    /// This machine only, for tests that start a server.
    Loopback,
    /// Package registries, while dependencies are fetched before the work.
    Fetch,
}

/// A file as it was understood.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Read {
    /// What holds.
    pub project: Project,
    /// What is wrong, in the order of the file.
    pub faults: Vec<Fault>,
}

impl Read {
    /// A file of more than [`MOST_BYTES`].
    pub fn too_large() -> Self {
        Reader::new("").unreadable(0, Wrong::TooLarge)
    }

    /// Why no change may be begun, if so.
    pub fn hides_paths(&self) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.hides_paths)
    }
}

/// Reads the file. Never fails: what cannot be understood is a fault.
pub fn read(bytes: &[u8]) -> Read {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            return Reader::new(&valid).unreadable(valid.len(), Wrong::NotText);
        }
    };
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            return Reader::new(text).unreadable(at, Wrong::NotToml { said: error.message().trim().to_owned() });
        }
    };
    let mut reader = Reader::new(text);
    for (key, value) in document.get_ref() {
        reader.key(key.get_ref(), key.span(), value);
    }
    reader.read.faults.sort_by_key(|fault| (fault.line, fault.column));
    reader.read
}

struct Reader<'a> {
    text: &'a str,
    read: Read,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, read: Read::default() }
    }

    /// Nothing of the file holds.
    fn unreadable(mut self, at: usize, wrong: Wrong) -> Read {
        self.fault(at..at, wrong, true);
        self.read.project.allowed_paths = AllowedPaths::none();
        self.read
    }

    fn fault(&mut self, at: Range<usize>, wrong: Wrong, hides_paths: bool) {
        let Place { line, column } = Place::of(self.text, at.start);
        self.read.faults.push(Fault { line, column, wrong, hides_paths });
    }

    fn key(&mut self, key: &str, at: Range<usize>, value: &Spanned<'_>) {
        let wrong = match key {
            "test_command" => value::line(value, MOST_COMMAND_CHARS).map(|command| self.read.project.test_command = Some(command)),
            "instructions" => value::path(value).map(|path| self.read.project.instructions = Some(path)),
            "sensitive_changes" => value::sensitive(value).map(|permitted| self.read.project.sensitive_changes = permitted),
            "network" => value::network(value).map(|network| self.read.project.network = Some(network)),
            "allowed_paths" => match value::globs(value) {
                Ok(allowed) => {
                    self.read.project.allowed_paths = allowed;
                    Ok(())
                }
                Err((at, wrong)) => return self.no_paths(at, wrong),
            },
            "caps" => match value.get_ref() {
                DeValue::Table(caps) => {
                    caps.iter().for_each(|(key, value)| self.cap(key.get_ref(), key.span(), value));
                    Ok(())
                }
                _ => value::wrong(value, Wanted::Caps),
            },
            // A slip in this one name must not allow everything.
            _ if ["path", "allow"].iter().any(|part| key.to_lowercase().contains(part)) => {
                return self.no_paths(at, Wrong::NearlyAllowedPaths { key: key.to_owned() });
            }
            _ => Err((at, Wrong::UnknownKey { key: key.to_owned() })),
        };
        if let Err((at, wrong)) = wrong {
            self.fault(at, wrong, false);
        }
    }

    fn no_paths(&mut self, at: Range<usize>, wrong: Wrong) {
        self.fault(at, wrong, true);
        self.read.project.allowed_paths = AllowedPaths::none();
    }

    fn cap(&mut self, key: &str, at: Range<usize>, value: &Spanned<'_>) {
        let caps = &mut self.read.project.caps;
        let wrong = match key {
            "steps" => value::whole(value).map(|steps| caps.steps = Some(u32::try_from(steps).unwrap_or(u32::MAX))),
            "tokens" => value::whole(value).map(|tokens| caps.tokens = Some(tokens)),
            "seconds" => value::seconds(value).map(|active_ms| caps.active_ms = Some(active_ms)),
            "cost_usd" => value::dollars(value).map(|cost| caps.cost_microusd = Some(cost)),
            _ => Err((at, Wrong::UnknownCap { key: key.to_owned() })),
        };
        if let Err((at, wrong)) = wrong {
            self.fault(at, wrong, false);
        }
    }
}

#[cfg(test)]
mod tests;
