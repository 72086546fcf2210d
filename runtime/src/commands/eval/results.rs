//! The folder of results: two files a run, `2026-11-26T10-28-10.123Z-live.json` and the same in Markdown.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use time::OffsetDateTime;
use time::macros::format_description;

use super::compare::LastRun;
use super::report::{How, Report};
use super::suite::Suite;
use crate::exit::Failure;
use crate::screen::progress;

/// The results of a suite.
pub(super) struct Results {
    folder: PathBuf,
}

impl Results {
    /// The folder that was asked for, or `results/SUITE` beside the suite. It is made now: a run whose results could not be
    /// written would be paid for nothing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn open(asked: Option<PathBuf>, suite: &Suite) -> Result<Self, Failure> {
        let beside = || suite.folder.parent().unwrap_or(&suite.folder).join("results").join(&suite.name);
        let folder = asked.unwrap_or_else(beside);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder of results {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The last run of the same sort; one that cannot be read is named and passed over.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(super) fn last(&self, how: How) -> Result<Option<LastRun>, Failure> {
        let entries = fs::read_dir(&self.folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let entries = entries.with_context(|| format!("cannot list {}", self.folder.display()))?;
        let ending = format!("-{}.json", how.name());
        let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        files.retain(|path| path.to_string_lossy().ends_with(&ending));
        files.sort();
        while let Some(path) = files.pop() {
            let read = fs::read(&path).map_err(anyhow::Error::from).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
            match read {
                Ok(run) => return Ok(Some(run)),
                Err(error) => progress(&format!("not compared with {}, which cannot be read: {error:#}", path.display())),
            }
        }
        Ok(None)
    }

    /// Writes both files, whole or not at all; gives the one in JSON.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write(&self, how: How, started_at: OffsetDateTime, report: &Report) -> Result<PathBuf, Failure> {
        let format = format_description!("[year]-[month]-[day]T[hour]-[minute]-[second].[subsecond digits:3]Z");
        let name = format!("{}-{}", started_at.format(format).context("the time cannot be written")?, how.name());
        let path = self.folder.join(format!("{name}.json"));
        self.put(&self.folder.join(format!("{name}.md")), &report.markdown())?;
        self.put(&path, &(serde_json::to_string_pretty(report).context("the results are not JSON")? + "\n"))?;
        Ok(path)
    }

    fn put(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(text.as_bytes())?;
            file.persist_noclobber(path)?;
            anyhow::Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}
