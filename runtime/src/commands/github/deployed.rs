//! The App's credentials in Secrets Manager, for a deployment. GitHub gives them away only once: so they lie in a file here, which
//! only its owner may read, until all of them are there.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use config::{AppEntries, EntryOutcome, Kept, Settings, Stage};
use github::app::AppCredentials;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::cli::Setup;
use crate::exit::Failure;
use crate::screen;

/// The architecture fixes the region.
const REGION: &str = "us-east-1";

/// Where the credentials are to go.
pub(super) struct Deployed {
    entries: AppEntries,
    /// How this deployment is named on the command line; `None` = `CODETEAM_SECRETS` names it.
    stage: Option<Stage>,
    /// Whether another App may be there.
    replace: bool,
    /// Where they lie meanwhile.
    file: PathBuf,
}

/// An entry, for people and programs.
#[derive(Serialize)]
pub(super) struct Row {
    entry: String,
    stored: bool,
    /// Why it does not hold the new value.
    problem: Option<String>,
}

impl Deployed {
    /// The deployment that the command names, or else the settings; `None` = none.
    pub(super) fn named(args: &Setup, settings: &Settings) -> Result<Option<Self>, Failure> {
        let (prefix, region, stage) = match (args.environment, &settings.deployment.secrets) {
            (Some(stage), _) => {
                // As the commands that deploy have it.
                if let Some(other) = settings.aws_region.as_ref().filter(|region| *region != REGION) {
                    return Err(Failure::Usage(format!("AWS_REGION is {other}: the architecture is for {REGION} alone, so unset it")));
                }
                (format!("ai-coding-team/{}", stage.name()), Some(REGION), Some(stage))
            }
            (None, Some(prefix)) => (prefix.clone(), None, None),
            (None, None) => return Ok(None),
        };
        let entries = settings.app_entries(&prefix, region)?;
        let file = settings.state_dir.join(format!("github-app-{}.json", prefix.replace('/', "-")));
        Ok(Some(Self { entries, stage, replace: args.replace, file }))
    }

    /// Where the credentials lie until they are in Secrets Manager.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// That credentials can be put in, before GitHub is asked for any.
    pub(super) async fn check(&self, args: &Setup) -> Result<(), Failure> {
        let holds = self.entries.app_id().await?;
        let brought = args.from.as_deref().map(load).transpose()?.map(|credentials| credentials.app_id.to_string());
        if let Some(known) = holds.filter(|known| !self.replace && Some(known.expose()) != brought.as_deref()) {
            let (entry, known) = (self.entries.id_entry(), known.expose());
            return Err(Failure::Usage(format!("{entry} holds an App already, number {known}: --replace replaces it")));
        }
        if args.from.is_none() {
            self.check_file()?;
        }
        Ok(())
    }

    /// That the credentials can lie here, and none lie here.
    fn check_file(&self) -> Result<(), Failure> {
        let file = self.file.display();
        if self.file.exists() {
            let retry = self.retry(&self.file);
            return Err(Failure::Usage(format!(
                "{file} holds an App whose credentials did not get into Secrets Manager: `{retry}` brings them in, or remove the file"
            )));
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let tried = std::fs::create_dir_all(folder).and_then(|()| NamedTempFile::new_in(folder));
        tried.map(drop).with_context(|| format!("cannot write {file}, which is to hold the App until Secrets Manager does"))?;
        Ok(())
    }

    /// Puts `credentials`, which are in `lying`, into the entries.
    ///
    /// # Errors
    /// When not all are in. Then they are in `lying` still.
    pub(super) async fn keep(&self, credentials: &AppCredentials, lying: &Path) -> (Vec<Row>, Result<(), Failure>) {
        let kept = self.entries.keep(credentials).await;
        let is_whole = kept.iter().all(|kept| matches!(kept.outcome, EntryOutcome::Stored | EntryOutcome::Nothing));
        let rows = kept.into_iter().map(told).collect();
        let outcome = match is_whole {
            true => Ok(()),
            false => Err(Failure::Environment(anyhow!(
                "App {} is registered and not all of it in Secrets Manager: {} holds it (0600). Set right what is said above, then `{}` \
                 brings it in",
                credentials.app_id,
                lying.display(),
                self.retry(lying)
            ))),
        };
        (rows, outcome)
    }

    /// What people do next.
    pub(super) fn next(&self, credentials: &AppCredentials) {
        let site = credentials.site.web();
        if site != "https://github.com" {
            screen::progress(&format!("the services have to know that this is an App of {site}: GITHUB_URL, the template's GitHubUrl"));
        }
        if credentials.webhook_secret.is_none() {
            screen::progress("set a webhook secret in the App's settings, and put it into the entry that got none");
        }
        screen::progress(
            "services that run take a new App up when they are started anew (docs/operating.md, \"The GitHub App\"); `github check` there \
             says whether everything is in place",
        );
    }

    /// The command that brings the App of `file` in.
    fn retry(&self, file: &Path) -> String {
        let stage = self.stage.map(|stage| format!(" --env {}", stage.name())).unwrap_or_default();
        let replace = if self.replace { " --replace" } else { "" };
        format!("codeteam github setup{stage}{replace} --from {}", file.display())
    }
}

/// Says what became of an entry.
fn told(Kept { entry, outcome }: Kept) -> Row {
    let (mark, problem) = match outcome {
        EntryOutcome::Stored => ("stored   ", None),
        EntryOutcome::Failed(error) => ("NOT THERE", Some(error.to_string())),
        EntryOutcome::NotTried => ("NOT THERE", Some("not tried, since one before it failed".to_owned())),
        EntryOutcome::Nothing => ("as it was", Some("GitHub gave no such secret".to_owned())),
    };
    let why = problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    screen::progress(&format!("{mark} {entry}{why}"));
    Row { entry, stored: problem.is_none(), problem }
}

/// The App of a file that somebody names.
pub(super) fn load(file: &Path) -> Result<AppCredentials, Failure> {
    AppCredentials::load(file).map_err(|error| Failure::Environment(error.into()))
}
