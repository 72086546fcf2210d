//! What people read: branch, commit message, pull request, comment. Plain functions of what is stored, and of the outcome as
//! [`told::outcome`] words it: everything else in them is ours.

use domain::project::FILE;
use domain::{Finish, Outcome, ReviewComment, Trigger};
use git::DiffStat;
use github::job_marker;
use redact::told;
use store::jobs::Job;
use store::steps::Work;

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

/// The title of the pull request and of the commit.
pub(crate) fn title(job: &Job, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded { finish } => finish.title.clone(),
        _ => format!("Unfinished: {}", told::line(&job.input.title)),
    }
}

/// Title, what was done, and what it belongs to.
pub(crate) fn commit_message(job: &Job, outcome: &Outcome) -> String {
    let mut message = format!("{}\n\n{}\n\nJob: {}\n", title(job, outcome), what_happened(outcome), job.job_id);
    if let Some(number) = job.input.number {
        message.push_str(&format!("Refs: #{number}\n"));
    }
    message
}

/// What, why, how it was verified, what it took, how to go on.
pub(crate) fn pull_request(work: &Work, outcome: &Outcome, stat: &DiffStat, notes: &[String]) -> String {
    let mut text = format!("{}\n{}", what_happened(outcome), verified(outcome));
    text.push_str(&notes_section(notes));
    text.push_str(&format!("\n### What it took\n\n{} files, +{} −{}. {}", stat.files, stat.added, stat.removed, took(work)));
    if let Some(number) = work.job.input.number {
        let settled = matches!(outcome, Outcome::Succeeded { finish } if finish.needs_human.is_none());
        text.push_str(&format!("\n{} #{number}\n", if settled { "Fixes" } else { "Refs" }));
    }
    text.push_str(&footer(work));
    text
}

/// The same for a pull request that was there: what was pushed to it, and where.
pub(crate) fn follow_up(work: &Work, outcome: &Outcome, stat: &DiffStat, (commit, branch): (&str, &str), notes: &[String]) -> String {
    let pushed = format!("Pushed {commit} to `{branch}`.\n\n{}\n{}", what_happened(outcome), verified(outcome));
    let took = format!("\n### What it took\n\n{} files, +{} −{}. {}", stat.files, stat.added, stat.removed, took(work));
    format!("{pushed}{}{took}{}", notes_section(notes), footer(work))
}

/// What was run to check it, and what is left for a person.
fn verified(outcome: &Outcome) -> String {
    let Outcome::Succeeded { finish } = outcome else { return String::new() };
    let mut text = "\n### How it was verified\n\n".to_owned();
    if finish.tests_run.is_empty() {
        text.push_str("No check was run.\n");
    }
    for command in &finish.tests_run {
        text.push_str(&format!("- {command}\n"));
    }
    text.push_str(&format!("\nConfidence: {}.\n", finish.confidence));
    if let Some(question) = &finish.needs_human {
        text.push_str(&format!("\n**A person has to decide:** {question}\n"));
    }
    text
}

/// The same for the issue that asked, where there is no change to show.
pub(crate) fn comment(work: &Work, outcome: &Outcome, notes: &[String]) -> String {
    let question = match outcome {
        Outcome::Succeeded { finish } => finish.needs_human.as_ref(),
        _ => None,
    };
    let question = question.map(|question| format!("\n**A person has to decide:** {question}\n")).unwrap_or_default();
    format!("{}\n{question}{}\n{}{}", what_happened(outcome), notes_section(notes), took(work), footer(work))
}

/// The body of a review: the verdict, what fits no line of the change, and the rest as in a comment.
pub(crate) fn review(work: &Work, finish: &Finish, others: &[&ReviewComment], notes: &[String]) -> String {
    let mut text = format!("**{}**\n\n{}\n", finish.title, finish.summary);
    if !others.is_empty() {
        text.push_str("\n### At lines that the change does not show\n\n");
    }
    for comment in others {
        let ReviewComment { path, line, .. } = comment;
        text.push_str(&format!("- `{path}`, line {line}: {}\n", finding(comment).replace('\n', "\n  ")));
    }
    if let Some(question) = &finish.needs_human {
        text.push_str(&format!("\n**A person has to decide:** {question}\n"));
    }
    format!("{text}{}\n{}{}", notes_section(notes), took(work), footer(work))
}

/// A comment of a review as people read it.
pub(crate) fn finding(comment: &ReviewComment) -> String {
    format!("**{}**: {}", comment.severity, comment.body.trim())
}

/// What was changed and is not handed in, where there is something.
pub(crate) fn left_out(paths: &[String], globs: &[String]) -> Option<String> {
    const MOST: usize = 20;
    let more = if paths.len() > MOST { format!(" and {} more", paths.len() - MOST) } else { String::new() };
    let shown = paths.iter().take(MOST).map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    let allowed = if globs.is_empty() { "nothing".to_owned() } else { globs.join(", ") };
    (!paths.is_empty()).then(|| format!("left out, since `{FILE}` of this repository allows only `{allowed}` to be changed: {shown}{more}"))
}

/// What else a person should know: each a line.
fn notes_section(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let lines: String = notes.iter().map(|note| format!("- {}\n", told::line(note))).collect();
    format!("\n### Notes\n\n{lines}")
}

fn what_happened(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded { finish } => finish.summary.clone(),
        other => {
            let sentence = other.sentence();
            format!("This is not finished: the job {sentence}. What was done until then is kept.")
        }
    }
}

fn took(work: &Work) -> String {
    let spent = &work.spent;
    let models: std::collections::BTreeSet<&str> = work.steps.iter().map(|step| step.model.as_str()).collect();
    let models = if models.is_empty() { "no model".to_owned() } else { models.into_iter().collect::<Vec<_>>().join(", ") };
    let before = work
        .handed_over
        .as_ref()
        .map(|before| format!(" A mechanic took the first {} of them and handed the job over: {}.", before.spent.steps, before.reason));
    let before = before.unwrap_or_default();
    format!(
        "{} steps, {} tokens, {}, {:.1} s with {models}.{before}\n",
        spent.steps,
        spent.tokens,
        spent.cost_microusd,
        spent.active_ms as f64 / 1000.0
    )
}

/// How to go on. The database of `codeteam run` is gone when it ends, so its jobs cannot be asked for again.
fn footer(work: &Work) -> String {
    let job_id = work.job.job_id;
    let steering = match work.job.trigger {
        Trigger::Cli => String::new(),
        _ => format!("\nAgain, or by a larger model: `codeteam retry {job_id} --mode genius`. All steps: `codeteam show {job_id}`.\n"),
    };
    format!("{steering}\n{}\n", job_marker(job_id))
}
