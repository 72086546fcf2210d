//! Roles: who migrates owns the tables; the application and those who read get what they need and no more.

use domain::Secret;
use percent_encoding::percent_decode_str;
use postgres_protocol::password::scram_sha_256;
use sqlx::postgres::PgQueryResult;
use url::Url;

use crate::{Db, StoreError};

/// A role as which the services log in, as `DATABASE_APP_URL` names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// The role.
    pub role: String,
    /// Its password; `None` = it shows tokens of AWS's IAM.
    pub password: Option<Secret>,
    /// The database in which it works.
    pub database: String,
}

impl Login {
    /// The one that `url` names. What it leaves out is not made up for by variables or files, as it would be for a session.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with what is missing; nothing of the URL is part of the text.
    pub fn of(url: &Secret) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::Refused(format!("DATABASE_APP_URL {why}: expected postgres://user:password@host/database"));
        let url = Url::parse(url.expose()).map_err(|_| refused("is no URL"))?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| refused("is no UTF-8"));
        let parameter = |name: &str| url.query_pairs().filter(|(known, _)| known == name).last().map(|(_, value)| value.into_owned());
        let part = |name: &str, text: &str| {
            let said = parameter(name).map_or_else(|| decoded(text), Ok)?;
            Ok::<_, StoreError>(Some(said).filter(|said| !said.is_empty()))
        };
        Ok(Self {
            role: part("user", url.username())?.ok_or_else(|| refused("names no user"))?,
            password: part("password", url.password().unwrap_or_default())?.map(Secret::new),
            database: part("dbname", url.path().trim_start_matches('/'))?.ok_or_else(|| refused("names no database"))?,
        })
    }
}

/// Makes the role that `login` names, and changes the one that is there: from now on it logs in with that password, or without one
/// with tokens of AWS's IAM alone. Sessions that are open stay. It gets nothing else: that is [`grant`]'s.
///
/// The password stays here. The server gets what it would keep of it anyway
/// (<https://www.postgresql.org/docs/current/catalog-pg-authid.html>), so that it stands in no log.
///
/// # Errors
/// [`StoreError::Refused`] for another database, for a role from which nothing can be kept, where the server knows no IAM, and to a
/// caller who may make no roles; or those of the database.
pub async fn make_login(db: &Db, login: &Login) -> Result<(), StoreError> {
    let verifier = login.password.as_ref().map(|password| scram_sha_256(password.expose().as_bytes()));
    said(sqlx::query!("select make_login($1, $2, $3)", login.role, verifier, login.database).execute(&db.pool).await)
}

/// Gives the roles `apps` what the product needs (steps, events, ledger and anchors only grow for them) and the roles
/// `readers` what people who look need; and again to all that have it already, for tables that came since. The caller
/// must own the tables.
///
/// # Errors
/// [`StoreError::Refused`] for a role that does not exist or from which nothing can be kept, and to a caller who may not
/// grant; or those of the database.
pub async fn grant(db: &Db, apps: &[String], readers: &[String]) -> Result<(), StoreError> {
    said(sqlx::query!("select grant_roles($1, $2)", apps, readers).execute(&db.pool).await)
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

/// What our functions refuse, and PostgreSQL within them, in their words.
fn said(done: Result<PgQueryResult, sqlx::Error>) -> Result<(), StoreError> {
    // undefined_object, invalid_grant_operation, insufficient_privilege, invalid_catalog_name, reserved_name
    const REFUSALS: [&str; 5] = ["42704", "0LP01", "42501", "3D000", "42939"];
    match done {
        Err(sqlx::Error::Database(error)) if REFUSALS.contains(&error.code().as_deref().unwrap_or_default()) => {
            Err(StoreError::Refused(error.message().to_owned()))
        }
        done => Ok(done.map(drop)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str) -> Result<Login, String> {
        Login::of(&Secret::new(url)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_says_who_logs_in_where_and_with_what() {
        let expected = |role: &str, password: Option<&str>, database: &str| {
            Ok(Login { role: role.into(), password: password.map(Secret::new), database: database.into() })
        };
        let plain = format!("postgres://codeteam_app:{}@db.example:5432/codeteam?sslmode=verify-full", "s%40cret");
        assert_eq!(login(&plain), expected("codeteam_app", Some("s@cret"), "codeteam"));
        assert_eq!(login("postgres://app@db.example/codeteam?sslmode=verify-full"), expected("app", None, "codeteam"));
        assert_eq!(login("postgres://app:@db.example/codeteam"), expected("app", None, "codeteam"));
        let parameters = "postgres:///?host=/run/db&user=app&password=s%26cret&dbname=code%20team";
        assert_eq!(login(parameters), expected("app", Some("s&cret"), "code team"));
    }

    #[test]
    fn a_url_that_leaves_out_who_or_where_is_refused_without_a_word_of_it() {
        let refused = |why: &str| Err(format!("DATABASE_APP_URL {why}: expected postgres://user:password@host/database"));
        assert_eq!(login("codeteam_app hunter2"), refused("is no URL"));
        assert_eq!(login("postgres://db.example/codeteam?password=hunter2"), refused("names no user"));
        assert_eq!(login("postgres://app:hunter2@db.example"), refused("names no database"));
        assert_eq!(login(&format!("postgres://app:{}@db.example/codeteam", "%ff")), refused("is no UTF-8"));
    }

    #[test]
    fn who_logs_in_prints_no_password() {
        assert!(!format!("{:?}", login("postgres://app:hunter2@h/d")).contains("hunter2"));
    }
}
