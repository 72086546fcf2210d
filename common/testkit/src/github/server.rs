//! The server itself: a port, and one task for each connection.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::reply::missing;
use super::{Hosted, Reply, State, git};
use crate::model::http::{self, Request};

/// The server on a free port; it ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// What may differ from server to server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Ids, and with them the numbers of pull requests, begin behind this one.
    pub ids_after: u64,
    /// Whether whole requests are kept, for [`Server::requests`].
    pub keeps_requests: bool,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
    requests: Mutex<Vec<Request>>,
}

/// One repository of the server, for as long as nobody else has to look at it.
pub struct At<'a> {
    state: MutexGuard<'a, State>,
    name: String,
}

impl Deref for At<'_> {
    type Target = Hosted;

    fn deref(&self) -> &Hosted {
        &self.state.hosted[&self.name]
    }
}

impl DerefMut for At<'_> {
    fn deref_mut(&mut self) -> &mut Hosted {
        self.state.hosted.get_mut(&self.name).expect("it was there a moment ago")
    }
}

impl Server {
    /// A server without repositories.
    pub async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared { options, state: Mutex::new(State::new(options.ids_after)), requests: Mutex::default() });
        let serving = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(serve(connection, Arc::clone(&shared)));
                }
            }
        });
        Self { address, shared, serving }
    }

    /// Where it is: of its API, of its pages and of git alike.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it keeps.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// What it keeps of the repository `name`, as `owner/name`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn at(&self, name: &str) -> At<'_> {
        let (state, name) = (self.state(), name.to_lowercase());
        assert!(state.hosted.contains_key(&name), "no repository {name}");
        At { state, name }
    }

    /// Every request as it came, if they are kept.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: &Request) -> Reply {
        let Some((repository, rest)) = git::parts(&request.path) else { return self.state().answer(request) };
        let (folder, fault) = match self.state().admit(request, repository) {
            Ok(admitted) => admitted,
            Err(refused) => return refused,
        };
        let Some(folder) = folder else { return missing() };
        let reply = git::serve(&folder, rest, request).await;
        fault.map_or(reply.clone(), |fault| fault.spoil(reply))
    }
}

/// Answers the requests of one connection, one after the other, until one side closes it.
async fn serve(mut connection: TcpStream, shared: Arc<Shared>) {
    while let Some(mut request) = http::read(&mut connection).await {
        // Where an Enterprise Server has its API.
        if let Some(path) = request.path.strip_prefix("/api/v3/") {
            request.path = format!("/{path}");
        }
        if shared.options.keeps_requests {
            shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        }
        let reply = shared.answer(&request).await;
        if !reply.give(&mut connection).await.unwrap_or(false) {
            return;
        }
    }
}
