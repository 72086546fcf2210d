//! Accounts: what they may do, and how commits name them.

use serde::Deserialize;

use crate::app::{Account, App, Repository, encoded};
use crate::{ForgeError, Permission, Person};

#[derive(Deserialize)]
struct Granted {
    #[serde(default)]
    permission: String,
    #[serde(default)]
    role_name: String,
}

/// What `login` may do. Whoever GitHub does not know may do nothing.
pub(super) async fn permission(repository: Repository<'_>, login: &str) -> Result<Permission, ForgeError> {
    let granted: Option<Granted> = repository.find(&format!("/collaborators/{}/permission", encoded(login))).await?;
    Ok(granted.map(|granted| granted.level()).unwrap_or_default())
}

impl Granted {
    /// The role says more than the old word for it, which knows neither triage nor maintain; but an organisation's own role is
    /// known by that word alone.
    fn level(&self) -> Permission {
        level(&self.role_name).or_else(|| level(&self.permission)).unwrap_or_default()
    }
}

fn level(word: &str) -> Option<Permission> {
    Some(match word {
        "none" => Permission::None,
        "read" | "pull" => Permission::Read,
        "triage" => Permission::Triage,
        "write" | "push" => Permission::Write,
        "maintain" => Permission::Maintain,
        "admin" => Permission::Admin,
        _ => return None,
    })
}

/// The App's own account.
pub(super) async fn author(app: &App) -> Result<Person, ForgeError> {
    let login = app.login().await?;
    let account =
        app.account(&login).await?.ok_or_else(|| ForgeError::NotFound(format!("GitHub knows no account {login:?} of the App's")))?;
    Ok(Person { email: app.site().no_reply(account.id, &account.login), name: account.login })
}

/// The account `login` by the name that it gives itself.
pub(super) async fn person(app: &App, login: &str) -> Result<Option<Person>, ForgeError> {
    let account = app.account(login).await?;
    Ok(account.map(|account| Person { email: app.site().no_reply(account.id, &account.login), name: name(&account) }))
}

/// A name that cannot end the line of a commit that it stands in, nor be taken for an address.
fn name(account: &Account) -> String {
    let told = account.name.as_deref().unwrap_or_default();
    let plain: String = told.chars().map(|char| if char.is_control() || "<>".contains(char) { ' ' } else { char }).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.is_empty() { account.login.clone() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_counts_and_where_it_is_an_organisations_own_the_old_word_does() {
        let level =
            |permission: &str, role_name: &str| Granted { permission: permission.to_owned(), role_name: role_name.to_owned() }.level();
        assert_eq!(level("write", "maintain"), Permission::Maintain);
        assert_eq!(level("read", "triage"), Permission::Triage);
        assert_eq!(level("write", "Release manager"), Permission::Write);
        assert_eq!(level("admin", ""), Permission::Admin);
        assert_eq!(level("", ""), Permission::None);
        assert_eq!(level("everything", "everything"), Permission::None);
    }

    #[test]
    fn a_name_cannot_add_a_line_or_an_address_to_a_commit() {
        let name = |told: Option<&str>| name(&Account { id: 1, login: "ada".into(), name: told.map(str::to_owned) });
        assert_eq!(name(Some("Ada\nSigned-off-by: Bob <b@x>")), "Ada Signed-off-by: Bob b@x");
        assert_eq!((name(Some(" \u{7} ")), name(None)), ("ada".to_owned(), "ada".to_owned()));
    }
}
