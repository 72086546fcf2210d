//! Told to stop: SIGTERM or Ctrl-C asks once, a second time insists. A process whose spawner was killed stops by itself.

use std::sync::atomic::{AtomicBool, Ordering};

use process::spawner;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

static SPAWNER_ENDED: AtomicBool = AtomicBool::new(false);

/// A token that is cancelled by the first SIGTERM or SIGINT, or the end of the spawner; the second signal ends the process at
/// once, with the leases left to run out.
///
/// # Errors
/// When signals cannot be received.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (told, lost) = (token.clone(), token.clone());
    tokio::spawn(async move {
        spawner::ended().await;
        tracing::error!("stopping: the spawner of sandboxed commands has ended, and only a new process can start one");
        SPAWNER_ENDED.store(true, Ordering::Relaxed);
        lost.cancel();
    });
    tokio::spawn(async move {
        for time in 1.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if time == 2 {
                std::process::exit(130);
            }
            tracing::info!("stopping: a model call in flight may take up to 20 s; a second signal ends at once");
            told.cancel();
        }
    });
    Ok(token)
}

/// Whether this process stopped since it could start no command any more: whoever watches it should start it anew.
pub fn spawner_ended() -> bool {
    SPAWNER_ENDED.load(Ordering::Relaxed)
}
