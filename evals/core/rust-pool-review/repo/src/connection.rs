//! One connection to the archive.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Why the archive did not answer.
#[derive(Debug)]
pub enum ConnectionError {
    /// The network failed; the connection cannot be used any more.
    Io(io::Error),
    /// The archive said no; the connection is fine.
    Refused(String),
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An open connection.
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Opens one.
    pub fn open(address: impl ToSocketAddrs) -> Result<Self, ConnectionError> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream })
    }

    /// Asks for a document.
    pub fn fetch(&mut self, id: u64) -> Result<Vec<u8>, ConnectionError> {
        self.stream.write_all(&id.to_be_bytes())?;
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        match head[0] {
            0 => Ok(body),
            _ => Err(ConnectionError::Refused(String::from_utf8_lossy(&body).into_owned())),
        }
    }
}
