//! Finds the entries of an index file that name commits of other repositories (gitlinks).
//!
//! The format is in gitformat-index(5). We read it ourselves, since a process for it would be a third
//! part of what a snapshot costs.

/// The mode of a gitlink.
const GITLINK: u32 = 0o160_000;

/// The bytes of an entry before its object id: times, device, inode, mode, owner, size.
const STATUS: usize = 40;

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
        line(&format!("0 {}", "0".repeat(self.id.len())), &self.path)
    }
}

fn line(head: &str, path: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\t", path, b"\0"].concat()
}

/// The gitlinks of an index of version 2 or 3 whose object ids have `id_bytes` bytes; `None` when it is not one.
pub(crate) fn gitlinks(index: &[u8], id_bytes: usize) -> Option<Vec<Gitlink>> {
    let version = number(index, 4)?;
    if index.get(..4)? != b"DIRC" || !(2..=3).contains(&version) {
        return None;
    }
    let mut links = Vec::new();
    let mut at = 12;
    for _ in 0..number(index, 8)? {
        let mode = number(index, at + 24)?;
        let flags_at = at + STATUS + id_bytes;
        let flags = u16::from_be_bytes(index.get(flags_at..flags_at + 2)?.try_into().ok()?);
        let path_at = flags_at + if flags & 0x4000 == 0 { 2 } else { 4 };
        let length = index.get(path_at..)?.iter().position(|&byte| byte == 0)?;
        if mode == GITLINK {
            let id = hex::encode(index.get(at + STATUS..flags_at)?);
            links.push(Gitlink { path: index[path_at..path_at + length].to_owned(), id });
        }
        // An entry is padded with one to eight zero bytes to a multiple of eight.
        at += (path_at - at + length + 8) / 8 * 8;
    }
    Some(links)
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
        assert_eq!(gitlinks(&index(&entries), 20), Some(vec![Gitlink { path: b"sub/module".to_vec(), id: "ab".repeat(20) }]));
    }

    #[test]
    fn what_is_no_index_or_ends_early_is_told_from_one_without_gitlinks() {
        let whole = index(&[entry(0o100_644, "a")]);
        assert_eq!(gitlinks(&whole, 20), Some(Vec::new()));
        assert_eq!(gitlinks(&whole[..40], 20), None);
        assert_eq!(gitlinks(b"DIRC\0\0\0\x04\0\0\0\0", 20), None);
        assert_eq!(gitlinks(b"", 20), None);
    }
}
