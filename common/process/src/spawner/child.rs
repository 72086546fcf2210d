//! A command that the spawner has started for us.

use std::io;
use std::os::unix::net::UnixStream as Blocking;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::{channel, kill};

/// A process of another's. Dropped before it has ended, everything is killed that its user runs.
#[derive(Debug)]
pub(crate) struct Far {
    id: u32,
    user: u32,
    answers: UnixStream,
    /// What has come of the second answer.
    answer: Vec<u8>,
    ended: Option<ExitStatus>,
}

impl Far {
    pub(super) fn new(id: u32, user: u32, answers: Blocking) -> io::Result<Self> {
        answers.set_nonblocking(true)?;
        Ok(Self { id, user, answers: UnixStream::from_std(answers)?, answer: Vec::new(), ended: None })
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn user(&self) -> u32 {
        self.user
    }

    /// How it ended. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        while self.ended.is_none() {
            if self.answers.read_buf(&mut self.answer).await? == 0 {
                return Err(channel::gone(io::ErrorKind::UnexpectedEof.into()));
            }
            let Some((head, text)) = self.answer.split_first_chunk::<{ channel::HEAD }>() else { continue };
            let (kind, length) = channel::head(*head);
            if text.len() >= length {
                let status = channel::meaning(kind, text.to_vec())?;
                let status = status.try_into().map_err(|_| io::Error::other("the spawner tells no status of a process"))?;
                self.ended = Some(ExitStatus::from_raw(i32::from_le_bytes(status)));
            }
        }
        Ok(self.ended.unwrap_or_default())
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        if self.ended.is_none()
            && let Err(error) = kill(self.user)
        {
            tracing::warn!("cannot end what the user {} runs: {error}", self.user);
        }
    }
}
