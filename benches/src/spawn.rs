//! What the walls of the sandbox cost a command: the same program with them and without, in turns.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use process::sandbox::{Level, Machine, Profile, Slots};
use process::{Command, Limits, Sandbox, run as run_command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::figures::{Figures, micros, show, table, verdict};

/// Commands of each kind.
const ROUNDS: usize = 500;
/// What the walls may add at the median.
const GOAL: Duration = Duration::from_millis(3);

/// Measures and prints: commands that are children of ours, and, as root, those that the spawner starts.
pub(crate) async fn run() -> Result<()> {
    let levels = Level::ALL.into_iter().filter(|level| *level > Level::None && Machine::this().level_up_to(*level) == *level);
    let levels: Vec<Level> = levels.collect();
    measure("children of this process", &levels).await?;
    if process::spawner::begin(None)? {
        let levels: Vec<Level> = levels.into_iter().filter(|level| level.has_own_user()).collect();
        measure("children of the spawner", &levels).await?;
    }
    Ok(())
}

async fn measure(whose: &str, levels: &[Level]) -> Result<()> {
    let machine = Machine::this();
    let folder = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o711)).tempdir()?;
    let mut kinds = vec![("plain", None)];
    for level in levels.iter().copied() {
        let workspace = folder.path().join(level.name());
        std::fs::create_dir(&workspace)?;
        let slot = level.has_own_user().then(|| Slots::default().take()).transpose()?;
        slot.iter().try_for_each(|slot| slot.give(&workspace))?;
        kinds.push((level.name(), Some(Sandbox::new(Arc::new(Profile::new(Vec::new(), vec![workspace])), level, slot))));
    }
    let mut times = vec![Vec::with_capacity(ROUNDS); kinds.len()];
    for round in 0..ROUNDS + 20 {
        for ((name, sandbox), times) in kinds.iter().zip(&mut times) {
            let limits = Limits { data_bytes: Some(8 << 30), processes: Some(1024), oom_score_adj: Some(1000), ..Limits::default() };
            let command = Command::new("/bin/true").cwd("/").limits(limits);
            let command = sandbox.iter().fold(command, |command, sandbox| command.sandbox(sandbox.clone()));
            let started = Instant::now();
            let output = run_command(command, &CancellationToken::new()).await?;
            ensure!(output.exit.success(), "true in {name}: {}", output.exit);
            if round >= 20 {
                times.push(started.elapsed());
            }
        }
    }
    let figures: Vec<Figures> = times.iter().map(|times| Figures::of(times)).collect();
    show(&format!("\nSpawn: `true` from its start to its end, {ROUNDS} each, in turns, {whose}; this machine has {machine}"));
    let mut rows = vec![["", "p50 : plain", "p50 - plain", "p50", "p99"].map(str::to_owned).to_vec()];
    for ((name, _), figure) in kinds.iter().zip(&figures) {
        let (ratio, _) = figure.over(&figures[0]);
        let more = micros(figure.p50.saturating_sub(figures[0].p50));
        rows.push(vec![(*name).to_owned(), format!("{ratio:.2}"), more, micros(figure.p50), micros(figure.p99)]);
    }
    table(&rows);
    let worst = figures.iter().map(|figure| figure.p50.saturating_sub(figures[0].p50)).max().unwrap_or_default();
    show(&format!("  goal: the walls add at most {} at p50: {} at the most: {}", micros(GOAL), micros(worst), verdict(worst <= GOAL)));
    Ok(())
}
