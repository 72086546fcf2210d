//! Where a job's repository is, and what git shows there.

use dispatch::HandlerError;
use git::Remote;
use github::{Access, Forge};

use crate::failure;

/// The remote of a job in `repository`: the one that the job names, else the forge's, opened for `access`.
///
/// # Errors
/// Those of the forge, and a remote that git does not know.
pub async fn remote(forge: &dyn Forge, repository: &str, named: Option<&str>, access: Access) -> Result<Remote, HandlerError> {
    if let Some(named) = named {
        return named.parse().map_err(failure::of_git);
    }
    let remote: Remote = forge.remote(repository).await.map_err(failure::of_forge)?.parse().map_err(failure::of_git)?;
    Ok(match forge.credential(repository, access).await.map_err(failure::of_forge)? {
        Some(credential) => remote.opened_by(&credential.user, &credential.password),
        None => remote,
    })
}
