//! Full payloads from `events/`, and the odd ones that GitHub or somebody else may send.

use domain::{CommentRef, Kind, Mode, Trigger};
use github::webhook::{self, MAX_BODY_BYTES, WebhookError};
use github::{Reaction, Triggers, interpret};
use serde_json::{Value, json};

/// The payload in `events/NAME`.
pub(crate) fn event(name: &str) -> Value {
    let path = format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

fn react(event: &str, payload: &Value) -> Reaction {
    react_as("72d3162e-cc78-11e3-81ab-4c9367dc0958", event, payload)
}

fn react_as(delivery: &str, event: &str, payload: &Value) -> Reaction {
    react_with(&Triggers::default(), delivery, event, payload)
}

pub(crate) fn react_with(triggers: &Triggers, delivery: &str, event: &str, payload: &Value) -> Reaction {
    let webhook = webhook::parse(event, delivery, payload.to_string().as_bytes()).unwrap();
    interpret(&webhook, triggers)
}

pub(crate) fn ignored(reason: &str) -> Reaction {
    Reaction::Ignored { reason: reason.to_owned() }
}

/// `payload` with the value at the JSON pointer `at` replaced.
pub(crate) fn with(mut payload: Value, at: &str, value: Value) -> Value {
    *payload.pointer_mut(at).expect(at) = value;
    payload
}

fn natural_key(reaction: Reaction) -> String {
    match reaction {
        Reaction::Job { natural_key, .. } | Reaction::Command { natural_key, .. } => natural_key,
        Reaction::Ignored { reason } => panic!("ignored: {reason}"),
    }
}

#[test]
fn a_mechanic_label_asks_for_the_issue_to_be_done() {
    let payload = event("github-issue-labeled.json");
    let Reaction::Job { job, natural_key } = react("issues", &payload) else { panic!("ignored") };
    let expected = json!({
        "repository": "acme/tally",
        "input": {
            "title": "settle refuses our holiday: shares by weight do not add up",
            "body": payload["issue"]["body"],
            "number": 7,
            "requester": "hubot"
        },
        "kind": "change",
        "priority": 0
    });
    assert_eq!(serde_json::to_value(&job).unwrap(), expected);
    assert_eq!(serde_json::to_value(&job.trigger).unwrap(), json!({"by": "label", "label": "mechanic"}));
    assert_eq!(natural_key, "1000002#7:labeled:mechanic:2025-08-21T08:05:12Z");
    assert_eq!(Triggers::default().mode(&job.trigger), Some(Mode::Mechanic));
}

#[test]
fn a_genius_label_asks_for_the_other_mode() {
    let Reaction::Job { job, .. } = react("issues", &event("github-issue-labeled-genius.json")) else { panic!("ignored") };
    assert_eq!(Triggers::default().mode(&job.trigger), Some(Mode::Genius));
}

#[test]
fn a_command_on_the_first_line_asks_for_its_own_task_with_the_issue_behind_it() {
    let payload = event("github-issue-comment-command.json");
    let Reaction::Job { job, natural_key } = react("issue_comment", &payload) else { panic!("ignored") };
    let issue_body = payload["issue"]["body"].as_str().unwrap();
    let body = format!(
        "settle refuses our holiday: shares by weight do not add up\n\n{issue_body}\n\n\
         Whoever loses most by rounding down should get them. Please keep whole cents, no floats."
    );
    assert_eq!((job.input.title.as_str(), job.input.body), ("hand out the odd cents of a weighted split", body));
    assert_eq!((job.input.number, job.input.requester.as_deref()), (Some(7), Some("hubot")));
    let comment = Some(CommentRef { id: 1_000_031, at_line: false });
    assert_eq!(job.trigger, Trigger::Command { command: "/mechanic hand out the odd cents of a weighted split".into(), comment });
    assert_eq!(Triggers::default().mode(&job.trigger), Some(Mode::Mechanic));
    assert_eq!(natural_key, "1000002:comment:1000031");
}

#[test]
fn a_bare_command_asks_for_the_issue_as_it_stands() {
    let payload = with(event("github-issue-comment-command.json"), "/comment/body", json!("/genius"));
    let Reaction::Job { job, .. } = react("issue_comment", &payload) else { panic!("ignored") };
    assert_eq!((json!(job.input.title), json!(job.input.body)), (payload["issue"]["title"].clone(), payload["issue"]["body"].clone()));
    assert_eq!(Triggers::default().mode(&job.trigger), Some(Mode::Genius));
}

/// Kind and title of what a comment asks for on an issue with these labels.
fn asked(comment: &str, labels: &[&str]) -> (Kind, String) {
    let mut payload = with(event("github-issue-comment-command.json"), "/comment/body", json!(comment));
    payload["issue"]["labels"] = labels.iter().map(|name| json!({ "name": name })).collect();
    payload["issue"]["title"] = json!("Totals");
    let Reaction::Job { job, .. } = react("issue_comment", &payload) else { panic!("ignored") };
    (job.kind, job.input.title)
}

#[test]
fn a_word_after_the_command_or_a_label_of_the_issue_names_the_kind() {
    for (comment, labels, kind, title) in [
        ("/mechanic review", &[][..], Kind::Review, "Totals"),
        ("/genius explain how totals are made", &[], Kind::Analysis, "explain how totals are made"),
        ("/mechanic Pergunta: onde estão os preços", &["bug"], Kind::Question, "Pergunta: onde estão os preços"),
        ("/mechanic", &["bug", "Question"], Kind::Question, "Totals"),
        ("/mechanic round once", &["question"], Kind::Change, "round once"),
        ("/mechanic reviewers are missing", &[], Kind::Change, "reviewers are missing"),
        ("/mechanic", &["bug"], Kind::Change, "Totals"),
    ] {
        assert_eq!(asked(comment, labels), (kind, title.to_owned()), "{comment} {labels:?}");
    }
    let mut payload = event("github-issue-labeled.json");
    payload["issue"]["labels"] = json!([{ "name": "question" }, { "name": "mechanic" }]);
    let Reaction::Job { job, .. } = react("issues", &payload) else { panic!("ignored") };
    assert_eq!(job.kind, Kind::Question);
}

#[test]
fn a_redelivery_under_another_guid_has_the_same_natural_key() {
    for (name, event_name) in [("github-issue-labeled.json", "issues"), ("github-issue-comment-command.json", "issue_comment")] {
        let payload = event(name);
        assert_eq!(natural_key(react_as("one", event_name, &payload)), natural_key(react_as("two", event_name, &payload)));
    }
}

#[test]
fn a_label_put_on_again_later_has_another_natural_key() {
    let payload = event("github-issue-labeled.json");
    let later = with(payload.clone(), "/issue/updated_at", json!("2025-08-22T09:00:00Z"));
    assert_ne!(natural_key(react("issues", &payload)), natural_key(react("issues", &later)));
}

#[test]
fn two_labels_put_on_at_once_are_two_actions() {
    let mechanic = event("github-issue-labeled.json");
    let genius = with(mechanic.clone(), "/label/name", json!("genius"));
    assert_ne!(natural_key(react("issues", &mechanic)), natural_key(react("issues", &genius)));
}

#[test]
fn names_of_labels_and_commands_are_configurable_and_ignore_case() {
    let triggers = Triggers { mechanic: "bot:fix".into(), genius: "bot:build".into(), login: None };
    let payload = with(event("github-issue-labeled.json"), "/label/name", json!("Bot:Build"));
    let webhook = webhook::parse("issues", "1", payload.to_string().as_bytes()).unwrap();
    let Reaction::Job { job, .. } = interpret(&webhook, &triggers) else { panic!("ignored") };
    assert_eq!(triggers.mode(&job.trigger), Some(Mode::Genius));
    assert_eq!(triggers.mode(&Trigger::Command { command: "/bot:fix now".into(), comment: None }), Some(Mode::Mechanic));
    assert_eq!(triggers.mode(&Trigger::Label { label: "mechanic".into() }), None);
}

#[test]
fn everything_else_is_ignored_with_its_reason() {
    let comment = event("github-issue-comment-command.json");
    let labeled = event("github-issue-labeled.json");
    let cases = [
        ("ping", event("github-ping.json"), "ping"),
        ("issues", event("github-issue-labeled-other.json"), "the label \"good first issue\" starts nothing"),
        ("issue_comment", event("github-issue-comment-plain.json"), "the comment does not begin with /mechanic, /genius or /codeteam"),
        ("issues", with(labeled.clone(), "/action", json!("opened")), "nothing reacts to the action \"opened\" of issues"),
        ("issue_comment", with(comment.clone(), "/action", json!("edited")), "nothing reacts to the action \"edited\" of issue_comment"),
        ("issue_comment", with(comment.clone(), "/action", json!("deleted")), "nothing reacts to the action \"deleted\" of issue_comment"),
        ("issues", with(labeled.clone(), "/sender/type", json!("Bot")), "hubot is a bot; only people start jobs"),
        ("issue_comment", with(comment.clone(), "/comment/user/type", json!("Bot")), "hubot is a bot; only people start jobs"),
        ("issues", with(labeled.clone(), "/sender/login", json!("acme[bot]")), "acme[bot] is a bot; only people start jobs"),
        ("issues", with(labeled.clone(), "/issue/title", json!(" ")), "the issue has no title"),
        ("workflow_run", json!({"action": "completed", "issue": "not an object"}), "nothing reacts to the event \"workflow_run\""),
    ];
    for (event, payload, reason) in cases {
        assert_eq!(react(event, &payload), ignored(reason));
    }
}

#[test]
fn a_command_anywhere_but_at_the_very_beginning_starts_nothing() {
    for body in
        ["> /mechanic fix it", " /mechanic fix it", "please\n/mechanic fix it", "/mechanics fix it", "mechanic fix it", "", "\n/genius"]
    {
        let payload = with(event("github-issue-comment-command.json"), "/comment/body", json!(body));
        assert_eq!(
            react("issue_comment", &payload),
            ignored("the comment does not begin with /mechanic, /genius or /codeteam"),
            "{body:?}"
        );
    }
}

#[test]
fn any_field_may_be_missing_or_null_without_an_error() {
    for (name, event_name) in [("github-issue-labeled.json", "issues"), ("github-issue-comment-command.json", "issue_comment")] {
        let full = event(name);
        for field in full.as_object().unwrap().keys() {
            let mut missing = full.clone();
            missing.as_object_mut().unwrap().remove(field);
            assert_eq!(react(event_name, &missing), react(event_name, &with(full.clone(), &format!("/{field}"), Value::Null)), "{field}");
        }
        assert!(matches!(react(event_name, &json!({})), Reaction::Ignored { .. }));
    }
}

#[test]
fn a_repository_that_is_no_name_starts_nothing() {
    let payload = with(event("github-issue-labeled.json"), "/repository/full_name", json!("../../etc"));
    assert!(matches!(react("issues", &payload), Reaction::Ignored { reason } if reason.contains("\"../../etc\" is not a repository")));
}

#[test]
fn what_is_no_delivery_is_an_error_that_says_what_to_do() {
    let error = |event: &str, delivery: &str, body: &[u8]| webhook::parse(event, delivery, body).unwrap_err();
    assert!(matches!(error("", "1", b"{}"), WebhookError::NoHeader("x-github-event")));
    assert!(matches!(error("issues", " ", b"{}"), WebhookError::NoHeader("x-github-delivery")));
    assert!(matches!(error("issues", "1", b"payload=%7B%7D"), WebhookError::Form));
    for event in ["issues", "workflow_run"] {
        for body in [b"".as_slice(), b"{", b"{} x", b"{\"action\": \xff}"] {
            assert!(matches!(error(event, "1", body), WebhookError::NotJson { .. }), "{event} {body:?}");
        }
    }
    let truncated = event("github-issue-labeled.json").to_string();
    assert!(matches!(error("issues", "1", &truncated.as_bytes()[..5_000]), WebhookError::NotJson { .. }));
}

#[test]
fn json_of_a_shape_that_nobody_knows_is_ignored_with_the_reason() {
    for body in ["[]", "null", "7", r#"{"action":7}"#, r#"{"issue":[]}"#, r#"{"action":"labeled","issue":{"number":"seven"}}"#] {
        let webhook = webhook::parse("issues", "1", body.as_bytes()).unwrap();
        let Reaction::Ignored { reason } = interpret(&webhook, &Triggers::default()) else { panic!("{body}") };
        assert!(reason.contains("shape") || reason.contains("names no action"), "{body}: {reason}");
        let webhook = webhook::parse("moon_phase", "1", body.as_bytes()).unwrap();
        assert_eq!(interpret(&webhook, &Triggers::default()), ignored("nothing reacts to the event \"moon_phase\""));
    }
}

#[test]
fn a_body_of_25_mib_is_read_and_one_byte_more_is_not() {
    let padded = |size: usize| format!("{{\"action\":\"{}\"}}", "x".repeat(size - 13));
    assert_eq!(padded(100).len(), 100);
    assert!(webhook::parse("issues", "1", padded(MAX_BODY_BYTES).as_bytes()).is_ok());
    let error = webhook::parse("issues", "1", padded(MAX_BODY_BYTES + 1).as_bytes()).unwrap_err();
    assert!(matches!(error, WebhookError::TooLarge { size_bytes } if size_bytes == MAX_BODY_BYTES + 1));
}
