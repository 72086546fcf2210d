//! A connection that breaks after the server has acted: the request arrives whole, and of the reply nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Stands between client and server, and passes everything on until it is told to cut.
pub struct Cutting {
    address: SocketAddr,
    cut: Arc<Mutex<Option<String>>>,
}

impl Cutting {
    /// In front of the server at `http://host:port`.
    pub async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, server) = (listener.local_addr().unwrap(), server.trim_start_matches("http://").to_owned());
        let cut = Arc::new(Mutex::new(None));
        let next = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), Arc::clone(&next)));
            }
        });
        Self { address, cut }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Loses the reply to the next request that begins with `request`, such as `POST /repos`.
    pub fn lose_the_reply_to(&self, request: &str) {
        *self.cut.lock().unwrap() = Some(request.to_owned());
    }

    /// Whether nothing is left to be lost.
    pub fn has_cut(&self) -> bool {
        self.cut.lock().unwrap().is_none()
    }
}

async fn pass(mut client: TcpStream, server: String, cut: Arc<Mutex<Option<String>>>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut from_client, mut from_server) = (vec![0; 65536], vec![0; 65536]);
    let mut lose = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(size @ 1..) = read else { return };
                let mut cut = cut.lock().unwrap().take_if(|request| from_client[..size].starts_with(request.as_bytes()));
                lose |= cut.take().is_some();
                if server.write_all(&from_client[..size]).await.is_err() { return }
            }
            read = server.read(&mut from_server) => {
                let Ok(size @ 1..) = read else { return };
                if lose || client.write_all(&from_server[..size]).await.is_err() { return }
            }
        }
    }
}
