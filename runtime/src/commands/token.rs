//! `codeteam token create`, `list` and `revoke`.

use std::time::Duration;

use config::Services;
use domain::TokenScope;
use serde_json::json;
use store::tokens::{self, NewToken};
use time::OffsetDateTime;

use crate::cli::Token;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, table};
use crate::tokens::ApiToken;

const DAY: Duration = Duration::from_secs(86_400);
const MOST_NAME_CHARS: usize = 100;

/// Makes, lists or revokes.
pub(crate) async fn run(command: Token, json: bool, services: &Services) -> Outcome {
    match command {
        Token::Create { name, scopes, expires_days } => create(&name, scopes, expires_days, json, services).await,
        Token::List => list(json, services).await,
        Token::Revoke { token } => revoke(&token, json, services).await,
    }
}

async fn create(name: &str, mut scopes: Vec<TokenScope>, expires_days: Option<u32>, json: bool, services: &Services) -> Outcome {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MOST_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(Failure::Usage(format!("--name is {name:?}: expected one line of at most {MOST_NAME_CHARS} characters")));
    }
    scopes.sort_unstable();
    scopes.dedup();
    let db = services.db().await?;
    let token = ApiToken::generate();
    let lifetime = expires_days.map(|days| DAY * days);
    let written = tokens::create(&db, NewToken { token_id: &token.id, name, hash: token.hash(), scopes: &scopes, lifetime }).await?;
    let text = token.text();
    if !json {
        let end = written.expires_at.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {}", date(at)));
        screen::progress(&format!("token {} of {name:?} is good for {}, {end}; it is not shown again:", token.id, listed(&scopes)));
    }
    let all =
        json!({ "token_id": token.id, "name": name, "scopes": scopes, "expires_at": rfc3339(written.expires_at), "token": text.expose() });
    screen::data(json, &all, || text.expose().to_owned())?;
    Ok(())
}

async fn list(json: bool, services: &Services) -> Outcome {
    let all = tokens::list(&services.db().await?).await?;
    if json {
        for token in &all {
            screen::data(true, token, String::new)?;
        }
        return Ok(());
    }
    if all.is_empty() {
        screen::progress("no tokens yet: `codeteam token create --name me --scope admin` makes one");
        return Ok(());
    }
    let or_never = |at: Option<OffsetDateTime>| at.map_or_else(|| "never".to_owned(), date);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|token| {
            let state = match (token.revoked_at, token.in_force) {
                (Some(_), _) => "revoked",
                (None, true) => "in force",
                (None, false) => "expired",
            };
            vec![
                token.token_id.clone(),
                token.name.clone(),
                state.to_owned(),
                or_never(token.expires_at),
                or_never(token.last_used_at),
                listed(&token.scopes),
            ]
        })
        .collect();
    screen::data(false, &(), || table(&["TOKEN", "NAME", "STATE", "EXPIRES", "LAST USED", "SCOPES"], &rows))?;
    Ok(())
}

async fn revoke(token: &str, json: bool, services: &Services) -> Outcome {
    let token_id = tokens::revoke(&services.db().await?, token).await?;
    screen::data(json, &json!({ "token_id": token_id, "revoked": true }), || format!("token {token_id} opens nothing any more"))?;
    Ok(())
}

fn listed(scopes: &[TokenScope]) -> String {
    scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn date(at: OffsetDateTime) -> String {
    at.date().to_string()
}

fn rfc3339(at: Option<OffsetDateTime>) -> Option<String> {
    at.and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
}
