//! Waiting for an event, with an end.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `look` finds something, and gives it.
///
/// # Panics
/// When it finds nothing within a minute.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "still waiting until {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until `file` holds a line that contains `words`, and gives the line.
///
/// # Panics
/// When it does not within a minute.
pub async fn until_line(file: &Path, words: &str) -> String {
    let look = async || {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.split_inclusive('\n').find(|line| line.ends_with('\n') && line.contains(words)).map(|line| line.trim_end().to_owned())
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(line) = look().await {
            return line;
        }
        let text = std::fs::read_to_string(file).unwrap_or_default();
        assert!(Instant::now() < deadline, "still waiting for {words:?} in:\n{text}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The processes whose command line contains `words`: id and command line.
pub fn processes(words: &str) -> Vec<(u32, String)> {
    let listed = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let line = |id: u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(words).then_some((id, line))
    };
    ids.filter_map(line).collect()
}
