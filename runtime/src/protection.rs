//! Scale-in protection: before a worker claims it says that it must not be taken away, and when it has been idle for a moment it
//! says that it may be. Where nobody takes workers away there is nothing to say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
pub use aws::protection::PROTECTED_FOR as TERM;
use aws::protection::Protection as Agent;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// When it is renewed: at half of its time.
const RENEWAL: Duration = Duration::from_secs(300);
/// Who has less than this left claims nothing: a claim and what follows must be covered.
const MARGIN: Duration = Duration::from_secs(60);
/// How long whoever protects may take to answer: longer than its own patience.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long after a refusal it is asked for again, and how often that is said.
const AGAIN: Duration = Duration::from_secs(5);
const SAID_AGAIN: Duration = Duration::from_secs(60);
/// How often it is looked whether a renewal is due.
const LOOK: Duration = Duration::from_secs(5);

/// Who protects a worker.
#[async_trait]
pub trait Shield: Send + Sync {
    /// Protects it for [`TERM`] from now on.
    ///
    /// # Errors
    /// It was refused, or nobody answers.
    async fn hold(&self) -> anyhow::Result<()>;

    /// Protects it no longer.
    ///
    /// # Errors
    /// Nobody answers: it ends by itself.
    async fn release(&self) -> anyhow::Result<()>;
}

/// The agent of a task of ECS, or of a child of `codeteam up`.
#[async_trait]
impl Shield for Agent {
    async fn hold(&self) -> anyhow::Result<()> {
        Ok(Agent::hold(self).await.map(drop)?)
    }

    async fn release(&self) -> anyhow::Result<()> {
        Ok(Agent::release(self).await?)
    }
}

/// The protection of one worker. Clones share it.
#[derive(Clone, Default)]
pub struct Protection {
    shield: Option<Arc<dyn Shield>>,
    known: Arc<Mutex<Known>>,
    /// One question at a time, so that a renewal cannot overtake a giving up.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    /// Until then, by our own clock from before it was asked for.
    until: Option<Instant>,
    refused_at: Option<Instant>,
    said_at: Option<Instant>,
}

impl Protection {
    /// Where nobody takes workers away.
    pub fn not_needed() -> Self {
        Self::default()
    }

    /// By `shield`.
    pub fn by(shield: Arc<dyn Shield>) -> Self {
        Self { shield: Some(shield), ..Self::default() }
    }

    /// Whether a claim is covered.
    pub fn is_held(&self) -> bool {
        self.shield.is_none() || self.known().until.is_some_and(|until| until > Instant::now() + MARGIN)
    }

    /// Takes it, if it is not held already; `false` = nothing may be claimed now. It says itself why, and is not asked again for
    /// a moment.
    pub async fn take(&self) -> bool {
        let Some(shield) = &self.shield else { return true };
        let _turn = self.turn.lock().await;
        if self.is_held() {
            return true;
        }
        if self.known().refused_at.is_some_and(|at| at.elapsed() < AGAIN) {
            return false;
        }
        self.ask(shield).await
    }

    /// Gives it up: this worker may be taken away.
    pub async fn give_up(&self) {
        let Some(shield) = &self.shield else { return };
        let _turn = self.turn.lock().await;
        // Whatever comes of it: from here on nothing is claimed without asking first.
        if self.known().until.take().is_some() {
            match timeout(PATIENCE, shield.release()).await {
                Ok(Ok(())) => tracing::debug!("this worker may be taken away"),
                Ok(Err(error)) => tracing::warn!("the protection of this worker runs out only in some minutes: {error:#}"),
                Err(_) => tracing::warn!("the protection of this worker runs out only in some minutes: its agent does not answer"),
            }
        }
    }

    /// Renews it as long as it is held, until `end`. Must run beside the jobs, never in one of them.
    pub async fn keep(&self, end: CancellationToken) {
        let Some(shield) = &self.shield else { return };
        while end.run_until_cancelled(sleep(LOOK)).await.is_some() {
            let _turn = self.turn.lock().await;
            if self.known().until.is_some_and(|until| until < Instant::now() + (TERM - RENEWAL)) {
                self.ask(shield).await;
            }
        }
    }

    async fn ask(&self, shield: &Arc<dyn Shield>) -> bool {
        let asked = Instant::now();
        let why = match timeout(PATIENCE, shield.hold()).await {
            Ok(Ok(())) => {
                let mut known = self.known();
                if known.refused_at.take().is_some() {
                    tracing::info!("this worker is protected again");
                }
                known.said_at = None;
                known.until = Some(asked + TERM);
                return true;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("its agent does not answer within {} s", PATIENCE.as_secs()),
        };
        let mut known = self.known();
        known.refused_at = Some(Instant::now());
        if known.said_at.is_none_or(|at| at.elapsed() >= SAID_AGAIN) {
            known.said_at = known.refused_at;
            tracing::warn!("this worker claims nothing until it is protected from being taken away: {why}");
        }
        false
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Writes down what it was asked for, and refuses while it is told to.
    #[derive(Default)]
    struct Notes {
        asked: Mutex<Vec<&'static str>>,
        refuses: AtomicBool,
    }

    impl Notes {
        fn asked(&self) -> Vec<&'static str> {
            self.asked.lock().unwrap().drain(..).collect()
        }

        fn note(&self, what: &'static str) -> anyhow::Result<()> {
            self.asked.lock().unwrap().push(what);
            anyhow::ensure!(!self.refuses.load(Ordering::Relaxed), "the task is stopping");
            Ok(())
        }
    }

    #[async_trait]
    impl Shield for Notes {
        async fn hold(&self) -> anyhow::Result<()> {
            self.note("hold")
        }

        async fn release(&self) -> anyhow::Result<()> {
            self.note("release")
        }
    }

    fn scene() -> (Protection, Arc<Notes>) {
        let notes = Arc::new(Notes::default());
        (Protection::by(notes.clone()), notes)
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_taken_once_for_ten_minutes_and_renewed_after_five() {
        let (protection, notes) = scene();
        let end = CancellationToken::new();
        let keeping = tokio::spawn({
            let (protection, end) = (protection.clone(), end.clone());
            async move { protection.keep(end).await }
        });
        assert!(!protection.is_held());
        assert!(protection.take().await && protection.take().await && protection.is_held());
        assert_eq!(notes.asked(), ["hold"], "held it is not asked for");
        sleep(Duration::from_secs(290)).await;
        assert!(notes.asked().is_empty());
        sleep(Duration::from_secs(20)).await;
        assert_eq!(notes.asked(), ["hold"]);
        protection.give_up().await;
        protection.give_up().await;
        assert_eq!(notes.asked(), ["release"], "once");
        sleep(Duration::from_secs(1_000)).await;
        assert_eq!((notes.asked().len(), protection.is_held()), (0, false), "what was given up is not renewed");
        end.cancel();
        keeping.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_claims_nothing_and_asks_again_in_a_moment() {
        let (protection, notes) = scene();
        notes.refuses.store(true, Ordering::Relaxed);
        assert!(!protection.take().await && !protection.take().await);
        assert_eq!(notes.asked(), ["hold"], "not again at once");
        sleep(AGAIN).await;
        notes.refuses.store(false, Ordering::Relaxed);
        assert!(protection.take().await);
        // Renewals that fail: what is held covers claims until shortly before its end, and not longer.
        notes.refuses.store(true, Ordering::Relaxed);
        sleep(TERM - MARGIN - Duration::from_secs(1)).await;
        assert!(protection.is_held());
        sleep(Duration::from_secs(2)).await;
        assert!(!protection.is_held() && !protection.take().await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_does_not_answer_is_no_protection() {
        struct Silent;
        #[async_trait]
        impl Shield for Silent {
            async fn hold(&self) -> anyhow::Result<()> {
                std::future::pending().await
            }
            async fn release(&self) -> anyhow::Result<()> {
                std::future::pending().await
            }
        }
        let protection = Protection::by(Arc::new(Silent));
        assert!(!protection.take().await && !protection.is_held());
        assert!(Protection::not_needed().is_held() && Protection::not_needed().take().await);
    }
}
