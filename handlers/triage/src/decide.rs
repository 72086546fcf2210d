//! The decision itself: plain values in, a plain value out.

use domain::{Mode, Trigger};
use github::{Permission, Triggers};

/// May the job run, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Yes.
    Run { mode: Mode, reason: String },
    /// No, for a reason that the requester can read.
    Refuse { reason: String },
}

/// A label or command decides the mode, if the person behind it may push; the API and the command line have
/// checked their caller themselves, and get a mechanic where they name no mode.
pub(crate) fn decide(
    trigger: &Trigger,
    asked: Option<Mode>,
    requester: Option<&str>,
    permission: Permission,
    triggers: &Triggers,
) -> Decision {
    let what = match trigger {
        Trigger::Label { label } => format!("the label {label:?}"),
        Trigger::Command { command } => format!("the command {command:?}"),
        Trigger::Api | Trigger::Cli | Trigger::Retry | Trigger::Schedule { .. } => {
            return match asked {
                Some(mode) => Decision::Run { mode, reason: "asked for".to_owned() },
                None => Decision::Run { mode: Mode::Mechanic, reason: "no mode was asked for".to_owned() },
            };
        }
    };
    let Some(requester) = requester else {
        return Decision::Refuse { reason: format!("nobody is named as the one behind {what}") };
    };
    if permission < Permission::Write {
        return Decision::Refuse { reason: format!("{requester} may not push to the repository, so {what} starts nothing") };
    }
    match triggers.mode(trigger) {
        Some(mode) => Decision::Run { mode, reason: what },
        None => Decision::Refuse { reason: format!("{what} names no mode") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str) -> Trigger {
        Trigger::Label { label: name.to_owned() }
    }

    #[test]
    fn a_label_of_somebody_who_may_push_decides_the_mode() {
        let decision = decide(&label("genius"), None, Some("octocat"), Permission::Write, &Triggers::default());
        assert_eq!(decision, Decision::Run { mode: Mode::Genius, reason: r#"the label "genius""#.to_owned() });
    }

    #[test]
    fn whoever_may_not_push_starts_nothing() {
        for permission in [Permission::None, Permission::Read, Permission::Triage] {
            let decision = decide(&label("genius"), None, Some("octocat"), permission, &Triggers::default());
            assert!(matches!(decision, Decision::Refuse { reason } if reason.contains("octocat may not push")));
        }
        assert!(matches!(decide(&label("genius"), None, None, Permission::Admin, &Triggers::default()), Decision::Refuse { .. }));
    }

    #[test]
    fn a_command_decides_the_mode_too() {
        let command = Trigger::Command { command: "/mechanic fix the rounding".to_owned() };
        let decision = decide(&command, None, Some("octocat"), Permission::Admin, &Triggers::default());
        assert!(matches!(decision, Decision::Run { mode: Mode::Mechanic, .. }));
    }

    #[test]
    fn the_api_gets_a_mechanic_where_it_names_no_mode() {
        let decision = decide(&Trigger::Api, None, None, Permission::None, &Triggers::default());
        assert!(matches!(decision, Decision::Run { mode: Mode::Mechanic, .. }));
    }
}
