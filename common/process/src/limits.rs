//! What a child may use of the machine. The kernel holds it to these limits; see setrlimit(2).

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits of one process and of everything it starts; `None` leaves what we have ourselves.
///
/// A limit is never raised above the hard limit that is already in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Processes and threads of the child's user, all of them together, ours included where we run as the
    /// same user (`RLIMIT_NPROC`). Root is not bound by it. In a sandbox without a user of its own it is how
    /// many more than those that the user has already.
    pub processes: Option<u64>,
    /// Private memory of each process in bytes (`RLIMIT_DATA`).
    pub data_bytes: Option<u64>,
    /// The largest file that it may write, in bytes (`RLIMIT_FSIZE`).
    pub file_size_bytes: Option<u64>,
    /// Open files of each process (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// How gladly the kernel kills it when memory runs out: 1000 = first. Linux only; elsewhere ignored.
    pub oom_score_adj: Option<u16>,
}

impl Limits {
    /// Puts the limits on the calling process. Core dumps are always off: they would lay memory, and
    /// with it secrets, into a workspace.
    ///
    /// Called between fork and exec, so it makes system calls only: no allocation, no locks.
    pub(crate) fn apply(&self) -> io::Result<()> {
        let Self { processes, data_bytes, file_size_bytes, open_files, oom_score_adj } = *self;
        lower(Resource::Core, Some(0))?;
        lower(Resource::Data, data_bytes)?;
        lower(Resource::Fsize, file_size_bytes)?;
        lower(Resource::Nofile, open_files)?;
        if let Some(score) = oom_score_adj {
            set_oom_score(score)?;
        }
        lower(Resource::Nproc, processes)
    }
}

fn lower(resource: Resource, limit: Option<u64>) -> io::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let limit = getrlimit(resource).maximum.map_or(limit, |hard| hard.min(limit));
    Ok(setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?)
}

/// After a change of user the kernel gives `/proc/self` to root until the process is dumpable again;
/// exec decides anew, so this opens nothing.
#[cfg(target_os = "linux")]
fn set_oom_score(score: u16) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
    let file = rustix::fs::open(c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let (digits, from) = decimal(score);
    rustix::io::write(&file, &digits[from..])?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn set_oom_score(_score: u16) -> io::Result<()> {
    Ok(())
}

/// Decimal digits without allocation: the buffer and where they begin.
#[cfg(target_os = "linux")]
fn decimal(mut number: u16) -> ([u8; 5], usize) {
    let mut digits = [b'0'; 5];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + u8::try_from(number % 10).expect("a digit is below ten");
        number /= 10;
        if number == 0 {
            return (digits, from);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_their_decimal_digits() {
        for number in [0, 7, 10, 1000, u16::MAX] {
            let (digits, from) = decimal(number);
            assert_eq!(String::from_utf8_lossy(&digits[from..]), number.to_string());
        }
    }
}
