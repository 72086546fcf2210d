//! What only one process of many does: a row with an end says which.

use std::time::Duration;

use domain::OwnerId;

use crate::{Db, StoreError};

/// Makes `owner` the leader in `role` for `term` from the database's clock, if it is that already or nobody is.
/// `false` = somebody else leads.
///
/// # Errors
/// Those of the database.
pub async fn lead(db: &Db, role: &str, owner: OwnerId, term: Duration) -> Result<bool, StoreError> {
    let led = sqlx::query!(
        "insert into leaders (role, owner, until)
         values ($1, $2, now() + make_interval(secs => $3))
         on conflict (role) do update set owner = excluded.owner, until = excluded.until
         where leaders.owner = excluded.owner or leaders.until <= now()",
        role,
        owner.0,
        term.as_secs_f64(),
    );
    Ok(led.execute(&db.pool).await?.rows_affected() == 1)
}

/// Lets another process lead at once.
///
/// # Errors
/// Those of the database.
pub async fn resign(db: &Db, role: &str, owner: OwnerId) -> Result<(), StoreError> {
    sqlx::query!("delete from leaders where role = $1 and owner = $2", role, owner.0).execute(&db.pool).await?;
    Ok(())
}
