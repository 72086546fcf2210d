//! What people see on GitHub is there once, is right, and agrees with the books: a branch with a pull request or an answer, one
//! comment that tells how it went, one check run, two reactions.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;
use testkit::github::{BOT, Hosted};

use super::Verdict;
use super::facts::Facts;
use crate::hub::Hub;
use crate::model::script::{GREETING, Script};
use crate::repository::Repository;
use crate::tickets::Ticket;
use crate::world::World;

const ONCE: &str = "one visible effect";
const SAID: &str = "everything is said";
const SUMS: &str = "the sums agree";

/// What the tables know of a job beside what every check reads.
#[derive(Deserialize)]
struct Books {
    job_id: String,
    outcome: Option<String>,
    base_commit: Option<String>,
    unpublished: Option<String>,
    cost_microusd: Option<i64>,
    /// By the ledger: what was settled, and what is held back for calls that nobody settled.
    ledger_microusd: i64,
}

const BOOKS: &str = "
    select job_id, outcome, base_commit, links ->> 'unpublished' as unpublished, jobs.cost_microusd,
           (select coalesce(sum(ledger.cost_microusd), 0)::bigint from ledger
            where ledger.job_id = jobs.job_id
              and (kind in ('settled', 'settled_late')
                   or kind = 'reserved' and not exists (
                       select from ledger closing where closing.job_id = ledger.job_id and closing.reservation_seq = ledger.seq)))
               as ledger_microusd
    from jobs";

/// What a repository has of one job.
struct Shown<'a> {
    pulls: Vec<&'a Value>,
    /// The comments that tell how it goes.
    sticky: Vec<&'a str>,
    /// The comments with its result.
    results: Vec<&'a str>,
    /// Words that answer commands.
    answers: usize,
    checks: Vec<&'a Value>,
    reactions: Vec<&'a str>,
}

pub(super) async fn check(world: &World, hub: &Hub, facts: &Facts, verdict: &mut Verdict) -> Result<()> {
    let books: Vec<Books> = world.database.sql.rows(BOOKS).await?;
    let books: BTreeMap<&str, &Books> = books.iter().map(|books| (books.job_id.as_str(), books)).collect();
    for repository in &world.repositories {
        let branches = repository.branches().await?;
        let hosted = hub.server.at(&repository.name);
        let tickets = world.tickets.iter().filter(|ticket| ticket.repository == repository.name);
        let (mut owned, mut opened) = (0, 0);
        for ticket in tickets {
            let Some(job) = ticket.job_id.as_ref().and_then(|job_id| facts.jobs.get(job_id)) else { continue };
            let Some(books) = books.get(job.job_id.as_str()) else { continue };
            verdict.see(ONCE, 5);
            let short: String = job.job_id.chars().filter(char::is_ascii_hexdigit).collect::<String>().split_off(20);
            let own: Vec<&Option<String>> = branches.iter().filter(|(name, _)| name.contains(&short)).map(|(_, content)| content).collect();
            let shown = Shown::of(&hosted, ticket, &job.job_id, &short);
            owned += own.len();
            opened += shown.pulls.len();
            let who = format!("job {} ({})", job.job_id, ticket.tag);
            result(&who, ticket, books, &own, &shown, verdict);
            conversation(&who, books, &shown, verdict);
            sums(&who, books, &shown, verdict);
            verdict.require(shown.answers as u64 == ticket.questions, SAID, || {
                format!("{who}: {} commands were answered, of {}", shown.answers, ticket.questions)
            });
        }
        nobodys(repository, &hosted, (branches.len(), owned), opened, verdict);
    }
    unsaid(world, verdict).await
}

impl<'a> Shown<'a> {
    fn of(hosted: &'a Hosted, ticket: &Ticket, job_id: &str, short: &str) -> Self {
        let on_issue = hosted.comments.iter().filter(|((number, _), _)| *number == ticket.number);
        let ours: Vec<&str> = on_issue
            .filter(|(_, comment)| comment["user"]["login"] == BOT)
            .map(|(_, comment)| comment["body"].as_str().unwrap_or_default())
            .collect();
        let with = |marker: String| ours.iter().filter(|body| body.contains(&marker)).copied().collect::<Vec<_>>();
        let path = format!("/repos/{}/issues/{}/reactions", hosted.name, ticket.number);
        let on = hosted.reactions.iter().filter(|(on, _)| on.eq_ignore_ascii_case(&path));
        let mut reactions: Vec<&str> = on.map(|(_, content)| content.as_str()).collect();
        // GitHub shows them by kind, whichever came first: one that met a fault may come after the last.
        reactions.sort_unstable();
        Self {
            pulls: hosted.pulls.values().filter(|pull| pull["head"]["ref"].as_str().is_some_and(|head| head.contains(short))).collect(),
            sticky: with(format!("codeteam:progress:{job_id}")),
            results: with(format!("codeteam:job:{job_id}")),
            answers: with("codeteam:notice:".to_owned()).len(),
            checks: hosted.checks.values().filter(|run| run["external_id"] == *job_id).collect(),
            reactions,
        }
    }
}

/// A branch with an open pull request, or an answer: one of them, once.
fn result(who: &str, ticket: &Ticket, books: &Books, own: &[&Option<String>], shown: &Shown<'_>, verdict: &mut Verdict) {
    let there = (own.len(), shown.pulls.len(), shown.results.len());
    let changes = Script::of_tag(&ticket.tag).is_some_and(|script| script.changes());
    let right = is_right(books.outcome.as_deref(), changes, books.unpublished.is_some(), there);
    verdict.require(right, ONCE, || {
        format!("{who} ended as {:?} with (branches, pull requests, answers) {there:?}", books.outcome.as_deref().unwrap_or("nothing"))
    });
    for pull in &shown.pulls {
        verdict.require(pull["state"] == "open", ONCE, || format!("{who}: its pull request {} is not open", pull["number"]));
    }
    if books.outcome.as_deref() == Some("succeeded") && ticket.kind.greets() {
        for content in own {
            verdict.require(content.as_deref() == Some(GREETING), ONCE, || {
                format!("{who}: greeting.txt on its branch is {content:?}: expected {GREETING:?}")
            });
        }
    }
}

/// Whether so many branches, pull requests and answers are right. What ended without a result says so in the comment that tells how
/// it went, and what was stopped was not pushed.
fn is_right(outcome: Option<&str>, changes: bool, unpublished: bool, there: (usize, usize, usize)) -> bool {
    match outcome {
        Some("succeeded") if changes => there == (1, 1, 0),
        Some("succeeded") => there == (0, 0, 1),
        // Nobody could be told, which the job says of itself.
        _ if unpublished => there.0 <= 1 && there.1 <= 1 && there.2 <= 1,
        Some("stopped") => there == (0, 0, 0),
        _ => there == (1, 1, 0) || there == (0, 0, 0),
    }
}

/// One comment with the last word, one check run at its end, one reaction to begin with and one to end with.
fn conversation(who: &str, books: &Books, shown: &Shown<'_>, verdict: &mut Verdict) {
    verdict.require(shown.sticky.len() == 1, ONCE, || format!("{who} has {} comments that tell how it goes", shown.sticky.len()));
    let checks = usize::from(books.base_commit.is_some());
    verdict.require(shown.checks.len() == checks, ONCE, || format!("{who} has {} check runs: expected {checks}", shown.checks.len()));
    let (words, conclusion, last) = match books.outcome.as_deref() {
        Some("succeeded") => ("done", "success", "rocket"),
        Some("stopped") => ("stopped on request", "cancelled", "confused"),
        Some("capped") => ("stopped at a cap", "neutral", "confused"),
        Some("failed") => ("failed", "neutral", "confused"),
        Some("dead") => ("gave up", "neutral", "confused"),
        _ => return,
    };
    verdict.see(SAID, 3);
    for body in &shown.sticky {
        let headline = format!("**AI Code Team** · {words} ·");
        verdict.require(body.starts_with(&headline), SAID, || format!("{who}: its comment does not begin with {headline:?}: {body:.80}"));
    }
    for run in &shown.checks {
        let said = (run["status"].as_str(), run["conclusion"].as_str());
        verdict.require(said == (Some("completed"), Some(conclusion)), SAID, || format!("{who}: its check run says {said:?}"));
    }
    let mut expected = ["eyes", last];
    expected.sort_unstable();
    verdict.require(shown.reactions == expected, SAID, || format!("{who}: the reactions are {:?}: expected {expected:?}", shown.reactions));
}

/// What people are told that it cost is what the ledger says, to the micro-dollar.
fn sums(who: &str, books: &Books, shown: &Shown<'_>, verdict: &mut Verdict) {
    verdict.see(SUMS, 1 + shown.pulls.len() + shown.results.len() + shown.sticky.len() + shown.checks.len());
    let ledger = books.ledger_microusd;
    verdict.require(books.cost_microusd == Some(ledger), SUMS, || {
        format!("{who} cost {:?} micro-dollars, and the ledger's rows are {ledger}", books.cost_microusd)
    });
    let exact = format!("${}.{:06}", ledger / 1_000_000, ledger % 1_000_000);
    let pulls = shown.pulls.iter().map(|pull| ("pull request", pull["body"].as_str().unwrap_or_default()));
    let results = shown.results.iter().map(|body| ("answer", *body));
    let sticky = shown.sticky.iter().map(|body| ("comment", *body));
    let checks = shown.checks.iter().map(|run| ("check run", run["output"]["summary"].as_str().unwrap_or_default()));
    for (what, body) in pulls.chain(results).chain(sticky).chain(checks) {
        verdict.require(body.contains(&exact), SUMS, || format!("{who}: its {what} does not say {exact}: {body:.400}"));
    }
}

/// Nothing is there that is no job's.
fn nobodys(repository: &Repository, hosted: &Hosted, (branches, owned): (usize, usize), opened: usize, verdict: &mut Verdict) {
    verdict.see(ONCE, 1);
    let name = &repository.name;
    verdict.require(owned == branches, ONCE, || format!("{name} has {branches} branches, and {owned} belong to jobs"));
    let pulls = hosted.pulls.len();
    verdict.require(opened == pulls, ONCE, || format!("{name} has {pulls} pull requests, and {opened} belong to jobs"));
    let unmarked = hosted.comments.values().filter(|comment| !comment["body"].as_str().unwrap_or_default().contains("<!-- codeteam:"));
    let unmarked: Vec<&Value> = unmarked.map(|comment| &comment["html_url"]).collect();
    verdict.require(unmarked.is_empty(), ONCE, || format!("comments without a marker: {unmarked:?}"));
}

/// The outbox is empty, and nothing in it was given up; no command waits.
async fn unsaid(world: &World, verdict: &mut Verdict) -> Result<()> {
    let sql = &world.database.sql;
    let open = "select part, key, attempt, problem from outbox where done_at is null or problem is not null order by outbox_id limit 5";
    let open: Vec<Value> = sql.rows(open).await?;
    verdict.see(SAID, sql.value::<usize>("select count(*) from outbox").await?);
    verdict.require(open.is_empty(), SAID, || format!("not said: {}", Value::from(open)));
    let commands = "select command_id, command, attempt, result from commands where done_at is null or result ? 'given_up' limit 5";
    let commands: Vec<Value> = sql.rows(commands).await?;
    verdict.see(SAID, sql.value::<usize>("select count(*) from commands").await?);
    verdict.require(commands.is_empty(), SAID, || format!("commands that are not done: {}", Value::from(commands)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stopped_has_left_nothing_and_what_failed_a_pull_request_or_nothing() {
        let right = |outcome, there| is_right(Some(outcome), true, false, there);
        assert!(right("stopped", (0, 0, 0)) && !right("stopped", (1, 1, 0)) && !right("stopped", (0, 0, 1)));
        assert!(right("capped", (1, 1, 0)) && right("capped", (0, 0, 0)) && !right("capped", (0, 0, 1)));
        assert!(right("succeeded", (1, 1, 0)) && !right("succeeded", (1, 0, 0)) && !right("succeeded", (0, 0, 0)));
    }
}
