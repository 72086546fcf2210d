//! What of the system every command may read, and the toolchains that lie elsewhere.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Programs, libraries and what the kernel says of the machine.
pub(super) const READ: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/nix/store",
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
];

/// What programs look up in `/etc`. The rest of it can hold passwords of other software.
pub(super) const ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "debian_version",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "magic",
    "mailcap",
    "maven",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki",
    "profile",
    "profile.d",
    "protocols",
    "python3",
    "python3.11",
    "python3.12",
    "python3.13",
    "resolv.conf",
    "services",
    "shells",
    "ssl",
    "terminfo",
    "timezone",
];

/// Devices without a state that anybody shares.
pub(super) const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The folders that the programs of a search path need, beside the system's: the entries themselves, and the
/// rest of a toolchain that we know the layout of. A home folder as a whole is never among them.
pub fn toolchains(search_path: &OsStr) -> Vec<PathBuf> {
    let mut folders = BTreeSet::new();
    for entry in std::env::split_paths(search_path).filter(|entry| entry.is_absolute()) {
        folders.extend(rest_of_toolchain(&entry));
        folders.insert(entry);
    }
    folders.retain(|folder| !READ.iter().any(|known| folder.starts_with(known)) && folder.exists());
    folders.into_iter().collect()
}

/// Variables without which the toolchains of a search path do not find themselves, since a command has another
/// home than the person who installed them.
pub fn variables(search_path: &OsStr) -> Vec<(&'static str, PathBuf)> {
    let folders = toolchains(search_path);
    let rustup = folders.iter().find(|folder| folder.ends_with(".rustup")).map(|folder| ("RUSTUP_HOME", folder.clone()));
    rustup.into_iter().collect()
}

/// What belongs to the programs in `bin`.
fn rest_of_toolchain(bin: &Path) -> Option<PathBuf> {
    let parent = bin.parent()?;
    let name = |path: &Path| path.file_name().map(OsStr::to_owned).unwrap_or_default();
    let within = |folder: &str| bin.components().any(|part| part.as_os_str() == folder);
    if name(parent) == ".cargo" {
        // rustup's proxies start what lies here.
        return Some(parent.parent()?.join(".rustup"));
    }
    if [".pyenv", ".rbenv", ".volta", ".asdf", ".sdkman"].iter().any(|manager| name(parent) == *manager) {
        return Some(parent.to_owned());
    }
    // A version of Node, Rust, Python, Go or Java with its own folder, or a Python environment.
    let own = [".nvm", ".rustup", ".pyenv", ".sdkman", ".asdf", "toolchains"].iter().any(|manager| within(manager));
    let marked = ["pyvenv.cfg", "pkg/tool", "release"].iter().any(|mark| parent.join(mark).exists());
    (own || marked).then(|| parent.to_owned())
}

/// A folder that the users of the slots cannot get into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreachable {
    /// What cannot be reached.
    pub path: PathBuf,
    /// The folder on the way that is closed.
    pub closed: PathBuf,
}

impl Unreachable {
    /// The command that opens the way; it lets others pass through the folder and see nothing in it.
    pub fn remedy(&self) -> String {
        format!("chmod o+x {}", self.closed.display())
    }
}

/// Which of `paths` a user without any rights of its own cannot reach, because a folder on the way is closed
/// to others. Links are followed; what does not exist is passed over.
pub fn unreachable(paths: &[PathBuf]) -> Vec<Unreachable> {
    let closed = |path: &PathBuf| {
        let real = path.canonicalize().ok()?;
        let folders = real.ancestors().filter(|folder| folder.metadata().is_ok_and(|status| is_closed(&status)));
        Some(Unreachable { path: path.clone(), closed: folders.last()?.to_owned() })
    };
    paths.iter().filter_map(closed).collect()
}

fn is_closed(status: &std::fs::Metadata) -> bool {
    status.is_dir() && status.permissions().mode() & 0o001 == 0 && status.uid() < super::slot::FIRST_UID
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(root: &Path, name: &str) -> PathBuf {
        let path = root.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_toolchain_brings_what_its_programs_need_and_no_home_folder() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let (cargo, rustup) = (folder(home, ".cargo/bin"), folder(home, ".rustup"));
        let (node, local) = (folder(home, ".nvm/versions/node/v22/bin"), folder(home, ".local/bin"));
        let path = std::env::join_paths([&cargo, &node, &local, &PathBuf::from("/usr/bin"), &home.join("missing")]).unwrap();
        let expected = BTreeSet::from([cargo, rustup, node.parent().unwrap().to_owned(), node, local]);
        assert_eq!(toolchains(&path), expected.into_iter().collect::<Vec<_>>());
        assert_eq!(variables(&path), [("RUSTUP_HOME", home.join(".rustup"))]);
    }

    #[test]
    fn a_closed_folder_on_the_way_is_named_with_the_command_that_opens_it() {
        let root = tempfile::tempdir().unwrap();
        let inside = folder(root.path(), "bin");
        let closed = root.path().canonicalize().unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
        let found = unreachable(&[inside.clone(), PathBuf::from("/usr/bin"), PathBuf::from("/missing")]);
        assert_eq!(found, [Unreachable { path: inside.clone(), closed: closed.clone() }]);
        assert_eq!(found[0].remedy(), format!("chmod o+x {}", closed.display()));
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o711)).unwrap();
        assert_eq!(unreachable(&[inside]), []);
    }
}
