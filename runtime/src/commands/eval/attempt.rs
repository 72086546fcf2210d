//! One task, from its repository to its score.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use dispatch::{Ctx, call};
use domain::review::Side;
use domain::{CapReached, Caps, EventKind, JobId, JobInput, Kind, NewJob, Outcome, Spent, Trigger, WaitingFor};
use enqueue::{EnqueueRequest, JobAccepted};
use github::{Forge, NewPullRequest, Permission};
use store::jobs::{self, Finished};
use store::{Db, events};
use tokio::time::Instant;

use super::answer::{self, Passage, Statement};
use super::hidden::Place;
use super::purse::Grant;
use super::repository::Repository;
use super::score::Scored;
use super::session::Session;
use super::task::{Check, Task, Tests};
use crate::cli::Script;

/// Who puts the label on.
const REQUESTER: &str = "hubot";
const LOOK: Duration = Duration::from_millis(50);
const ENQUEUE_DEADLINE: Duration = Duration::from_secs(10);
const EVENTS: u32 = 1_000;

/// Where a job stands when it is no longer worth waiting for.
enum Ended {
    Finished(Box<Finished>),
    /// The budget of the run has no room for its next call.
    OutOfBudget(Spent),
    /// It asks a person, and nobody will answer.
    Asks(Spent),
}

impl Session {
    /// Has `task` done, with the replies of `script` or by a model, and decides whether it is solved.
    pub(super) async fn attempt(&self, task: &Task, script: Option<Script>) -> Scored {
        let started = Instant::now();
        let scored = Scored::of(task);
        if let Err(missing) = self.user_for(task) {
            return scored.not_run(missing);
        }
        let grant = match &self.purse {
            Some(purse) => match purse.take(self.settings.caps(task.mode).cost_microusd, task.mode).await {
                Some(grant) => Some(grant),
                None => return scored.not_run("the budget of the run is used up"),
            },
            None => None,
        };
        let mut scored = match self.work(task, script, grant, scored.clone()).await {
            Ok(scored) => scored,
            Err(error) => scored.not_run(format!("{error:#}")),
        };
        if let (Some(purse), Some(grant)) = (&self.purse, grant) {
            purse.give_back(grant, scored.cost_microusd);
        }
        scored.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        scored
    }

    /// Whether `task` counts as solved when nobody has done anything.
    pub(super) async fn untouched(&self, task: &Task) -> Scored {
        if let Err(missing) = self.user_for(task) {
            return Scored::of(task).not_run(missing);
        }
        let (started, mut scored) = (Instant::now(), Scored::of(task));
        let Check::Tests(tests) = &task.check else { return scored.decide(vec!["no answer".to_owned()]) };
        let tried = async {
            let (folder, _) = self.place()?;
            let repository = Repository::create(task, &folder, &self.settings.path).await?;
            self.tested(task, tests, &repository, None).await
        };
        let tried = tried.await;
        scored.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match tried {
            Ok(why) => scored.decide(why),
            Err(error) => scored.not_run(format!("{error:#}")),
        }
    }

    async fn work(&self, task: &Task, script: Option<Script>, grant: Option<Grant>, mut scored: Scored) -> anyhow::Result<Scored> {
        let (folder, name) = self.place()?;
        let repository = Repository::create(task, &folder, &self.settings.path).await?;
        let remote = repository.bare.display().to_string();
        self.forge.register(&name, &remote, [(REQUESTER.to_owned(), Permission::Write)]).await?;
        let handlers = script.map(|script| self.scripted_by(&task.script(script))).transpose()?;
        let number = self.subject(task, &name).await?;
        let job_id = self.enqueue(self.new_job(task, &name, number, grant)).await?;
        if let Some(handlers) = handlers {
            self.performer.scripted_by(job_id, handlers);
        }
        let ended = ended(&self.db, job_id).await?;
        scored.models = models(&self.db, job_id).await?;
        let finished = match ended {
            Ended::Finished(finished) => finished,
            Ended::OutOfBudget(spent) => {
                scored.spent(&spent);
                return Ok(scored.not_run("the budget of the run was used up on the way"));
            }
            Ended::Asks(spent) => {
                scored.spent(&spent);
                return Ok(scored.decide(vec!["the job asks a person and waits for the answer".to_owned()]));
            }
        };
        scored.spent(&finished.spent);
        scored.outcome = finished.outcome.sentence();
        scored.finished = matches!(finished.outcome, Outcome::Succeeded { .. });
        if grant.is_some_and(|grant| grant.is_the_rest) && matches!(finished.outcome, Outcome::Capped { cap: CapReached::Money }) {
            return Ok(scored.not_run("the budget of the run left it less than its mode allows, and that was used up"));
        }
        let mut why = match &task.check {
            Check::Tests(tests) => match finished.links["branch"].as_str() {
                Some(branch) => {
                    scored.produced = repository.diff(branch).await?;
                    self.tested(task, tests, &repository, Some(branch)).await?
                }
                None => vec!["nothing was pushed".to_owned()],
            },
            Check::Answer { expected, forbidden } => {
                let (answer, passages) = self.answer(job_id, &name, number).await?;
                let why = judged(&passages, expected, forbidden);
                scored.produced = answer;
                why
            }
        };
        if !scored.finished && !why.is_empty() {
            why.insert(0, format!("the job {}", scored.outcome));
        }
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        Ok(scored.decide(why))
    }

    /// The issue or pull request that asks.
    async fn subject(&self, task: &Task, repository: &str) -> anyhow::Result<u64> {
        if task.kind != Kind::Review {
            return Ok(1);
        }
        let head = task.branch().to_owned();
        let (title, body) = (task.title.clone(), task.body.clone());
        let pull = NewPullRequest { head, base: "main".to_owned(), title, body, draft: false };
        Ok(self.forge.put_pull_request(repository, &pull).await?.number)
    }

    /// What a webhook would have made of the label on that issue. The mode is left to triage.
    fn new_job(&self, task: &Task, repository: &str, number: u64, grant: Option<Grant>) -> NewJob {
        NewJob {
            repository: repository.to_owned(),
            remote: None,
            input: JobInput {
                is_pull_request: false,
                title: task.title.clone(),
                body: task.body.clone(),
                number: Some(number),
                requester: Some(REQUESTER.to_owned()),
                // Of a review the pull request says which branches.
                base: task.second.as_ref().and_then(|second| second.branch.clone()).filter(|_| task.kind != Kind::Review),
                head: None,
            },
            kind: task.kind,
            mode: None,
            model: self.model.clone(),
            // Only money: in everything else the mode's own caps are lower.
            caps: grant.map(|grant| Caps { cost_microusd: grant.cap, ..Caps::GENIUS }),
            priority: 0,
            trigger: Trigger::Label { label: task.mode.to_string() },
            idempotency_key: None,
        }
    }

    async fn enqueue(&self, job: NewJob) -> anyhow::Result<JobId> {
        match call(&self.enqueue, Ctx::with_timeout(ENQUEUE_DEADLINE), EnqueueRequest::Job(Box::new(job))).await {
            Ok(JobAccepted::New { job_id } | JobAccepted::Known { job_id }) => Ok(job_id),
            Ok(JobAccepted::Ignored { reason }) => bail!("the job was not accepted: {reason}"),
            Ok(JobAccepted::Command { .. } | JobAccepted::KnownCommand { .. }) => bail!("a job was taken for a command"),
            Err(error) => Err(anyhow!(error).context("the job was not accepted")),
        }
    }

    /// Why the hidden tests do not hold on `branch`, if they do not.
    async fn tested(&self, task: &Task, tests: &Tests, repository: &Repository, branch: Option<&str>) -> anyhow::Result<Vec<String>> {
        let user = self.user_for(task).map_err(|missing| anyhow!(missing))?;
        let place = Place::new()?;
        repository.clone_to(branch, &place.checkout()).await?;
        let why = self.runner.run(tests, &task.folder.join("hidden"), &place, user).await?;
        Ok(why.into_iter().collect())
    }

    /// What a person finds in the forge; empty where nothing was written.
    async fn answer(&self, job_id: JobId, repository: &str, number: u64) -> anyhow::Result<(String, Vec<Passage>)> {
        let marker = format!("codeteam:job:{job_id}");
        let Some(review) = self.forge.find_review(repository, number, &marker).await? else {
            let comment = self.forge.find_comment(repository, number, &marker).await?;
            let text = comment.map(|comment| comment.body).unwrap_or_default();
            return Ok((text.clone(), answer::passages(&text)));
        };
        let mut passages = answer::passages(&review.review.body);
        let mut text = review.review.body;
        for comment in review.review.comments {
            text.push_str(&format!("\n\n{}:{}: {}", comment.path, comment.line, comment.body));
            // Lines of the old text have other numbers than those that tasks name.
            let place = (comment.side == Side::Right).then_some((comment.path, comment.line, comment.line));
            passages.push(Passage { place, text: comment.body });
        }
        Ok((text, passages))
    }
}

/// Why an answer does not hold, one reason each.
fn judged(passages: &[Passage], expected: &[Statement], forbidden: &[Statement]) -> Vec<String> {
    if passages.is_empty() {
        return vec!["nothing was answered".to_owned()];
    }
    let missing = expected.iter().filter(|statement| !statement.is_said(passages)).map(|it| format!("does not say: {}", it.shown()));
    let wrong = forbidden.iter().filter(|statement| statement.is_said(passages)).map(|it| format!("says wrongly: {}", it.shown()));
    missing.chain(wrong).collect()
}

async fn ended(db: &Db, job_id: JobId) -> anyhow::Result<Ended> {
    loop {
        let standing = jobs::get(db, job_id).await?;
        if let Some(finished) = standing.job.finished {
            return Ok(Ended::Finished(Box::new(finished)));
        }
        if let Some(queue) = standing.queue {
            match queue.waiting_for.and_then(|what| what.parse().ok()) {
                Some(WaitingFor::Budget) => return Ok(Ended::OutOfBudget(queue.spent)),
                Some(WaitingFor::Answer) => return Ok(Ended::Asks(queue.spent)),
                Some(WaitingFor::Triage | WaitingFor::Snooze) | None => {}
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The models that replied, in the order of their first reply.
async fn models(db: &Db, job_id: JobId) -> anyhow::Result<Vec<String>> {
    let mut models: Vec<String> = Vec::new();
    for event in events::list(db, job_id, 0, EVENTS).await? {
        let replied = event.kind == EventKind::ModelReplied.to_string();
        if let Some(model) = event.data["model"].as_str().filter(|model| replied && !models.iter().any(|known| known == model)) {
            models.push(model.to_owned());
        }
    }
    Ok(models)
}
