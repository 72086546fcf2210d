//! What people see is there once, and is right: one branch with one pull request, or one comment.

use anyhow::Result;
use serde_json::Value;

use super::Verdict;
use super::facts::Facts;
use crate::model::script::{GREETING, Script};
use crate::world::World;

const NAME: &str = "one visible effect";

pub(super) async fn check(world: &World, facts: &Facts, verdict: &mut Verdict) -> Result<()> {
    for repository in &world.repositories {
        let branches = repository.branches().await?;
        let pulls = repository.pull_requests()?;
        let tickets: Vec<_> = world.tickets.iter().filter(|ticket| ticket.repository == repository.name).collect();
        let mut owned = 0;
        for ticket in &tickets {
            let Some(job) = ticket.job_id.as_ref().and_then(|job_id| facts.jobs.get(job_id)) else { continue };
            verdict.see(NAME, 1);
            let (job_id, tag) = (&job.job_id, &ticket.tag);
            // A branch carries the end of the job's id, a pull request its branch, a comment a mark with the whole id.
            let short: String = job_id.chars().filter(char::is_ascii_hexdigit).collect::<String>().split_off(20);
            let own: Vec<(&String, &Option<String>)> = branches.iter().filter(|(name, _)| name.contains(&short)).collect();
            let requests = pulls.iter().filter(|pull| head(pull).contains(&short)).count();
            let all = repository.comments(ticket.number)?;
            let marked =
                |what: &str| all.iter().filter(|comment| text(comment, "body").contains(&format!("codeteam:{what}:{job_id} "))).count();
            let (comments, progress) = (marked("job"), marked("progress"));
            owned += own.len();
            verdict.require(own.len() <= 1, NAME, || format!("job {job_id} ({tag}) has {} branches", own.len()));
            verdict.require(requests <= 1, NAME, || format!("job {job_id} ({tag}) has {requests} pull requests"));
            verdict.require(requests == own.len(), NAME, || {
                format!("job {job_id} ({tag}) has {requests} pull requests and {} branches", own.len())
            });
            verdict.require(comments <= 1, NAME, || format!("job {job_id} ({tag}) has {comments} comments"));
            verdict.require(progress <= 1, NAME, || format!("job {job_id} ({tag}) has {progress} comments about its progress"));
            if job.outcome.as_deref() == Some("succeeded") {
                let changes = Script::of_tag(tag).is_some_and(|script| script.changes());
                let shown = (own.len(), comments);
                let expected = if changes { (1, 0) } else { (0, 1) };
                verdict.require(shown == expected, NAME, || {
                    format!("job {job_id} ({tag}) succeeded with (branches, comments) {shown:?}: expected {expected:?}")
                });
                if let (Some(files), Some((name, _))) = (Script::of_tag(tag).and_then(|script| script.files()), own.first()) {
                    let (tree, expected) = (repository.tree(name).await?, repository.tree_of(&files).await?);
                    verdict.require(tree == expected, NAME, || {
                        format!("job {job_id} ({tag}): the tree of {name} is {tree}: expected {expected}, of {} files", files.len())
                    });
                }
                for (name, content) in own {
                    verdict.require(content.as_deref() == Some(GREETING), NAME, || {
                        format!("job {job_id} ({tag}): greeting.txt on {name} is {content:?}: expected {GREETING:?}")
                    });
                }
            }
        }
        verdict.require(owned == branches.len(), NAME, || {
            format!("{} has {} branches, and {owned} belong to jobs", repository.name, branches.len())
        });
    }
    Ok(())
}

fn head(pull: &Value) -> &str {
    text(pull, "head")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().or_else(|| value["request"][field].as_str()).unwrap_or_default()
}
