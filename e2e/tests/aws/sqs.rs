//! A door before SQS, at which messages are lost, doubled and shuffled, or which is shut.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::client::request;

use super::http::{Answer, Asked, Served};

/// What befalls messages on their way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Weather {
    /// Nothing.
    #[default]
    Fair,
    /// What is sent is said to have arrived and is gone.
    Lost,
    /// What is sent arrives three times.
    Doubled,
    /// What is sent arrives up to three seconds later, each after a time of its own; what is received is given out again, since no
    /// deletion arrives.
    Shuffled,
    /// Nobody answers.
    Down,
}

#[derive(Default)]
struct Seen {
    weather: Weather,
    sent: u64,
    received: u64,
}

pub(super) struct Door {
    served: Served,
    seen: Arc<Mutex<Seen>>,
}

impl Door {
    pub(super) async fn start(address: &str) -> Self {
        let (seen, address) = (Arc::<Mutex<Seen>>::default(), address.to_owned());
        let served = Served::start({
            let seen = Arc::clone(&seen);
            move |asked| pass(address.clone(), Arc::clone(&seen), asked)
        });
        Self { served: served.await, seen }
    }

    pub(super) fn address(&self) -> &str {
        &self.served.address
    }

    pub(super) fn set(&self, weather: Weather) {
        self.seen.lock().unwrap().weather = weather;
    }

    /// How many messages were sent, and how many calls asked for some, since the beginning.
    pub(super) fn passed(&self) -> (u64, u64) {
        let seen = self.seen.lock().unwrap();
        (seen.sent, seen.received)
    }
}

async fn pass(address: String, seen: Arc<Mutex<Seen>>, asked: Asked) -> Answer {
    let action = asked.headers.get("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or_default().to_owned();
    let (weather, number) = {
        let mut seen = seen.lock().unwrap();
        match action.as_str() {
            "SendMessage" | "SendMessageBatch" => seen.sent += 1,
            "ReceiveMessage" => seen.received += 1,
            _ => {}
        }
        (seen.weather, seen.sent)
    };
    let sends = action.starts_with("SendMessage");
    match weather {
        Weather::Down => None,
        Weather::Lost if sends => Some((200, br#"{"MessageId":"00000000-0000-4000-8000-000000000000"}"#.to_vec())),
        Weather::Doubled if sends => {
            forward(&address, &asked).await;
            forward(&address, &asked).await;
            forward(&address, &asked).await
        }
        Weather::Shuffled if sends => {
            let wait = Duration::from_millis(number.wrapping_mul(7919) % 3000);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                forward(&address, &asked).await;
            });
            Some((200, br#"{"MessageId":"00000000-0000-4000-8000-000000000000"}"#.to_vec()))
        }
        Weather::Shuffled if action.starts_with("DeleteMessage") => Some((200, b"{}".to_vec())),
        _ => forward(&address, &asked).await,
    }
}

async fn forward(address: &str, asked: &Asked) -> Answer {
    // Its own way of asking: one connection, and the length is counted anew.
    let kept = |name: &str| !["host", "content-length", "connection"].contains(&name);
    let headers = asked.headers.iter().filter(|(name, _)| kept(name)).map(|(name, value)| format!("{name}: {value}\r\n"));
    let answer = request(address, &asked.method, &asked.path, &headers.collect::<String>(), &asked.body).await;
    Some((answer.status, answer.body))
}
