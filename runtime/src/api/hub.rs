//! One reader of the feed for all streams of this process: it asks the database while somebody listens, and hands
//! every event to everybody.

use std::sync::Arc;
use std::time::Duration;

use store::feed::{self, Cursor, Fed, Filter};
use store::{Db, StoreError};
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Time between two questions while events come, and the longest while none do.
const POLL: Duration = Duration::from_millis(250);
const POLL_WHEN_QUIET: Duration = Duration::from_millis(1_000);
const MOST_AT_ONCE: u32 = 500;
/// How far a stream may lag behind before it has to read from the table again.
const BACKLOG: usize = 4_096;

/// What streams are told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// An event, in the feed's order.
    Event(Arc<Fed>),
    /// The reader stopped: come back later.
    Over,
}

/// The reader, if one runs, and those who listen to it.
pub(crate) struct Hub {
    db: Db,
    shutdown: CancellationToken,
    told: broadcast::Sender<Told>,
    reader: Arc<Mutex<Reader>>,
}

#[derive(Default)]
struct Reader {
    runs: bool,
    tasks: JoinSet<()>,
}

impl Hub {
    pub(crate) fn new(db: Db, shutdown: CancellationToken) -> Self {
        Self { db, shutdown, told: broadcast::Sender::new(BACKLOG), reader: Arc::default() }
    }

    /// Listens: what is told from now on, and the place from which on all of it is told. What lies before is to be
    /// read from the table.
    pub(crate) async fn follow(&self) -> Result<(broadcast::Receiver<Told>, Cursor), StoreError> {
        let mut reader = self.reader.lock().await;
        // First listen, then look: an event after `head` is told to this receiver.
        let receiver = self.told.subscribe();
        let head = feed::head(&self.db).await?;
        if !reader.runs {
            while reader.tasks.try_join_next().is_some() {}
            reader.tasks.spawn(read(self.db.clone(), head, self.told.clone(), self.reader.clone(), self.shutdown.clone()));
            reader.runs = true;
        }
        Ok((receiver, head))
    }
}

/// Reads the feed from `place` on, until nobody listens.
async fn read(db: Db, mut place: Cursor, told: broadcast::Sender<Told>, reader: Arc<Mutex<Reader>>, shutdown: CancellationToken) {
    let mut pause = POLL;
    loop {
        match feed::page(&db, place, None, &Filter::default(), MOST_AT_ONCE).await {
            Ok(page) => {
                place = page.next;
                pause = if page.events.is_empty() { (pause * 2).min(POLL_WHEN_QUIET) } else { POLL };
                for event in page.events {
                    // Nobody listens: that is seen below.
                    let _ = told.send(Told::Event(Arc::new(event)));
                }
                if page.more {
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!("live events stop for now: {error}");
                let mut reader = reader.lock().await;
                reader.runs = false;
                let _ = told.send(Told::Over);
                return;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if told.receiver_count() == 0 {
            // Looked at again under the lock: whoever listens since then has to find a reader.
            let mut reader = reader.lock().await;
            if told.receiver_count() == 0 {
                reader.runs = false;
                return;
            }
        }
    }
}
