//! Which jobs a command means: plain values in, plain values out.

use domain::{Command, JobId, Kind, OutcomeName, StopCause, Trigger};
use serde::{Deserialize, Serialize};
use store::commands::Candidate;

/// What is to be done with which jobs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Choice {
    /// These, newest first; it may be none.
    Jobs(Vec<JobId>),
    /// This one, which ended.
    Ended(JobId),
    /// The last one has not ended, so it cannot be done again.
    StillRuns,
    /// There is none that it could mean.
    None,
}

/// Of the jobs of an issue, newest first, those that `command` is about. A button names its job, so there is only that one.
pub(crate) fn choose(command: &Command, jobs: &[Candidate]) -> Choice {
    let running = || jobs.iter().filter(|job| job.outcome.is_none());
    let newest =
        |mut jobs: Box<dyn Iterator<Item = &Candidate> + '_>| jobs.next().map_or(Choice::None, |job| Choice::Jobs(vec![job.job_id]));
    match command {
        Command::Stop { because: StopCause::Asked } | Command::Hint { .. } => newest(Box::new(running())),
        Command::Stop { because: StopCause::Unlabeled { label } } => {
            let started = |job: &&Candidate| matches!(&job.trigger, Trigger::Label { label: by } if by.eq_ignore_ascii_case(label));
            Choice::Jobs(running().filter(started).map(|job| job.job_id).collect())
        }
        // A repetition goes on with what the issue asked for; the API's jobs only name it.
        Command::Stop { because: StopCause::Closed } => {
            let asked = |job: &&Candidate| job.trigger.is_of_forge() || job.trigger == Trigger::Retry;
            Choice::Jobs(running().filter(asked).map(|job| job.job_id).collect())
        }
        // One that has not begun will see the new head anyway.
        Command::HeadMoved { .. } => {
            Choice::Jobs(running().filter(|job| job.kind == Kind::Review && job.begun).map(|job| job.job_id).collect())
        }
        // What somebody else was refused comes last: it never began.
        Command::Retry { .. } => match jobs.iter().find(|job| job.outcome != Some(OutcomeName::Refused)).or(jobs.first()) {
            Some(Candidate { outcome: None, .. }) => Choice::StillRuns,
            Some(job) => Choice::Ended(job.job_id),
            None => Choice::None,
        },
        Command::Status | Command::Cost => Choice::Jobs(jobs.iter().map(|job| job.job_id).collect()),
        Command::Help | Command::Unknown { .. } => Choice::None,
    }
}

#[cfg(test)]
mod tests {
    use domain::Mode;

    use super::*;

    fn job(kind: Kind, trigger: Trigger, outcome: Option<OutcomeName>) -> Candidate {
        Candidate { job_id: JobId::new(), kind, trigger, begun: true, outcome }
    }

    fn label(name: &str) -> Trigger {
        Trigger::Label { label: name.to_owned() }
    }

    fn ids(jobs: &[&Candidate]) -> Choice {
        Choice::Jobs(jobs.iter().map(|job| job.job_id).collect())
    }

    #[test]
    fn a_stop_or_a_hint_means_the_newest_job_that_runs() {
        let jobs = [
            job(Kind::Change, label("genius"), Some(OutcomeName::Failed)),
            job(Kind::Change, label("mechanic"), None),
            job(Kind::Change, Trigger::Api, None),
        ];
        let stop = Command::Stop { because: StopCause::Asked };
        assert_eq!(choose(&stop, &jobs), ids(&[&jobs[1]]));
        assert_eq!(choose(&Command::Hint { text: "x".to_owned() }, &jobs), ids(&[&jobs[1]]));
        assert_eq!(choose(&stop, &jobs[..1]), Choice::None);
    }

    #[test]
    fn a_label_taken_off_stops_what_it_started_and_a_closed_issue_whatever_was_asked_there() {
        let jobs = [
            job(Kind::Change, label("Mechanic"), None),
            job(Kind::Change, label("genius"), None),
            job(Kind::Question, Trigger::Command { command: "/mechanic why".to_owned(), comment: None }, None),
            job(Kind::Change, Trigger::Api, None),
            job(Kind::Change, Trigger::Retry, None),
            job(Kind::Change, label("mechanic"), Some(OutcomeName::Succeeded)),
        ];
        let unlabeled = Command::Stop { because: StopCause::Unlabeled { label: "mechanic".to_owned() } };
        assert_eq!(choose(&unlabeled, &jobs), ids(&[&jobs[0]]));
        let closed = Command::Stop { because: StopCause::Closed };
        assert_eq!(choose(&closed, &jobs), ids(&[&jobs[0], &jobs[1], &jobs[2], &jobs[4]]));
    }

    #[test]
    fn a_push_is_told_to_reviews_that_have_begun() {
        let begun = job(Kind::Review, label("mechanic"), None);
        let jobs = [
            Candidate { begun: false, ..job(Kind::Review, label("genius"), None) },
            begun.clone(),
            job(Kind::Change, label("mechanic"), None),
            job(Kind::Review, label("mechanic"), Some(OutcomeName::Succeeded)),
        ];
        assert_eq!(choose(&Command::HeadMoved { to: None }, &jobs), ids(&[&begun]));
    }

    #[test]
    fn a_retry_means_the_newest_job_once_it_has_ended_and_one_that_was_refused_where_there_is_no_other() {
        let retry = Command::Retry { mode: Some(Mode::Genius) };
        let refused = job(Kind::Change, label("mechanic"), Some(OutcomeName::Refused));
        let ended = job(Kind::Change, label("mechanic"), Some(OutcomeName::Capped));
        let running = job(Kind::Change, label("mechanic"), None);
        assert_eq!(choose(&retry, &[refused.clone(), ended.clone()]), Choice::Ended(ended.job_id));
        assert_eq!(choose(&retry, &[running, ended]), Choice::StillRuns);
        assert_eq!(choose(&retry, std::slice::from_ref(&refused)), Choice::Ended(refused.job_id));
        assert_eq!(choose(&retry, &[]), Choice::None);
    }
}
