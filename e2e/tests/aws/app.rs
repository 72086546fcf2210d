//! The App of a deployment: `codeteam github setup` puts it into Secrets Manager, the services are it from there, and its key is replaced
//! while they run.

use std::time::Duration;

use e2e::Codeteam;
use e2e::aws::{Emulator, KEY};
use process::{Exit, Signal};
use testkit::client::get;
use testkit::github::{Server, app_key, second_app_key};

use super::world::{App, Setting, World, put_secret, quick};

const WORKER: &str = "mechanic-worker";
/// A refused key is tried again after half a minute, by triage and by the worker; then the job is done.
const PATIENCE: Duration = Duration::from_secs(180);

/// Registers the App of `github` for the environment `dev`, as a person does in a browser.
pub(super) async fn set_up(emulator: &Emulator, github: &Server) {
    let url = github.url();
    let arguments = ["github", "setup", "--env", "dev", "--github", &url, "--url", "https://codeteam.example.com"];
    let command = KEY.iter().fold(Codeteam::new(arguments), |command, (name, value)| command.env(name, value));
    let running = command.env("AWS_ENDPOINT_URL", emulator.url()).start();
    let line = running.says("http://127.0.0.1:").await;
    let address = line.trim().trim_start_matches("http://").to_owned();
    let page = String::from_utf8(get(&address, "/").await.body).unwrap();
    let state = page.split("?state=").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("{page}"));
    assert_eq!(get(&address, &format!("/registered?code=good&state={state}")).await.status, 200);
    let (exit, said) = running.end(Signal::TERM).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
    for name in ["GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY", "GITHUB_WEBHOOK_SECRET"] {
        assert!(said.contains(&format!("stored    ai-coding-team/dev/{name}")), "{said}");
    }
}

#[tokio::test]
async fn the_apps_key_is_replaced_in_secrets_manager_and_on_github_and_nothing_is_restarted() {
    let setting = Setting { app: App::InEntries, ..Setting::of(quick()) };
    let Some(world) = World::start("the rotation of the App's key", setting).await else { return };
    world.job("mechanic").await;
    world.done(1).await;
    let before = (world.fleet.processes("dashboard"), world.fleet.processes(WORKER));
    // A person makes a second key on GitHub, puts it in and deletes the first; an hour later no token of before is good any more.
    put_secret(&world.emulator.address, "GITHUB_APP_PRIVATE_KEY", &second_app_key()).await;
    {
        let mut github = world.github.state();
        github.keys = vec![second_app_key()];
        github.expire();
    }
    world.job("mechanic").await;
    let done = "select count(*) from jobs where outcome = 'succeeded'";
    world.patient("a job is done with the second key", PATIENCE, async || (world.db.value(done).await == "2").then_some(())).await;
    assert_eq!((world.fleet.processes("dashboard"), world.fleet.processes(WORKER)), before, "nothing was restarted");
    assert_eq!(world.github.at("acme/tally").pulls.len(), 2);
    for service in ["dashboard", WORKER] {
        assert!(world.fleet.said(service).contains("Bad credentials"), "{service} showed GitHub the first key once more: {}", world.told());
    }
    let (told, keys) = (world.told(), [app_key(), second_app_key()]);
    let mut lines = keys.iter().flat_map(|key| key.lines()).filter(|line| line.len() == 64);
    assert!(lines.all(|line| !told.contains(line)), "a key is in a log");
    // The roles of the template are exactly what the processes ask for.
    for service in ["dashboard", WORKER] {
        assert_eq!(world.gate.asked(service), world.gate.permitted(service), "{service}");
    }
}
