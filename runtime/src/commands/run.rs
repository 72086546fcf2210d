//! `codeteam run`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::{Configured, Services, Settings};
use dispatch::{Ctx, HandlerError, call};
use domain::review::Side;
use domain::{Caps, JobId, JobInput, Kind, NewJob, ReviewComment, Trigger};
use enqueue::{Enqueue, EnqueueRequest, JobAccepted};
use git::{GitError, Remote};
use github::{LocalForge, Unregistered};
use serde_json::json;
use store::jobs::Finished;
use tokio_util::sync::CancellationToken;

use super::follow::ended;
use super::local::{Database, check_model, unless_interrupted, work_on};
use crate::cli::Run;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, progress};
use crate::{sandbox, shutdown};

/// Does one task in a repository: a database of its own, a worker of its own, a new branch.
pub(crate) async fn run(args: Run, json: bool, mut settings: Settings) -> Outcome {
    let interrupt = shutdown::on_signal()?;
    sandbox::check(&settings, args.sandbox_min)?;
    let remote = remote(&args.repository)?;
    let shown = remote.to_string();
    if let Some(script) = &args.script {
        settings.script = Some(script.clone());
        settings.model = None;
    }
    settings.local_remotes = true;
    if (args.kind == Kind::Review) != args.head.is_some() {
        return Err(Failure::Usage("a review needs --head BRANCH, and only a review does".to_owned()));
    }
    let job = new_job(&args, &remote, &settings);
    let forge = LocalForge::new(settings.state_dir.join("forge"), Unregistered::Record);
    let work_dir = tempfile::Builder::new().prefix("codeteam-run-").permissions(sandbox::passable()).tempdir()?;
    settings.state_dir = work_dir.path().to_owned();
    let prepare = async {
        check(&Services::new(settings.clone()), &job, &remote).await?;
        Database::fresh(&settings, false).await
    };
    let database = unless_interrupted(&interrupt, prepare).await?;
    settings.database_url = Some(database.url.clone());
    let services = Services::new(settings).with_forge(Arc::new(forge));
    let job_id = enqueue(&services, job).await?;
    progress(&format!("job {} on {shown}", job_id.short()));
    if args.script.is_some() {
        progress("  scripted: the replies come from a file, no model is called, tokens and cost are nominal");
    }
    let finished = work_on(&services, job_id, args.mode, &interrupt).await;
    services.db().await?.close().await;
    drop(services);
    database.close().await?;
    let finished = finished?;
    let report = json!({ "job_id": job_id, "repository": shown, "result": finished });
    screen::data(json, &report, || summary(&finished, &shown, args.kind))?;
    ended(&finished)
}

async fn enqueue(services: &Services, job: NewJob) -> Result<JobId, Failure> {
    let enqueue = Enqueue::configure(services).await?;
    match call(&enqueue, Ctx::with_timeout(Duration::from_secs(10)), EnqueueRequest::Job(Box::new(job))).await {
        Ok(JobAccepted::New { job_id } | JobAccepted::Known { job_id }) => Ok(job_id),
        Ok(JobAccepted::Ignored { reason }) => Err(Failure::Usage(reason)),
        Ok(JobAccepted::Command { .. } | JobAccepted::KnownCommand { .. }) => {
            Err(Failure::Usage("a job was taken for a command".to_owned()))
        }
        Err(HandlerError::Invalid(message)) => Err(Failure::Usage(message)),
        Err(error) => Err(Failure::Environment(error.into())),
    }
}

/// A finding of a review in one paragraph.
fn finding(comment: &ReviewComment) -> String {
    let ReviewComment { path, line, side, severity, body } = comment;
    let side = if *side == Side::Left { " (as it was)" } else { "" };
    format!("{path}:{line}{side}: {severity}: {body}")
}

fn summary(finished: &Finished, remote: &str, kind: Kind) -> String {
    let mut lines = vec![finished.outcome.sentence()];
    if let domain::Outcome::Succeeded { finish } = &finished.outcome {
        lines.extend([String::new(), finish.summary.clone(), String::new()]);
    }
    if let domain::Outcome::Succeeded { finish } = &finished.outcome
        && !finish.comments.is_empty()
    {
        lines.extend(finish.comments.iter().map(finding).chain([String::new()]));
    }
    match finished.links["branch"].as_str() {
        Some(branch) => {
            lines.push(format!("branch {branch} in {remote}"));
            if Path::new(remote).is_dir() {
                lines.push(format!("look at it: git -C {remote} show {branch}"));
            }
        }
        None if kind == Kind::Change => lines.push("nothing was changed".to_owned()),
        None => {}
    }
    if let Some(record) = finished.links["pull_request"].as_str() {
        lines.push(format!("what a pull request would say: {record}"));
    }
    lines.push(format!("{} steps, {} tokens, {}", finished.spent.steps, finished.spent.tokens, finished.spent.cost_microusd));
    lines.join("\n")
}

/// A local path must be a repository; a URL is left to git. What is shown of it has no password.
fn remote(text: &str) -> Result<Remote, Failure> {
    let remote: Remote = text.parse().map_err(of_git)?;
    if remote.is_local() {
        let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
        let path = path.canonicalize().map_err(|error| Failure::Usage(format!("cannot find the repository {text}: {error}")))?;
        if !path.join(".git").exists() && !path.join("HEAD").exists() {
            return Err(Failure::Usage(format!("{} is not a git repository: run `git init` there and commit something", path.display())));
        }
        return path.try_into().map_err(of_git);
    }
    Ok(remote)
}

/// `owner/name` for a repository that no forge knows: the end of its path or URL.
fn name(remote: &str) -> String {
    let last = remote.trim_end_matches('/').trim_end_matches(".git").trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let name: String =
        last.chars().map(|char| if char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.') { char } else { '-' }).collect();
    let name = name.trim_start_matches('.');
    format!("local/{}", if name.is_empty() { "repository" } else { name })
}

/// What the job clones and pushes: a path as it was found, a URL as it was typed, since it may hold a password
/// that git needs. The database of this job goes with the command.
fn given(args: &Run, remote: &Remote) -> String {
    if remote.is_local() { remote.to_string() } else { args.repository.clone() }
}

fn new_job(args: &Run, remote: &Remote, settings: &Settings) -> NewJob {
    let (title, body) = args.task.split_once('\n').unwrap_or((&args.task, ""));
    let caps = args.budget.map(|budget| settings.caps(args.mode).lowest(Caps { cost_microusd: budget, ..settings.caps(args.mode) }));
    let model = if args.script.is_some() { Some("scripted".to_owned()) } else { args.model.clone() };
    NewJob {
        repository: name(&remote.to_string()),
        remote: Some(given(args, remote)),
        input: JobInput {
            title: title.trim().to_owned(),
            body: body.trim().to_owned(),
            base: args.base.clone(),
            head: args.head.clone(),
            ..JobInput::default()
        },
        kind: args.kind,
        mode: Some(args.mode),
        model,
        caps,
        priority: 0,
        trigger: Trigger::Cli,
        idempotency_key: None,
    }
}

/// What can be known to fail is said before anything is started: a model that nobody can call, a repository
/// that cannot be cloned.
async fn check(services: &Services, job: &NewJob, remote: &Remote) -> Result<(), Failure> {
    let mode = job.mode.unwrap_or(domain::Mode::Mechanic);
    check_model(services, mode, job.model.as_deref().or(services.settings.model.as_deref()))?;
    let mirror = services.git().mirror(remote, &CancellationToken::new()).await.map_err(of_git)?;
    mirror.resolve(job.input.base.as_deref()).await.map_err(of_git)?;
    if let Some(head) = &job.input.head {
        if job.kind != domain::Kind::Review {
            return Err(Failure::Usage("--head is for --kind review: what else is asked for starts from --base".to_owned()));
        }
        mirror.resolve(Some(head)).await.map_err(of_git)?;
    }
    Ok(())
}

fn of_git(error: GitError) -> Failure {
    match error {
        GitError::NotFound { .. } | GitError::Empty { .. } | GitError::Invalid { .. } => Failure::Usage(error.to_string()),
        error => Failure::Environment(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_after_the_end_of_its_path_or_url() {
        let names = ["/srv/code/shop", "https://example.com/acme/shop.git", "git@example.com:acme/shop.git", "/srv/a b/"].map(name);
        assert_eq!(names, ["local/shop", "local/shop", "local/shop", "local/a-b"]);
    }
}
