//! A pool of connections that threads share.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::{Connection, ConnectionError};

/// How long somebody waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

struct State {
    idle: Vec<Connection>,
    /// Connections that are open: idle ones and those in use.
    open: usize,
}

/// At most `most` connections to one address.
pub struct Pool {
    address: String,
    most: usize,
    state: Mutex<State>,
    returned: Condvar,
}

impl Pool {
    /// An empty pool: connections are opened when they are needed.
    pub fn new(address: impl Into<String>, most: usize) -> Self {
        let state = Mutex::new(State { idle: Vec::new(), open: 0 });
        Self { address: address.into(), most, state, returned: Condvar::new() }
    }

    /// Asks for a document over any connection.
    pub fn fetch(&self, id: u64) -> Result<Vec<u8>, ConnectionError> {
        let mut connection = self.take()?;
        let fetched = connection.fetch(id)?;
        self.give_back(connection);
        Ok(fetched)
    }

    /// An idle connection, or a new one; waits where all are in use.
    fn take(&self) -> Result<Connection, ConnectionError> {
        let mut state = self.state.lock().unwrap();
        if state.idle.is_empty() && state.open >= self.most {
            (state, _) = self.returned.wait_timeout(state, PATIENCE).unwrap();
        }
        match state.idle.pop() {
            Some(connection) => Ok(connection),
            None => {
                state.open += 1;
                drop(state);
                Connection::open(&self.address)
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        self.state.lock().unwrap().idle.push(connection);
        self.returned.notify_one();
    }
}
