//! The walls around the tools of the jobs that this process works on, and whose workspace is whose.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use config::Networks;
use domain::project::{FILE, Network as Asked};
use process::Sandbox;
use process::sandbox::{Level, Machine, Network, Profile, Proxy, REGISTRIES, Slot, Slots, unreachable};

/// What tools run behind. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Walls {
    level: Level,
    readable: Arc<Vec<PathBuf>>,
    slots: Slots,
    networks: Arc<Networks>,
    /// The users that the checkouts of this process belong to.
    held: Arc<Mutex<HashMap<PathBuf, Slot>>>,
}

/// What the commands of a job may reach.
pub(crate) struct Given {
    /// Through which proxy its dependencies are fetched before it begins, if they are.
    pub fetches: Option<Proxy>,
    /// What its commands may reach themselves.
    pub network: Network,
    /// What the model is told about it.
    pub told: Option<String>,
    /// Whether that is less than what was asked for.
    pub is_refused: bool,
}

impl Default for Walls {
    /// The best walls of this machine; tools read the system and their workspace.
    fn default() -> Self {
        Self::new(Machine::this().level(), Vec::new())
    }
}

impl Walls {
    /// Walls of `level`, behind which `readable` may be read beside the system.
    pub fn new(level: Level, readable: Vec<PathBuf>) -> Self {
        Self { level, readable: Arc::new(readable), slots: Slots::default(), networks: Arc::default(), held: Arc::default() }
    }

    /// The same walls, with the networks that repositories may ask for.
    #[must_use]
    pub fn allowing(self, networks: Networks) -> Self {
        Self { networks: Arc::new(networks), ..self }
    }

    /// The network of a job whose repository asks for `asked`.
    pub(crate) fn network(&self, asked: Option<Asked>) -> Given {
        let wanted = asked.unwrap_or(self.networks.usual());
        let refused = |why: String| Given {
            fetches: None,
            network: Network::None,
            told: Some(format!("There is no network, not even on this machine: {why}.")),
            is_refused: true,
        };
        if !self.networks.allow(wanted) {
            return refused(format!("{FILE} asks for {wanted}, which this installation does not allow (CODETEAM_NETWORK)"));
        }
        let hosts = REGISTRIES.iter().copied().chain(self.networks.hosts.iter().map(String::as_str));
        let network = match wanted {
            Asked::None => return Given { fetches: None, network: Network::None, told: None, is_refused: false },
            Asked::Loopback => Network::Loopback,
            Asked::Fetch => match Proxy::new(hosts) {
                Ok(proxy) => Network::Fetch(proxy),
                Err(error) => return refused(error),
            },
        };
        if let Some(objection) = network.objection(self.level, Machine::this()) {
            return refused(format!("{wanted} cannot be enforced on this machine: {objection}"));
        }
        match network {
            Network::Fetch(proxy) => {
                let told = "Dependencies were fetched before you began, as far as that was possible; commands have no network.".to_owned();
                Given { fetches: Some(proxy), network: Network::None, told: Some(told), is_refused: false }
            }
            network => {
                let told = "Commands can listen on 127.0.0.1 and ::1, and connect to their own listeners: on ports that the system chooses \
                            (port 0) and on those that $CODETEAM_PORTS names; there is no other network.";
                Given { fetches: None, network, told: Some(told.to_owned()), is_refused: false }
            }
        }
    }

    /// Whether the checkout in `folder`, which lies there from before, can be used again: where workspaces have
    /// users of their own it must belong to one that is ours or free.
    pub(crate) fn stand(&self, folder: &Path, workspace: &Path) -> Result<bool> {
        if !self.level.has_own_user() || self.held().contains_key(folder) {
            return Ok(true);
        }
        let slot = self.slots.take_owner_of(workspace)?;
        let found = slot.is_some();
        self.held().extend(slot.map(|slot| (folder.to_owned(), slot)));
        Ok(found)
    }

    /// Makes `folder`, which nobody but us can enter until the walls stand.
    pub(crate) fn close(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o700)))
            .with_context(|| format!("cannot create {}", folder.display()))
    }

    /// Gives what lies at `given` in `folder` to a user of its own, where there are such users, and lets that user
    /// pass through `folder`. Nobody untrusted could reach it before.
    pub(crate) fn raise(&self, folder: &Path, given: &[&Path]) -> Result<()> {
        if !self.level.has_own_user() {
            return Ok(());
        }
        if let Some(closed) = folder.parent().map(Path::to_owned).and_then(|parent| unreachable(&[parent]).pop()) {
            let (path, remedy) = (closed.path.display().to_string(), closed.remedy());
            bail!("the users of the sandbox cannot get to {path}: open the way with `{remedy}`, or set CODETEAM_STATE_DIR");
        }
        let slot = self.slots.take()?;
        for path in given {
            slot.give(path).with_context(|| format!("cannot give {} to the user {}", path.display(), slot.uid()))?;
        }
        let trusted = folder.join("trusted.git");
        fs::set_permissions(&trusted, Permissions::from_mode(0o700)).with_context(|| format!("cannot close {}", trusted.display()))?;
        fs::set_permissions(folder, Permissions::from_mode(0o711)).with_context(|| format!("cannot open {}", folder.display()))?;
        self.held().insert(folder.to_owned(), slot);
        Ok(())
    }

    /// The walls around the checkout in `folder`: it borrows from `lender` and may write `writable`.
    pub(crate) fn around(&self, folder: &Path, lender: PathBuf, writable: Vec<PathBuf>, network: Network) -> Result<Sandbox> {
        let slot = self.held().get(folder).cloned();
        if self.level.has_own_user() && slot.is_none() {
            bail!("the checkout {} has lost its user", folder.display());
        }
        let readable = self.readable.iter().cloned().chain([lender]).collect();
        Ok(Sandbox::new(Arc::new(Profile::new(readable, writable).reaching(network)), self.level, slot))
    }

    /// Gives the user of the checkout in `folder` back.
    pub(crate) fn fall(&self, folder: &Path) {
        self.held().remove(folder);
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Slot>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
