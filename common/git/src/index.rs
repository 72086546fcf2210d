//! Finds the entries of an index file that name commits of other repositories (gitlinks), and those of large files.
//!
//! The format is in gitformat-index(5). We read it ourselves, since a process for it would be a third
//! part of what a snapshot costs.

/// The mode of a gitlink.
const GITLINK: u32 = 0o160_000;

/// The bytes of an entry before its object id: times, device, inode, mode, owner, size.
const STATUS: usize = 40;

/// Where its size is among them.
const SIZE: usize = 36;

/// An entry that names a commit of another repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gitlink {
    /// From the root of the workspace; not necessarily UTF-8.
    pub(crate) path: Vec<u8>,
    /// The commit's id.
    pub(crate) id: String,
}

impl Gitlink {
    /// The line with which `git update-index -z --index-info` sets it.
    pub(crate) fn set(&self) -> Vec<u8> {
        line(&format!("160000 {}", self.id), &self.path)
    }

    /// The line with which it removes it.
    pub(crate) fn unset(&self) -> Vec<u8> {
        unset(&self.path, self.id.len())
    }
}

/// The line with which `git update-index -z --index-info` removes `path`; `id_length` in digits.
pub(crate) fn unset(path: &[u8], id_length: usize) -> Vec<u8> {
    line(&format!("0 {}", "0".repeat(id_length)), path)
}

/// What an index tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Entries {
    /// How many entries it has.
    pub(crate) count: u64,
    /// Those that name commits of other repositories.
    pub(crate) links: Vec<Gitlink>,
    /// The paths of files that are too large. git keeps 32 bits of a size: what is a little over 4 GiB passes, and is refused
    /// by whoever it is pushed to.
    pub(crate) large: Vec<Vec<u8>>,
}

fn line(head: &str, path: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\t", path, b"\0"].concat()
}

/// Reads an index of version 2 or 3 whose object ids have `id_bytes` bytes; `None` when it is not one.
pub(crate) fn entries(index: &[u8], id_bytes: usize, file_bytes: u64) -> Option<Entries> {
    let version = number(index, 4)?;
    if index.get(..4)? != b"DIRC" || !(2..=3).contains(&version) {
        return None;
    }
    let count = number(index, 8)?;
    let mut entries = Entries { count: count.into(), ..Entries::default() };
    let mut at = 12;
    for _ in 0..count {
        let mode = number(index, at + 24)?;
        let flags_at = at + STATUS + id_bytes;
        let flags = u16::from_be_bytes(index.get(flags_at..flags_at + 2)?.try_into().ok()?);
        let path_at = flags_at + if flags & 0x4000 == 0 { 2 } else { 4 };
        let length = index.get(path_at..)?.iter().position(|&byte| byte == 0)?;
        let path = || index[path_at..path_at + length].to_owned();
        if mode == GITLINK {
            let id = hex::encode(index.get(at + STATUS..flags_at)?);
            entries.links.push(Gitlink { path: path(), id });
        } else if u64::from(number(index, at + SIZE)?) > file_bytes {
            entries.large.push(path());
        }
        // An entry is padded with one to eight zero bytes to a multiple of eight.
        at += (path_at - at + length + 8) / 8 * 8;
    }
    Some(entries)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mode: u32, path: &str) -> Vec<u8> {
        let mut entry = vec![0; 24];
        entry.extend(mode.to_be_bytes());
        entry.extend([0; 12]);
        entry.extend([0xab; 20]);
        entry.extend((path.len() as u16).to_be_bytes());
        entry.extend(path.as_bytes());
        entry.resize((entry.len() + 8) / 8 * 8, 0);
        entry
    }

    fn index(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut index = b"DIRC\0\0\0\x02".to_vec();
        index.extend((entries.len() as u32).to_be_bytes());
        index.extend(entries.concat());
        index
    }

    #[test]
    fn gitlinks_are_found_between_files_of_any_name_length() {
        let names: Vec<String> = (1..20).map(|length| "x".repeat(length)).collect();
        let mut entries: Vec<Vec<u8>> = names.iter().map(|name| entry(0o100_644, name)).collect();
        entries.push(entry(GITLINK, "sub/module"));
        entries.push(entry(0o120_000, "tail"));
        let links = vec![Gitlink { path: b"sub/module".to_vec(), id: "ab".repeat(20) }];
        let expected = Entries { count: 21, links, large: Vec::new() };
        assert_eq!(super::entries(&index(&entries), 20, 100), Some(expected));
    }

    #[test]
    fn what_is_no_index_or_ends_early_is_told_from_one_without_gitlinks() {
        let whole = index(&[entry(0o100_644, "a")]);
        assert_eq!(entries(&whole, 20, 0), Some(Entries { count: 1, ..Entries::default() }));
        assert_eq!(entries(&whole[..40], 20, 0), None);
        assert_eq!(entries(b"DIRC\0\0\0\x04\0\0\0\0", 20, 0), None);
        assert_eq!(entries(b"", 20, 0), None);
    }
}
