//! The user that a server runs as: ourselves, or another one when we are root, which PostgreSQL refuses.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use rustix::process::geteuid;

use super::PostgresError;
use crate::Command;

/// Who owns the server and its files.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// `None` = we ourselves.
    pub(crate) name: Option<String>,
    uid: u32,
    gid: u32,
}

impl Owner {
    /// Ourselves; as root `postgres` if there is one, else `nobody`.
    pub(crate) fn choose() -> Result<Self, PostgresError> {
        if !geteuid().is_root() {
            return Ok(Self { name: None, uid: geteuid().as_raw(), gid: rustix::process::getegid().as_raw() });
        }
        let users = Path::new("/etc/passwd");
        let users = fs::read_to_string(users).map_err(PostgresError::io("read", users))?;
        ["postgres", "nobody"].iter().find_map(|name| find(&users, name)).ok_or(PostgresError::NoUser)
    }

    /// Gives a file or folder to this user.
    pub(crate) fn give(&self, path: &Path) -> Result<(), PostgresError> {
        match self.name {
            Some(_) => chown(path, Some(self.uid), Some(self.gid)).map_err(PostgresError::io("change the owner of", path)),
            None => Ok(()),
        }
    }

    /// Makes `command` run as this user.
    pub(crate) fn runs(&self, command: Command) -> Command {
        match self.name {
            Some(_) => command.user(self.uid, self.gid),
            None => command,
        }
    }

    /// Refuses a path that this user cannot walk to. We walk as root, who may go everywhere.
    pub(crate) fn must_reach(&self, path: &Path) -> Result<(), PostgresError> {
        let Some(name) = &self.name else { return Ok(()) };
        for folder in path.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
            let status = folder.metadata().map_err(PostgresError::io("look at", folder))?;
            let bit = if status.uid() == self.uid {
                0o100
            } else if status.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            if status.permissions().mode() & bit == 0 {
                return Err(PostgresError::Unreachable { user: name.clone(), folder: folder.to_owned() });
            }
        }
        Ok(())
    }
}

/// The user `name` in the text of a passwd(5) file.
fn find(users: &str, name: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [user, _, uid, gid, ..] if user == name => {
                Some(Owner { name: Some(name.to_owned()), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:1:1::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        let owner = find(users, "postgres").unwrap();
        assert_eq!((owner.name.as_deref(), owner.uid, owner.gid), (Some("postgres"), 101, 104));
        assert!(find(users, "nobody").is_none());
    }
}
