//! A folder of tasks.

use std::fs;
use std::path::{Path, PathBuf};

use config::{Services, Settings};
use globset::Glob;

use super::task::Task;
use crate::cli::{Eval, Script};
use crate::exit::Failure;

/// The tasks that a run is about.
pub(super) struct Suite {
    /// The name of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// By name.
    pub tasks: Vec<Task>,
}

impl Suite {
    /// Reads the suite that `args` names, and keeps the tasks that it asks for. All tasks are read, so that a broken one
    /// is never overlooked.
    ///
    /// # Errors
    /// Everything that is wrong with its tasks, each with file and line; or that none is left.
    pub(super) fn read(args: &Eval, settings: &Settings) -> Result<Self, Failure> {
        let shown = args.suite.display();
        let folder = args.suite.canonicalize().map_err(|error| Failure::Usage(format!("cannot find the suite {shown}: {error}")))?;
        let only = args.only.as_deref().map(|pattern| {
            let glob = Glob::new(pattern).map_err(|error| Failure::Usage(format!("--only: {error}")))?;
            Ok::<_, Failure>(glob.compile_matcher())
        });
        let only = only.transpose()?;
        let (mut tasks, mut wrong) = (Vec::new(), Vec::new());
        for folder in folders(&folder).map_err(|error| Failure::Usage(format!("cannot list {shown}: {error}")))? {
            match Task::read(&folder) {
                Ok(task) => {
                    let scripts = [Script::Solve, Script::Wrong].map(|script| replies(task.script(script), settings));
                    wrong.extend(scripts.into_iter().filter_map(Result::err));
                    tasks.push(task);
                }
                Err(error) => wrong.push(error),
            }
        }
        if !wrong.is_empty() {
            return Err(Failure::Usage(wrong.join("\n")));
        }
        if tasks.is_empty() {
            return Err(Failure::Usage(format!("{shown} holds no task: a suite is a folder of folders with a task.toml")));
        }
        tasks.retain(|task| only.as_ref().is_none_or(|only| only.is_match(&task.name)));
        tasks.retain(|task| args.kind.is_none_or(|kind| kind == task.kind) && args.mode.is_none_or(|mode| mode == task.mode));
        if tasks.is_empty() {
            return Err(Failure::Usage("no task is left: --only, --kind and --mode together leave out all of them".to_owned()));
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, folder, tasks })
    }
}

/// That `script` is a file of replies.
fn replies(script: PathBuf, settings: &Settings) -> Result<(), String> {
    let settings = Settings { script: Some(script), ..settings.clone() };
    Services::new(settings).providers().map(drop).map_err(|error| format!("{error:#}"))
}

/// The folders in `suite`, by name; hidden ones are none of its tasks.
fn folders(suite: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(suite)?.collect::<Result<Vec<_>, _>>()?;
    let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    let mut folders: Vec<PathBuf> =
        entries.into_iter().filter(|entry| !hidden(entry) && entry.path().is_dir()).map(|entry| entry.path()).collect();
    folders.sort();
    Ok(folders)
}
