//! Keeps the head and the tail of a stream of any length in bounded memory.

use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The first and the last bytes of a stream.
#[derive(Debug)]
pub(crate) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_cap: usize,
    tail_cap: usize,
    omitted_bytes: u64,
}

impl Capture {
    /// Keeps at most `cap` bytes, half from the head and half from the tail.
    pub(crate) fn new(cap: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), head_cap: cap / 2, tail_cap: cap - cap / 2, omitted_bytes: 0 }
    }

    /// Reads `stream` to its end, whatever its length, so that its writer is never blocked for long.
    pub(crate) async fn read(&mut self, mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                count => self.push(&buffer[..count]),
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_cap - self.head.len()));
        self.head.extend_from_slice(head);
        let kept = &rest[rest.len().saturating_sub(self.tail_cap)..];
        let overflow = (self.tail.len() + kept.len()).saturating_sub(self.tail_cap);
        self.tail.drain(..overflow);
        self.tail.extend(kept);
        self.omitted_bytes += (rest.len() - kept.len() + overflow) as u64;
    }

    /// The kept bytes in order, and how many are missing between head and tail.
    pub(crate) fn finish(self) -> (Vec<u8>, u64) {
        let mut bytes = self.head;
        bytes.extend(self.tail);
        (bytes, self.omitted_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(cap: usize, parts: &[&str]) -> (String, u64) {
        let mut capture = Capture::new(cap);
        parts.iter().for_each(|part| capture.push(part.as_bytes()));
        let (bytes, omitted) = capture.finish();
        (String::from_utf8(bytes).unwrap(), omitted)
    }

    #[test]
    fn a_stream_within_the_cap_is_kept_whole() {
        assert_eq!(captured(6, &["abc", "", "def"]), ("abcdef".into(), 0));
    }

    #[test]
    fn a_longer_stream_keeps_its_head_and_its_tail_however_it_is_cut() {
        assert_eq!(captured(4, &["abcdefgh"]), ("abgh".into(), 4));
        assert_eq!(captured(4, &["a", "b", "c", "d", "e", "f", "g", "h"]), ("abgh".into(), 4));
        assert_eq!(captured(5, &["abc", "defg", "h"]), ("abfgh".into(), 3));
    }

    #[test]
    fn a_cap_of_nothing_keeps_nothing() {
        assert_eq!(captured(0, &["abc"]), (String::new(), 3));
    }
}
