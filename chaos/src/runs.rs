//! The runs: each does one kind of harm to worlds at work, again and again, and has them checked.

mod clock;
mod disk;
mod failpoints;
mod github;
mod kill9;
mod long;
mod network;
mod payload;
mod poison;
mod pool;
mod postgres;
mod rolling;
mod short;
mod signals;
mod stop;
mod storms;
mod zombies;

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::check::{self, Permitted, Violation};
use crate::losses;
use crate::model::script::Kind;
use crate::model::storm::Weather;
use crate::proxy::Fault;
use crate::report::RunReport;
use crate::world::{Plan, World};

/// How long a world may need to come to rest: several leases and their backoffs, or a storm's last victims.
const REST: Duration = Duration::from_secs(240);

/// Jobs as they come: mostly plain ones.
pub const MIXTURE: &[(Kind, u32)] = &[(Kind::Work, 7), (Kind::Talk, 2), (Kind::Slow, 1)];

/// One kind of harm.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray, strum::EnumMessage,
)]
#[strum(serialize_all = "snake_case")]
pub enum Run {
    /// A little of everything, in three minutes.
    #[strum(message = "a little of everything, in about three minutes")]
    Short,
    /// Workers killed at random moments.
    #[strum(message = "workers killed at random moments")]
    Kill9,
    /// Jobs of twenty steps, lost again and again.
    #[strum(message = "jobs of twenty steps, lost again and again at random points")]
    Long,
    /// Processes killed at every fail point.
    #[strum(message = "processes killed at every fail point, so many times each")]
    Failpoints,
    /// PostgreSQL killed and started again, and its sessions ended.
    #[strum(message = "PostgreSQL killed and started again, its sessions ended")]
    Postgres,
    /// Workers stopped past their lease, then woken.
    #[strum(message = "workers stopped past their lease, then woken")]
    Zombies,
    /// Wake-up signals lost, doubled, garbled.
    #[strum(message = "wake-up signals lost, doubled, garbled")]
    Signals,
    /// The model's bad days.
    #[strum(message = "the model's bad days: 429, 529, 500, cut, one byte a second, silence")]
    Storms,
    /// The network between workers, database and model.
    #[strum(message = "the network to database and model: late, cut, black hole, one way, drop by drop")]
    Network,
    /// Full disks.
    #[strum(message = "full disks of a worker and of PostgreSQL (root only)")]
    Disk,
    /// Machines whose clocks disagree.
    #[strum(message = "machines whose clocks disagree by up to 400 days (needs libfaketime)")]
    Clock,
    /// A database without free sessions.
    #[strum(message = "a database without free sessions")]
    Pool,
    /// Jobs that always fail, and a repository that is away.
    #[strum(message = "jobs that always fail, and a repository that is away")]
    Poison,
    /// Webhooks, files and replies of 1 MB.
    #[strum(message = "webhooks, files and replies of 1 MB, under kills")]
    Payload,
    /// GitHub's bad days, and those who talk to it killed.
    #[strum(message = "GitHub's bad days: cut replies, 422, limits, revoked tokens, 500s, under kills; a round is a job")]
    Github,
    /// Jobs stopped at random instants.
    #[strum(message = "jobs stopped at random instants: by comment, API and command line")]
    Stop,
    /// Two versions at once.
    #[strum(message = "workers of one version replaced by those of another, one by one")]
    Rolling,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// So many rounds.
    pub rounds: u32,
    /// But none is begun after this.
    pub until: Instant,
}

impl Run {
    /// The rounds of the long form: those of the goals.
    pub fn rounds(self) -> u32 {
        match self {
            Self::Short => 1,
            Self::Kill9 => 1000,
            Self::Long => 200,
            Self::Failpoints => 8,
            Self::Postgres => 30,
            Self::Zombies => 200,
            Self::Signals | Self::Network | Self::Storms | Self::Disk | Self::Clock | Self::Pool | Self::Poison | Self::Payload => 10,
            Self::Rolling => 10,
            Self::Github => 200,
            Self::Stop => 100,
        }
    }

    /// Rounds that share a world, which is checked behind them.
    fn batch(self) -> u32 {
        match self {
            Self::Kill9 => 100,
            Self::Failpoints => 2,
            Self::Zombies => 50,
            _ => u32::MAX,
        }
    }

    /// How jobs may end in it. A job that was lost five times without progress is dead, and the open
    /// reservations of lost calls can reach the cap of money: both say so to the person who asked.
    fn permitted(self) -> Permitted {
        match self {
            Self::Stop => &["succeeded", "stopped"],
            // Whatever the model does to a job, its end is told.
            Self::Storms | Self::Network | Self::Short | Self::Poison => &["succeeded", "dead", "capped", "failed"],
            _ => &["succeeded", "dead", "capped"],
        }
    }
}

/// Plays a run.
///
/// # Errors
/// When a world cannot even be built.
pub async fn play(run: Run, plan: &Plan, amount: Amount) -> Result<RunReport> {
    let started = Instant::now();
    let mut report = RunReport { run: run.to_string(), seed: plan.seed, ..RunReport::default() };
    let mut left = amount.rounds;
    while left > 0 && (Instant::now() < amount.until || report.worlds == 0) {
        let rounds = left.min(run.batch());
        left -= rounds;
        // A world of its own for each batch, and a seed that follows from the run's.
        let plan = Plan { seed: plan.seed.wrapping_add(u64::from(report.worlds)), ..plan.clone() };
        let Some(mut world) = built(run, &plan, &mut report).await? else { break };
        report.worlds += 1;
        let done = report.rounds;
        let ended = in_world(run, &mut world, Amount { rounds, ..amount }, &mut report).await;
        if let Err(error) = ended {
            report.violations.push(Violation { invariant: "the run comes to its end", what: format!("{error:#}") });
        }
        report.jobs += world.tickets.len() as u64;
        if !report.violations.is_empty() {
            report.evidence.push(world.keep().await?);
            break;
        }
        crate::say(&format!("  {run}: {} rounds after {:.0} s, no violation", report.rounds, started.elapsed().as_secs_f64()));
        world.database.stop().await?;
        if report.rounds == done {
            break;
        }
    }
    report.took_s = started.elapsed().as_secs_f64();
    report.close();
    Ok(report)
}

async fn built(run: Run, plan: &Plan, report: &mut RunReport) -> Result<Option<World>> {
    let name: &str = run.into();
    match run {
        Run::Disk => disk::world(plan, report).await,
        Run::Long => long::world(plan, name).await.map(Some),
        Run::Clock => clock::world(plan, report).await,
        Run::Github | Run::Stop => World::on_github(plan, name, github::OWNERS).await.map(Some),
        _ => World::start(plan, name).await.map(Some),
    }
}

async fn in_world(run: Run, world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    match run {
        Run::Short => short::play(world, amount, report).await,
        Run::Kill9 => kill9::play(world, amount, report).await,
        Run::Long => long::play(world, amount, report).await,
        Run::Failpoints => failpoints::play(world, amount, report).await,
        Run::Postgres => postgres::play(world, amount, report).await,
        Run::Zombies => zombies::play(world, amount, report).await,
        Run::Signals => signals::play(world, amount, report).await,
        Run::Storms => storms::play(world, amount, report).await,
        Run::Network => network::play(world, amount, report).await,
        Run::Disk => disk::play(world, amount, report).await,
        Run::Clock => clock::play(world, amount, report).await,
        Run::Pool => pool::play(world, amount, report).await,
        Run::Poison => poison::play(world, amount, report).await,
        Run::Payload => payload::play(world, amount, report).await,
        Run::Rolling => rolling::play(world, amount, report).await,
        Run::Github => github::play(world, amount, report).await,
        Run::Stop => stop::play(world, amount, report).await,
    }?;
    rest(run, world, report).await
}

/// Waits until everything is quiet, ends every process, and checks.
async fn rest(run: Run, world: &mut World, report: &mut RunReport) -> Result<()> {
    world.model.set(Weather::fair());
    for door in [&world.database.door, &world.model_door] {
        door.set(Fault::None);
    }
    world.quiet(REST).await?;
    world.end().await?;
    let recoveries = losses::recoveries(&world.database.sql, &world.losses).await?;
    report.times.recovery.extend(recoveries.first);
    report.times.recovery_again.extend(recoveries.later);
    report.times.give_back.extend(losses::give_backs(&world.database.sql).await?);
    if matches!(run, Run::Kill9 | Run::Long | Run::Zombies | Run::Short | Run::Payload | Run::Clock | Run::Github) {
        for (half_step, count) in losses::by_half_step(&world.losses) {
            *report.hits.entry(half_step).or_default() += count;
        }
    }
    report.take(check::check(world, run.permitted()).await?);
    Ok(())
}
