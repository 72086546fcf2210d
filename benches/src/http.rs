//! A plain HTTP/1.1 client for loopback: one connection, kept alive, no more work than needed, so that what is
//! measured is the server.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A connection that is kept alive.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// A server's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Response {
    /// Such as 200.
    pub(crate) status: u16,
    /// The whole body.
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("nobody answers on {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), address })
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Response> {
        self.send_with(method, path, "", body).await
    }

    /// The same with further headers, each a line with its end.
    pub(crate) async fn send_with(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Response> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat()).await?;
        read(&mut self.stream).await.with_context(|| format!("the answer of {} to {method} {path}", self.address))
    }
}

/// Reads one answer, its body by length or in chunks.
async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Response> {
    let first = line(stream).await?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("it begins with {first:?}, which is not HTTP"))?;
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line(stream).await?.to_ascii_lowercase();
        match header.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().context("its content-length")?,
            Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    if !chunked {
        extend(stream, &mut body, length).await?;
        return Ok(Response { status, body });
    }
    loop {
        let size = line(stream).await?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16).context("the size of a chunk")?;
        extend(stream, &mut body, size).await?;
        line(stream).await?;
        if size == 0 {
            return Ok(Response { status, body });
        }
    }
}

/// A line without its end; no more than the end of a header block is empty.
async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<String> {
    let mut line = String::new();
    anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the connection was closed");
    Ok(line.trim_end().to_owned())
}

async fn extend(stream: &mut (impl AsyncBufRead + Unpin), body: &mut Vec<u8>, bytes: usize) -> Result<()> {
    let start = body.len();
    body.resize(start + bytes, 0);
    stream.read_exact(&mut body[start..]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_answers_on_one_connection_are_told_apart() {
        let mut stream =
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 404 Not Found\r\nX: y\r\ncontent-length: 2\r\n\r\nde"[..];
        assert_eq!(read(&mut stream).await.unwrap(), Response { status: 200, body: b"abc".to_vec() });
        assert_eq!(read(&mut stream).await.unwrap(), Response { status: 404, body: b"de".to_vec() });
        assert_eq!(read(&mut stream).await.unwrap_err().to_string(), "the connection was closed");
    }

    #[tokio::test]
    async fn a_chunked_body_is_put_together() {
        let mut stream = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\nrest"[..];
        assert_eq!(read(&mut stream).await.unwrap(), Response { status: 200, body: b"abc0123456789".to_vec() });
        assert_eq!(stream, b"rest");
    }
}
