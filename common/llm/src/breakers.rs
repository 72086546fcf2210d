//! Which providers are down, as far as this process has seen.
//!
//! A breaker per provider: after failures it opens, and the next calls go to the next model of the list.
//! After a pause it is half open: one call tries whether the provider is back. The pause is what the provider
//! asked for, else it doubles with each trial that fails. A model that its provider does not serve is passed over for an hour,
//! while the provider's others are not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::{LlmError, ModelInfo, ProviderName};

/// How many calls in a row that end without a reply open a breaker, where none of them proves anything alone.
const DOUBTS: u32 = 3;
/// The first pause, and how long a trial may take before another may follow.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest pause, unless the provider asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long a model that its provider does not serve is passed over.
const ABSENCE: Duration = Duration::from_secs(3600);

/// The breakers of a process. Cheap to clone; clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Breakers {
    providers: Arc<Mutex<HashMap<ProviderName, Breaker>>>,
    /// The models that their providers do not serve, by our names for them, and until when they are passed over.
    absent: Arc<Mutex<HashMap<String, Instant>>>,
}

#[derive(Debug, Default)]
struct Breaker {
    doubts: u32,
    /// Failures in a row that opened it, or kept it open.
    opened: u32,
    /// When the next call may be made; `None` = it is closed.
    until: Option<Instant>,
}

impl Breakers {
    /// The first of `models` that is there and whose provider may be called. Where none of them is there, one is chosen all the
    /// same: its provider says best what is wrong.
    ///
    /// # Errors
    /// How long until one may be, where all are down; zero where `models` is empty.
    pub fn choose<'a>(&self, models: impl IntoIterator<Item = &'a ModelInfo>, now: Instant) -> Result<&'a ModelInfo, Duration> {
        let (absent, there): (Vec<_>, Vec<_>) = models.into_iter().partition(|model| self.is_absent(&model.name, now));
        let mut least = None;
        for model in if there.is_empty() { absent } else { there } {
            match self.rests(model.provider, now) {
                None => return Ok(model),
                Some(wait) => least = Some(least.map_or(wait, |least: Duration| least.min(wait))),
            }
        }
        Err(least.unwrap_or_default())
    }

    /// How long `provider` is to be left alone; `None` = it may be called.
    pub fn rests(&self, provider: ProviderName, now: Instant) -> Option<Duration> {
        self.with(|breakers| breakers.get(&provider)?.until?.checked_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// The provider of `model` said that it does not serve it.
    pub fn absent(&self, model: &ModelInfo, now: Instant) {
        tracing::warn!("{} does not serve {}: it is passed over for {ABSENCE:?}", model.provider, model.name);
        self.absent.lock().unwrap_or_else(PoisonError::into_inner).insert(model.name.clone(), now + ABSENCE);
    }

    fn is_absent(&self, model: &str, now: Instant) -> bool {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner).get(model).is_some_and(|until| *until > now)
    }

    /// A call to `provider` begins. Where its breaker is half open, this is the trial, and others wait for its end.
    pub fn begins(&self, provider: ProviderName, now: Instant) {
        self.with(|breakers| {
            if let Some(until) = breakers.get_mut(&provider).and_then(|breaker| breaker.until.as_mut()) {
                *until = (*until).max(now + PAUSE);
            }
        });
    }

    /// `provider` gave a reply: its breaker closes.
    pub fn succeeded(&self, provider: ProviderName) {
        self.with(|breakers| breakers.remove(&provider));
    }

    /// A call to `provider` ended with `error`.
    pub fn failed(&self, provider: ProviderName, error: &LlmError, now: Instant) {
        let enough = match error {
            // Each of these is the end of several attempts, or certain.
            LlmError::RateLimited { .. } | LlmError::Overloaded { .. } | LlmError::Unreachable { .. } | LlmError::Auth { .. } => DOUBTS,
            LlmError::Cut { .. } | LlmError::Malformed { .. } | LlmError::Timeout { sent: true, .. } => 1,
            // These say nothing about the provider.
            LlmError::BadRequest { .. }
            | LlmError::NoModel { .. }
            | LlmError::Timeout { sent: false, .. }
            | LlmError::Cancelled { .. }
            | LlmError::Setup(_) => 0,
        };
        self.with(|breakers| {
            let breaker = breakers.entry(provider).or_default();
            breaker.doubts += enough;
            if breaker.doubts < DOUBTS && breaker.opened == 0 || enough == 0 {
                return;
            }
            let doubled = PAUSE.saturating_mul(1 << breaker.opened.min(8)).min(LONGEST_PAUSE);
            breaker.opened += 1;
            breaker.until = Some(now + error.retry_after().unwrap_or(doubled));
            tracing::warn!(%provider, "{provider} is left alone for {:?}: {error}", error.retry_after().unwrap_or(doubled));
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<ProviderName, Breaker>) -> T) -> T {
        change(&mut self.providers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Models;

    const US: ProviderName = ProviderName::Anthropic;

    fn overloaded(retry_after: Option<Duration>) -> LlmError {
        LlmError::Overloaded { provider: US, status: 529, retry_after, message: String::new() }
    }

    fn cut() -> LlmError {
        LlmError::Cut { provider: US, cause: "reset".to_owned() }
    }

    #[test]
    fn the_next_model_of_the_list_is_chosen_while_the_first_ones_provider_is_down() {
        let (breakers, models, now) = (Breakers::default(), Models::builtin(), Instant::now());
        let haiku = models.lookup("claude-haiku-4-5").unwrap();
        let mini = models.lookup("gpt-5-mini").unwrap();
        let choose = |now| breakers.choose([haiku, mini], now).map(|model| model.name.as_str());
        assert_eq!(choose(now), Ok("claude-haiku-4-5"));
        breakers.failed(US, &overloaded(None), now);
        assert_eq!(choose(now), Ok("gpt-5-mini"));
        breakers.failed(ProviderName::OpenAi, &overloaded(Some(Duration::from_secs(7))), now);
        assert_eq!(choose(now), Err(Duration::from_secs(7)), "both are down, the second for less long");
        assert_eq!(choose(now + PAUSE), Ok("claude-haiku-4-5"));
        assert_eq!(breakers.choose([], now), Err(Duration::ZERO));
    }

    #[test]
    fn after_the_pause_one_call_tries_and_the_others_wait_for_it() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        breakers.failed(US, &overloaded(None), now);
        let later = now + PAUSE;
        assert_eq!((breakers.rests(US, now), breakers.rests(US, later)), (Some(PAUSE), None));
        breakers.begins(US, later);
        assert_eq!(breakers.rests(US, later), Some(PAUSE));
        assert_eq!(breakers.rests(US, later + PAUSE), None, "a trial that never ended holds nobody up for ever");
        breakers.failed(US, &cut(), later);
        assert_eq!(breakers.rests(US, later), Some(2 * PAUSE), "it is still down");
        breakers.succeeded(US);
        breakers.failed(US, &overloaded(None), later);
        assert_eq!(breakers.rests(US, later), Some(PAUSE), "a reply in between makes it a new story");
    }

    #[test]
    fn one_lost_reply_proves_nothing_and_three_do() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        breakers.failed(US, &cut(), now);
        breakers.failed(US, &LlmError::Timeout { provider: US, sent: true }, now);
        assert_eq!(breakers.rests(US, now), None);
        breakers.failed(US, &cut(), now);
        assert_eq!(breakers.rests(US, now), Some(PAUSE));
    }

    #[test]
    fn a_key_that_is_refused_opens_at_once() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        breakers.failed(US, &LlmError::Auth { provider: US, status: 401, message: String::new() }, now);
        assert_eq!(breakers.rests(US, now), Some(PAUSE));
    }

    #[test]
    fn a_model_that_is_not_there_is_passed_over_and_its_providers_others_are_not() {
        let (breakers, models, now) = (Breakers::default(), Models::builtin(), Instant::now());
        let named = |name| models.lookup(name).unwrap();
        let (opus, haiku, mini) = (named("claude-opus-4-5"), named("claude-haiku-4-5"), named("gpt-5-mini"));
        breakers.failed(US, &LlmError::NoModel { provider: US, message: String::new() }, now);
        breakers.absent(opus, now);
        let choose = |models: &[&'static str], now| {
            let models: Vec<&ModelInfo> = models.iter().map(|name| named(name)).collect();
            breakers.choose(models, now).map(|model| model.name.clone())
        };
        assert_eq!(choose(&["claude-opus-4-5", "claude-haiku-4-5"], now), Ok(haiku.name.clone()));
        assert_eq!(choose(&["claude-opus-4-5"], now), Ok(opus.name.clone()), "its provider says best what is wrong");
        assert_eq!(choose(&["claude-opus-4-5", "gpt-5-mini"], now + ABSENCE), Ok(opus.name.clone()), "it may be back");
        breakers.failed(ProviderName::OpenAi, &overloaded(Some(Duration::from_secs(7))), now);
        assert_eq!(choose(&["claude-opus-4-5", "gpt-5-mini"], now), Err(Duration::from_secs(7)), "{} is waited for", mini.name);
    }

    #[test]
    fn what_says_nothing_about_a_provider_opens_nothing() {
        let (breakers, now) = (Breakers::default(), Instant::now());
        for _ in 0..9 {
            breakers.failed(US, &LlmError::BadRequest { provider: US, message: String::new() }, now);
            breakers.failed(US, &LlmError::Cancelled { provider: US, sent: true }, now);
        }
        breakers.begins(US, now);
        assert_eq!(breakers.rests(US, now), None);
        for _ in 0..40 {
            breakers.failed(US, &overloaded(None), now);
        }
        assert_eq!(breakers.rests(US, now), Some(LONGEST_PAUSE));
    }
}
