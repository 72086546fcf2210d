//! What people read: branch, commit message, pull request, comment. Plain functions of what is stored, and of the outcome as
//! [`told::outcome`] words it: everything else in them is ours.

use domain::{Finish, Outcome, ReviewComment, Trigger};
use git::DiffStat;
use github::words::{Language, kept_of_stopped, translated};
use github::{Person, job_marker};
use redact::told;
use store::jobs::Job;
use store::steps::Work;

use crate::push::Pushed;
use crate::verified;

const MOST_SLUG_CHARS: usize = 40;

/// `codeteam/<end of the job id>-<slug of the title>`.
pub(crate) fn branch(job: &Job) -> String {
    let mut slug = String::new();
    for char in told::line(&job.input.title).chars().take(200) {
        if char.is_ascii_alphanumeric() {
            slug.push(char.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug = slug[..slug.len().min(MOST_SLUG_CHARS)].trim_matches('-');
    let separator = if slug.is_empty() { "" } else { "-" };
    format!("codeteam/{}{separator}{slug}", job.job_id.short())
}

/// The title of the pull request, and in English of the commit.
pub(crate) fn title(job: &Job, outcome: &Outcome, language: Language) -> String {
    match outcome {
        Outcome::Succeeded { finish } => finish.title.clone(),
        _ => format!("{}: {}", language.pick("Unfinished", "Inacabado"), told::line(&job.input.title)),
    }
}

/// Title, what was done, what it belongs to, and who asked for it.
pub(crate) fn commit_message(job: &Job, outcome: &Outcome, requester: Option<&Person>) -> String {
    let language = Language::English;
    let mut message = format!("{}\n\n{}\n\nJob: {}\n", title(job, outcome, language), what_happened(outcome, language), job.job_id);
    if let Some(number) = job.input.number {
        message.push_str(&format!("Refs: #{number}\n"));
    }
    if let Some(Person { name, email }) = requester {
        // A line break or a bracket would begin another trailer, or another address.
        let plain = |text: &str| text.chars().filter(|char| !char.is_control() && !"<>".contains(*char)).collect::<String>();
        message.push_str(&format!("Co-authored-by: {} <{}>\n", plain(name), plain(email)));
    }
    message
}

/// What, why, how it was verified, what it took, how to go on.
pub(crate) fn pull_request(work: &Work, outcome: &Outcome, pushed: &Pushed, notes: &[String]) -> String {
    let language = Language::of(&work.job.input);
    let mut text = format!("{}\n{}", what_happened(outcome, language), verified(work, outcome, language));
    text.push_str(&notes_section(notes, language));
    text.push_str(&changed(work, &pushed.stat, language));
    if let Some(template) = &pushed.template {
        text.push_str(&format!("\n---\n\n{template}\n"));
    }
    if let Some(number) = work.job.input.number {
        let settled = matches!(outcome, Outcome::Succeeded { finish } if finish.needs_human.is_none());
        // GitHub knows these words in English alone.
        text.push_str(&format!("\n{} #{number}\n", if settled { "Fixes" } else { "Refs" }));
    }
    text.push_str(&footer(work, language));
    text
}

/// The same for a pull request that was there: what was pushed to it, and where.
pub(crate) fn follow_up(work: &Work, outcome: &Outcome, pushed: &Pushed, notes: &[String]) -> String {
    let language = Language::of(&work.job.input);
    let Pushed { commit, branch, stat, .. } = pushed;
    let said = match language {
        Language::English => format!("Pushed {commit} to `{branch}`."),
        Language::Portuguese => format!("Enviado {commit} para `{branch}`."),
    };
    let what = format!("{said}\n\n{}\n{}", what_happened(outcome, language), verified(work, outcome, language));
    format!("{what}{}{}{}", notes_section(notes, language), changed(work, stat, language), footer(work, language))
}

/// The same for the issue that asked, where there is no change to show.
pub(crate) fn comment(work: &Work, outcome: &Outcome, notes: &[String]) -> String {
    let language = Language::of(&work.job.input);
    let question = match outcome {
        Outcome::Succeeded { finish } => question(finish, language),
        _ => String::new(),
    };
    let notes = notes_section(notes, language);
    let what = match outcome {
        Outcome::Stopped => {
            let said = language.pick("The job was stopped on request.", "A tarefa foi encerrada a pedido.");
            format!("{said} {}", kept_of_stopped(work.job.job_id, work.spent.steps, language))
        }
        other => what_happened(other, language),
    };
    format!("{what}\n{question}{notes}\n{}{}", took(work, language), footer(work, language))
}

/// The body of a review: the verdict, what fits no line of the change, and the rest as in a comment.
pub(crate) fn review(work: &Work, finish: &Finish, others: &[&ReviewComment], notes: &[String]) -> String {
    let language = Language::of(&work.job.input);
    let mut text = format!("**{}**\n\n{}\n", finish.title, finish.summary);
    if !others.is_empty() {
        let heading = language.pick("At lines that the change does not show", "Em linhas que a mudança não mostra");
        text.push_str(&format!("\n### {heading}\n\n"));
    }
    for comment in others {
        let ReviewComment { path, line, .. } = comment;
        let line = format!("{} {line}", language.pick("line", "linha"));
        text.push_str(&format!("- `{path}`, {line}: {}\n", finding(comment).replace('\n', "\n  ")));
    }
    text.push_str(&question(finish, language));
    format!("{text}{}\n{}{}", notes_section(notes, language), took(work, language), footer(work, language))
}

/// A comment of a review as people read it.
pub(crate) fn finding(comment: &ReviewComment) -> String {
    format!("**{}**: {}", comment.severity, comment.body.trim())
}

/// What was run to check it, what the model says of it, and what is left for a person.
fn verified(work: &Work, outcome: &Outcome, language: Language) -> String {
    let finish = match outcome {
        Outcome::Succeeded { finish } => Some(finish),
        _ => None,
    };
    let section = verified::section(&verified::commands(work), finish, language);
    format!("{section}{}", finish.map(|finish| question(finish, language)).unwrap_or_default())
}

/// What the model leaves to a person, where it does.
fn question(finish: &Finish, language: Language) -> String {
    let decide = language.pick("A person has to decide:", "Uma pessoa precisa decidir:");
    finish.needs_human.as_ref().map(|question| format!("\n**{decide}** {question}\n")).unwrap_or_default()
}

/// How large the change is, and what it took.
fn changed(work: &Work, stat: &DiffStat, language: Language) -> String {
    let (heading, file) = match language {
        Language::English => ("What it took", "file"),
        Language::Portuguese => ("O que custou", "arquivo"),
    };
    let files = if stat.files == 1 { file.to_owned() } else { format!("{file}s") };
    format!("\n### {heading}\n\n{} {files}, +{} −{}. {}", stat.files, stat.added, stat.removed, took(work, language))
}

/// What else a person should know: each a line.
fn notes_section(notes: &[String], language: Language) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let lines: String = notes.iter().map(|note| format!("- {}\n", told::line(note))).collect();
    format!("\n### {}\n\n{lines}", language.pick("Notes", "Observações"))
}

fn what_happened(outcome: &Outcome, language: Language) -> String {
    match (outcome, language) {
        (Outcome::Succeeded { finish }, _) => finish.summary.clone(),
        (other, Language::English) => {
            let sentence = other.sentence();
            format!("This is not finished: the job {sentence}. What was done until then is kept.")
        }
        (other, Language::Portuguese) => {
            let sentence = match other {
                Outcome::Succeeded { finish } => finish.title.clone(),
                Outcome::Capped { cap } => format!("parou no limite de {}", language.cap(*cap)),
                Outcome::Failed { cause } => format!("falhou: {cause}"),
                Outcome::Stopped => "foi encerrada a pedido".to_owned(),
                Outcome::Dead { cause } => format!("desistiu depois da última tentativa: {cause}"),
                Outcome::Refused { reason } => format!("foi recusada: {reason}"),
            };
            format!("Isto não está terminado: a tarefa {sentence}. O que foi feito até ali está guardado.")
        }
    }
}

fn took(work: &Work, language: Language) -> String {
    let spent = &work.spent;
    let models: std::collections::BTreeSet<&str> = work.steps.iter().map(|step| step.model.as_str()).collect();
    let none = language.pick("no model", "nenhum modelo");
    let models = if models.is_empty() { none.to_owned() } else { models.into_iter().collect::<Vec<_>>().join(", ") };
    let (steps, tokens, cost, seconds) = (spent.steps, spent.tokens, spent.cost_microusd.exact(), spent.active_ms as f64 / 1000.0);
    let before = work.handed_over.as_ref().map(|before| (before.spent.steps, translated(&before.reason, language)));
    match language {
        Language::English => {
            let before =
                before.map(|(steps, reason)| format!(" A mechanic took the first {steps} of them and handed the job over: {reason}."));
            format!("{steps} steps, {tokens} tokens, {cost}, {seconds:.1} s with {models}.{}\n", before.unwrap_or_default())
        }
        Language::Portuguese => {
            let before =
                before.map(|(steps, reason)| format!(" Um mechanic deu os primeiros {steps} e passou a tarefa adiante: {reason}."));
            format!("{steps} passos, {tokens} tokens, {cost}, {seconds:.1} s com {models}.{}\n", before.unwrap_or_default())
        }
    }
}

/// How to go on, where the person is: in a comment on the forge, or on a command line. The database of `codeteam run` is gone when it
/// ends, so its jobs cannot be asked for again.
fn footer(work: &Work, language: Language) -> String {
    let job_id = work.job.job_id;
    let steering = match &work.job.trigger {
        Trigger::Cli => String::new(),
        trigger if trigger.is_of_forge() => format!(
            "\n{}\n",
            language.pick(
                "Again: a comment `/codeteam retry`, by a larger model `/codeteam retry genius`. A follow-up here: `/mechanic …` or a review \
                 that requests changes.",
                "De novo: um comentário `/codeteam retry`, com um modelo maior `/codeteam retry genius`. Para continuar aqui: `/mechanic …` ou \
                 uma revisão que pede mudanças.",
            )
        ),
        _ => match language {
            Language::English => {
                format!("\nAgain, or by a larger model: `codeteam retry {job_id} --mode genius`. All steps: `codeteam show {job_id}`.\n")
            }
            Language::Portuguese => {
                format!("\nDe novo, ou com um modelo maior: `codeteam retry {job_id} --mode genius`. Todos os passos: `codeteam show {job_id}`.\n")
            }
        },
    };
    format!("{steering}\n{}\n", job_marker(job_id))
}
