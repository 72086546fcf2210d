//! The ways in which GitHub fails.

use std::time::Duration;

use domain::{Clock, SystemClock};

use super::reply::{Reply, said};

/// What happens to one request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// It is done, and the connection ends in the place of the reply.
    CutAfter,
    /// The connection ends and nothing is done.
    CutBefore,
    /// It is done, and the reply says that what was to be made is there already.
    Exists,
    /// It is done, and something in front of the server says that it is away.
    BrokenAfter,
    /// An error with this status.
    Broken(u16),
    /// Refused for so many seconds: too much at once.
    Secondary(u16),
    /// Refused until the next second: the hour's requests are used up.
    Primary,
    /// The token that came with it is not taken any more, now and later.
    Revoked,
    /// It is done, and the reply takes so many milliseconds.
    Slow(u16),
}

impl Fault {
    /// Its name, without its number.
    pub fn name(self) -> &'static str {
        match self {
            Self::CutAfter => "cut_after_it_acted",
            Self::CutBefore => "cut_before_it_acted",
            Self::Exists => "done_and_said_to_exist",
            Self::BrokenAfter => "done_and_answered_502",
            Self::Broken(_) => "500_502",
            Self::Secondary(_) => "secondary_limit",
            Self::Primary => "primary_limit",
            Self::Revoked => "token_revoked",
            Self::Slow(_) => "slow",
        }
    }

    /// The reply where nothing is done.
    pub(super) fn instead(self) -> Option<Reply> {
        Some(match self {
            Self::CutBefore => said(500, "lost").lost(),
            Self::Broken(status) => Reply::text(status, "<html>unicorn</html>"),
            Self::Secondary(seconds) => said(403, "You have exceeded a secondary rate limit.").header("retry-after", &seconds.to_string()),
            Self::Primary => {
                let reset = SystemClock.now().unix_timestamp() + 1;
                let limited = said(403, "API rate limit exceeded for installation.").header("x-ratelimit-remaining", "0");
                limited.header("x-ratelimit-reset", &reset.to_string())
            }
            Self::Revoked => said(401, "Bad credentials"),
            Self::CutAfter | Self::Exists | Self::BrokenAfter | Self::Slow(_) => return None,
        })
    }

    /// What becomes of the reply to a request that was done.
    pub(super) fn spoil(self, reply: Reply) -> Reply {
        match self {
            Self::CutAfter => reply.lost(),
            Self::Exists if reply.status() == 201 => said(422, "Validation Failed: it already exists"),
            Self::BrokenAfter => Reply::text(502, "<html>unicorn</html>"),
            Self::Slow(ms) => reply.after(Duration::from_millis(ms.into())),
            _ => reply,
        }
    }
}
