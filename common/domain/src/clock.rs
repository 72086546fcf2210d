//! The one source of time. Everything that decides by time takes a [`Clock`], so tests move it.

use std::time::Duration;

use time::OffsetDateTime;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, for records that people read. Never used to decide who holds a lease: only the
    /// database's clock does that.
    fn now(&self) -> OffsetDateTime;

    /// Time since an arbitrary start, which never jumps and goes on counting while the machine is
    /// suspended (`CLOCK_BOOTTIME`): what a worker measures its own lease with.
    fn boottime(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    #[cfg(target_os = "linux")]
    fn boottime(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    /// macOS counts suspended time in its monotonic clock.
    #[cfg(not(target_os = "linux"))]
    fn boottime(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}
