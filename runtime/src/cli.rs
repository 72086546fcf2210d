//! The command line.

mod alarms;
mod eval;
mod github;
mod money;
mod pooler;
mod queue;
mod steer;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use domain::{Kind, Mode};
use process::sandbox::Level;

pub use alarms::{Alarms, AlarmsCommand};
pub use eval::{Eval, Script};
pub use github::GitHub;
pub(crate) use github::{Redeliver, Setup};
pub use money::{Budget, Cost, Days, Estimate, Ledger, Migrate, OtherCost, Place, Pooler, Retention};
pub use pooler::PoolerFiles;
pub use queue::{Dead, DeadFilter, Dlq, Lanes, LanesCommand, Pause, Resume};
pub use steer::{AddSchedule, Hint, Schedule, ScheduleRef};
pub use token::Token;

/// A self-hosted team of AI coding workers.
#[derive(Parser, Debug)]
#[command(name = "codeteam", version, about, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// Print data as JSON on standard output, one object a line where there are several.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Data goes to standard output, progress to standard error.
Exit codes: 0 ok, 1 a job failed, 2 wrong usage, 3 a cap or budget was reached, 4 the environment (database, git, key) is not usable.
Settings come from the environment; the README lists them, `codeteam doctor` checks what they lead to.";

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Watch the team fix a real bug in a real git repository; needs nothing but this program.
    Demo(Demo),
    /// Do one task in a repository of yours: the result is a new branch or an answer, your working tree is not touched.
    Run(Run),
    /// Give a folder of tasks to the team, and let hidden tests and checks say which it solves.
    Eval(Eval),
    /// Start everything on this machine: PostgreSQL, server and, whenever there is work, workers, until Ctrl-C.
    Up(Up),
    /// Serve webhooks and, if asked, the Lambda Invoke API; does triage and sweeps expired leases.
    Serve(Serve),
    /// Work on jobs until told to stop.
    Work(Work),
    /// Give an event to a handler in this process and print its answer.
    Invoke(Invoke),
    /// Bring the database's schema up to date, and make the role of serve and work that DATABASE_APP_URL names.
    Migrate(Migrate),
    /// List jobs, newest first.
    Jobs(Jobs),
    /// Show a job: request, standing, steps, effects, ledger, links; or the change as it stands.
    Show(Show),
    /// Follow a job until it ends.
    Watch(JobRef),
    /// Tell a job something that its next step reads.
    Hint(Hint),
    /// Stop a job: nothing of it is pushed, and what it did so far is kept (`show --diff`).
    Stop(JobRef),
    /// Do a finished job again, as a new one.
    Retry(Retry),
    /// Make a job ready at once, whatever it waits for and whoever holds it.
    Requeue(JobRef),
    /// Hold back jobs that nobody works on yet: all, mode:genius or repository:owner/name. Those under way go on.
    Pause(Pause),
    /// Let the jobs of a scope run again that somebody paused or an alarm closed.
    Resume(Resume),
    /// The queues of the repositories: what they have, what they may run, what holds them back.
    Lanes(Lanes),
    /// Jobs that were given up: list, show, try again, put away.
    #[command(subcommand)]
    Dlq(Dlq),
    /// Jobs that come again by themselves.
    #[command(subcommand)]
    Schedule(Schedule),
    /// List the workers of the last day: where they run, what they take, what they hold.
    Workers,
    /// Alarms that went off or ended, newest first, and what was done about them.
    Alarms(Alarms),
    /// The record of what was paid.
    #[command(subcommand)]
    Ledger(Ledger),
    /// What was paid, by repository, model, mode or day; with `estimate`, what a deployment on AWS costs.
    Cost(Cost),
    /// The most that everything, a mode or a repository may spend in a day.
    #[command(subcommand)]
    Budget(Budget),
    /// Drop old months of events and steps, and clear away what has expired.
    Retention(Retention),
    /// The GitHub App: set it up, look at it, make up for webhooks that it missed.
    #[command(subcommand, name = "github")]
    GitHub(GitHub),
    /// Who may use the REST API.
    #[command(subcommand)]
    Token(Token),
    /// Write what PgBouncer needs to stand before the database that DATABASE_URL names.
    Pooler(PoolerFiles),
    /// Check everything a job needs, and say what to do about what is missing.
    Doctor(Doctor),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// `codeteam show`.
#[derive(Args, Debug)]
pub struct Show {
    /// Which job.
    #[command(flatten)]
    pub job: JobRef,
    /// The change after the last step that is stored, as `git apply` takes it, instead of everything else.
    #[arg(long)]
    pub diff: bool,
}

/// `codeteam doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Call no model. Otherwise each provider that is set up is asked for a word, for some thousandths of a cent.
    #[arg(long)]
    pub offline: bool,
}

/// `codeteam demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// Keep the database, the repository and the local forge afterwards, and say where they are.
    #[arg(long)]
    pub keep: bool,
    /// Use the scripted model even if a key is set.
    #[arg(long)]
    pub scripted: bool,
}

/// `codeteam run`.
#[derive(Args, Debug)]
pub struct Run {
    /// A local repository or a URL that git can clone and push to.
    pub repository: String,
    /// What to do, in one line; more lines become the body.
    pub task: String,
    /// mechanic (small models, low caps) or genius.
    #[arg(long, default_value = "mechanic", value_parser = parse_mode)]
    pub mode: Mode,
    /// The model, by its name in the price table; the mode's first whose key is set unless given.
    #[arg(long)]
    pub model: Option<String>,
    /// change (a new branch), review (of the branch --head), analysis or question (an answer is printed).
    #[arg(long, default_value = "change", value_parser = parse_kind)]
    pub kind: Kind,
    /// The branch to start from, for a review the one to compare with; the repository's default branch unless given.
    #[arg(long)]
    pub base: Option<String>,
    /// The branch that is reviewed.
    #[arg(long)]
    pub head: Option<String>,
    /// The most money the job may cost, in US dollars; lowers the mode's own cap.
    #[arg(long, value_name = "DOLLARS", value_parser = parse_dollars)]
    pub budget: Option<domain::MicroUsd>,
    /// Take the model's replies from this file: nobody is called, nothing is paid.
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub script: Option<PathBuf>,
    /// Refuse to start where tools cannot run in a sandbox of at least this level: none, seccomp, landlock, uid or
    /// full (docs/sandbox.md).
    #[arg(long, value_name = "LEVEL")]
    pub sandbox_min: Option<Level>,
}

/// `codeteam up`.
#[derive(Args, Debug)]
pub struct Up {
    /// Where the server listens; loopback only.
    #[arg(long, default_value = "127.0.0.1:8787", value_parser = parse_loopback)]
    pub listen: SocketAddr,
    /// Jobs at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: u16,
    /// Seconds that each worker takes to come, as one does whose machine has to be found first.
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = parse_seconds)]
    pub start_delay: Option<f64>,
    /// Refuse to start where tools cannot run in a sandbox of at least this level: none, seccomp, landlock, uid or
    /// full (docs/sandbox.md).
    #[arg(long, value_name = "LEVEL")]
    pub sandbox_min: Option<Level>,
}

/// `codeteam serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Open the Lambda Invoke API, for callers that sign with the key in CODETEAM_INVOKE_ACCESS_KEY and
    /// CODETEAM_INVOKE_SECRET_KEY, or with one that is generated (0600, in the state directory).
    #[arg(long)]
    pub invoke_api: bool,
    /// Show figures for Prometheus at /metrics of this address: a port that is not open to the world.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Refuse to start where tools cannot run in a sandbox of at least this level: none, seccomp, landlock, uid or
    /// full (docs/sandbox.md).
    #[arg(long, value_name = "LEVEL")]
    pub sandbox_min: Option<Level>,
}

/// `codeteam work`.
#[derive(Args, Debug)]
pub struct Work {
    /// Jobs at the same time; WORKER_SLOTS in the environment says the same, and 1 unless given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: Option<u16>,
    /// Only jobs of this mode; MODE in the environment says the same.
    #[arg(long, value_parser = parse_mode)]
    pub mode: Option<Mode>,
    /// End when nothing is ready.
    #[arg(long)]
    pub until_idle: bool,
    /// Show figures for Prometheus at /metrics of this address.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Refuse to start where tools cannot run in a sandbox of at least this level: none, seccomp, landlock, uid or
    /// full (docs/sandbox.md).
    #[arg(long, value_name = "LEVEL")]
    pub sandbox_min: Option<Level>,
}

/// `codeteam invoke`.
#[derive(Args, Debug)]
pub struct Invoke {
    /// enqueue, triage, claim, step or finalize.
    pub handler: String,
    /// A file with the event, or - for standard input.
    pub event: PathBuf,
    /// Seconds until the call is given up.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,
}

/// `codeteam jobs`.
#[derive(Args, Debug)]
pub struct Jobs {
    /// At most this many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Only jobs older than this one: the last of the page before.
    #[arg(long, value_name = "JOB")]
    pub before: Option<String>,
}

/// A job.
#[derive(Args, Debug)]
pub struct JobRef {
    /// A job id, or the end of one.
    pub job: String,
}

/// `codeteam retry`.
#[derive(Args, Debug)]
pub struct Retry {
    /// A job id, or the end of one.
    pub job: String,
    /// As a mechanic or a genius; as before unless given.
    #[arg(long, value_parser = parse_mode)]
    pub mode: Option<Mode>,
}

fn parse_mode(text: &str) -> Result<Mode, String> {
    text.parse().map_err(|_| "expected mechanic or genius".to_owned())
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| "expected change, review, analysis or question".to_owned())
}

fn parse_dollars(text: &str) -> Result<domain::MicroUsd, String> {
    match money::parse_amount(text)? {
        domain::MicroUsd::ZERO => Err("expected an amount of US dollars above 0, such as 0.25".to_owned()),
        amount => Ok(amount),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3_600.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds, up to 3600".to_owned())
}

fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected an address such as 127.0.0.1:8787".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("`up` serves this machine only: use a loopback address, or `codeteam serve`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use domain::MicroUsd;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn dollars_are_read_to_the_micro_dollar() {
        assert_eq!(parse_dollars("0.25"), Ok(MicroUsd(250_000)));
        assert_eq!(parse_dollars("$3"), Ok(MicroUsd(3_000_000)));
        assert_eq!(parse_dollars("0.000001"), Ok(MicroUsd(1)));
        for bad in ["", "0", "-1", "1e3", "0.0000001", "ten", "."] {
            assert!(parse_dollars(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn up_listens_on_loopback_only() {
        assert!(parse_loopback("0.0.0.0:80").unwrap_err().contains("loopback"));
        assert!(parse_loopback("[::1]:0").is_ok());
    }
}
