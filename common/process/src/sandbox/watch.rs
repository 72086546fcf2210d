//! Looks at what a command uses of memory and disk, and says when it is too much.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::census::Members;
use super::usage::{disk_bytes, disk_is_nearly_full};
use super::{Profile, Sandbox, Slot};
use crate::spawner;

/// How often memory and the free space of the disk are looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// Looking through the folders may take one part in so many of the time.
const SHARE: u32 = 10;

/// What a command was killed for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Excess {
    /// Its processes had more memory than this together.
    Memory {
        /// The most that they may have.
        limit_bytes: u64,
    },
    /// Its folders held more than this together.
    Disk {
        /// The most that they may hold.
        limit_bytes: u64,
    },
    /// While it ran so little of the disk was left that everything else was at risk.
    DiskNearlyFull,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        match self {
            Self::Memory { limit_bytes } => {
                write!(f, "it used more than {:.1} GiB of memory, all its processes together", gib(*limit_bytes))
            }
            Self::Disk { limit_bytes } => write!(f, "the workspace and its home grew beyond {:.1} GiB", gib(*limit_bytes)),
            Self::DiskNearlyFull => f.write_str("the disk was nearly full"),
        }
    }
}

/// Somebody who looks.
pub(crate) struct Watch {
    profile: Arc<Profile>,
    slot: Option<Slot>,
    members: Members,
}

impl Watch {
    pub(crate) fn new(sandbox: &Sandbox, members: Members) -> Self {
        Self { profile: Arc::clone(&sandbox.profile), slot: sandbox.slot.clone(), members }
    }

    /// Waits until the command has used too much. A command that ends within a quarter of a second is never
    /// looked at.
    pub(crate) async fn excess(&self) -> Excess {
        let mut next_walk = Instant::now();
        loop {
            sleep(INTERVAL).await;
            let walk = Instant::now() >= next_walk;
            let (profile, slot, members) = (Arc::clone(&self.profile), self.slot.clone(), self.members.clone());
            let started = Instant::now();
            let looked = tokio::task::spawn_blocking(move || look(&profile, slot.as_ref(), &members, walk)).await;
            if let Ok(Some(excess)) = looked {
                return excess;
            }
            if walk {
                next_walk = Instant::now() + started.elapsed() * SHARE;
            }
        }
    }
}

fn look(profile: &Profile, slot: Option<&Slot>, members: &Members, walk: bool) -> Option<Excess> {
    if members.memory_bytes() > profile.memory_bytes {
        return Some(Excess::Memory { limit_bytes: profile.memory_bytes });
    }
    // What is open and has no name any more is in no folder, but it is missing here.
    if profile.write.iter().any(|folder| disk_is_nearly_full(folder)) {
        return Some(Excess::DiskNearlyFull);
    }
    let used = || match slot.filter(|slot| slot.is_with_spawner()) {
        Some(slot) => spawner::disk_bytes(slot.uid(), &profile.write),
        None => disk_bytes(&profile.write),
    };
    let too_much = walk && used().is_none_or(|used| used > profile.disk_bytes);
    too_much.then_some(Excess::Disk { limit_bytes: profile.disk_bytes })
}
