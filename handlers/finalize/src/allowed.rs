//! What of a change is handed in. What the repository itself does not let a job change, or what reaches further than the code and
//! was not permitted, is left out and named, whatever the job's worker thought of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use config::failure;
use dispatch::HandlerError;
use domain::Sensitive;
use domain::project::{self, FILE, Project};
use domain::sensitive::Entry;
use git::{Checkout, CommitId, GitError, Kept, TreeId};
use github::words::{Language, Note};

/// `tree` without what must not be handed in; `notes` tell of it. The rules are those of the commit `trusted`: not the head of a
/// pull request, which may have changed them.
pub(crate) async fn part(
    checkout: &Checkout,
    trusted: &CommitId,
    tree: &TreeId,
    language: Language,
    notes: &mut Vec<String>,
) -> Result<TreeId, HandlerError> {
    let read = match checkout.read_file_at(trusted, FILE, project::MOST_BYTES).await {
        Ok(file) => file.map(|bytes| project::read(&bytes)).unwrap_or_default(),
        Err(GitError::TooLarge { .. }) => project::Read::too_large(),
        Err(error) => return Err(failure::of_git(error)),
    };
    let refused = Refused::default();
    let allows = |path: &Path, before, after| refused.allows(&read.project, path, before, after);
    let Kept { tree, left_out } = checkout.keep(tree, allows).await.map_err(failure::of_git)?;
    notes.extend(refused.notes(&left_out, &read.project, language));
    Ok(tree)
}

/// What was refused because of its kind, by path.
#[derive(Default)]
struct Refused(Mutex<BTreeMap<String, Sensitive>>);

impl Refused {
    fn allows(&self, project: &Project, path: &Path, before: Entry, after: Entry) -> bool {
        match Sensitive::of(path, before, after).filter(|kind| !project.sensitive_changes.contains(kind)) {
            Some(kind) => {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_string_lossy().into_owned(), kind);
                false
            }
            None => project.allowed_paths.allows(path),
        }
    }

    /// A line for each rule that left something out.
    fn notes(self, left_out: &[String], project: &Project, language: Language) -> Vec<String> {
        let refused = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut sensitive: BTreeMap<Sensitive, Vec<&str>> = BTreeMap::new();
        let mut others = Vec::new();
        for path in left_out {
            match refused.get(path) {
                Some(kind) => sensitive.entry(*kind).or_default().push(path),
                None => others.push(path.as_str()),
            }
        }
        let of_kind = |(kind, paths): (Sensitive, Vec<&str>)| Note::NotPermitted { file: FILE, kind, paths: &paths }.sentence(language);
        let globs: Vec<&str> = project.allowed_paths.globs().unwrap_or_default().iter().map(String::as_str).collect();
        let of_paths = || Note::NotAllowed { file: FILE, globs: &globs, paths: &others }.sentence(language);
        let of_paths = (!others.is_empty()).then(of_paths);
        sensitive.into_iter().map(of_kind).chain(of_paths).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(rules: &str, changed: &[(&str, Entry)]) -> Vec<String> {
        let project = project::read(rules.as_bytes()).project;
        let refused = Refused::default();
        let left_out: Vec<String> = changed
            .iter()
            .filter(|(path, after)| !refused.allows(&project, Path::new(path), Entry::File, *after))
            .map(|(path, _)| (*path).to_owned())
            .collect();
        refused.notes(&left_out, &project, Language::English)
    }

    #[test]
    fn what_reaches_further_than_the_code_is_left_out_unless_it_is_permitted() {
        let changed = [(".github/workflows/ci.yml", Entry::File), ("link", Entry::Symlink), ("src/lib.rs", Entry::File)];
        assert_eq!(
            notes("", &changed),
            [
                "left out, since `.codeteam.toml` of this repository does not permit a job to change workflows (sensitive_changes): `.github/workflows/ci.yml`",
                "left out, since `.codeteam.toml` of this repository does not permit a job to change symlinks (sensitive_changes): `link`",
            ]
        );
        assert_eq!(notes("sensitive_changes = [\"workflows\", \"symlinks\"]", &changed), Vec::<String>::new());
    }

    #[test]
    fn both_rules_hold_and_each_names_its_own() {
        let changed = [("CODEOWNERS", Entry::File), ("docs/a.md", Entry::File), ("src/lib.rs", Entry::File)];
        assert_eq!(
            notes("allowed_paths = [\"src/**\"]", &changed),
            [
                "left out, since `.codeteam.toml` of this repository does not permit a job to change codeowners (sensitive_changes): `CODEOWNERS`",
                "left out, since `.codeteam.toml` of this repository allows only `src/**` to be changed: `docs/a.md`",
            ]
        );
    }
}
