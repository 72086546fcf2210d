//! What a pull request adds to a request about it, frozen with it: the branches, and what a review says at lines.

use domain::{JobInput, Kind};
use github::words::Refusal;
use github::{LineComment, PullRequest, Triggers};

/// The most of a review's comments that a request takes.
const MOST_COMMENTS: usize = 100;
/// The most of one of them, in characters.
const MOST_COMMENT_CHARS: usize = 4_000;

/// The request with the branches of its pull request, or why nothing is begun there: what changes something is pushed to the
/// branch, a fork's is none of ours.
pub(crate) fn placed(input: &JobInput, kind: Kind, number: u64, pull: Option<&PullRequest>) -> Result<JobInput, Refusal> {
    let Some(pull) = pull else { return Err(Refusal::Gone { number }) };
    if !pull.open {
        return Err(Refusal::Closed { number });
    }
    let base = Some(pull.request.base.clone());
    match (&pull.fork, kind) {
        (Some(fork), Kind::Change) => Err(Refusal::Fork { number, repository: fork.clone() }),
        // Its commits are known by the number of the pull request alone.
        (Some(_), Kind::Review) => Ok(JobInput { base, head: None, ..input.clone() }),
        (Some(_), Kind::Analysis | Kind::Question) => Ok(JobInput { base, ..input.clone() }),
        (None, _) => Ok(JobInput { base, head: Some(pull.request.head.clone()), ..input.clone() }),
    }
}

/// The request with what a review says at lines; those that begin with a command are jobs of their own. `None` = nothing is left
/// that anybody could do.
pub(crate) fn reviewed(input: &JobInput, comments: &[LineComment], triggers: &Triggers) -> Option<JobInput> {
    let asked: Vec<&LineComment> = comments.iter().filter(|comment| !triggers.commands(&comment.body)).collect();
    if asked.is_empty() && input.body.trim().is_empty() {
        return None;
    }
    let mut body = input.body.clone();
    for comment in asked.iter().take(MOST_COMMENTS) {
        let LineComment { path, line, side, body: text } = comment;
        let text: String = text.chars().take(MOST_COMMENT_CHARS).collect();
        body.push_str(&format!("\n\nAt `{path}`, line {line} ({side}):\n{}", quoted(&text)));
    }
    if asked.len() > MOST_COMMENTS {
        body.push_str(&format!("\n\n{} more comments are left out.", asked.len() - MOST_COMMENTS));
    }
    Some(JobInput { body: body.trim_start().to_owned(), ..input.clone() })
}

fn quoted(text: &str) -> String {
    text.trim().lines().map(|line| format!("> {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use domain::review::Side;
    use github::NewPullRequest;

    use super::*;

    fn pull(open: bool, fork: Option<&str>) -> PullRequest {
        let request = NewPullRequest {
            head: "odd-cents".to_owned(),
            base: "main".to_owned(),
            title: String::new(),
            body: String::new(),
            draft: false,
        };
        PullRequest { number: 8, url: String::new(), open, fork: fork.map(str::to_owned), head_commit: None, request }
    }

    fn branches(kind: Kind, pull: Option<&PullRequest>) -> Result<(Option<String>, Option<String>), Refusal> {
        placed(&JobInput::default(), kind, 8, pull).map(|input| (input.head, input.base))
    }

    #[test]
    fn a_pull_request_gives_its_branches() {
        let both = || Ok((Some("odd-cents".to_owned()), Some("main".to_owned())));
        for kind in [Kind::Change, Kind::Review, Kind::Analysis, Kind::Question] {
            assert_eq!(branches(kind, Some(&pull(true, None))), both(), "{kind}");
        }
    }

    #[test]
    fn a_fork_is_reviewed_and_never_changed() {
        let fork = pull(true, Some("octocat/tally"));
        assert_eq!(branches(Kind::Change, Some(&fork)), Err(Refusal::Fork { number: 8, repository: "octocat/tally".to_owned() }));
        assert_eq!(branches(Kind::Review, Some(&fork)), Ok((None, Some("main".to_owned()))));
    }

    #[test]
    fn nothing_is_begun_at_a_pull_request_that_is_closed_or_gone() {
        for kind in [Kind::Change, Kind::Review] {
            assert_eq!(branches(kind, Some(&pull(false, None))), Err(Refusal::Closed { number: 8 }));
            assert_eq!(branches(kind, None), Err(Refusal::Gone { number: 8 }));
        }
    }

    #[test]
    fn what_a_review_says_at_lines_is_frozen_but_for_what_starts_a_job_itself() {
        let comment = |line, body: &str| LineComment { path: "tally/split.py".to_owned(), line, side: Side::Right, body: body.to_owned() };
        let input = JobInput { body: "Keep the order.".to_owned(), ..JobInput::default() };
        let comments = [comment(3, "Name it `odd`.\n\nAnd test it."), comment(9, "/mechanic sort this")];
        let frozen = reviewed(&input, &comments, &Triggers::default()).unwrap();
        assert_eq!(frozen.body, "Keep the order.\n\nAt `tally/split.py`, line 3 (right):\n> Name it `odd`.\n> \n> And test it.\n");
        let only_commands = [comment(9, "/mechanic sort this"), comment(10, "/codeteam status")];
        assert_eq!(reviewed(&JobInput::default(), &only_commands, &Triggers::default()), None);
        assert_eq!(reviewed(&input, &only_commands, &Triggers::default()), Some(input));
    }
}
