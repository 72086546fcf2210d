//! Tokens of the REST API. The table knows hashes only; making and checking a token's text is the caller's.

use std::time::Duration;

use domain::TokenScope;
use serde::Serialize;
use time::OffsetDateTime;

use crate::error::parse;
use crate::{Db, StoreError};

/// How exact [`Token::last_used_at`] is: a token in use costs one write in this time.
pub const TOUCH_EVERY: Duration = Duration::from_secs(300);

/// A token to be written down.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    /// The public part of its text: 12 hexadecimal digits.
    pub token_id: &'a str,
    /// Whose it is, for people; one token in force has it.
    pub name: &'a str,
    /// SHA-256 of the secret part.
    pub hash: [u8; 32],
    /// What it may be used for.
    pub scopes: &'a [TokenScope],
    /// How long it is good for; `None` = until it is revoked.
    pub lifetime: Option<Duration>,
}

/// A token as lists show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Token {
    /// The public part of its text.
    pub token_id: String,
    /// Whose it is.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<TokenScope>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was last used, to within [`TOUCH_EVERY`].
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
    /// Whether it opens anything now, by the database's clock.
    pub in_force: bool,
}

/// What a token's text is checked against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// SHA-256 of the secret part.
    pub hash: Vec<u8>,
    /// What it may be used for.
    pub scopes: Vec<TokenScope>,
    /// Whether it was revoked or its time is over.
    pub ended: bool,
    /// Whether [`touch`] is due.
    pub touch: bool,
}

/// Writes a token down.
///
/// # Errors
/// [`StoreError::Refused`] when a token in force has this name.
pub async fn create(db: &Db, token: NewToken<'_>) -> Result<Token, StoreError> {
    let scopes: Vec<String> = token.scopes.iter().map(ToString::to_string).collect();
    let written = sqlx::query!(
        "insert into api_tokens (token_id, name, hash, scopes, expires_at)
         values ($1, $2, $3, $4, now() + make_interval(secs => $5))
         returning created_at, expires_at",
        token.token_id,
        token.name,
        token.hash.as_slice(),
        &scopes,
        token.lifetime.map(|lifetime| lifetime.as_secs_f64()),
    )
    .fetch_one(&db.pool)
    .await
    .map_err(|error| match StoreError::from(error) {
        StoreError::Duplicate => {
            StoreError::Refused(format!("a token named {:?} is in force: revoke it first, or choose another name", token.name))
        }
        other => other,
    })?;
    Ok(Token {
        token_id: token.token_id.to_owned(),
        name: token.name.to_owned(),
        scopes: token.scopes.to_vec(),
        created_at: written.created_at,
        expires_at: written.expires_at,
        last_used_at: None,
        revoked_at: None,
        in_force: true,
    })
}

/// What the token `token_id` is checked against; `None` = there never was one.
///
/// # Errors
/// Those of the database.
pub async fn find(db: &Db, token_id: &str) -> Result<Option<Credential>, StoreError> {
    let row = sqlx::query!(
        r#"select hash, scopes, (revoked_at is not null or coalesce(expires_at <= now(), false)) as "ended!",
                  coalesce(last_used_at < now() - make_interval(secs => $2), true) as "touch!"
           from api_tokens
           where token_id = $1"#,
        token_id,
        TOUCH_EVERY.as_secs_f64(),
    )
    .fetch_optional(&db.pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Credential { hash: row.hash, scopes: scopes(&row.scopes)?, ended: row.ended, touch: row.touch }))
}

/// Notes that a token was used, unless that was noted a short time ago.
///
/// # Errors
/// Those of the database.
pub async fn touch(db: &Db, token_id: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update api_tokens set last_used_at = now()
         where token_id = $1 and coalesce(last_used_at < now() - make_interval(secs => $2), true)",
        token_id,
        TOUCH_EVERY.as_secs_f64(),
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Ends a token, named by its id or by its name; from the next request on it opens nothing. Returns its id.
///
/// # Errors
/// [`StoreError::Refused`] when no token in force is named so.
pub async fn revoke(db: &Db, text: &str) -> Result<String, StoreError> {
    let revoked = sqlx::query_scalar!(
        "update api_tokens set revoked_at = now()
         where revoked_at is null and token_id = coalesce(
             (select token_id from api_tokens where token_id = $1),
             (select token_id from api_tokens where name = $1 and revoked_at is null))
         returning token_id",
        text,
    );
    let none = || StoreError::Refused(format!("no token {text:?} is in force: `codeteam token list` shows them"));
    revoked.fetch_optional(&db.pool).await?.ok_or_else(none)
}

/// Every token there ever was, the newest first.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db) -> Result<Vec<Token>, StoreError> {
    let rows = sqlx::query!(
        r#"select token_id, name, scopes, created_at, expires_at, last_used_at, revoked_at,
                  (revoked_at is null and coalesce(expires_at > now(), true)) as "in_force!"
           from api_tokens
           order by created_at desc, token_id"#
    );
    let rows = rows.fetch_all(&db.pool).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Token {
                token_id: row.token_id,
                name: row.name,
                scopes: scopes(&row.scopes)?,
                created_at: row.created_at,
                expires_at: row.expires_at,
                last_used_at: row.last_used_at,
                revoked_at: row.revoked_at,
                in_force: row.in_force,
            })
        })
        .collect()
}

fn scopes(texts: &[String]) -> Result<Vec<TokenScope>, StoreError> {
    texts.iter().map(|text| parse("api_tokens.scopes", text)).collect()
}
