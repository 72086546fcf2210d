//! Whole conversations between the built service and a GitHub that remembers what it was told.

use std::collections::BTreeSet;
use std::io::Write;

use domain::MicroUsd;
use e2e::git::git;
use e2e::root;
use process::{Exit, Signal};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::emulator::{BOT, REPOSITORY, World};

/// A file of replies that call one tool each.
fn script(calls: &[(&str, Value, u64)]) -> NamedTempFile {
    let reply = |(name, input, delay_ms): &(&str, Value, u64)| json!({ "text": "so", "tool_calls": [{ "name": name, "input": input }], "delay_ms": delay_ms });
    let mut file = NamedTempFile::new().unwrap();
    let replies: Vec<Value> = calls.iter().map(reply).collect();
    write!(file, "{}", json!({ "name": "a conversation", "replies": replies })).unwrap();
    file
}

fn seconds_between(from: &str, to: &str) -> f64 {
    let at = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
    (at(to) - at(from)).as_seconds_f64()
}

/// The last webhook of an action that came from `sender`.
fn delivery<'a>(seen: &'a Value, event: &str, action: &str, sender: &str) -> &'a Value {
    let mut all = seen["deliveries"].as_array().unwrap().iter().rev();
    let found = all.find(|delivery| delivery["event"] == event && delivery["action"] == action && delivery["sender"] == sender);
    found.unwrap_or_else(|| panic!("no {event} {action} of {sender}: {seen:#}"))
}

/// What each token of the repository was for: no more than one kind of work, and no other repository.
async fn tokens_are_narrow(world: &World) {
    let mut kinds = BTreeSet::new();
    for token in world.github.minted().await {
        let of_accounts = token["permissions"] == json!({ "metadata": "read" });
        let repositories = token["repository_ids"].as_array().unwrap().len();
        assert!(of_accounts || (&token["repository_selection"], repositories) == (&json!("selected"), 1), "{token:#}");
        kinds.insert(token["permissions"].to_string());
    }
    let clone = json!({ "contents": "read", "metadata": "read" });
    let push = json!({ "contents": "write", "metadata": "read" });
    let talk = json!({ "checks": "write", "contents": "read", "issues": "write", "metadata": "read", "pull_requests": "write" });
    let expected = [&clone, &push, &talk, &json!({ "metadata": "read" })].map(Value::to_string);
    assert_eq!(kinds, BTreeSet::from(expected));

    let seen = world.github.seen().await;
    let used = |service: &str| -> BTreeSet<String> {
        let all = seen["git"].as_array().unwrap().iter().filter(|asked| asked["service"] == service);
        all.map(|asked| asked["permissions"].to_string()).collect()
    };
    assert_eq!(used("git-receive-pack"), BTreeSet::from([push.to_string()]), "{:#}", seen["git"]);
    assert!(used("git-upload-pack").contains(&clone.to_string()), "{:#}", seen["git"]);
}

/// What the job cost, if ledger, API, command line and all of `texts` agree on it to the micro-dollar. A call that was broken off
/// counts with what was held back for it.
async fn one_sum(world: &World, job_id: &str, texts: &[&str]) -> String {
    let closed = "select from ledger closing where closing.job_id = entry.job_id and closing.reservation_seq = entry.seq";
    let counted = format!("(entry.kind <> 'reserved' or not exists ({closed}))");
    let sum = format!("select sum(cost_microusd) from ledger entry where job_id = '{job_id}' and {counted}");
    let sum: i64 = world.db.value(&sum).await.parse().unwrap();
    let exact = MicroUsd(sum).exact();
    assert_ne!(sum, 0);
    for text in texts {
        assert!(text.contains(&exact), "{exact} is not in:\n{text}");
    }
    assert_eq!(world.api(&format!("/api/v1/jobs/{job_id}")).await["spent"]["cost_microusd"], sum);
    let shown = world.codeteam(&["show", job_id, "--json"]).run().await.json(0);
    assert_eq!(shown["job"]["finished"]["spent"]["cost_microusd"], sum, "{shown:#}");
    let ledger = world.codeteam(&["ledger", "show", job_id]).run().await;
    assert!(ledger.stdout.trim_end().ends_with(&exact), "{exact} is not at the end of:\n{}", ledger.stdout);
    world.codeteam(&["ledger", "verify"]).run().await.expect(0, &["every chain holds"]);
    exact
}

#[tokio::test]
async fn a_label_becomes_a_pull_request_which_a_comment_goes_on_with() {
    let Some(world) = World::start("a whole conversation on GitHub").await else { return };
    world.codeteam(&["github", "check"]).run().await.expect(0, &["App 4711"]);
    let number = world.issue("Balances of a weighted split do not add up").await;
    let worker = world.worker(&root().join("examples/tally.replies.json"));
    world.label("octocat", number).await;
    let subject = format!("/issues/{number}");
    let eyes = world.reacted(&subject, "eyes").await;
    let seen = world.github.seen().await;
    let heard = seconds_between(delivery(&seen, "issues", "labeled", "octocat")["delivered_at"].as_str().unwrap(), &eyes);
    e2e::measured(&format!("the reaction came {heard:.2} s after the label"));
    assert!(heard < 10.0, "{heard} s");

    let rocket = world.reacted(&subject, "rocket").await;
    e2e::measured(&format!("the pull request was told of {:.1} s after the label", heard + seconds_between(&eyes, &rocket)));
    let job_id = world.db.value("select job_id from jobs").await;
    let [sticky] = &world.said(number).await[..] else { panic!("one comment: {:#?}", world.said(number).await) };
    assert!(sticky.contains("done · change, mechanic, scripted") && sticky.contains(&job_id), "{sticky}");

    let pulls = world.github.ask("ada", "GET", "/pulls?state=all", Value::Null).await;
    let [pull] = &pulls.as_array().unwrap()[..] else { panic!("one pull request: {pulls:#}") };
    assert_eq!((&pull["draft"], &pull["state"], &pull["user"]["login"]), (&json!(true), &json!("open"), &json!(BOT)), "{pull:#}");
    let (body, branch) = (pull["body"].as_str().unwrap(), pull["head"]["ref"].as_str().unwrap());
    assert!(sticky.contains(pull["html_url"].as_str().unwrap()), "{sticky}");
    assert!(body.contains(&format!("\nFixes #{number}\n")) && branch.starts_with("codeteam/"), "{branch}: {body}");
    let verified = ["### How it was verified", "- `python3 -m unittest -q`: exit code 1", "settle samples/holiday.csv`: exit code 0"];
    for words in verified {
        assert!(body.contains(words), "{words:?} is not in:\n{body}");
    }
    let cost = one_sum(&world, &job_id, &[sticky, body]).await;
    the_commit_names_who_made_and_who_asked(&world, number, pull).await;
    one_check_run(&world, &job_id, &pull["base"]["sha"]).await;
    tokens_are_narrow(&world).await;

    status_is_told_once(&world, number, &cost).await;
    assert_eq!(worker.end(Signal::TERM).await.0, Exit::Code(0));
    a_comment_goes_on(&world, pull).await;
    let seen = world.github.seen().await;
    for delivery in seen["deliveries"].as_array().unwrap() {
        assert_eq!(delivery["status_code"], 202, "{delivery:#}");
    }
}

async fn the_commit_names_who_made_and_who_asked(world: &World, number: u64, pull: &Value) {
    let branch = pull["head"]["ref"].as_str().unwrap();
    let show = async |format: &str| git(&world.github.bare, &["log", "-1", &format!("--format={format}"), branch]).await;
    let issue = world.github.ask("ada", "GET", &format!("/issues/{number}"), Value::Null).await;
    let (bot, octocat) = (&pull["user"]["id"], &issue["user"]["id"]);
    let author = format!("{BOT} <{bot}+{BOT}@users.noreply.127.0.0.1>");
    assert_eq!(show("%an <%ae>, %cn <%ce>").await.trim(), format!("{author}, {author}"));
    let message = show("%B").await;
    let requester = format!("Co-authored-by: The Octocat <{octocat}+octocat@users.noreply.127.0.0.1>");
    assert!(message.contains(&requester), "{message}");
    let main = git(&world.github.bare, &["rev-parse", "main"]).await;
    assert_eq!(show("%P").await, main, "one commit on top of main");
}

/// One for the job, at the commit that it started from: it could be stopped while it ran and can be retried now.
async fn one_check_run(world: &World, job_id: &str, base: &Value) {
    let (seen, path) = (world.github.seen().await, format!("/commits/{}/check-runs?filter=all", base.as_str().unwrap()));
    let looked = async || {
        let page = world.github.ask("ada", "GET", &path, Value::Null).await;
        let runs = page["check_runs"].as_array().unwrap().clone();
        (runs.first()?["status"] == "completed").then_some(runs)
    };
    let runs = world.until("the check run has ended", looked).await;
    let [run] = &runs[..] else { panic!("one check run: {runs:#?}") };
    assert_eq!((&run["external_id"], &run["conclusion"]), (&json!(job_id), &json!("success")));
    let shown = seen["buttons"].as_array().unwrap();
    let stop = |there: &Value| there["actions"] == json!(["stop"]) && there["status"] == "in_progress";
    assert!(shown.iter().any(stop), "{shown:#?}");
    let seen = world.github.seen().await;
    assert_eq!(seen["buttons"].as_array().unwrap().last().unwrap()["actions"], json!(["retry"]));
}

/// A question about the jobs of an issue is answered, and however often GitHub tells it, once.
async fn status_is_told_once(world: &World, number: u64, cost: &str) {
    let before = world.said(number).await.len();
    world.comment("octocat", number, "/codeteam status").await;
    let answered = async || world.said(number).await.get(before).cloned();
    let answer = world.until("the status is told", answered).await;
    assert!(answer.contains("| change, mechanic | done |") && answer.contains(cost), "{answer}");
    let seen = world.github.seen().await;
    let told = delivery(&seen, "issue_comment", "created", "octocat");
    assert_eq!(told["said"]["accepted"], "command", "{told:#}");
    world.github.again(told["id"].as_u64().unwrap()).await;
    let seen = world.github.seen().await;
    // The answer is a comment too, and told about at any moment.
    let again = seen["deliveries"].as_array().unwrap().iter().rfind(|delivery| delivery["guid"] == told["guid"]).unwrap();
    assert_eq!(again["said"]["accepted"], "known_command", "{again:#}");
    world.quiet().await;
    assert_eq!(world.said(number).await.len(), before + 1);
}

/// A task in a comment on the pull request is pushed to its branch, on top.
async fn a_comment_goes_on(world: &World, pull: &Value) {
    let (number, branch) = (pull["number"].as_u64().unwrap(), pull["head"]["ref"].as_str().unwrap());
    let head = async || git(&world.github.bare, &["rev-parse", branch]).await;
    let before = head().await;
    let command = "printf '\\nParts of a weighted split add up to the cent.\\n' >> README.md";
    let finish = json!({ "title": "Say that parts add up", "summary": "The README says it.", "tests_run": [], "confidence": "high" });
    let replies = script(&[("shell", json!({ "command": command }), 100), ("finish", finish, 100)]);
    let worker = world.worker(replies.path());
    let asked = world.comment("octocat", number, "/mechanic say in the README that parts add up to the cent").await;
    let subject = format!("/issues/comments/{asked}");
    world.reacted(&subject, "rocket").await;
    let after = head().await;
    let parent = git(&world.github.bare, &["rev-parse", &format!("{branch}^")]).await;
    assert_eq!(parent, before, "one commit on top");
    let pulls = world.github.ask("ada", "GET", "/pulls?state=all", Value::Null).await;
    assert_eq!(pulls.as_array().unwrap().len(), 1, "{pulls:#}");
    assert_eq!(pulls[0]["head"]["sha"], after.trim());
    world.quiet().await;
    // How it went, and what was pushed.
    let said = world.said(number).await;
    assert_eq!(said.len(), 2, "{said:#?}");
    let pushed = format!("Pushed {} to `{branch}`.", after.trim());
    assert_eq!(said.iter().filter(|text| text.contains(&pushed)).count(), 1, "{said:#?}");
    assert_eq!(said.iter().filter(|text| text.contains("done · change, mechanic, scripted")).count(), 1, "{said:#?}");
    let job_id = world.db.value("select job_id from jobs order by job_id desc limit 1").await;
    one_sum(world, &job_id, &[&said[0], &said[1]]).await;
    // The push to the pull request is the App's own: it starts nothing.
    assert_eq!(world.db.value("select count(*) from jobs").await, "2");
    let seen = world.github.seen().await;
    assert_eq!(delivery(&seen, "pull_request", "synchronize", BOT)["status_code"], 202);
    assert_eq!(worker.end(Signal::TERM).await.0, Exit::Code(0));
}

#[tokio::test]
async fn somebody_who_may_only_read_is_refused_once_and_starts_nothing() {
    let Some(world) = World::start("a stranger's commands on GitHub").await else { return };
    let number = world.issue("Balances of a weighted split do not add up").await;
    world.label("monalisa", number).await;
    world.comment("monalisa", number, "/mechanic fix this").await;
    world.comment("monalisa", number, "/codeteam status").await;
    let refused = "select count(*) from jobs where outcome = 'refused'";
    let decided = async || (world.db.value(refused).await == "2").then_some(());
    world.until("both jobs are refused", decided).await;
    world.until("the refusal is told", async || world.said(number).await.first().cloned()).await;
    world.quiet().await;
    let said = world.said(number).await;
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].starts_with("monalisa may not push to this repository"), "{said:#?}");
    let seen = world.github.seen().await;
    assert_eq!(seen["reactions"], json!([]));
    assert_eq!(world.db.value("select count(*) from queue").await, "0");
    assert_eq!(world.db.value("select count(*) from ledger").await, "0");
}

#[tokio::test]
async fn an_issue_that_is_closed_stops_its_job_and_a_re_run_of_the_check_repeats_it() {
    let Some(world) = World::start("an issue that is closed on GitHub").await else { return };
    let number = world.issue("Balances of a weighted split do not add up").await;
    let replies = script(&[("list_files", json!({ "path": "." }), 0), ("list_files", json!({ "path": "tally" }), 45_000)]);
    let worker = world.worker(replies.path());
    world.label("octocat", number).await;
    let works = async || world.said(number).await.into_iter().find(|text| text.contains("working · change, mechanic"));
    let comment = world.until("it works", works).await;
    assert!(comment.contains("`/codeteam stop`"), "{comment}");
    let second = "select count(*) from ledger where kind = 'reserved' and step_no = 2";
    world.until("the model thinks", async || (world.db.value(second).await == "1").then_some(())).await;
    world.github.ask("octocat", "PATCH", &format!("/issues/{number}"), json!({ "state": "closed" })).await;
    let confused = world.reacted(&format!("/issues/{number}"), "confused").await;
    let seen = world.github.seen().await;
    let closed = delivery(&seen, "issues", "closed", "octocat")["delivered_at"].as_str().unwrap();
    e2e::measured(&format!("the end was told {:.1} s after the issue was closed", seconds_between(closed, &confused)));
    let stopped = world.db.value("select extract(epoch from finished_at) from jobs").await;
    let closed_at = OffsetDateTime::parse(closed, &Rfc3339).unwrap().unix_timestamp_nanos() as f64 / 1e9;
    assert!(stopped.parse::<f64>().unwrap() - closed_at < 10.0, "closed at {closed_at}, ended at {stopped}");
    assert_eq!(world.db.value("select outcome from jobs").await, "stopped");
    world.quiet().await;
    let said = world.said(number).await;
    let [sticky] = &said.iter().filter(|text| text.contains("stopped on request · change, mechanic")).collect::<Vec<_>>()[..] else {
        panic!("one comment: {said:#?}")
    };
    one_sum(&world, &world.db.value("select job_id from jobs").await, &[sticky]).await;
    let branches = git(&world.github.bare, &["for-each-ref", "--format=%(refname:short)", "refs/heads"]).await;
    assert_eq!(branches.trim(), "main", "{REPOSITORY} has nothing new");
    let pulls = world.github.ask("ada", "GET", "/pulls?state=all", Value::Null).await;
    assert_eq!(pulls, json!([]));
    assert_eq!(worker.end(Signal::TERM).await.0, Exit::Code(0));

    let seen = world.github.seen().await;
    let run = &seen["buttons"].as_array().unwrap().last().unwrap()["check_run"];
    let rerun = format!("/check-runs/{run}/rerequest");
    world.github.ask("monalisa", "POST", &rerun, Value::Null).await;
    let refused = async || (world.said(number).await.last()?.starts_with("monalisa may not push")).then_some(());
    world.until("a stranger's re-run is refused", refused).await;
    assert_eq!(world.db.value("select count(*) from jobs").await, "1");
    world.github.ask("octocat", "POST", &rerun, Value::Null).await;
    let repeated = "select count(*) from jobs again join jobs first on again.retry_of = first.job_id";
    world.until("the job is repeated", async || (world.db.value(repeated).await == "1").then_some(())).await;
    assert_eq!(world.db.value("select count(*) from jobs").await, "2");
}

#[tokio::test]
async fn what_was_asked_while_the_service_was_away_is_asked_for_again_and_starts_one_job() {
    let Some(world) = World::start("webhooks that GitHub could not deliver").await else { return };
    world.goes_away().await;
    let number = world.issue("Balances of a weighted split do not add up").await;
    world.label("octocat", number).await;
    let tried = async || (world.github.seen().await["deliveries"].as_array()?.len() == 2).then_some(());
    world.until("GitHub has tried", tried).await;
    world.comes_back().await;
    let redeliver = ["github", "redeliver", "--since", "1h"];
    world.codeteam(&redeliver).run().await.expect(0, &["2 webhooks are sent again"]);
    world.reacted(&format!("/issues/{number}"), "eyes").await;
    world.codeteam(&redeliver).run().await.expect(0, &["nothing is missing"]);
    assert_eq!(world.db.value("select count(*) from jobs").await, "1");
}
