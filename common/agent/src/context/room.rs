//! How large a conversation may become.

use llm::ModelInfo;

use crate::{Brief, PastStep};

/// Replies after which a provider that has served nothing from its cache is taken to have none.
const PROOF: usize = 3;
/// What a single call of a provider without a cache may take of the token cap: it pays for everything each time.
const SHARE_OF_CAP: u64 = 4;

/// The sizes between which a conversation moves, in tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Room {
    /// Above this it is made smaller,
    pub high: u64,
    /// down to this.
    pub low: u64,
}

impl Room {
    /// Eight and three tenths of what `base`, which nobody can make smaller, leaves of the model's window; or,
    /// where nothing is served from a cache, of a share of the token cap.
    pub(crate) fn of(brief: &Brief, history: &[PastStep], base: u64, model: &ModelInfo) -> Self {
        let is_uncached = history.len() >= PROOF && history.iter().all(|step| step.reply.usage.cache_read == 0);
        let limit = match is_uncached {
            true => (brief.caps.tokens / SHARE_OF_CAP).max(2 * base).min(model.context_window),
            false => model.context_window,
        };
        let free = limit.saturating_sub(base);
        Self { high: base + free * 8 / 10, low: base + free * 3 / 10 }
    }
}
