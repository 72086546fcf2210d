//! The commands, one file each (the small ones about jobs together).

mod alarms;
mod budget;
mod cost;
mod cost_estimate;
mod demo;
mod dlq;
mod doctor;
mod eval;
mod follow;
mod git_cli;
mod github;
mod hint;
mod invoke;
mod jobs;
mod lanes;
mod ledger;
mod ledger_export;
mod local;
mod pooler;
mod retention;
mod retry;
mod run;
mod schedule;
mod serve;
mod show;
mod show_diff;
mod token;
mod up;
mod work;
mod workers;

use clap::CommandFactory;
use config::logging::{self, Format};
use config::{Need, Root, Services, Settings, StartError};
use store::roles::Login;
use tracing_subscriber::{Layer, Registry};

use crate::cli::{Cli, Command, Cost, GitHub, Migrate, OtherCost, Show};
use crate::exit::{Failure, Outcome};
use crate::invoke_api::LogTailLayer;
use crate::{screen, state, telemetry};

/// Starts the spawner of what runs tools, and gives up root where nobody's own files are worked on, before a secret is loaded.
pub(crate) fn begin(cli: &Cli) -> Result<(), Failure> {
    let root = match cli.command {
        Command::Serve(_) | Command::Work(_) => Root::GivenUp,
        Command::Up(_) | Command::Run(_) | Command::Demo(_) | Command::Eval(_) | Command::Invoke(_) => Root::Kept,
        _ => return Ok(()),
    };
    config::begin(root).map_err(Failure::Environment)
}

/// Runs the command of `cli`.
pub(crate) fn run(cli: Cli) -> Outcome {
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "codeteam", &mut std::io::stdout());
        return Ok(());
    }
    let (settings, unread) = match Settings::from_env(needs(&cli.command)) {
        Ok(settings) => (settings, None),
        Err(StartError::Secrets { why, without }) if matches!(cli.command, Command::Doctor(_)) => (*without, Some(why)),
        Err(StartError::Secrets { why, .. }) => return Err(Failure::Environment(anyhow::anyhow!(why))),
        Err(StartError::Setting(error)) => return Err(Failure::Usage(error.to_string())),
    };
    start_log(&cli.command, &settings);
    settings.warn();
    config::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(dispatch(cli, settings, unread));
    // Blocking work that was left behind (a name lookup, say) must not hold the process.
    runtime.shutdown_background();
    outcome
}

/// What `command` needs of a deployment's secrets: it asks for no others, and the roles of the template permit each service what its
/// command needs.
fn needs(command: &Command) -> &'static [Need] {
    use Need::{AppRole, Database, GitHubApp, Models, Notifications, Webhooks};
    match command {
        // Triage asks models as well, and `invoke` is any handler.
        Command::Serve(_) | Command::Up(_) | Command::Invoke(_) | Command::Doctor(_) => {
            &[Database, Notifications, Models, GitHubApp, Webhooks]
        }
        Command::Work(_) => &[Database, Notifications, Models, GitHubApp],
        Command::Demo(_) | Command::Run(_) | Command::Eval(_) => &[Database, Notifications, Models],
        Command::Migrate(_) => &[Database, AppRole],
        Command::GitHub(GitHub::Setup(_)) => &[],
        Command::GitHub(_) => &[GitHubApp],
        // The change is compared with what the forge has.
        Command::Show(Show { diff: true, .. }) => &[Database, GitHubApp],
        Command::Completions { .. } | Command::Cost(Cost { other: Some(OtherCost::Estimate(_)), .. }) => &[],
        Command::Jobs(_)
        | Command::Show(_)
        | Command::Watch(_)
        | Command::Hint(_)
        | Command::Stop(_)
        | Command::Retry(_)
        | Command::Requeue(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Lanes(_)
        | Command::Dlq(_)
        | Command::Schedule(_)
        | Command::Workers
        | Command::Alarms(_)
        | Command::Ledger(_)
        | Command::Cost(_)
        | Command::Budget(_)
        | Command::Retention(_)
        | Command::Token(_)
        | Command::Pooler(_) => &[Database],
    }
}

/// Services log everything, in JSON unless somebody looks on; what a person typed at a terminal only speaks up when
/// something is wrong.
fn start_log(command: &Command, settings: &Settings) {
    let (format, level) = match command {
        Command::Serve(_) | Command::Work(_) => (Format::of_service(), "info"),
        Command::Up(_) => (Format::Text, "info"),
        // The job's events say it already.
        Command::Demo(_) | Command::Run(_) | Command::Eval(_) => (Format::Text, "error"),
        _ => (Format::Text, "warn"),
    };
    let traces = settings.otlp_endpoint.as_ref().map(|_| telemetry::layer::<Registry>());
    logging::with_layer(settings.log_format.unwrap_or(format), level, Some(Layer::<Registry>::and_then(LogTailLayer::default(), traces)));
}

async fn dispatch(cli: Cli, settings: Settings, unread: Option<String>) -> Outcome {
    let json = cli.json;
    match cli.command {
        Command::Demo(args) => demo::run(args, json, settings).await,
        Command::Run(args) => run::run(args, json, settings).await,
        Command::Eval(args) => eval::run(args, json, settings).await,
        Command::Up(args) => up::run(args, settings).await,
        Command::Serve(args) => serve::run(args, settings).await,
        Command::Work(args) => work::run(args, settings).await,
        Command::Pooler(args) => pooler::run(&args, &settings),
        Command::Doctor(args) => doctor::run(args, json, settings, unread).await,
        Command::Completions { .. } => Ok(()),
        // Who can call this can read the same files and reach the same network anyway.
        Command::Invoke(args) => invoke::run(args, json, &connected(Settings { local_remotes: true, ..settings })).await,
        Command::Migrate(args) => migrate(args, settings).await,
        Command::Jobs(args) => jobs::run(args, json, &connected(settings)).await,
        Command::Show(args) if args.diff => show_diff::run(args.job, json, &connected(settings)).await,
        Command::Show(args) => show::run(args.job, json, &connected(settings)).await,
        Command::Watch(job) => follow::run(job, json, &connected(settings)).await,
        Command::Hint(args) => hint::run(args, json, &connected(settings)).await,
        Command::Schedule(command) => schedule::run(command, json, &connected(settings)).await,
        Command::Alarms(args) => alarms::run(args, json, &connected(settings)).await,
        Command::Workers => workers::run(json, &connected(settings)).await,
        Command::Stop(job) => jobs::stop(job, json, &connected(settings)).await,
        Command::Retry(args) => retry::run(args, json, &connected(settings)).await,
        Command::Requeue(job) => jobs::requeue(job, json, &connected(settings)).await,
        Command::Pause(args) => lanes::pause(args, json, &connected(settings)).await,
        Command::Resume(args) => lanes::resume(args, json, &connected(settings)).await,
        Command::Lanes(args) => lanes::run(args, json, &connected(settings)).await,
        Command::Dlq(command) => dlq::run(command, json, &connected(settings)).await,
        Command::Ledger(command) => ledger::run(command, json, &connected(settings)).await,
        Command::Cost(Cost { other: Some(OtherCost::Estimate(args)), .. }) => cost_estimate::run(&args, json),
        Command::Cost(args) => cost::run(args, json, &connected(settings)).await,
        Command::Budget(command) => budget::run(command, json, &connected(settings)).await,
        Command::Retention(args) => retention::run(args, json, &connected(settings)).await,
        Command::GitHub(command) => github::run(command, json, settings).await,
        Command::Token(command) => token::run(command, json, &connected(settings)).await,
    }
}

/// Services on the database that `DATABASE_URL` names, else on that of the `codeteam up` that runs.
fn connected(mut settings: Settings) -> Services {
    if settings.database_url.is_none() {
        settings.database_url = state::running(&settings.state_dir).map(|(url, _)| url);
    }
    Services::new(settings)
}

async fn migrate(args: Migrate, settings: Settings) -> Outcome {
    let services = connected(settings);
    let Some(url) = services.database_url().await? else {
        return Err(Failure::Environment(anyhow::anyhow!("DATABASE_URL is not set: it names the database to migrate")));
    };
    // A URL that cannot be meant stops it before anything is changed.
    let app = services.settings.database_app_url.as_ref().map(Login::of).transpose()?;
    let db = store::Db::connect_by(services.settings.database_route, &url, 1, std::time::Duration::from_secs(10)).await?;
    db.migrate().await?;
    let mut apps = args.grant_app;
    if let Some(login) = &app {
        store::roles::make_login(&db, login).await?;
        apps.push(login.role.clone());
    }
    store::roles::grant(&db, &apps, &args.grant_read).await?;
    screen::progress("the schema is up to date");
    if let Some(Login { role, password, .. }) = &app {
        let shown = if password.is_some() { "the password of DATABASE_APP_URL" } else { "tokens of IAM" };
        screen::progress(&format!("role {role} logs in with {shown}, and may do what serve and work need"));
    }
    Ok(())
}
