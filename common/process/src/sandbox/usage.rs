//! How much memory and disk there is, and how much is used.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Three quarters of the memory that this process may use: of the machine's, or of its container's.
pub(super) fn most_memory() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kib(&text, "MemTotal:")).unwrap_or(8 << 30);
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = container.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok()).min().unwrap_or(u64::MAX);
    machine.min(container) / 4 * 3
}

/// The bytes that a line such as `VmRSS:   123 kB` names.
pub(super) fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// What the files below `folders` take up. `None` when it cannot be found out, which no honest program brings
/// about: paths that are too long to be opened.
pub(super) fn disk_bytes(folders: &[PathBuf]) -> Option<u64> {
    let mut linked = HashSet::new();
    let mut left: Vec<PathBuf> = folders.to_vec();
    let mut bytes = 0;
    while let Some(folder) = left.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => return None,
            // It went meanwhile, or it is closed even to us: then its files were measured before it was closed.
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            let status = match entry.metadata() {
                Ok(status) => status,
                Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => return None,
                Err(_) => continue,
            };
            if status.is_dir() {
                left.push(entry.path());
            }
            if status.is_dir() || status.nlink() == 1 || linked.insert((status.dev(), status.ino())) {
                bytes += status.blocks() * 512;
            }
        }
    }
    Some(bytes)
}

/// Whether less than a fiftieth of the disk of `folder` is left for ordinary users, and less than 1 GiB; or less than a
/// fiftieth of the files that it can hold, where their number has an end.
pub(super) fn disk_is_nearly_full(folder: &Path) -> bool {
    let full = |left: u64, all: u64, enough: u64| left < (all / 50).min(enough);
    rustix::fs::statvfs(folder).is_ok_and(|disk| {
        full(disk.f_bavail, disk.f_blocks, (1 << 30) / disk.f_frsize.max(1)) || full(disk.f_favail, disk.f_files, u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_once_however_often_they_are_linked_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir_all(path.join("a/b")).unwrap();
        let empty = disk_bytes(&[path.to_owned()]).unwrap();
        fs::write(path.join("a/b/file"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(path.join("a/b/file"), path.join("same")).unwrap();
        std::os::unix::fs::symlink("/usr", path.join("usr")).unwrap();
        let used = disk_bytes(&[path.to_owned()]).unwrap() - empty;
        assert!((1 << 20..(1 << 20) + 65_536).contains(&used), "{used}");
    }

    #[test]
    fn amounts_of_the_kernel_are_read_in_bytes() {
        assert_eq!(kib("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 << 10));
        assert_eq!(kib("Name:\tx\n", "VmRSS:"), None);
        assert!(most_memory() > 64 << 20);
    }
}
