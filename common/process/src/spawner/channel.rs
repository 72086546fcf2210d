//! Requests travel with descriptors over a socket of packets; each has a stream of its own for its answers.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The most descriptors of one request: its text, its answers, three streams and the way of the network's broker.
const MOST: usize = 6;

/// A request as it arrives: its text, where the answers go, and what came with it.
pub(super) struct Arrived {
    pub(super) text: Vec<u8>,
    pub(super) answers: UnixStream,
    pub(super) with: Vec<OwnedFd>,
}

/// Sends a request; the stream that its answers come on.
pub(super) fn ask(socket: BorrowedFd<'_>, text: &[u8], with: &[BorrowedFd<'_>]) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut file = File::from(memfd_create("request", MemfdFlags::CLOEXEC)?);
    file.write_all(text)?;
    let mut all = vec![file.as_fd(), theirs.as_fd()];
    all.extend(with);
    send(socket, &all)?;
    Ok(ours)
}

/// The next request; `None` when nobody can send one any more.
pub(super) fn next(socket: BorrowedFd<'_>) -> io::Result<Option<Arrived>> {
    let Some(mut with) = receive(socket)? else { return Ok(None) };
    if with.len() < 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a request came without its text"));
    }
    let (mut file, answers) = (File::from(with.remove(0)), UnixStream::from(with.remove(0)));
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(Some(Arrived { text, answers, with }))
}

/// Sends descriptors. Makes a system call only when there is one of them, so that a child may before it becomes another program.
pub(crate) fn send(socket: BorrowedFd<'_>, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    sendmsg(socket, &[IoSlice::new(b"r")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The descriptors of the next message; `None` at the end.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let message = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    if message.bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(arrived) = message {
            descriptors.extend(arrived);
        }
    }
    Ok(Some(descriptors))
}

/// An answer: what was asked for, or why it is not to be had.
pub(super) fn answer(stream: &mut UnixStream, answer: &io::Result<Vec<u8>>) {
    let (kind, text): (u32, &[u8]) = match answer {
        Ok(text) => (0, text),
        // The kernel's own errors are told by number, so that those who ask can tell them apart.
        Err(error) => (error.raw_os_error().map_or(u32::MAX, i32::unsigned_abs), &error.to_string().into_bytes()),
    };
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text);
    // Who asked may have gone meanwhile.
    stream.write_all(&bytes).ok();
}

/// How many bytes come before the text of an answer.
pub(super) const HEAD: usize = 12;

/// The error number and the length that the head of an answer tells.
pub(super) fn head(bytes: [u8; HEAD]) -> (u32, usize) {
    let kind = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    let length = u64::from_le_bytes(bytes[4..].try_into().expect("eight bytes"));
    (kind, usize::try_from(length).unwrap_or(usize::MAX))
}

/// What an answer of this kind means.
pub(super) fn meaning(kind: u32, text: Vec<u8>) -> io::Result<Vec<u8>> {
    match kind {
        0 => Ok(text),
        u32::MAX => Err(io::Error::other(String::from_utf8_lossy(&text).into_owned())),
        errno => Err(io::Error::from_raw_os_error(errno.cast_signed())),
    }
}

/// Waits for an answer. The spawner answers at once.
pub(super) fn wait(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut bytes = [0; HEAD];
    stream.read_exact(&mut bytes).map_err(gone)?;
    let (kind, length) = head(bytes);
    let mut text = vec![0; length];
    stream.read_exact(&mut text).map_err(gone)?;
    meaning(kind, text)
}

pub(super) fn gone(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("the spawner of sandboxed commands has ended, or what it was asked to do has"),
        _ => error,
    }
}
