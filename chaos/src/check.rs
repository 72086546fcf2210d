//! What must be true of a world when everything is quiet, whatever was done to it.

pub mod caps;
mod chains;
pub mod facts;
mod fences;
mod hub;
mod left;
mod lost;
mod once;
mod paid;
mod visible;

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::world::World;
use facts::Facts;

/// Something that must not be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What is wrong, with the ids in it.
    pub what: String,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// How many things each invariant was checked on.
    pub checked: BTreeMap<&'static str, u64>,
    /// What is wrong; empty = every invariant holds.
    pub violations: Vec<Violation>,
    /// How many jobs ended how.
    pub outcomes: BTreeMap<String, u64>,
    /// Why jobs did not succeed, in the words that the person who asked was told.
    pub causes: BTreeMap<String, u64>,
    /// Figures for people.
    pub notes: Vec<String>,
}

/// The ends that a run permits.
pub type Permitted = &'static [&'static str];

impl Verdict {
    fn see(&mut self, invariant: &'static str, things: usize) {
        *self.checked.entry(invariant).or_default() += things as u64;
    }

    fn fail(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.violations.push(Violation { invariant, what: what.into() });
    }

    fn require(&mut self, holds: bool, invariant: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(invariant, what());
        }
    }

    /// Takes another verdict in.
    pub fn add(&mut self, other: Self) {
        for (invariant, count) in other.checked {
            *self.checked.entry(invariant).or_default() += count;
        }
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        for (cause, count) in other.causes {
            *self.causes.entry(cause).or_default() += count;
        }
        self.violations.extend(other.violations);
        self.notes.extend(other.notes);
    }
}

/// Checks everything of a world whose jobs have ended and whose processes are gone.
///
/// # Errors
/// When the world cannot be looked at.
pub async fn check(world: &World, permitted: Permitted) -> Result<Verdict> {
    let facts = Facts::of(world).await?;
    let mut verdict = Verdict::default();
    lost::check(world, &facts, permitted, &mut verdict);
    once::check(&facts, &mut verdict);
    paid::check(world, &facts, &mut verdict);
    match &world.hub {
        Some(hub) => hub::check(world, hub, &facts, &mut verdict).await?,
        None => visible::check(world, &facts, &mut verdict).await?,
    }
    fences::check(&facts, &mut verdict);
    caps::check(&facts, &mut verdict);
    chains::check(world, &facts, &mut verdict).await?;
    left::check(world, &mut verdict).await?;
    Ok(verdict)
}
