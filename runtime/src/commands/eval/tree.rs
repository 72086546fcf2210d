//! Folders of plain files: listing them, and laying one over another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files below `folder`, as paths from there with slashes, sorted; none where there is no such folder.
///
/// # Errors
/// When it cannot be listed, or holds something that is neither file nor folder, or has no name in UTF-8.
pub(super) fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = open.pop() {
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && prefix.is_empty() => return Ok(found),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|name| io::Error::other(format!("{} is no UTF-8", name.display())))?;
            // Left behind by whoever tried the tests in place; no part of a task.
            if name == "__pycache__" || name == "target" || name == "node_modules" {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push((entry.path(), format!("{prefix}{name}/")));
            } else if kind.is_file() {
                found.push(format!("{prefix}{name}"));
            } else {
                return Err(io::Error::other(format!("{prefix}{name} is neither file nor folder")));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Lays the files of `from` over `to`. Whatever is in their way there is replaced: a link is never followed, since the
/// files of `to` may be somebody's who would like to see another file overwritten.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn lay_over(from: &Path, to: &Path) -> io::Result<()> {
    for file in files(from)? {
        let mut place = to.to_owned();
        let mut parts = Path::new(&file).components().peekable();
        while let Some(part) = parts.next() {
            place.push(part);
            let there = fs::symlink_metadata(&place).ok();
            match (parts.peek().is_some(), there) {
                (true, Some(there)) if there.is_dir() => {}
                (true, there) => {
                    if there.is_some() {
                        fs::remove_file(&place)?;
                    }
                    fs::create_dir(&place)?;
                }
                (false, there) => {
                    clear(&place, there)?;
                    fs::copy(source(from, &file), &place)?;
                }
            }
        }
    }
    Ok(())
}

fn clear(place: &Path, there: Option<fs::Metadata>) -> io::Result<()> {
    match there {
        Some(there) if there.is_dir() => fs::remove_dir_all(place),
        Some(_) => fs::remove_file(place),
        None => Ok(()),
    }
}

fn source(folder: &Path, file: &str) -> PathBuf {
    folder.join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, file: &str, text: &str) {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_is_laid_over_never_goes_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (hidden, clone, outside) = (folder.path().join("hidden"), folder.path().join("clone"), folder.path().join("outside"));
        write(&hidden, "tests/deep/test_a.py", "hidden");
        write(&hidden, "run.sh", "hidden");
        write(&outside, "deep/test_a.py", "mine");
        write(&outside, "victim", "mine");
        write(&clone, "README", "stays");
        std::os::unix::fs::symlink(&outside, clone.join("tests")).unwrap();
        std::os::unix::fs::symlink(outside.join("victim"), clone.join("run.sh")).unwrap();
        lay_over(&hidden, &clone).unwrap();
        assert_eq!(files(&clone).unwrap(), ["README", "run.sh", "tests/deep/test_a.py"]);
        assert_eq!(fs::read_to_string(outside.join("deep/test_a.py")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "mine");
    }

    #[test]
    fn a_folder_in_the_way_of_a_file_and_a_file_in_the_way_of_a_folder_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (hidden, clone) = (folder.path().join("hidden"), folder.path().join("clone"));
        write(&hidden, "a", "hidden");
        write(&hidden, "b/c", "hidden");
        write(&clone, "a/x", "theirs");
        write(&clone, "b", "theirs");
        lay_over(&hidden, &clone).unwrap();
        assert_eq!(files(&clone).unwrap(), ["a", "b/c"]);
    }
}
