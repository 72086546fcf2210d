//! Where something happened, and who did it: what every job and command needs of a payload.

use domain::{Command, CommentRef, JobInput, Kind, NewCommand, NewJob, Trigger};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Reaction, Triggers};
use crate::RepositoryName;
use crate::webhook::{CommentPayload, Label, Payload, PullRequestPayload, User};

/// The repository of a payload.
pub(super) struct Place<'a> {
    name: RepositoryName<'a>,
    /// The beginning of every natural key: the id survives renames.
    pub key: String,
    pub actor: &'a str,
}

/// An issue or pull request.
pub(super) struct Subject<'a> {
    pub place: Place<'a>,
    pub number: u64,
    title: Option<&'a str>,
    body: Option<&'a str>,
    labels: &'a [Label],
    pub is_pull_request: bool,
    pub updated_at: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Where a person did it; bots start nothing and steer nothing.
    pub(super) fn of_person(payload: &'a Payload) -> Result<Self, String> {
        let sender = payload.sender.as_ref().ok_or("the payload names no sender")?;
        person(sender)?;
        Self::of(payload)
    }

    /// Where anybody did it.
    pub(super) fn of(payload: &'a Payload) -> Result<Self, String> {
        let actor = payload.sender.as_ref().and_then(|sender| sender.login.as_deref()).ok_or("the payload names no sender")?;
        let repository = payload.repository.as_ref().ok_or("the payload names no repository")?;
        let full_name = repository.full_name.as_deref().ok_or("the payload names no repository")?;
        let name = RepositoryName::parse(full_name).map_err(|error| error.to_string())?;
        let key = repository.id.map_or_else(|| full_name.to_lowercase(), |id| id.to_string());
        Ok(Self { name, key, actor })
    }

    /// A command about `number`.
    pub(super) fn command(&self, number: Option<u64>, command: Command, at: Option<&str>) -> NewCommand {
        NewCommand {
            repository: self.name.to_string(),
            number,
            job_id: None,
            actor: self.actor.to_owned(),
            command,
            comment: None,
            asked_at: at.and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok()),
        }
    }
}

impl<'a> Subject<'a> {
    /// The issue of a payload, or the issue side of a pull request.
    pub(super) fn of_issue(payload: &'a Payload, place: Place<'a>) -> Result<Self, String> {
        let issue = payload.issue.as_ref().ok_or("the payload holds no issue")?;
        Ok(Self {
            place,
            number: issue.number.ok_or("the payload gives the issue no number")?,
            title: issue.title.as_deref(),
            body: issue.body.as_deref(),
            labels: issue.labels.as_deref().unwrap_or_default(),
            is_pull_request: issue.pull_request.is_some(),
            updated_at: issue.updated_at.as_deref(),
        })
    }

    /// The pull request of a payload.
    pub(super) fn of_pull_request(payload: &'a Payload, place: Place<'a>) -> Result<(Self, &'a PullRequestPayload), String> {
        let pull = payload.pull_request.as_ref().ok_or("the payload holds no pull request")?;
        let subject = Self {
            place,
            number: pull.number.ok_or("the payload gives the pull request no number")?,
            title: pull.title.as_deref(),
            body: pull.body.as_deref(),
            labels: pull.labels.as_deref().unwrap_or_default(),
            is_pull_request: true,
            updated_at: pull.updated_at.as_deref(),
        };
        Ok((subject, pull))
    }

    /// The beginning of the natural key of what happened to it.
    pub(super) fn key(&self) -> String {
        format!("{}#{}", self.place.key, self.number)
    }

    pub(super) fn title(&self) -> Result<&'a str, String> {
        let title = self.title.map(str::trim).filter(|title| !title.is_empty());
        title.ok_or_else(|| format!("the {} has no title", if self.is_pull_request { "pull request" } else { "issue" }))
    }

    pub(super) fn body(&self) -> &'a str {
        self.body.unwrap_or_default()
    }

    /// The kind of what asks for no task of its own: a pull request is reviewed, an issue's labels name it, and a change is
    /// what the others are.
    pub(super) fn kind(&self) -> Kind {
        if self.is_pull_request {
            return Kind::Review;
        }
        let labels = self.labels.iter().filter_map(|label| label.name.as_deref());
        labels.filter_map(Triggers::kind).next().unwrap_or_default()
    }

    pub(super) fn job(&self, trigger: Trigger, kind: Kind, title: String, body: String) -> NewJob {
        let requester = Some(self.place.actor.to_owned());
        NewJob {
            repository: self.place.name.to_string(),
            remote: None,
            input: JobInput {
                title,
                body,
                number: Some(self.number),
                is_pull_request: self.is_pull_request,
                requester,
                base: None,
                head: None,
            },
            kind,
            mode: None,
            model: None,
            caps: None,
            priority: 0,
            trigger,
            idempotency_key: None,
        }
    }

    /// The job that a text asks for whose first line is a command with this `task`, and its `rest` below.
    pub(super) fn task(&self, trigger: Trigger, task: &str, rest: &str) -> Result<NewJob, String> {
        let title = self.title()?;
        let first = task.split_whitespace().next().unwrap_or_default();
        let named = Triggers::kind(first);
        // A kind alone, as in `/mechanic review`, is no task: the issue says what it is about.
        let task = if named.is_some() && first == task { "" } else { task };
        let kind = named.unwrap_or_else(|| if task.is_empty() { self.kind() } else { Kind::default() });
        // A task of its own takes the title's place; the issue's title then opens the text, or it would be lost.
        let (title, subject_title) = if task.is_empty() { (title, "") } else { (task, title) };
        let parts = [subject_title, self.body().trim(), rest.trim()];
        let body = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
        Ok(self.job(trigger, kind, title.to_owned(), body))
    }

    pub(super) fn command(&self, command: Command, at: Option<&str>) -> NewCommand {
        self.place.command(Some(self.number), command, at)
    }

    /// A command that was said in a comment.
    pub(super) fn said(&self, command: Command, comment: Option<CommentRef>, at: Option<&str>) -> NewCommand {
        NewCommand { comment, ..self.command(command, at) }
    }
}

/// The login of somebody, unless it is a bot's, such as this App's own.
pub(super) fn person(user: &User) -> Result<&str, String> {
    let login = user.login.as_deref();
    if user.kind.as_deref() == Some("Bot") || login.is_some_and(|login| login.ends_with("[bot]")) {
        return Err(format!("{} is a bot; only people start jobs", login.unwrap_or("the sender")));
    }
    login.ok_or_else(|| "the payload names no sender".to_owned())
}

/// The id of a comment that a person wrote.
pub(super) fn written(comment: &CommentPayload) -> Result<u64, String> {
    if let Some(author) = &comment.user {
        person(author)?;
    }
    comment.id.ok_or_else(|| "the payload gives the comment no id".to_owned())
}

/// A job as a reaction.
pub(super) fn start(job: NewJob, natural_key: String) -> Reaction {
    Reaction::Job { job: Box::new(job), natural_key }
}

/// A command as a reaction.
pub(super) fn steer(command: NewCommand, natural_key: String) -> Reaction {
    Reaction::Command { command: Box::new(command), natural_key }
}
