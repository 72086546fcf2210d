//! Clones, the trusted GIT_DIR, trees, checkpoints and pushes: everything that this project does with git.
//!
//! A job works in a [`Checkout`]: a workspace that untrusted code may do anything to, and beside it a
//! GIT_DIR that only we write. Trees are built, compared, committed and pushed with the trusted one.
//! The `.git` inside the workspace is a copy for the agent's own `git diff` and `git log`; nothing that
//! runs here ever reads it, so what is planted in it (hooks, filters, `core.fsmonitor`, `core.worktree`)
//! never runs.
//!
//! Remotes are fetched into one bare [`Mirror`] each, shared by all checkouts, which borrow its objects.
//! A mirror is never garbage-collected while a checkout may borrow from it. Mirrors of remotes elsewhere are partial: the
//! contents of files come when a commit is checked out, those of older commits stay where they are.
//!
//! Every git runs with a built environment: no system, user or other configuration, no hooks, no prompts,
//! no submodules, no protocol but that of the remote at hand, and with a deadline. Each function says how
//! many processes it starts; one takes 2 to 5 ms.
//!
//! What is deliberately absent: smudge and clean filters (a repository with Git LFS is seen as its
//! pointers), submodules (their entries are kept as they are), and `--force`.
//!
//! How large a repository may be is said by [`RepositoryLimits`].

mod changed;
mod checkout;
mod checkpoint;
mod conflicts;
mod diff;
mod error;
mod git;
mod id;
mod index;
mod keep;
mod layout;
mod limits;
mod listing;
mod mirror;
mod push;
mod remote;

pub use changed::Changed;
pub use checkout::{Checkout, Snapshot};
pub use checkpoint::Checkpoint;
pub use diff::DiffStat;
pub use error::GitError;
pub use git::{Git, GitOptions};
pub use id::{CommitId, Identity, TreeId};
pub use keep::Kept;
pub use limits::{Limit, RepositoryLimits};
pub use listing::CommittedFile;
pub use mirror::Mirror;
pub use remote::Remote;
