//! What an alarm does about money: work waits.

use domain::{AlarmAction, Scope};
use time::OffsetDateTime;

use super::{Held, note};
use crate::json::text;
use crate::{Db, StoreError};

/// Closes `scope` until `until`, as a budget that is used up does; `why` is shown wherever the gate is. One that is closed for
/// longer stays as it is. It opens again when somebody resumes the scope, or sets or removes its budget. `None` = somebody else has taken
/// the alarm up.
///
/// # Errors
/// Those of the database.
pub async fn close_gate(db: &Db, held: &Held, scope: &Scope, until: OffsetDateTime, why: &str) -> Result<Option<AlarmAction>, StoreError> {
    let mut tx = db.pool.begin().await?;
    let closed = sqlx::query!(
        "insert into gates (scope, reason, until, detail)
         values ($1, 'budget', $2, jsonb_build_object('alarm', $3::bigint, 'why', $4::text))
         on conflict (scope, reason) do update set until = excluded.until, detail = excluded.detail
         where gates.until < excluded.until",
        scope.to_string(),
        until,
        held.alarm_id,
        text(why),
    );
    closed.execute(&mut *tx).await?;
    let action = AlarmAction::ClosedGate { scope: scope.clone(), until };
    if !note(&mut tx, held, std::slice::from_ref(&action)).await? {
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(action))
}
