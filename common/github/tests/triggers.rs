//! What each event asks for, from the samples in `events/`.

use domain::{Command, CommentRef, Kind, Mode, NewCommand, NewJob, StopCause, Trigger};
use github::{Reaction, Triggers};
use serde_json::{Value, json};
use time::macros::datetime;

use crate::webhooks::{event, ignored, react_with, with};

fn triggers() -> Triggers {
    Triggers { login: Some("codeteam".to_owned()), ..Triggers::default() }
}

fn react(name: &str, payload: &Value) -> Reaction {
    react_with(&triggers(), "72d3162e-cc78-11e3-81ab-4c9367dc0958", name, payload)
}

fn job(name: &str, payload: &Value) -> (NewJob, String) {
    match react(name, payload) {
        Reaction::Job { job, natural_key } => (*job, natural_key),
        other => panic!("{other:?}"),
    }
}

fn command(name: &str, payload: &Value) -> (NewCommand, String) {
    match react(name, payload) {
        Reaction::Command { command, natural_key } => (*command, natural_key),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_label_taken_off_or_a_closed_issue_stops_what_was_asked_there_whoever_does_it() {
    let unlabeled = event("github-issue-unlabeled.json");
    let (asked, key) = command("issues", &unlabeled);
    let stop = |because| Command::Stop { because };
    let expected = NewCommand {
        repository: "acme/tally".to_owned(),
        number: Some(7),
        job_id: None,
        actor: "hubot".to_owned(),
        command: stop(StopCause::Unlabeled { label: "mechanic".to_owned() }),
        comment: None,
        asked_at: Some(datetime!(2025-08-21 09:00 UTC)),
    };
    assert_eq!((asked, key.as_str()), (expected, "1000002#7:unlabeled:mechanic:2025-08-21T09:00:00Z"));
    let by_bot = with(unlabeled.clone(), "/sender/type", json!("Bot"));
    assert_eq!(command("issues", &by_bot).1, key, "a bot that tidies labels may stop a job, too");
    let other = with(unlabeled, "/label/name", json!("bug"));
    assert_eq!(react("issues", &other), ignored("the label \"bug\" starts nothing"));
    let (asked, key) = command("issues", &event("github-issue-closed.json"));
    assert_eq!((asked.command, asked.number, key.as_str()), (stop(StopCause::Closed), Some(7), "1000002#7:closed:2025-08-21T10:00:00Z"));
    let (asked, key) = command("pull_request", &event("github-pull-request-closed.json"));
    assert_eq!((asked.command, asked.number, key.as_str()), (stop(StopCause::Closed), Some(8), "1000002#8:closed:2025-08-22T11:00:00Z"));
}

#[test]
fn an_issue_that_is_opened_with_a_label_on_it_starts_nothing_yet_since_labeled_follows() {
    let opened = with(event("github-issue-labeled.json"), "/action", json!("opened"));
    assert_eq!(react("issues", &opened), ignored("nothing reacts to the action \"opened\" of issues"));
}

#[test]
fn an_issue_assigned_to_the_app_is_work_and_one_assigned_to_somebody_is_not() {
    let payload = event("github-issue-assigned.json");
    let (asked, key) = job("issues", &payload);
    assert_eq!((asked.trigger.clone(), asked.kind, asked.input.number), (Trigger::Assigned, Kind::Change, Some(7)));
    assert_eq!((triggers().mode(&asked.trigger), key.as_str()), (None, "1000002#7:assigned:2025-08-21T09:00:00Z"));
    let somebody = with(payload.clone(), "/assignee/login", json!("octocat"));
    assert_eq!(react("issues", &somebody), ignored("it was assigned to octocat, which is somebody else"));
    let nameless = react_with(&Triggers::default(), "1", "issues", &payload);
    assert_eq!(nameless, ignored("it was assigned to codeteam[bot], which is somebody else"));
}

#[test]
fn a_command_in_a_comment_is_written_down_with_its_comment() {
    let (asked, key) = command("issue_comment", &event("github-issue-comment-stop.json"));
    let expected = NewCommand {
        repository: "acme/tally".to_owned(),
        number: Some(7),
        job_id: None,
        actor: "hubot".to_owned(),
        command: Command::Stop { because: StopCause::Asked },
        comment: Some(CommentRef { id: 1_000_032, at_line: false }),
        asked_at: Some(datetime!(2025-08-21 08:20 UTC)),
    };
    assert_eq!((asked, key.as_str()), (expected, "1000002:comment:1000032"));
    let (asked, _) = command("issue_comment", &event("github-issue-comment-retry.json"));
    assert_eq!(asked.command, Command::Retry { mode: Some(Mode::Genius) });
    let (asked, _) = command("issue_comment", &with(event("github-issue-comment-stop.json"), "/comment/body", json!("/codeteam dance")));
    assert_eq!(asked.command, Command::Unknown { word: "dance".to_owned() });
}

#[test]
fn a_command_of_a_bot_or_in_an_edited_comment_is_none() {
    let payload = event("github-issue-comment-stop.json");
    for (at, value, reason) in [
        ("/action", "edited", "nothing reacts to the action \"edited\" of issue_comment"),
        ("/sender/type", "Bot", "hubot is a bot; only people start jobs"),
        ("/sender/login", "codeteam[bot]", "codeteam[bot] is a bot; only people start jobs"),
        ("/comment/user/type", "Bot", "hubot is a bot; only people start jobs"),
    ] {
        assert_eq!(react("issue_comment", &with(payload.clone(), at, json!(value))), ignored(reason));
    }
}

#[test]
fn a_pull_request_is_reviewed_by_label_by_command_or_on_request() {
    let (asked, key) = job("pull_request", &event("github-pull-request-labeled.json"));
    assert_eq!(
        (asked.kind, asked.input.number, asked.input.title.as_str()),
        (Kind::Review, Some(8), "Hand out the odd cents of a weighted split")
    );
    assert_eq!((triggers().mode(&asked.trigger), key.as_str()), (Some(Mode::Mechanic), "1000002#8:labeled:mechanic:2025-08-22T09:30:00Z"));
    let (asked, key) = job("pull_request", &event("github-pull-request-review-requested.json"));
    assert_eq!(
        (asked.kind, asked.trigger, key.as_str()),
        (Kind::Review, Trigger::ReviewRequest, "1000002#8:review_requested:2025-08-22T09:30:00Z")
    );
    let somebody = with(event("github-pull-request-review-requested.json"), "/requested_reviewer/login", json!("octocat"));
    assert_eq!(react("pull_request", &somebody), ignored("the review is asked of octocat, which is somebody else"));
    let comment = event("github-issue-comment-on-pull-request.json");
    for said in ["/mechanic review", "/genius"] {
        let (asked, _) = job("issue_comment", &with(comment.clone(), "/comment/body", json!(said)));
        assert_eq!((asked.kind, asked.input.title.as_str()), (Kind::Review, "Hand out the odd cents of a weighted split"), "{said}");
    }
}

#[test]
fn a_task_on_a_pull_request_is_a_change_of_it() {
    let (asked, key) = job("issue_comment", &event("github-issue-comment-on-pull-request.json"));
    assert_eq!((asked.kind, asked.input.number, asked.input.head), (Kind::Change, Some(8), None));
    assert_eq!((asked.input.title.as_str(), key.as_str()), ("fix the test that fails on the branch", "1000002:comment:1000034"));
    assert_eq!(asked.input.body, "Hand out the odd cents of a weighted split\n\nShares by weight add up again.\n\nFixes #7");
}

#[test]
fn a_push_to_a_pull_request_is_told_to_whoever_reviews_it() {
    let payload = event("github-pull-request-synchronize.json");
    let (asked, key) = command("pull_request", &payload);
    let to = "7e6d5c4b3a2918273645546372819aabbccddeef";
    assert_eq!((asked.command, asked.number), (Command::HeadMoved { to: Some(to.to_owned()) }, Some(8)));
    assert_eq!(key, format!("1000002#8:moved:{to}"));
    assert_eq!(command("pull_request", &with(payload, "/sender/type", json!("Bot"))).1, key, "bots push, too");
}

#[test]
fn changes_that_are_requested_on_our_pull_request_are_a_job_and_on_another_one_are_not() {
    let payload = event("github-review-changes-requested.json");
    let (asked, key) = job("pull_request_review", &payload);
    assert_eq!((asked.trigger, asked.kind, asked.input.number), (Trigger::Review { review_id: 1_000_040 }, Kind::Change, Some(8)));
    assert_eq!(asked.input.title, "Change what the review of #8 asks for: Hand out the odd cents of a weighted split");
    assert_eq!(asked.input.body, "Please keep the order of the people.");
    assert_eq!(key, "1000002:review:1000040");
    let other = "the review asks somebody else for changes: the pull request is none of ours";
    for (at, value) in [
        ("/pull_request/head/ref", json!("odd-cents")),
        ("/pull_request/head/repo", json!({ "id": 5, "full_name": "octocat/tally" })),
        ("/pull_request/head/repo", Value::Null),
    ] {
        assert_eq!(react("pull_request_review", &with(payload.clone(), at, value)), ignored(other), "{at}");
    }
    assert_eq!(react("pull_request_review", &event("github-review-approved.json")), ignored("the review asks for nothing"));
    let dismissed = with(payload, "/action", json!("dismissed"));
    assert_eq!(react("pull_request_review", &dismissed), ignored("nothing reacts to the action \"dismissed\" of pull_request_review"));
}

#[test]
fn a_review_that_begins_with_a_command_is_that_command() {
    let payload = event("github-review-approved.json");
    let with_body = |body: &str| with(payload.clone(), "/review/body", json!(body));
    let (asked, key) = job("pull_request_review", &with_body("/genius split the function\n\nIt is too long."));
    assert_eq!(asked.trigger, Trigger::Command { command: "/genius split the function".to_owned(), comment: None });
    assert_eq!((asked.kind, asked.input.title.as_str(), key.as_str()), (Kind::Change, "split the function", "1000002:review:1000041"));
    let (asked, _) = command("pull_request_review", &with_body("/codeteam status"));
    assert_eq!((asked.command, asked.comment), (Command::Status, None));
}

#[test]
fn a_command_at_a_line_is_asked_for_and_answered_there() {
    let (asked, key) = job("pull_request_review_comment", &event("github-review-comment-command.json"));
    let comment = Some(CommentRef { id: 1_000_050, at_line: true });
    assert_eq!(asked.trigger, Trigger::Command { command: "/mechanic name this `odd`".to_owned(), comment });
    assert_eq!((asked.kind, key.as_str()), (Kind::Change, "1000002:line_comment:1000050"));
    let hunk = "@@ -9,3 +9,4 @@\n def shares(total, weights):\n+    rest = total";
    assert!(
        asked.input.body.ends_with(&format!("It was asked at `tally/split.py`, line 12.\n\n```diff\n{hunk}\n```")),
        "{}",
        asked.input.body
    );
    let edited = with(event("github-review-comment-command.json"), "/action", json!("edited"));
    assert_eq!(
        react("pull_request_review_comment", &edited),
        ignored("nothing reacts to the action \"edited\" of pull_request_review_comment")
    );
}

#[test]
fn a_button_is_a_command_for_the_job_of_the_check_run() {
    let payload = event("github-check-run-retry.json");
    let (asked, key) = command("check_run", &payload);
    assert_eq!((asked.command, asked.number), (Command::Retry { mode: None }, None));
    assert_eq!(asked.job_id.unwrap().to_string(), "0198c8f0-5f00-7000-8000-4c7b1e9d2a60");
    assert_eq!(key, "1000002:check_run:1000060:retry:hubot:2025-08-22T09:20:00Z");
    let stop = with(payload.clone(), "/requested_action/identifier", json!("stop"));
    assert_eq!(command("check_run", &stop).0.command, Command::Stop { because: StopCause::Asked });
    let again = with(payload.clone(), "/action", json!("rerequested"));
    assert_eq!(command("check_run", &again).1, key);
    // Whoever may not press it presses it for nobody else.
    let another = with(payload.clone(), "/sender/login", json!("octocat"));
    assert_ne!(command("check_run", &another).1, key);
    let foreign = with(payload.clone(), "/check_run/external_id", json!(""));
    assert_eq!(react("check_run", &foreign), ignored("the check run is of no job of ours"));
    let other = with(payload, "/requested_action/identifier", json!("merge"));
    assert_eq!(react("check_run", &other), ignored("no check run of ours has a button \"merge\""));
}

#[test]
fn an_installation_is_noticed_and_asks_for_nothing() {
    let said = "installation created at acme (1 repositories, 0 more, 0 fewer): nothing is kept of that here";
    assert_eq!(react("installation", &event("github-installation.json")), ignored(said));
}

#[test]
fn one_action_has_one_key_whatever_its_delivery_is_called() {
    for (name, file) in [
        ("issues", "github-issue-unlabeled.json"),
        ("issues", "github-issue-closed.json"),
        ("issues", "github-issue-assigned.json"),
        ("issue_comment", "github-issue-comment-stop.json"),
        ("pull_request", "github-pull-request-labeled.json"),
        ("pull_request", "github-pull-request-synchronize.json"),
        ("pull_request", "github-pull-request-closed.json"),
        ("pull_request_review", "github-review-changes-requested.json"),
        ("pull_request_review_comment", "github-review-comment-command.json"),
        ("check_run", "github-check-run-retry.json"),
    ] {
        let payload = event(file);
        let by = |delivery| react_with(&triggers(), delivery, name, &payload);
        assert_eq!(by("one"), by("two"), "{file}");
        assert!(!matches!(by("one"), Reaction::Ignored { .. }), "{file}");
    }
}

#[test]
fn any_field_of_any_payload_may_be_missing_or_null() {
    for (name, file) in [
        ("issues", "github-issue-unlabeled.json"),
        ("issues", "github-issue-assigned.json"),
        ("pull_request", "github-pull-request-labeled.json"),
        ("pull_request", "github-pull-request-synchronize.json"),
        ("pull_request_review", "github-review-changes-requested.json"),
        ("pull_request_review_comment", "github-review-comment-command.json"),
        ("check_run", "github-check-run-retry.json"),
        ("installation", "github-installation.json"),
    ] {
        let full = event(file);
        for field in full.as_object().unwrap().keys() {
            let mut missing = full.clone();
            missing.as_object_mut().unwrap().remove(field);
            assert_eq!(react(name, &missing), react(name, &with(full.clone(), &format!("/{field}"), Value::Null)), "{file}: {field}");
        }
        assert!(matches!(react(name, &json!({})), Reaction::Ignored { .. }), "{file}");
    }
}
