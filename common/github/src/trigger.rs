//! What a delivery asks for: a job, or nothing for a reason that a person can read.

use domain::{CommentRef, JobInput, Kind, Mode, NewJob, Trigger};

use crate::RepositoryName;
use crate::webhook::{CommentPayload, Issue, Payload, User, Webhook};

/// The labels and commands that start jobs. A label `mechanic` and a comment that begins with
/// `/mechanic` mean the same; GitHub ignores the case of labels, and so does this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Triggers {
    /// Starts a job of [`Mode::Mechanic`].
    pub mechanic: String,
    /// Starts a job of [`Mode::Genius`].
    pub genius: String,
}

/// What to do about a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// Write this job and let triage look at it.
    Job {
        /// The job, its mode still open: [`Triggers::mode`] tells triage after it has asked the forge
        /// for the requester's permission.
        job: Box<NewJob>,
        /// The same for every delivery of one human action, whatever its GUID: a redelivery, or a
        /// second webhook on the same repository, is the same job.
        natural_key: String,
    },
    /// Nothing.
    Ignored {
        /// Why, in words for the person who reads the deliveries of the webhook.
        reason: String,
    },
}

impl Default for Triggers {
    fn default() -> Self {
        Self { mechanic: Mode::Mechanic.to_string(), genius: Mode::Genius.to_string() }
    }
}

impl Triggers {
    /// The mode that a label or command asks for; `None` where it asks for none, as the API and the
    /// command line do, which name their mode themselves.
    pub fn mode(&self, trigger: &Trigger) -> Option<Mode> {
        match trigger {
            Trigger::Label { label } => self.named(label),
            Trigger::Command { command, .. } => self.command(command).map(|(mode, _)| mode),
            Trigger::Assigned | Trigger::ReviewRequest | Trigger::Review { .. } => None,
            Trigger::Api | Trigger::Cli | Trigger::Retry | Trigger::Schedule { .. } => None,
        }
    }

    /// The mode and the rest of a first line such as `/mechanic fix the rounding`.
    fn command<'a>(&self, line: &'a str) -> Option<(Mode, &'a str)> {
        let words = line.strip_prefix('/')?;
        let (name, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
        Some((self.named(name)?, rest.trim()))
    }

    /// The kind that a label of an issue, or the first word after a command, names: `question`, `/mechanic review …`.
    /// `None` = it names none, and triage looks at the request itself.
    pub fn kind(word: &str) -> Option<Kind> {
        const WORDS: [(&str, Kind); 22] = [
            ("analyse", Kind::Analysis),
            ("analyze", Kind::Analysis),
            ("analysis", Kind::Analysis),
            ("analisar", Kind::Analysis),
            ("analise", Kind::Analysis),
            ("análise", Kind::Analysis),
            ("explain", Kind::Analysis),
            ("explicar", Kind::Analysis),
            ("explique", Kind::Analysis),
            ("investigate", Kind::Analysis),
            ("investigar", Kind::Analysis),
            ("investigue", Kind::Analysis),
            ("review", Kind::Review),
            ("revisar", Kind::Review),
            ("revise", Kind::Review),
            ("revisão", Kind::Review),
            ("question", Kind::Question),
            ("answer", Kind::Question),
            ("ask", Kind::Question),
            ("pergunta", Kind::Question),
            ("responder", Kind::Question),
            ("responda", Kind::Question),
        ];
        let word = word.trim_end_matches([':', ',', '.', '!']).to_lowercase();
        WORDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
    }

    fn named(&self, name: &str) -> Option<Mode> {
        if name.eq_ignore_ascii_case(&self.mechanic) {
            Some(Mode::Mechanic)
        } else if name.eq_ignore_ascii_case(&self.genius) {
            Some(Mode::Genius)
        } else {
            None
        }
    }
}

/// Decides what a delivery asks for. Plain values in, plain values out: whether the requester may ask
/// is triage's question.
pub fn interpret(webhook: &Webhook, triggers: &Triggers) -> Reaction {
    let asked = match webhook.event.as_str() {
        "issues" => labeled(webhook, triggers),
        "issue_comment" => commented(webhook, triggers),
        "ping" => Err("ping".to_owned()),
        event => Err(format!("nothing reacts to the event {event:?}")),
    };
    match asked {
        Ok((job, natural_key)) => Reaction::Job { job: Box::new(job), natural_key },
        Err(reason) => Reaction::Ignored { reason },
    }
}

/// A job and its natural key, or why there is none.
type Asked = Result<(NewJob, String), String>;

fn labeled(webhook: &Webhook, triggers: &Triggers) -> Asked {
    let payload = &webhook.payload;
    only_action(payload, "labeled", "issues")?;
    let label = payload.label.as_ref().and_then(|label| label.name.as_deref()).ok_or("the payload names no label")?;
    triggers.named(label).ok_or_else(|| format!("the label {label:?} starts nothing"))?;
    let subject = Subject::of(payload)?;
    // Two quick labels differ by name; one put on again later differs by the issue's time.
    let at = subject.issue.updated_at.as_deref().unwrap_or(&webhook.delivery);
    let natural_key = format!("{}#{}:labeled:{}:{at}", subject.repository_key, subject.number, label.to_lowercase());
    let trigger = Trigger::Label { label: label.to_owned() };
    Ok((subject.job(trigger, subject.labelled(), subject.title.to_owned(), subject.body().to_owned()), natural_key))
}

fn commented(webhook: &Webhook, triggers: &Triggers) -> Asked {
    let payload = &webhook.payload;
    only_action(payload, "created", "issue_comment")?;
    let comment = payload.comment.as_ref().ok_or("the payload holds no comment")?;
    let text = comment.body.as_deref().unwrap_or_default();
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim_end();
    let (_, task) =
        triggers.command(line).ok_or_else(|| format!("the comment does not begin with /{} or /{}", triggers.mechanic, triggers.genius))?;
    let id = written_by_a_person(comment)?;
    let subject = Subject::of(payload)?;
    let natural_key = format!("{}:comment:{id}", subject.repository_key);
    let trigger = Trigger::Command { command: line.to_owned(), comment: Some(CommentRef { id, at_line: false }) };
    let first = task.split_whitespace().next().unwrap_or_default();
    let named = Triggers::kind(first);
    // A kind alone, as in `/mechanic review`, is no task: the issue says what it is about.
    let task = if named.is_some() && first == task { "" } else { task };
    let kind = named.unwrap_or_else(|| if task.is_empty() { subject.labelled() } else { Kind::default() });
    // A task of its own takes the title's place; the issue's title then opens the text, or it would be lost.
    let (title, issue_title) = if task.is_empty() { (subject.title, "") } else { (task, subject.title) };
    let parts = [issue_title, subject.body().trim(), rest.trim()];
    let body = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
    Ok((subject.job(trigger, kind, title.to_owned(), body), natural_key))
}

fn only_action(payload: &Payload, wanted: &str, event: &str) -> Result<(), String> {
    match payload.action.as_deref() {
        Some(action) if action == wanted => Ok(()),
        Some(action) => Err(format!("nothing reacts to the action {action:?} of {event}")),
        None => Err(format!("the {event} payload names no action")),
    }
}

fn written_by_a_person(comment: &CommentPayload) -> Result<u64, String> {
    if let Some(author) = comment.user.as_ref().filter(|user| is_bot(user)) {
        return Err(written_by_bot(author));
    }
    comment.id.ok_or_else(|| "the payload gives the comment no id".to_owned())
}

/// The issue a job is about, with everything that a job needs of it.
struct Subject<'a> {
    repository: RepositoryName<'a>,
    repository_key: String,
    issue: &'a Issue,
    number: u64,
    title: &'a str,
    requester: &'a str,
}

impl<'a> Subject<'a> {
    fn of(payload: &'a Payload) -> Result<Self, String> {
        let sender = payload.sender.as_ref().ok_or("the payload names no sender")?;
        if is_bot(sender) {
            return Err(written_by_bot(sender));
        }
        let requester = sender.login.as_deref().ok_or("the payload names no sender")?;
        let repository = payload.repository.as_ref().ok_or("the payload names no repository")?;
        let full_name = repository.full_name.as_deref().ok_or("the payload names no repository")?;
        let name = RepositoryName::parse(full_name).map_err(|error| error.to_string())?;
        let issue = payload.issue.as_ref().ok_or("the payload holds no issue")?;
        let number = issue.number.ok_or("the payload gives the issue no number")?;
        if issue.pull_request.is_some() {
            return Err(format!("{full_name}#{number} is a pull request; jobs start from issues"));
        }
        let title = issue.title.as_deref().map(str::trim).filter(|title| !title.is_empty()).ok_or("the issue has no title")?;
        let repository_key = repository.id.map_or_else(|| full_name.to_lowercase(), |id| id.to_string());
        Ok(Self { repository: name, repository_key, issue, number, title, requester })
    }

    fn body(&self) -> &'a str {
        self.issue.body.as_deref().unwrap_or_default()
    }

    /// The kind that its labels name; a change where they name none.
    fn labelled(&self) -> Kind {
        let labels = self.issue.labels.iter().flatten().filter_map(|label| label.name.as_deref());
        labels.filter_map(Triggers::kind).next().unwrap_or_default()
    }

    fn job(&self, trigger: Trigger, kind: Kind, title: String, body: String) -> NewJob {
        let requester = Some(self.requester.to_owned());
        NewJob {
            repository: self.repository.to_string(),
            remote: None,
            input: JobInput { title, body, number: Some(self.number), requester, base: None, head: None },
            kind,
            mode: None,
            model: None,
            caps: None,
            priority: 0,
            trigger,
            idempotency_key: None,
        }
    }
}

fn is_bot(user: &User) -> bool {
    user.kind.as_deref() == Some("Bot") || user.login.as_deref().is_some_and(|login| login.ends_with("[bot]"))
}

fn written_by_bot(user: &User) -> String {
    format!("{} is a bot; only people start jobs", user.login.as_deref().unwrap_or("the sender"))
}
