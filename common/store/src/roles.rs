//! Roles: who migrates owns the tables; the application and those who read get what they need and no more.

use crate::{Db, StoreError};

/// Gives the roles `apps` what the product needs (steps, events, ledger and anchors only grow for them) and the roles
/// `readers` what people who look need; and again to all that have it already, for tables that came since. The caller
/// must own the tables.
///
/// # Errors
/// [`StoreError::Refused`] for a role that does not exist or from which nothing can be kept, and to a caller who may not
/// grant; or those of the database.
pub async fn grant(db: &Db, apps: &[String], readers: &[String]) -> Result<(), StoreError> {
    match sqlx::query!("select grant_roles($1, $2)", apps, readers).execute(&db.pool).await {
        // undefined_object, invalid_grant_operation, insufficient_privilege
        Err(sqlx::Error::Database(said)) if ["42704", "0LP01", "42501"].contains(&said.code().as_deref().unwrap_or_default()) => {
            Err(StoreError::Refused(said.message().to_owned()))
        }
        granted => Ok(granted.map(drop)?),
    }
}

/// Whether the role of this session could change or empty the ledger if its triggers were not there: it owns it, is a
/// superuser, or was granted too much.
///
/// # Errors
/// Those of the database.
pub async fn may_change_ledger(db: &Db) -> Result<bool, StoreError> {
    let may = sqlx::query_scalar!(r#"select has_table_privilege('ledger', 'update, delete, truncate') as "may!""#);
    Ok(may.fetch_one(&db.pool).await?)
}
