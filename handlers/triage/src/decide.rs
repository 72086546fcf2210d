//! The decision itself: plain values in, a plain value out.

use domain::{JobInput, Kind, Mode, Trigger};
use github::words::Refusal;
use github::{Permission, Triggers};

use crate::rules::{self, Guess};

/// May the job run, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Yes.
    Run { kind: Kind, mode: Mode, reason: String },
    /// Yes, and neither a label nor a rule says the whole of how: what they do say.
    Ask { kind: Option<Kind>, mode: Option<Mode> },
    /// No, for a reason that is kept, and the same as the requester reads it.
    Refuse { reason: String, told: Refusal },
}

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub trigger: &'a Trigger,
    pub kind: Kind,
    pub mode: Option<Mode>,
    pub input: &'a JobInput,
}

/// A label or command decides the mode, if the person behind it may push, and its words or the rules the kind; the API
/// and the command line have checked their caller themselves. What they name is kept, the rules look at the rest. A
/// change is what everybody gets who names no kind, so it is the one kind that may turn out to be another.
pub(crate) fn decide(request: Request<'_>, permission: Permission, triggers: &Triggers) -> Decision {
    let Request { trigger, kind, mode, input } = request;
    let guess = rules::guess(&input.title, &input.body, (kind != Kind::Change).then_some(kind));
    let what = match trigger {
        Trigger::Label { label } => format!("the label {label:?}"),
        Trigger::Command { command, .. } => format!("the command {command:?}"),
        Trigger::Assigned => "the assignment".to_owned(),
        Trigger::ReviewRequest => "the request for a review".to_owned(),
        Trigger::Review { .. } => "the review".to_owned(),
        Trigger::Api | Trigger::Cli | Trigger::Retry | Trigger::Schedule { .. } => {
            return match mode {
                Some(mode) => Decision::Run { kind, mode, reason: "asked for".to_owned() },
                None => by_rules(guess),
            };
        }
    };
    let Some(requester) = input.requester.as_deref() else {
        let reason = format!("nobody is named as the one behind {what}");
        return Decision::Refuse { told: Refusal::Other { reason: reason.clone() }, reason };
    };
    if permission < Permission::Write {
        let reason = format!("{requester} may not push to the repository, so {what} starts nothing");
        return Decision::Refuse { reason, told: Refusal::MayNotPush { login: requester.to_owned() } };
    }
    match (triggers.mode(trigger), guess.kind) {
        (Some(mode), None | Some((Kind::Change, _))) => Decision::Run { kind: Kind::Change, mode, reason: what },
        (Some(mode), Some((kind, rule))) => Decision::Run { kind, mode, reason: format!("{what}; {kind}, since {rule}") },
        // What a review asks for is a change, however it is worded.
        (None, _) if matches!(trigger, Trigger::Review { .. }) => {
            by_rules(Guess { kind: Some((Kind::Change, "a review asks for it")), ..guess })
        }
        (None, _) => by_rules(guess),
    }
}

fn by_rules(guess: Guess) -> Decision {
    match guess {
        Guess { kind: Some((kind, why)), mode: Some((mode, and)) } => {
            let reason = if why == and { why.to_owned() } else { format!("{why}; {and}") };
            Decision::Run { kind, mode, reason }
        }
        Guess { kind, mode } => Decision::Ask { kind: kind.map(|(kind, _)| kind), mode: mode.map(|(mode, _)| mode) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(title: &str) -> JobInput {
        JobInput { title: title.to_owned(), requester: Some("octocat".to_owned()), ..JobInput::default() }
    }

    fn label(name: &str) -> Trigger {
        Trigger::Label { label: name.to_owned() }
    }

    fn asked(trigger: &Trigger, input: &JobInput, permission: Permission) -> Decision {
        decide(Request { trigger, kind: Kind::Change, mode: None, input }, permission, &Triggers::default())
    }

    fn run(kind: Kind, mode: Mode, reason: &str) -> Decision {
        Decision::Run { kind, mode, reason: reason.to_owned() }
    }

    #[test]
    fn a_label_of_somebody_who_may_push_decides_the_mode() {
        let decision = asked(&label("genius"), &input("Greet everybody"), Permission::Write);
        assert_eq!(decision, run(Kind::Change, Mode::Genius, r#"the label "genius""#));
    }

    #[test]
    fn a_label_does_not_make_a_question_a_change() {
        let decision = asked(&label("genius"), &input("Why are totals rounded twice?"), Permission::Write);
        assert_eq!(decision, run(Kind::Question, Mode::Genius, r#"the label "genius"; question, since it asks a question"#));
    }

    #[test]
    fn whoever_may_not_push_starts_nothing() {
        for permission in [Permission::None, Permission::Read, Permission::Triage] {
            let decision = asked(&label("genius"), &input("Fix it"), permission);
            assert!(matches!(decision, Decision::Refuse { reason, .. } if reason.contains("octocat may not push")));
        }
        let nobody = JobInput { requester: None, ..input("Fix it") };
        assert!(matches!(asked(&label("genius"), &nobody, Permission::Admin), Decision::Refuse { .. }));
    }

    #[test]
    fn a_command_decides_the_mode_too_and_its_kind_is_kept() {
        let command = Trigger::Command { command: "/mechanic review the totals".to_owned(), comment: None };
        let request = Request { trigger: &command, kind: Kind::Review, mode: None, input: &input("Fix the totals") };
        let decision = decide(request, Permission::Admin, &Triggers::default());
        assert!(matches!(&decision, Decision::Run { kind: Kind::Review, mode: Mode::Mechanic, .. }), "{decision:?}");
    }

    #[test]
    fn who_names_no_mode_gets_the_one_that_the_rules_name_and_a_review_is_always_about_a_change() {
        let decision = asked(&Trigger::Assigned, &input("Why are totals rounded twice?"), Permission::Write);
        assert_eq!(decision, run(Kind::Question, Mode::Mechanic, "it asks a question; nothing is to be changed"));
        let review = Trigger::Review { review_id: 5 };
        let decision = asked(&review, &input("Why are totals rounded twice?"), Permission::Write);
        assert!(
            matches!(decision, Decision::Ask { kind: Some(Kind::Change), .. } | Decision::Run { kind: Kind::Change, .. }),
            "{decision:?}"
        );
        let refused = asked(&review, &input("Round once"), Permission::Triage);
        assert!(matches!(refused, Decision::Refuse { told: Refusal::MayNotPush { login }, .. } if login == "octocat"));
    }

    #[test]
    fn who_names_a_mode_through_the_api_gets_it_untouched() {
        let input = input("Why is it so?");
        let request = Request { trigger: &Trigger::Api, kind: Kind::Change, mode: Some(Mode::Genius), input: &input };
        assert_eq!(decide(request, Permission::None, &Triggers::default()), run(Kind::Change, Mode::Genius, "asked for"));
    }

    #[test]
    fn rules_decide_what_nobody_named_and_the_rest_is_asked() {
        let by = |title: &str| asked(&Trigger::Api, &input(title), Permission::None);
        assert_eq!(by("Where is the price list?"), run(Kind::Question, Mode::Mechanic, "it asks a question; nothing is to be changed"));
        assert_eq!(by("Totals are wrong"), run(Kind::Change, Mode::Mechanic, "it reports a fault"));
        assert_eq!(by("Add an export"), Decision::Ask { kind: Some(Kind::Change), mode: None });
        assert_eq!(by("Greet everybody"), Decision::Ask { kind: None, mode: None });
        let review = Request { trigger: &Trigger::Api, kind: Kind::Review, mode: None, input: &input("The totals") };
        let named = run(Kind::Review, Mode::Mechanic, "it was named; nothing is to be changed");
        assert_eq!(decide(review, Permission::None, &Triggers::default()), named);
    }
}
