//! Every fault of a door, in front of a server that says back what it hears.

use std::sync::Arc;
use std::time::Duration;

use chaos::proxy::{Fault, Proxy, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Long enough for what comes at once, on a busy machine too.
const A_MOMENT: Duration = Duration::from_millis(300);

struct Scene {
    door: Proxy,
    client: TcpStream,
    /// A permit for each piece that the server heard.
    heard: Arc<Semaphore>,
}

impl Scene {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let heard = Arc::new(Semaphore::new(0));
        let door = Proxy::start(Target::Port(listener.local_addr().unwrap())).await.unwrap();
        tokio::spawn({
            let heard = heard.clone();
            async move {
                while let Ok((mut connection, _)) = listener.accept().await {
                    let heard = heard.clone();
                    tokio::spawn(async move {
                        let mut buffer = [0; 1024];
                        while let Ok(length @ 1..) = connection.read(&mut buffer).await {
                            heard.add_permits(1);
                            connection.write_all(&buffer[..length]).await.unwrap();
                        }
                    });
                }
            }
        });
        let client = TcpStream::connect(door.address()).await.unwrap();
        let mut scene = Self { door, client, heard };
        assert_eq!(scene.ask().await, "hello");
        scene.heard.acquire().await.unwrap().forget();
        scene
    }

    async fn ask(&mut self) -> String {
        self.client.write_all(b"hello").await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> String {
        let mut answer = [0; 5];
        self.client.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    }
}

#[tokio::test]
async fn a_black_hole_swallows_in_silence_and_what_was_sent_arrives_afterwards() {
    let mut scene = Scene::new().await;
    scene.door.set(Fault::Blackhole);
    scene.client.write_all(b"hello").await.unwrap();
    assert!(timeout(A_MOMENT, scene.heard.acquire()).await.is_err());
    scene.door.set(Fault::None);
    assert_eq!(scene.answer().await, "hello");
}

#[tokio::test]
async fn a_one_way_door_lets_the_question_through_and_holds_the_answer() {
    let mut scene = Scene::new().await;
    scene.door.set(Fault::HalfOpen);
    scene.client.write_all(b"hello").await.unwrap();
    scene.heard.acquire().await.unwrap().forget();
    assert!(timeout(A_MOMENT, scene.answer()).await.is_err());
    scene.door.set(Fault::None);
    assert_eq!(scene.answer().await, "hello");
}

#[tokio::test]
async fn drops_and_delays_arrive_whole() {
    let mut scene = Scene::new().await;
    for fault in [Fault::Dribble, Fault::Delay] {
        scene.door.set(fault);
        assert_eq!(scene.ask().await, "hello");
    }
}

#[tokio::test]
async fn a_cut_ends_what_is_open_and_lets_the_next_try() {
    let mut scene = Scene::new().await;
    scene.door.cut();
    assert_eq!(scene.client.read(&mut [0]).await.unwrap_or(0), 0);
    scene.client = TcpStream::connect(scene.door.address()).await.unwrap();
    assert_eq!(scene.ask().await, "hello");
}
