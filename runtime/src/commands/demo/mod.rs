//! `codeteam demo`: the whole way of one job, from a signed webhook to a pull request, on this machine.

mod repository;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use config::{Services, Settings};
use dispatch::{Ctx, HttpRequest};
use domain::{JobId, MicroUsd, Mode, Secret, SystemClock};
use github::signature::SIGNATURE_HEADER;
use github::webhook::{DELIVERY_HEADER, EVENT_HEADER};
use github::{Forge, LocalForge, Permission, Unregistered, WebhookSecrets};
use serde_json::{Value, json};
use store::jobs::Finished;
use store::{Db, ledger};
use tokio_util::sync::CancellationToken;

use self::repository::{Example, TestRun};
use super::follow::ended;
use super::local::{Database, unless_interrupted, work_on};
use crate::cli::Demo;
use crate::exit::{Failure, Outcome};
use crate::invoke_api::{InvokeApi, Options};
use crate::registry;
use crate::screen::{self, progress};
use crate::server::Server;
use crate::{sandbox, shutdown};

/// GitHub's own form of "hubot put the label mechanic on issue 7 of acme/tally".
const EVENT: &str = include_str!("../../../../events/github-issue-labeled.json");
const REPLIES: &str = include_str!("../../../../examples/tally.replies.json");
const REPOSITORY: &str = "acme/tally";
/// Who puts the label on in [`EVENT`].
const REQUESTER: &str = "hubot";
/// The most that a real model may cost in a demonstration.
const BUDGET: MicroUsd = MicroUsd(250_000);

/// Runs the demonstration.
pub(crate) async fn run(args: Demo, json: bool, settings: Settings) -> Outcome {
    let interrupt = shutdown::on_signal()?;
    let mut folder = tempfile::Builder::new().prefix("codeteam-demo-").permissions(sandbox::passable()).tempdir()?;
    let model = if args.scripted { None } else { real_model(&settings)? };
    let prepare = async {
        progress("1. A database of its own");
        let database = Database::fresh(&settings, args.keep).await?;
        progress(&format!("  {}", database.source));
        progress("2. A git repository with a bug: examples/tally");
        let example = Example::create(folder.path(), &settings.path).await?;
        let before = example.test("main").await?;
        progress(&format!("  its tests on main: {}", before.verdict()));
        let settings = demo_settings(settings, folder.path(), &database, model.as_deref())?;
        let forge = LocalForge::new(settings.state_dir.join("forge"), Unregistered::Refuse);
        let remote = example.bare.display().to_string();
        forge.register(REPOSITORY, &remote, [(REQUESTER.to_owned(), Permission::Write)]).await.map_err(|error| anyhow!(error))?;
        let services = Services::new(settings).with_forge(Arc::new(forge.clone()));
        let door = Door::open(&services).await?;
        progress(&format!("  while this runs, the Lambda Invoke API is open to everybody on this machine: http://{}", door.address));
        progress("3. A signed webhook: hubot labels issue 7 of acme/tally `mechanic`");
        let job_id = deliver(&services).await?;
        Ok((database, example, before, forge, services, door, job_id))
    };
    let (database, example, before, forge, services, door, job_id) = unless_interrupted(&interrupt, prepare).await?;
    progress(&format!("4. Job {}", job_id.short()));
    progress(&match &model {
        None => "  scripted: the replies come from examples/tally.replies.json; no model is called, tokens and cost are nominal".to_owned(),
        Some(model) => format!("  a real model, {model}, with a hard budget of $0.25"),
    });
    let worked = work_on(&services, job_id, Mode::Mechanic, &interrupt).await;
    door.close().await?;
    let db = services.db().await?;
    let finished = match worked {
        Ok(finished) => finished,
        Err(failure) => {
            db.close().await;
            database.close().await?;
            return Err(failure);
        }
    };
    let report = report(&db, &forge, &example, job_id, &finished, before).await?;
    db.close().await;
    drop(services);
    let kept = if args.keep { Some(kept(&mut folder, &database, &report)) } else { None };
    screen::data(json, &report.json(&finished, job_id), || report.text(&finished, job_id))?;
    if let Some(kept) = kept {
        progress(&kept);
    }
    if !args.keep {
        database.close().await?;
    }
    ended(&finished)?;
    if report.after.as_ref().is_none_or(|after| !after.passed) {
        return Err(Failure::Job("the tests do not pass on the branch".to_owned()));
    }
    Ok(())
}

/// The mechanic's first model whose provider is set up; `None` = there is none.
fn real_model(settings: &Settings) -> anyhow::Result<Option<String>> {
    let services = Services::new(settings.clone());
    let (models, providers) = (services.models()?, services.providers()?);
    Ok(models.default_for(Mode::Mechanic, &providers).ok().map(|model| model.name.clone()))
}

fn demo_settings(settings: Settings, folder: &Path, database: &Database, model: Option<&str>) -> anyhow::Result<Settings> {
    let script = folder.join("replies.json");
    std::fs::write(&script, REPLIES)?;
    Ok(Settings {
        database_url: Some(database.url.clone()),
        webhook_secrets: vec![Secret::new(JobId::new().to_string())],
        script: Some(script),
        model: Some(model.unwrap_or("scripted").to_owned()),
        cost_cap: Some(BUDGET),
        state_dir: folder.to_owned(),
        ..settings
    })
}

/// Sends the event as GitHub would: headers, raw body, signature.
async fn deliver(services: &Services) -> Result<JobId, Failure> {
    let secrets: WebhookSecrets = services.webhook_secrets()?.context("the demonstration has a secret")?;
    let body = EVENT.as_bytes().to_vec();
    let headers = BTreeMap::from([
        (SIGNATURE_HEADER.to_owned(), secrets.sign(&body)),
        (EVENT_HEADER.to_owned(), "issues".to_owned()),
        (DELIVERY_HEADER.to_owned(), JobId::new().to_string()),
    ]);
    let request = HttpRequest { method: "POST".to_owned(), path: "/webhooks/github".to_owned(), query: String::new(), headers, body };
    let registry = registry::all(services).await?;
    let accepted = registry
        .invoke_http("enqueue", Ctx::with_timeout(Duration::from_secs(10)), request)
        .await
        .map_err(|error| anyhow!(error).context("the webhook was not accepted"))?;
    let job_id: Option<JobId> = serde_json::from_value(accepted["job_id"].clone()).ok();
    Ok(job_id.with_context(|| format!("no job came of the webhook: {accepted}"))?)
}

/// The server, open on loopback as long as the demonstration runs.
struct Door {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Door {
    async fn open(services: &Services) -> Result<Self, Failure> {
        let shutdown = CancellationToken::new();
        let registry = registry::all(services).await?;
        let invoke = InvokeApi::new(Arc::new(registry.clone()), Arc::new(SystemClock), Options::default(), shutdown.clone());
        let server = Server::bind(([127, 0, 0, 1], 0).into(), registry, services.db().await?, Some(invoke)).await?;
        let address = server.address()?;
        Ok(Self { address, serving: tokio::spawn(server.run(shutdown.clone())), shutdown })
    }

    async fn close(self) -> Result<(), Failure> {
        self.shutdown.cancel();
        Ok(self.serving.await.context("the server panicked")?)
    }
}

/// What there is to show at the end.
struct Report {
    before: TestRun,
    after: Option<TestRun>,
    diff: String,
    pull_request: Value,
    ledger_rows: u64,
    bare: String,
    forge: String,
}

async fn report(
    db: &Db,
    forge: &LocalForge,
    example: &Example,
    job_id: JobId,
    finished: &Finished,
    before: TestRun,
) -> Result<Report, Failure> {
    let (mut after, mut diff, mut pull_request) = (None, String::new(), Value::Null);
    if let Some(branch) = finished.links["branch"].as_str() {
        after = Some(example.test(branch).await?);
        diff = example.diff(branch).await?;
        let found = forge.find_pull_request(REPOSITORY, branch).await.map_err(|error| anyhow!(error))?;
        pull_request = json!(found);
    }
    let verified = ledger::verify(db, Some(job_id)).await?;
    if let Some(fault) = verified.faults.first() {
        return Err(Failure::Job(format!("the ledger does not hold: row {}: {}", fault.seq, fault.what)));
    }
    let forge = example.bare.with_file_name("forge").display().to_string();
    Ok(Report { before, after, diff, pull_request, ledger_rows: verified.rows, bare: example.bare.display().to_string(), forge })
}

impl Report {
    fn json(&self, finished: &Finished, job_id: JobId) -> Value {
        json!({
            "job_id": job_id,
            "result": finished,
            "tests_before": self.before,
            "tests_after": self.after,
            "diff": self.diff,
            "pull_request": self.pull_request,
            "ledger_rows": self.ledger_rows,
        })
    }

    fn text(&self, finished: &Finished, job_id: JobId) -> String {
        let mut text = format!("\n{}\n\n{}\n", finished.outcome.sentence(), self.diff.trim_end());
        text.push_str(&format!("\ntests before  {}\n", self.before.verdict()));
        let after = self.after.as_ref().map_or_else(|| "no branch was pushed".to_owned(), TestRun::verdict);
        text.push_str(&format!("tests after   {after}\n"));
        for name in ["branch", "pull_request", "comment"] {
            if let Some(link) = finished.links[name].as_str() {
                text.push_str(&format!("{:<13} {link}\n", name.replace('_', " ")));
            }
        }
        let spent = &finished.spent;
        text.push_str(&format!(
            "ledger        {} in {} rows, every hash holds; {} steps, {} tokens\n",
            spent.cost_microusd,
            self.ledger_rows,
            spent.steps,
            screen::thousands(spent.tokens)
        ));
        text.push_str(&format!(
            "\nNext: your own repository.\n  codeteam run PATH \"what to do\"          with the key of a model provider set\n  \
             codeteam demo --keep                   keeps all of this; then `codeteam show {}`\n  \
             codeteam doctor                        says what is set up and what is missing",
            job_id.short()
        ));
        text
    }
}

/// Leaves everything where it is and says where.
fn kept(folder: &mut tempfile::TempDir, database: &Database, report: &Report) -> String {
    folder.disable_cleanup(true);
    format!(
        "\nKept: {}\n  repository    {}\n  forge         {}\n  database      export DATABASE_URL='{}'\n  {}",
        folder.path().display(),
        report.bare,
        report.forge,
        database.url.expose(),
        database.stop_hint()
    )
}
