//! What happens to root, where a process is started as it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::Path;

use anyhow::{Context, bail};
use process::spawner::{self, User, Work};
use rustix::process::geteuid;

use crate::{Environment, settings};

/// The user that a service becomes where nobody names one and there is none of the name `codeteam`: below the slots' users, and
/// given out by no system either.
const SERVICE_UID: u32 = 63_487;
/// The name that is looked for first.
const SERVICE_NAME: &str = "codeteam";

/// Whether a process needs root after its spawner has started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Root {
    /// Services: they become a user of their own, unless `CODETEAM_USER` says `root`.
    GivenUp,
    /// What a person starts to work on files of their own: it stays who it is, unless `CODETEAM_USER` names somebody.
    Kept,
}

/// The work that a process has done as users of its slots, where it has none: see [`spawner::Work`].
pub(crate) fn no_work(work: &str, _input: &[u8]) -> Result<Vec<u8>, String> {
    Err(format!("no work {work:?}"))
}

/// Is the spawner where this process was started as one; closes this process to others of its user. The first thing of all.
pub fn first(work: Work) {
    spawner::serve_if_asked(work);
    process::sandbox::protect_this_process();
}

/// Where this process was started as root: starts its spawner, and gives root up. Before a secret is loaded.
///
/// # Errors
/// What is to be set up otherwise; then the program must not go on.
pub fn begin(root: Root) -> anyhow::Result<()> {
    if !geteuid().is_root() {
        return match Environment::of_process().text(spawner::INHERITED) {
            Some(_) => spawner::adopt().context("cannot reach the spawner of sandboxed commands that this process was given"),
            None => Ok(()),
        };
    }
    let user = user(root)?;
    if let Some(user) = user {
        prepare_folders(user)?;
    }
    let started = spawner::begin(user).context("cannot start the spawner of sandboxed commands and give root up")?;
    if let (false, Some(user)) = (started, user) {
        bail!(
            "root cannot be given up for user {}: this container withholds capabilities; it needs SETUID, SETGID, KILL and CHOWN, or \
             CODETEAM_USER=root to stay as it is",
            user.uid
        );
    }
    Ok(())
}

/// Whether this process is root's, now.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Makes the folders of a service that are not there yet, so that they belong to the user that it becomes.
///
/// # Errors
/// When one is another's.
pub fn prepare_service_folders() -> anyhow::Result<()> {
    match geteuid().is_root().then(|| user(Root::GivenUp)).transpose()?.flatten() {
        Some(user) => prepare_folders(user),
        None => Ok(()),
    }
}

/// Gives `file`, which this process has just made, to the user that services become: where root writes down what they read. Nothing
/// for anybody else, whose services run as they do.
///
/// # Errors
/// When it cannot be given away, or `CODETEAM_USER` names nobody.
pub fn give_to_service(file: &Path) -> anyhow::Result<()> {
    match geteuid().is_root().then(|| user(Root::GivenUp)).transpose()?.flatten() {
        Some(user) => lchown(file, Some(user.uid), Some(user.gid))
            .with_context(|| format!("cannot give {} to user {}, who is to read it", file.display(), user.uid)),
        None => Ok(()),
    }
}

/// Whom this process becomes; `None` = it stays root.
fn user(root: Root) -> anyhow::Result<Option<User>> {
    let environment = Environment::of_process();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(environment.text("CODETEAM_USER"), root, &users)
}

fn named(name: Option<&str>, root: Root, users: &str) -> anyhow::Result<Option<User>> {
    let numbered = |uid: u32| User { uid, gid: find(users, &uid.to_string()).map_or(uid, |user| user.gid) };
    match (name, root) {
        (None, Root::Kept) | (Some("root" | "0"), _) => Ok(None),
        (None, Root::GivenUp) => Ok(Some(find(users, SERVICE_NAME).unwrap_or_else(|| numbered(SERVICE_UID)))),
        (Some(name), _) => match (find(users, name), name.parse()) {
            (Some(user), _) => Ok(Some(user)),
            (None, Ok(uid)) => Ok(Some(numbered(uid))),
            (None, Err(_)) => bail!("CODETEAM_USER is {name:?}: there is no such user on this machine; name one, a number, or root"),
        },
    }
}

/// The user of this name or number in the text of a passwd(5) file.
fn find(users: &str, name: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [user, _, uid, gid, ..] if user == name || uid == name => Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? }),
            _ => None,
        }
    })
}

/// A folder that is missing is made and given away; what is there already is nobody's to give: a path can lead anywhere.
fn prepare_folders(user: User) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let (state, cache) = settings::folders(|name| environment.text(name).map(str::to_owned), true);
    for folder in [state, cache] {
        prepare_folder(&folder, user)?;
    }
    Ok(())
}

fn prepare_folder(folder: &Path, user: User) -> anyhow::Result<()> {
    let shown = folder.display();
    if let Ok(status) = folder.metadata() {
        if status.uid() != user.uid {
            bail!(
                "{shown} belongs to user {}, and this service gives root up for user {}: `chown -R {}:{} {shown}`, or set CODETEAM_USER \
                 (root = as it was before)",
                status.uid(),
                user.uid,
                user.uid,
                user.gid
            );
        }
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    // The users of slots pass through, and see nothing else in it.
    let made = DirBuilder::new().mode(0o711).create(folder).and_then(|()| lchown(folder, Some(user.uid), Some(user.gid)));
    made.with_context(|| format!("cannot create {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\ncodeteam:x:990:991::/:/bin/sh\nother:x:1000:1001::/:/bin/sh\n";

    #[test]
    fn services_give_root_up_and_what_a_person_starts_keeps_it_unless_somebody_is_named() {
        let codeteam = Some(User { uid: 990, gid: 991 });
        let cases = [
            (None, Root::GivenUp, codeteam),
            (None, Root::Kept, None),
            (Some("root"), Root::GivenUp, None),
            (Some("other"), Root::Kept, Some(User { uid: 1000, gid: 1001 })),
            (Some("1000"), Root::GivenUp, Some(User { uid: 1000, gid: 1001 })),
            (Some("4711"), Root::GivenUp, Some(User { uid: 4711, gid: 4711 })),
        ];
        for (name, root, expected) in cases {
            assert_eq!(named(name, root, USERS).unwrap(), expected, "{name:?} {root:?}");
        }
        assert_eq!(named(None, Root::GivenUp, "").unwrap(), Some(User { uid: SERVICE_UID, gid: SERVICE_UID }));
        let error = named(Some("nobody-here"), Root::GivenUp, USERS).unwrap_err();
        assert!(error.to_string().contains("nobody-here"), "{error}");
    }
}
