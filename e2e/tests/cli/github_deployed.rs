//! `codeteam github setup --env`: an App that is registered in a browser goes into the Secrets Manager of a deployment.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use e2e::Codeteam;
use process::Exit;
use serde_json::{Value, json};
use testkit::github::app_key;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::github::{WEBHOOK_SECRET, github, register};

const ID: &str = "ai-coding-team/dev/GITHUB_APP_ID";
const KEY: &str = "ai-coding-team/dev/GITHUB_APP_PRIVATE_KEY";
const HOOK: &str = "ai-coding-team/dev/GITHUB_WEBHOOK_SECRET";

/// A Secrets Manager.
#[derive(Clone, Default)]
struct Entries(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// By their names; an empty one has no value.
    entries: BTreeMap<String, String>,
    /// The one that nobody may write.
    locked: Option<&'static str>,
}

impl Respond for Entries {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let (id, action) = (asked["SecretId"].as_str().unwrap(), request.headers["x-amz-target"].to_str().unwrap());
        let refused = |code: &str, why: &str| ResponseTemplate::new(400).set_body_json(json!({ "__type": code, "message": why }));
        let Held { entries, locked } = &mut *self.0.lock().unwrap();
        let Some(value) = entries.get_mut(id) else { return refused("ResourceNotFoundException", "can't find the specified secret") };
        let told = match action.strip_prefix("secretsmanager.").unwrap() {
            "DescribeSecret" => json!({ "Name": id }),
            "GetSecretValue" if value.is_empty() => return refused("ResourceNotFoundException", "no value with label AWSCURRENT"),
            "GetSecretValue" => json!({ "Name": id, "SecretString": value }),
            // It quotes what it was given, as AWS may.
            "PutSecretValue" if *locked == Some(id) => return refused("AccessDeniedException", asked["SecretString"].as_str().unwrap()),
            "PutSecretValue" => {
                asked["SecretString"].as_str().unwrap().clone_into(value);
                json!({ "Name": id, "VersionId": asked["ClientRequestToken"] })
            }
            other => panic!("{other}"),
        };
        ResponseTemplate::new(200).set_body_json(told)
    }
}

impl Entries {
    /// As the template makes them, and where they are.
    async fn empty() -> (Self, MockServer) {
        let (entries, server) = (Self::default(), MockServer::start().await);
        entries.0.lock().unwrap().entries.extend([ID, KEY, HOOK].map(|id| (id.to_owned(), String::new())));
        Mock::given(method("POST")).respond_with(entries.clone()).mount(&server).await;
        (entries, server)
    }

    fn held(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap().entries.clone()
    }

    /// From now on nobody may write `id`.
    fn lock(&self, id: Option<&'static str>) {
        self.0.lock().unwrap().locked = id;
    }

    fn put(&self, id: &str, value: &str) {
        self.0.lock().unwrap().entries.insert(id.to_owned(), value.to_owned());
    }

    fn remove(&self, id: &str) {
        self.0.lock().unwrap().entries.remove(id);
    }
}

/// A setup of whoever deploys, with keys of AWS.
fn setup<'a>(aws: &MockServer, state: &Path, further: impl IntoIterator<Item = &'a str>) -> Codeteam {
    let arguments = ["github", "setup", "--env", "dev", "--json"];
    let setup = Codeteam::new(arguments.into_iter().chain(further)).state(state);
    let setup = setup.env("AWS_ACCESS_KEY_ID", "AKID").env("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-test");
    setup.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.uri())
}

/// The same in a browser: how it ended and what it said.
async fn in_a_browser(github: &MockServer, aws: &MockServer, state: &Path, further: &[&str]) -> (Exit, String) {
    let url = github.uri();
    let registration = ["--github", &url, "--url", "https://codeteam.example.com", "--organization", "acme"];
    register(github, setup(aws, state, registration.into_iter().chain(further.iter().copied())).start()).await
}

/// What the entries hold in the end.
fn whole() -> BTreeMap<String, String> {
    [(ID, "4711".to_owned()), (KEY, app_key()), (HOOK, WEBHOOK_SECRET.to_owned())].map(|(id, value)| (id.to_owned(), value)).into()
}

fn row(said: &str) -> Value {
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no JSON in {said}"));
    serde_json::from_str(line).unwrap()
}

fn shows_no_secret(said: &str) {
    let key = app_key();
    let pieces = key.lines().skip(1).filter(|line| line.len() > 8 && !line.starts_with('-'));
    assert!(pieces.chain([WEBHOOK_SECRET]).all(|secret| !said.contains(secret)), "{said}");
}

#[tokio::test]
async fn an_app_that_is_set_up_for_a_deployment_is_in_its_entries_and_in_no_file() {
    let (github, (entries, aws)) = (github(json!([])).await, Entries::empty().await);
    let state = tempfile::tempdir().unwrap();
    let (exit, said) = in_a_browser(&github, &aws, state.path(), &[]).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
    assert_eq!(entries.held(), whole());
    for id in [ID, KEY, HOOK] {
        assert!(said.contains(&format!("stored    {id}")), "{said}");
    }
    let row = row(&said);
    assert_eq!((&row["app_id"], &row["file"], &row["app"]["name"]), (&json!(4711), &Value::Null, &json!("Acme Codeteam")));
    assert!(row["entries"].as_array().unwrap().iter().all(|entry| entry["stored"] == true), "{row}");
    shows_no_secret(&said);
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "nothing is left here");

    let again = setup(&aws, state.path(), []).run().await;
    again.expect(2, &["ai-coding-team/dev/GITHUB_APP_ID holds an App already, number 4711", "--replace"]);
}

#[tokio::test]
async fn what_does_not_get_into_secrets_manager_is_in_a_file_and_a_second_call_brings_it_in() {
    let (github, (entries, aws)) = (github(json!([])).await, Entries::empty().await);
    entries.lock(Some(KEY));
    let state = tempfile::tempdir().unwrap();
    let (exit, said) = in_a_browser(&github, &aws, state.path(), &[]).await;
    assert_eq!(exit, Exit::Code(4), "{said}");
    let file = state.path().join("github-app-ai-coding-team-dev.json");
    let retry = format!("codeteam github setup --env dev --from {}", file.display());
    for words in [&format!("stored    {HOOK}"), &format!("NOT THERE {KEY}: "), &format!("NOT THERE {ID}: not tried"), &retry] {
        assert!(said.contains(words.as_str()), "{words} is not in {said}");
    }
    assert!(said.contains("secretsmanager:PutSecretValue is denied"), "{said}");
    shows_no_secret(&said);
    let stored: Vec<Value> = row(&said)["entries"].as_array().unwrap().iter().map(|entry| entry["stored"].clone()).collect();
    assert_eq!(stored, [true, false, false]);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // Another App would take the place of the file.
    let another = setup(&aws, state.path(), []).run().await;
    another.expect(2, &["holds an App whose credentials did not get into Secrets Manager", &retry]);
    let late = setup(&aws, state.path(), ["--from", file.to_str().unwrap()]).run().await;
    late.expect(4, &["NOT THERE", &retry]);
    entries.lock(None);
    let brought = setup(&aws, state.path(), ["--from", file.to_str().unwrap()]).run().await;
    assert_eq!(brought.json(0)["app_id"], 4711);
    shows_no_secret(&brought.said());
    assert_eq!((entries.held(), file.exists()), (whole(), false));
}

#[tokio::test]
async fn an_app_that_takes_the_place_of_another_is_brought_in_as_one() {
    let (github, (entries, aws)) = (github(json!([])).await, Entries::empty().await);
    let state = tempfile::tempdir().unwrap();
    entries.put(ID, "42");
    entries.lock(Some(ID));
    let (exit, said) = in_a_browser(&github, &aws, state.path(), &["--replace"]).await;
    assert_eq!((exit, entries.held()[ID].as_str()), (Exit::Code(4), "42"), "{said}");
    let file = state.path().join("github-app-ai-coding-team-dev.json");
    let retry = format!("codeteam github setup --env dev --replace --from {}", file.display());
    assert!(said.contains(&retry) && said.contains(&format!("stored    {KEY}")), "{said}");
    entries.lock(None);
    let arguments: Vec<&str> = retry.split(' ').skip(5).collect();
    setup(&aws, state.path(), arguments).run().await.expect(0, &["stored    ai-coding-team/dev/GITHUB_APP_ID"]);
    assert_eq!((entries.held(), file.exists()), (whole(), false));
}

#[tokio::test]
async fn an_app_without_a_webhook_secret_leaves_that_entry_as_it_was() {
    let (github, (entries, aws)) = (github(json!([])).await, Entries::empty().await);
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("mine.json");
    std::fs::write(&file, json!({ "app_id": 4711, "private_key": app_key(), "web_url": github.uri() }).to_string()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let brought = setup(&aws, state.path(), ["--from", file.to_str().unwrap()]).run().await;
    brought.expect(0, &[&format!("as it was {HOOK}: GitHub gave no such secret"), "set a webhook secret"]);
    assert_eq!((entries.held()[HOOK].as_str(), entries.held()[ID].as_str()), ("", "4711"));
}

#[tokio::test]
async fn an_app_of_a_file_is_brought_in_and_that_file_is_left_to_its_owner() {
    let (github, (entries, aws)) = (github(json!([])).await, Entries::empty().await);
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("mine.json");
    let url = github.uri();
    let credentials = json!({ "app_id": 4711, "private_key": app_key(), "webhook_secret": WEBHOOK_SECRET, "web_url": url });
    std::fs::write(&file, credentials.to_string()).unwrap();
    let from = || setup(&aws, state.path(), ["--from", file.to_str().unwrap()]);
    from().run().await.expect(4, &["others may read or write it", "chmod 600"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    from().run().await.expect(0, &["is of no more use here: remove it", "GitHubUrl"]);
    assert_eq!((entries.held(), file.exists()), (whole(), true));
    // The same App again changes nothing; another one has to be meant.
    from().run().await.expect(0, &["stored    ai-coding-team/dev/GITHUB_APP_ID"]);
    entries.put(ID, "42");
    from().run().await.expect(2, &["holds an App already, number 42", "--replace"]);
    assert_eq!(entries.held()[ID], "42");
}

#[tokio::test]
async fn nothing_is_registered_where_it_could_not_be_stored() {
    let (entries, aws) = Entries::empty().await;
    let state = tempfile::tempdir().unwrap();
    entries.remove(KEY);
    setup(&aws, state.path(), []).run().await.expect(4, &["there is no secret", KEY, "deploy first"]);
    setup(&aws, state.path(), []).env("AWS_REGION", "eu-west-1").run().await.expect(2, &["AWS_REGION is eu-west-1", "us-east-1 alone"]);
    let stranger = setup(&aws, state.path(), []).env("AWS_ACCESS_KEY_ID", "").env("HOME", state.path());
    stranger.run().await.expect(4, &["aws configure export-credentials", "no keys"]);
    let nowhere = Codeteam::new(["github", "setup", "--from", "github-app.json"]).state(state.path()).run().await;
    nowhere.expect(2, &["--env dev or --env prod"]);
    let both = setup(&aws, state.path(), ["--from", "github-app.json", "--name", "Another"]).run().await;
    both.expect(2, &["--from <FILE>", "--name <NAME>"]);
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}
