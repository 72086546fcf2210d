//! What a patch makes of the files, before any of them is touched.

use std::collections::BTreeMap;

use super::Section;
use crate::edit::{Applied, Hunk, apply_hunks, report};
use crate::untrusted::lines_as_in_file;
use crate::workspace::{Change, relative};
use crate::{ToolError, Workspace};

/// A file as the sections so far leave it.
#[derive(Default)]
struct State {
    /// `None` = it is gone.
    content: Option<String>,
    /// Whose permissions it has, when it was renamed.
    like: Option<String>,
}

/// The changes that `sections` ask for, and what is to be told about them. Sections see what those before them did.
///
/// # Errors
/// [`ToolError::Model`] for the first that cannot be carried out.
pub(crate) fn plan(workspace: &Workspace, sections: &[Section]) -> Result<(Vec<Change>, Vec<String>), ToolError> {
    let mut plan = Plan { workspace, files: BTreeMap::new() };
    let mut told = Vec::new();
    for section in sections {
        told.push(match section {
            Section::Add { path, content } => plan.add(path, content)?,
            Section::Delete { path } => plan.delete(path)?,
            Section::Update { path, move_to: None, hunks } => {
                let before = plan.read(path)?;
                let (after, applied) = patched(path, &before, hunks)?;
                let told = report(&format!("{path} is changed"), "hunk", &applied);
                plan.put(path, after, None)?;
                told
            }
            Section::Update { path, move_to: Some(to), hunks } => {
                let before = plan.read(path)?;
                plan.must_be_free(to)?;
                let (after, applied) = if hunks.is_empty() { (before.clone(), Vec::new()) } else { patched(path, &before, hunks)? };
                let told = report(&format!("{path} is now {to}"), "hunk", &applied);
                plan.delete(path)?;
                plan.put(to, after, Some(path.clone()))?;
                told
            }
        });
    }
    Ok((plan.changes(), told))
}

fn patched(path: &str, before: &str, hunks: &[Hunk]) -> Result<(String, Vec<Applied>), ToolError> {
    let as_in_file = |hunk: &Hunk| {
        let (old, new) = lines_as_in_file(before, &hunk.old, &hunk.new);
        Hunk { old, new, ..hunk.clone() }
    };
    let hunks: Vec<Hunk> = hunks.iter().map(as_in_file).collect();
    apply_hunks(before, &hunks).map_err(|error| ToolError::Model(format!("{path:?}, hunk {}: {}", error.no, error.reason)))
}

struct Plan<'a> {
    workspace: &'a Workspace,
    /// By the path from the root, without `.`.
    files: BTreeMap<String, State>,
}

impl Plan<'_> {
    fn add(&mut self, path: &str, content: &str) -> Result<String, ToolError> {
        self.must_be_free(path)?;
        self.put(path, content.to_owned(), None)?;
        Ok(format!("{path} is created: {} lines", content.lines().count()))
    }

    fn delete(&mut self, path: &str) -> Result<String, ToolError> {
        let key = key(path)?;
        let is_known = self.files.get(&key).map(|state| state.content.is_some());
        match is_known {
            Some(false) => return Err(ToolError::Model(format!("{path:?} is deleted already, earlier in this patch"))),
            Some(true) => {}
            None => self.workspace.removable(path)?,
        }
        self.files.insert(key, State::default());
        Ok(format!("{path} is deleted"))
    }

    fn put(&mut self, path: &str, content: String, like: Option<String>) -> Result<(), ToolError> {
        self.files.insert(key(path)?, State { content: Some(content), like });
        Ok(())
    }

    fn read(&self, path: &str) -> Result<String, ToolError> {
        match self.files.get(&key(path)?) {
            Some(State { content: Some(content), .. }) => Ok(content.clone()),
            Some(State { content: None, .. }) => Err(ToolError::Model(format!("{path:?} is deleted earlier in this patch"))),
            None => self.workspace.read(path),
        }
    }

    fn must_be_free(&self, path: &str) -> Result<(), ToolError> {
        let exists = match self.files.get(&key(path)?) {
            Some(state) => state.content.is_some(),
            None => self.workspace.exists(path)?,
        };
        if exists {
            return Err(ToolError::Model(format!(
                "{path:?} exists; change it with `*** Update File: `, or delete it earlier in the patch"
            )));
        }
        Ok(())
    }

    fn changes(self) -> Vec<Change> {
        let change = |(path, State { content, like })| match content {
            Some(content) => Change::Write { path, content: content.into_bytes(), like },
            None => Change::Remove { path },
        };
        self.files.into_iter().map(change).collect()
    }
}

fn key(path: &str) -> Result<String, ToolError> {
    Ok(relative(path)?.to_string_lossy().into_owned())
}
