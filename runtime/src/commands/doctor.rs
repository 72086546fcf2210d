//! `codeteam doctor`: everything a job needs, checked one by one.

mod deployment;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use config::{Probe, Services, Settings, Stage};
use domain::Mode;
use process::sandbox::{Level, Machine, Network, Proxy};
use process::{Command, Exit, PostgresOptions};
use redact::Redactor;
use serde::Serialize;
use store::roles;
use tokio_util::sync::CancellationToken;

use crate::cli::Doctor;
use crate::exit::{Failure, Outcome};
use crate::{sandbox, screen, state, upkeep};

/// One thing that was looked at.
#[derive(Serialize)]
struct Check {
    what: &'static str,
    state: State,
    found: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// Not set up, and some commands work without it.
    Missing,
    /// Needed, or set up and not usable.
    Bad,
}

/// Checks everything; fails when something that is needed, or set up, cannot be used.
/// `unread` = why the deployment's secrets could not be read.
pub(crate) async fn run(args: Doctor, json: bool, mut settings: Settings, unread: Option<String>) -> Outcome {
    let up = state::running(&settings.state_dir);
    if let (None, Some((url, _))) = (&settings.database_url, &up) {
        settings.database_url = Some(url.clone());
    }
    let mut checks = vec![
        tool("git", &["--version"], &settings, "install git").await,
        tool("python3", &["--version"], &settings, "install Python 3: it fetches PostgreSQL and runs the demonstration's tests").await,
    ];
    checks.extend(secrets(&settings, unread));
    checks.push(database(&settings).await);
    checks.extend(ledger(&settings).await);
    checks.push(match up {
        Some((_, up)) => {
            Check { what: "codeteam up", state: State::Ok, found: format!("runs as process {}, server {}", up.pid, up.server) }
        }
        None => Check { what: "codeteam up", state: State::Missing, found: "does not run".to_owned() },
    });
    checks.push(postgres(&settings).await);
    checks.extend(models(&settings));
    if !args.offline {
        checks.extend(providers(&settings).await);
    }
    checks.push(github_app(&settings, args.offline).await);
    if !args.offline {
        checks.extend(deployment::checks(&Services::new(settings.clone())).await);
    }
    checks.push(match settings.webhook_secrets.len() {
        0 => Check {
            what: "webhooks",
            state: State::Missing,
            found: "GITHUB_WEBHOOK_SECRET is not set: without a GitHub App webhooks are refused".to_owned(),
        },
        1 => Check { what: "webhooks", state: State::Ok, found: "GITHUB_WEBHOOK_SECRET is set".to_owned() },
        _ => Check { what: "webhooks", state: State::Ok, found: "two secrets are set: a rotation is under way".to_owned() },
    });
    checks.extend(weak_secrets());
    checks.push(writable(&settings));
    checks.extend(walls(&settings));
    checks.push(networks(&settings));
    let bad = checks.iter().filter(|check| check.state == State::Bad).count();
    screen::data(json, &checks, || {
        let line = |check: &Check| {
            let mark = match check.state {
                State::Ok => "ok     ",
                State::Missing => "-      ",
                State::Bad => "PROBLEM",
            };
            format!("{mark}  {:<14} {}", check.what, check.found)
        };
        checks.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    match bad {
        0 => Ok(()),
        1 => Err(Failure::Environment(anyhow::anyhow!("1 problem, see above"))),
        _ => Err(Failure::Environment(anyhow::anyhow!("{bad} problems, see above"))),
    }
}

async fn tool(name: &'static str, arguments: &[&str], settings: &Settings, remedy: &str) -> Check {
    let command = Command::new(name).args(arguments).path(&settings.path).timeout(Duration::from_secs(10));
    match process::run(command, &CancellationToken::new()).await {
        Ok(output) if output.exit == Exit::Code(0) => {
            let version = String::from_utf8_lossy(&output.stdout);
            Check { what: name, state: State::Ok, found: version.trim().to_owned() }
        }
        Ok(output) => Check { what: name, state: State::Bad, found: format!("does not run ({:?}): {remedy}", output.exit) },
        Err(error) => Check { what: name, state: State::Bad, found: format!("{error}: {remedy}") },
    }
}

/// The GitHub App, and whether GitHub knows it with everything it needs.
async fn github_app(settings: &Settings, offline: bool) -> Check {
    let check = |state, found| Check { what: "github app", state, found };
    let app = match Services::new(settings.clone()).github_app() {
        Ok(Some(app)) => app,
        Ok(None) => return check(State::Missing, "none is set up: `codeteam github setup` registers one".to_owned()),
        Err(error) => return check(State::Bad, format!("{error:#}")),
    };
    if offline {
        return check(State::Ok, format!("App {} of {}; GitHub was not asked", app.id(), app.site().web()));
    }
    match app.about().await {
        Ok(about) if about.missing().is_empty() => check(State::Ok, format!("{}, {}", about.name, about.html_url)),
        Ok(about) => check(State::Bad, format!("{}; `codeteam github check` says more", about.missing().join("; "))),
        Err(error) => check(State::Bad, error.to_string()),
    }
}

/// Secrets that the log cannot be kept clean of, where there are some.
fn weak_secrets() -> Option<Check> {
    let weak = Redactor::of_process().weak();
    let found = || {
        let names = weak.join(", ");
        format!("{names}: too short or plain to be taken out of logs and tool output; choose 16 random characters")
    };
    (!weak.is_empty()).then(|| Check { what: "weak secrets", state: State::Missing, found: found() })
}

/// Where the secrets come from.
fn secrets(settings: &Settings, unread: Option<String>) -> Option<Check> {
    let check = |state, found| Some(Check { what: "secrets", state, found });
    match (&settings.deployment.secrets, unread) {
        (_, Some(why)) => check(State::Bad, why),
        (Some(prefix), None) => check(State::Ok, format!("Secrets Manager holds those of {prefix}/ and was read")),
        (None, None) if settings.deployment.stage == Stage::Local => None,
        (None, None) => check(
            State::Missing,
            "they are in the environment, which everybody sees who may describe the task: set CODETEAM_SECRETS to have them read from Secrets Manager"
                .to_owned(),
        ),
    }
}

async fn database(settings: &Settings) -> Check {
    let check = |state, found| Check { what: "database", state, found };
    if settings.database_url.is_none() {
        return check(State::Missing, "DATABASE_URL is not set: demo, run and up bring their own PostgreSQL".to_owned());
    }
    let services = Services::new(settings.clone());
    match services.db().await {
        Ok(db) => match db.server_version().await {
            Ok(version) => check(State::Ok, format!("PostgreSQL {version}, the schema is this release's")),
            Err(error) => check(State::Bad, error.to_string()),
        },
        Err(error) => check(State::Bad, format!("{error:#}")),
    }
}

/// Budgets, anchors and privileges, where there is a database.
async fn ledger(settings: &Settings) -> Option<Check> {
    settings.database_url.as_ref()?;
    let db = Services::new(settings.clone()).db().await.ok()?;
    let check = |state, found| Check { what: "ledger", state, found };
    let looked = async { Ok::<_, store::StoreError>((upkeep::problems(&db).await?, roles::may_change_ledger(&db).await?)) };
    Some(match looked.await {
        Ok((problems, _)) if !problems.is_empty() => check(State::Bad, problems.join("; ")),
        Ok((_, false)) => check(State::Ok, "append-only by privilege; anchored, and the budgets agree with it".to_owned()),
        Ok((_, true)) => check(
            State::Ok,
            "anchored, and the budgets agree with it; append-only by trigger alone, since this role owns it (`codeteam migrate --grant-app ROLE`)"
                .to_owned(),
        ),
        Err(error) => check(State::Bad, error.to_string()),
    })
}

async fn postgres(settings: &Settings) -> Check {
    let options = PostgresOptions {
        environment: settings.environment.0.clone(),
        cache_dir: Some(settings.cache_dir.clone()),
        bin_dir: settings.postgres_bin.clone(),
        ..PostgresOptions::default()
    };
    match options.available().await {
        Ok(source) => Check { what: "PostgreSQL", state: State::Ok, found: format!("{source}, for demo, run and up") },
        Err(error) => Check { what: "PostgreSQL", state: State::Missing, found: format!("none here yet: {error}") },
    }
}

fn models(settings: &Settings) -> Vec<Check> {
    let services = Services::new(settings.clone());
    let providers = match services.providers() {
        Ok(providers) => providers,
        Err(error) => return vec![Check { what: "models", state: State::Bad, found: format!("{error:#}") }],
    };
    let models = match services.models() {
        Ok(models) => models,
        Err(error) => return vec![Check { what: "models", state: State::Bad, found: format!("{error:#}") }],
    };
    // A model that MODEL names is the only one that is asked: where it cannot be, something has to be done.
    let named = |name: &str| {
        let model = models.lookup(name).map_err(|error| (State::Bad, error.to_string()))?;
        providers.provider_for(model).map_err(|error| (State::Bad, error.to_string()))?;
        Ok(model)
    };
    let of = |mode: Mode| {
        let model = match settings.model.as_deref() {
            Some(name) => named(name),
            None => models.default_for(mode, &providers).map_err(|error| (State::Missing, error.to_string())),
        };
        match model {
            Ok(model) => Check { what: model_of(mode), state: State::Ok, found: format!("{} ({})", model.name, model.provider) },
            Err((state, found)) => Check { what: model_of(mode), state, found },
        }
    };
    vec![of(Mode::Mechanic), of(Mode::Genius)]
}

/// One small call to each provider. What keeps them from being built is a line of [`models`] already.
async fn providers(settings: &Settings) -> Vec<Check> {
    let probes = Services::new(settings.clone()).probe().await.unwrap_or_default();
    let check = |probe: Probe| match probe.found {
        Ok(found) => Check { what: probe.provider, state: State::Ok, found },
        Err(found) => Check { what: probe.provider, state: State::Bad, found },
    };
    probes.into_iter().map(check).collect()
}

fn model_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Mechanic => "mechanic model",
        Mode::Genius => "genius model",
    }
}

/// The walls around tools, and what tools cannot get to behind them.
fn walls(settings: &Settings) -> Vec<Check> {
    let (level, machine) = (settings.sandbox_level(), Machine::this());
    let state = if level == Level::None { State::Bad } else { State::Ok };
    let mut checks =
        vec![Check { what: "sandbox", state, found: format!("level {level}: {machine} (docs/sandbox.md says what stays open)") }];
    let mut behind: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for closed in sandbox::closed(settings) {
        behind.entry(closed.closed).or_default().push(closed.path.display().to_string());
    }
    checks.extend(behind.into_iter().map(|(folder, paths)| {
        let (paths, folder) = (paths.join(", "), folder.display());
        let found =
            format!("tools cannot get to {paths}, since {folder} is closed to their users: `chmod o+x {folder}`, or install it elsewhere");
        Check { what: "toolchain", state: State::Missing, found }
    }));
    checks
}

/// Which networks repositories may ask for, and whether this machine can hold commands to them.
fn networks(settings: &Settings) -> Check {
    let (level, machine) = (settings.sandbox_level(), Machine::this());
    let told = |network: &Network| match network.objection(level, machine) {
        None => network.name().to_owned(),
        Some(objection) => format!("no {}: {objection}", network.name()),
    };
    let possible: Vec<String> = [Network::Fetch(Proxy::default()), Network::Loopback].iter().map(told).collect();
    let found = format!("this machine can give commands {}; CODETEAM_NETWORK allows {}", possible.join("; "), settings.networks);
    Check { what: "network", state: State::Ok, found }
}

fn writable(settings: &Settings) -> Check {
    if let Err(error) = config::prepare_service_folders() {
        return Check { what: "state", state: State::Bad, found: error.to_string() };
    }
    let directory = &settings.state_dir;
    let found = directory.display().to_string();
    match std::fs::create_dir_all(directory).and_then(|()| tempfile::tempfile_in(directory)) {
        Ok(_) => Check { what: "state", state: State::Ok, found },
        Err(error) => Check { what: "state", state: State::Bad, found: format!("{found}: {error}; set CODETEAM_STATE_DIR") },
    }
}
