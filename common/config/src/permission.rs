//! What the forge lets somebody do.

use dispatch::HandlerError;
use github::{Forge, ForgeError, Permission};

use crate::failure;

/// What `login` may do in `repository`. In one that the forge does not know, nobody may do anything.
///
/// # Errors
/// Those of the forge.
pub async fn permission(forge: &dyn Forge, repository: &str, login: &str) -> Result<Permission, HandlerError> {
    match forge.permission(repository, login).await {
        Ok(permission) => Ok(permission),
        Err(ForgeError::NotFound(_)) => Ok(Permission::None),
        Err(error) => Err(failure::of_forge(error)),
    }
}
