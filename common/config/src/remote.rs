//! Where a job's repository is, and what git shows there.

use dispatch::HandlerError;
use git::{Git, GitError, Mirror, Remote};
use github::{Access, Forge};
use tokio_util::sync::CancellationToken;

use crate::failure;

/// The remote of a job in a repository (the one that the job names, else the forge's, opened for `access`) and its mirror, which is up
/// to date. What the forge gave git to show is not used again once git was refused: it may have been revoked long before its end.
///
/// # Errors
/// Those of the forge, and of git.
pub async fn mirror(
    git: &Git,
    forge: &dyn Forge,
    (repository, named): (&str, Option<&str>),
    access: Access,
    cancel: &CancellationToken,
) -> Result<(Remote, Mirror), HandlerError> {
    let first = remote(forge, repository, named, access).await?;
    match git.mirror(&first, cancel).await {
        Err(GitError::Denied { .. }) if named.is_none() => forge.refused(repository, access).await,
        mirror => return Ok((first, mirror.map_err(failure::of_git)?)),
    }
    let second = remote(forge, repository, named, access).await?;
    let mirror = git.mirror(&second, cancel).await.map_err(failure::of_git)?;
    Ok((second, mirror))
}

/// The remote of a job in `repository`: the one that the job names, else the forge's, opened for `access`.
async fn remote(forge: &dyn Forge, repository: &str, named: Option<&str>, access: Access) -> Result<Remote, HandlerError> {
    if let Some(named) = named {
        return named.parse().map_err(failure::of_git);
    }
    let remote: Remote = forge.remote(repository).await.map_err(failure::of_forge)?.parse().map_err(failure::of_git)?;
    Ok(match forge.credential(repository, access).await.map_err(failure::of_forge)? {
        Some(credential) => remote.opened_by(&credential.user, &credential.password),
        None => remote,
    })
}
