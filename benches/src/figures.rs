//! From measured times to the figures that are printed.

use std::io::Write;
use std::time::Duration;

/// Prints a line of results.
pub(crate) fn show(line: &str) {
    // Nobody is left to tell when standard output is closed.
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Prints a line of progress.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// The median and the 99th percentile of some times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Figures {
    /// Half of the times are no longer.
    pub(crate) p50: Duration,
    /// 99 of 100 are no longer.
    pub(crate) p99: Duration,
}

impl Figures {
    /// Of `times`, by nearest rank: both are times that were measured.
    ///
    /// # Panics
    /// When nothing was measured.
    pub(crate) fn of(times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
        Self { p50: rank(50), p99: rank(99) }
    }

    /// How many times longer these are than `other`: median and 99th percentile.
    pub(crate) fn over(&self, other: &Self) -> (f64, f64) {
        (self.p50.as_secs_f64() / other.p50.as_secs_f64(), self.p99.as_secs_f64() / other.p99.as_secs_f64())
    }
}

/// Microseconds, for a table.
pub(crate) fn micros(time: Duration) -> String {
    format!("{:.0} us", time.as_secs_f64() * 1e6)
}

/// The word for a goal.
pub(crate) fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

/// Prints rows of equally many cells in columns, the first one to the left.
pub(crate) fn table(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let padded = cells.map(|(column, (cell, width))| if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        show(&format!("  {}", padded.collect::<Vec<_>>().join("  ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(numbers: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        numbers.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_taken_by_nearest_rank_whatever_the_order() {
        let figures = Figures::of(&millis((1..=200).rev()));
        assert_eq!(figures, Figures { p50: Duration::from_millis(100), p99: Duration::from_millis(198) });
        assert_eq!(Figures::of(&millis([7])), Figures { p50: Duration::from_millis(7), p99: Duration::from_millis(7) });
    }

    #[test]
    fn a_ratio_says_how_many_times_longer_it_took() {
        let (slow, fast) = (Figures::of(&millis([30, 30, 80])), Figures::of(&millis([10, 10, 20])));
        assert_eq!(slow.over(&fast), (3.0, 4.0));
    }
}
