//! Told to stop: SIGTERM or Ctrl-C asks once, a second time insists.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT; the second ends the process at once, with the
/// leases left to run out.
///
/// # Errors
/// When signals cannot be received.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = token.clone();
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
