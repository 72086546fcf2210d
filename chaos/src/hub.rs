//! The GitHub of a world: it keeps what it is sent, serves git, and has bad days.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::github::{APP_ID, Account, Fault, Options, SLUG, Server, app_key};

use crate::repository::Repository;
use crate::tickets::PERSON;

/// Above the number of every issue, so that a pull request is never taken for one.
const IDS_AFTER: u64 = 1_000_000;

/// A GitHub, and which faults it has.
pub struct Hub {
    /// The server.
    pub server: Server,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
struct Faults {
    seed: u64,
    /// Of a hundred requests, so many.
    percent: u64,
    /// How often each request came.
    asked: BTreeMap<String, u64>,
    struck: BTreeMap<&'static str, u32>,
}

impl Hub {
    /// A GitHub with these repositories, an owner each, in which one person may do everything. It has no faults yet.
    pub async fn start(seed: u64, repositories: &[Repository]) -> Self {
        let server = Server::start(Options { ids_after: IDS_AFTER, ..Options::default() }).await;
        let faults = Arc::new(Mutex::new(Faults { seed, ..Faults::default() }));
        {
            let mut state = server.state();
            for (index, repository) in repositories.iter().enumerate() {
                state.host(&repository.name, 100 + index as u64, Some(repository.path.clone()));
            }
            state.account(Account { id: 7, login: PERSON.to_owned(), name: None, role: "write".to_owned() });
            let faults = Arc::clone(&faults);
            state.weather = Some(Box::new(move |asked| locked(&faults).befall(asked)));
        }
        Self { server, faults }
    }

    /// From now on so many of a hundred requests fail, in one way or another.
    pub fn set(&self, percent: u64) {
        locked(&self.faults).percent = percent;
    }

    /// How often each kind of fault happened.
    pub fn struck(&self) -> BTreeMap<&'static str, u32> {
        locked(&self.faults).struck.clone()
    }

    /// Writes what the product needs to be its App, for its owner alone.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_credentials(&self, file: &Path) -> Result<()> {
        let url = self.server.url();
        let credentials = json!({ "app_id": APP_ID, "slug": SLUG, "private_key": app_key(), "web_url": url, "api_url": url });
        let mut open = std::fs::OpenOptions::new();
        let mut written = open.write(true).create(true).truncate(true).mode(0o600).open(file).context("cannot write the App's file")?;
        Ok(written.write_all(credentials.to_string().as_bytes())?)
    }

    /// What it keeps, for people.
    pub fn shown(&self) -> Value {
        let state = self.server.state();
        let text = |all: &BTreeMap<(u64, u64), Value>| all.values().cloned().collect::<Vec<_>>();
        let shown = state.hosted.iter().map(|(name, hosted)| {
            let kept = json!({
                "comments": text(&hosted.comments), "pulls": hosted.pulls, "checks": hosted.checks, "reactions": hosted.reactions,
            });
            (name.clone(), kept)
        });
        json!({ "repositories": shown.collect::<serde_json::Map<String, Value>>(), "asked": state.asked })
    }
}

impl Faults {
    fn befall(&mut self, asked: &str) -> Option<Fault> {
        let times = self.asked.entry(asked.to_owned()).or_default();
        *times += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, asked, *times).hash(&mut hasher);
        let chance = hasher.finish() >> 8;
        if chance % 100 >= self.percent {
            return None;
        }
        let all = faults(asked, chance / 100_000);
        let fault = all[(chance / 100) as usize % all.len()];
        *self.struck.entry(fault.name()).or_default() += 1;
        Some(fault)
    }
}

/// What may befall this request.
fn faults(asked: &str, chance: u64) -> Vec<Fault> {
    let slow = Fault::Slow(500 + (chance % 2500) as u16);
    let broken = Fault::Broken(if chance.is_multiple_of(2) { 500 } else { 502 });
    let limits = [Fault::Secondary(1 + (chance % 2) as u16), Fault::Primary];
    let mut all = vec![Fault::CutAfter, Fault::CutBefore, broken, slow];
    let path = asked.split(['?', ' ']).nth(1).unwrap_or_default();
    if path.contains(".git/") {
        all.push(Fault::Revoked);
        return all;
    }
    all.extend(limits);
    if path.starts_with("/app") || path.ends_with("/installation") {
        return all;
    }
    all.push(Fault::Revoked);
    if !asked.starts_with("GET ") {
        all.extend([Fault::CutAfter, Fault::BrokenAfter]);
    }
    if asked.starts_with("POST ") && path.ends_with("/pulls") {
        all.extend([Fault::Exists, Fault::Exists]);
    }
    all
}

fn locked(faults: &Mutex<Faults>) -> MutexGuard<'_, Faults> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_all_requests_fails_in_every_way_that_fits_them() {
        let mut faults = Faults { seed: 7, percent: 20, ..Faults::default() };
        let struck = (0..5000).filter(|_| faults.befall("POST /repos/acme/shop/pulls").is_some()).count();
        assert!((900..1100).contains(&struck), "{struck}");
        assert_eq!(faults.struck.len(), 9, "{:?}", faults.struck);
        faults.percent = 0;
        assert_eq!(faults.befall("POST /repos/acme/shop/pulls"), None);
    }

    #[test]
    fn only_a_pull_request_is_said_to_exist_and_only_a_tokens_request_loses_it() {
        let of = |asked: &str| faults(asked, 0);
        assert!(of("POST /repos/acme/shop/pulls").contains(&Fault::Exists));
        assert!(!of("POST /repos/acme/shop/issues/1/comments").contains(&Fault::Exists));
        assert!(!of("POST /app/installations/1/access_tokens").contains(&Fault::Revoked));
        assert!(of("GET /acme/shop.git/info/refs?service=git-upload-pack").contains(&Fault::Revoked));
        assert!(!of("GET /acme/shop.git/info/refs?service=git-upload-pack").contains(&Fault::Primary));
    }
}
