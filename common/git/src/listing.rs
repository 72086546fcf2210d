//! The files of a commit, and their contents, in two processes however many they are.

use std::path::{Component, Path};

use tokio_util::sync::CancellationToken;

use crate::git::OUTPUT_CAP;
use crate::{Checkout, CommitId, GitError};

/// A regular file of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommittedFile {
    /// From the root of the repository.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    id: String,
}

impl Checkout {
    /// The regular files of `commit`, sorted by path; no links, no submodules, no names that are not UTF-8. One process.
    ///
    /// # Errors
    /// [`GitError::TooLarge`] for a list of more than 128 MiB.
    pub async fn files(&self, commit: &CommitId) -> Result<Vec<CommittedFile>, GitError> {
        let list = self.git.in_repository(&self.trusted, ["ls-tree", "-r", "-z", "-l", "--full-tree", commit.as_str()]);
        let output = self.git.output(list, &CancellationToken::new()).await?;
        if output.stdout_omitted_bytes > 0 {
            return Err(GitError::TooLarge { what: "list of files".to_owned(), limit_bytes: OUTPUT_CAP / 2 });
        }
        let mut files: Vec<CommittedFile> = output.stdout.split(|&byte| byte == 0).filter_map(file).collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// The contents of `files`, in their order. One process; all of it is held in memory.
    ///
    /// # Errors
    /// [`GitError::TooLarge`] when they have more than 128 MiB together.
    pub async fn read_files(&self, files: &[&CommittedFile]) -> Result<Vec<Vec<u8>>, GitError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let size: usize = files.iter().map(|file| file.size_bytes as usize + 128).sum();
        let too_large = || GitError::TooLarge { what: "files to be read".to_owned(), limit_bytes: OUTPUT_CAP / 2 };
        if size > OUTPUT_CAP / 2 {
            return Err(too_large());
        }
        let names: String = files.iter().flat_map(|file| [file.id.as_str(), "\n"]).collect();
        let question = self.git.in_repository(&self.trusted, ["cat-file", "--batch"]).stdin(names).output_cap(2 * size);
        let output = self.git.output(question, &CancellationToken::new()).await?;
        let mut rest = output.stdout.as_slice();
        let mut contents = Vec::with_capacity(files.len());
        for file in files {
            // `<id> blob <size>`, a line break, the file, a line break.
            let header = rest.iter().position(|&byte| byte == b'\n').ok_or_else(too_large)?;
            let end = header + 1 + file.size_bytes as usize;
            contents.push(rest.get(header + 1..end).ok_or_else(too_large)?.to_vec());
            rest = rest.get(end + 1..).ok_or_else(too_large)?;
        }
        Ok(contents)
    }

    /// A file of the base commit, whatever the workspace looks like now: see [`read_file_at`](Self::read_file_at).
    ///
    /// # Errors
    /// [`GitError::TooLarge`] beyond `max_bytes`.
    pub async fn read_base_file(&self, path: &str, max_bytes: usize) -> Result<Option<Vec<u8>>, GitError> {
        self.read_file_at(&self.base, path, max_bytes).await
    }

    /// A file of `commit`; `None` when there is none. Links within the repository are followed. One process.
    ///
    /// # Errors
    /// [`GitError::TooLarge`] beyond `max_bytes`.
    pub async fn read_file_at(&self, commit: &CommitId, path: &str, max_bytes: usize) -> Result<Option<Vec<u8>>, GitError> {
        let within = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || path.contains('\n') || !within {
            return Ok(None); // No such path is in a tree, or git would take it for another question.
        }
        let question =
            self.git.in_repository(&self.trusted, ["cat-file", "--batch", "--follow-symlinks"]).stdin(format!("{commit}:{path}\n"));
        // Half of the cap must hold the whole answer: its first line, the file, a line break.
        let output = self.git.output(question.output_cap(2 * (max_bytes + 256)), &CancellationToken::new()).await?;
        let answer = output.stdout;
        let line = answer.iter().position(|&byte| byte == b'\n').unwrap_or(answer.len());
        let header = String::from_utf8_lossy(&answer[..line]).into_owned();
        let size = match header.split(' ').collect::<Vec<_>>()[..] {
            [_, "blob", size] => size.parse::<usize>().ok(),
            _ => None,
        };
        match size {
            None => Ok(None),
            Some(size) if size > max_bytes => Err(GitError::TooLarge { what: path.to_owned(), limit_bytes: max_bytes }),
            Some(size) => Ok(answer.get(line + 1..line + 1 + size).map(<[u8]>::to_vec)),
        }
    }
}

/// A line of `ls-tree -l`: mode, type, id and padded size, a tab, the path.
fn file(line: &[u8]) -> Option<CommittedFile> {
    let (head, path) = std::str::from_utf8(line).ok()?.split_once('\t')?;
    let mut words = head.split_ascii_whitespace();
    let (mode, kind, id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_regular = kind == "blob" && mode != "120000";
    is_regular.then_some(())?;
    Some(CommittedFile { path: path.to_owned(), size_bytes: size.parse().ok()?, id: id.to_owned() })
}
