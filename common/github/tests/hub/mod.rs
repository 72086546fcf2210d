//! The client of GitHub's API against a server that keeps what it is sent, and fails in every way that GitHub does.

mod app;
mod comments;
mod cutting;
mod failures;
mod pulls;
mod reviews;
mod tokens;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Clock, JobId, Secret};
use github::GitHub;
use github::app::{App, AppCredentials, AppOptions, LocalPacer, Site};
use testkit::github::{APP_ID, Account, At, Options, Reply, Server, app_key};
use time::OffsetDateTime;

use cutting::Cutting;

const REPOSITORY: &str = "acme/shop";
/// The number of the App's installation there.
const INSTALLATION: u64 = 77;
const MARKER: &str = "<!-- codeteam:job:1 -->";

fn credentials(url: &str) -> AppCredentials {
    let site = Site::with_api("https://github.com", url).unwrap();
    AppCredentials::new(site, APP_ID, Secret::new(app_key())).unwrap()
}

/// A clock that is put forward by hand.
#[derive(Clone)]
struct TestClock(Arc<Mutex<OffsetDateTime>>);

impl TestClock {
    fn at(text: &str) -> Self {
        let instant = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
        Self(Arc::new(Mutex::new(instant)))
    }

    fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }

    fn boottime(&self) -> Duration {
        Duration::ZERO
    }
}

/// A server, its client, and a connection between them that can be cut.
struct World {
    server: Server,
    cutting: Cutting,
    github: GitHub,
    tokens: Arc<Mutex<Vec<String>>>,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Without pauses between changes, and with what `change` does to the options.
    async fn with(change: impl FnOnce(&mut AppOptions)) -> Self {
        let server = Server::start(Options { keeps_requests: true, ..Options::default() }).await;
        {
            let mut state = server.state();
            state.host(REPOSITORY, INSTALLATION, None);
            let role = "maintain".to_owned();
            state.account(Account { id: 7, login: "Ada".to_owned(), name: Some("Ada Lovelace".to_owned()), role });
        }
        let cutting = Cutting::before(&server.url()).await;
        let tokens = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&tokens);
        let mut options = AppOptions::new(move |token| told.lock().unwrap().push(token.expose().to_owned()));
        options.pacer = Arc::new(LocalPacer::new(Duration::ZERO, Duration::from_secs(20)));
        change(&mut options);
        let github = GitHub::new(App::new(&credentials(&cutting.url()), options).unwrap());
        Self { server, cutting, github, tokens }
    }

    /// The next request that begins with `request` is answered with `reply`.
    fn fail(&self, request: &str, reply: Reply) {
        self.server.state().faults.push((request.to_owned(), reply));
    }

    /// The repository as the server keeps it.
    fn shop(&self) -> At<'_> {
        self.server.at(REPOSITORY)
    }

    /// How many requests began with `request`.
    fn asked(&self, request: &str) -> usize {
        self.server.state().asked.iter().filter(|asked| asked.starts_with(request)).count()
    }
}

fn job() -> JobId {
    "0198c0de-0000-7000-8000-000000000001".parse().unwrap()
}
