//! Repository maps. What goes into one is read once for a commit and kept for the jobs to come.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use agent::map::{Choice, Index, choose};
use anyhow::Context;
use config::failure;
use dispatch::HandlerError;
use git::{Checkout, CommitId, CommittedFile};

/// How many commits are kept: a few MiB each.
const MOST_KEPT: usize = 8;

/// The commits that were read, the newest last. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Maps {
    kept: Arc<Mutex<Kept>>,
}

type Kept = VecDeque<(CommitId, Arc<Index>)>;

impl Maps {
    /// The map of `commit`, whose files are `files`, for a job that asks for `task`. One process, none where the commit is
    /// known.
    pub(crate) async fn map(
        &self,
        checkout: &Checkout,
        commit: &CommitId,
        files: &[CommittedFile],
        task: &str,
    ) -> Result<Option<String>, HandlerError> {
        if let Some(index) = self.known(commit) {
            return Ok(index.map(task));
        }
        let Choice { chosen, passed_over } = choose(files.iter().map(|file| (file.path.as_str(), file.size_bytes)));
        let chosen: Vec<&CommittedFile> = chosen.into_iter().map(|index| &files[index]).collect();
        let contents = checkout.read_files(&chosen).await.map_err(failure::of_git)?;
        let texts = chosen.iter().zip(contents).map(|(file, bytes)| (file.path.clone(), String::from_utf8_lossy(&bytes).into_owned()));
        let texts: Vec<(String, String)> = texts.collect();
        let index = tokio::task::spawn_blocking(move || Index::of(&texts, passed_over)).await.context("the map was not made")?;
        let index = Arc::new(index);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((commit.clone(), Arc::clone(&index)));
        while kept.len() > MOST_KEPT {
            kept.pop_front();
        }
        drop(kept);
        Ok(index.map(task))
    }

    fn known(&self, commit: &CommitId) -> Option<Arc<Index>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == commit).map(|(_, index)| Arc::clone(index))
    }
}
