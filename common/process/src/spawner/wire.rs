//! Requests to the spawner and its answers, as bytes. Both ends are the same program, so there are no versions.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::sandbox::{Level, Network, Profile, Sandbox, Slot};
use crate::{Command, Limits};

/// What is asked of the spawner.
pub(super) enum Request<'a> {
    /// Whether it is there.
    Hello,
    /// A spawner beside this one, for the socket that comes with the request.
    Another,
    /// A free user.
    Take,
    /// This user, if it is free.
    TakeThis(u32),
    /// The user is not needed any more. Not answered.
    Release(u32),
    /// Gives the folder that comes with it to a user that is held.
    Give(u32),
    /// Starts a command as a user that is held. Answered twice: with its process, and with how it ended.
    Spawn(Box<Command>),
    /// Kills everything that a held user runs.
    Kill(u32),
    /// Does a named work as this user, in the folder that comes with it, if one does.
    Act {
        /// As whom.
        user: u32,
        /// Which work.
        work: &'a str,
        /// What it is told.
        input: &'a [u8],
    },
}

impl Request<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Hello => out.number(7),
            Self::Another => out.number(8),
            Self::Take => out.number(0),
            Self::TakeThis(user) => out.number(1).number((*user).into()),
            Self::Release(user) => out.number(2).number((*user).into()),
            Self::Give(user) => out.number(3).number((*user).into()),
            Self::Spawn(command) => encode(out.number(4), command),
            Self::Kill(user) => out.number(5).number((*user).into()),
            Self::Act { user, work, input } => out.number(6).number((*user).into()).bytes(work.as_bytes()).bytes(input),
        };
        out.0
    }
}

impl<'a> Request<'a> {
    /// Reads a request. The slot of a command is one that nobody gives back: the spawner holds it itself.
    pub(super) fn decode(bytes: &'a [u8]) -> io::Result<Self> {
        let mut from = Reader(bytes);
        Ok(match from.number()? {
            7 => Self::Hello,
            8 => Self::Another,
            0 => Self::Take,
            1 => Self::TakeThis(from.user()?),
            2 => Self::Release(from.user()?),
            3 => Self::Give(from.user()?),
            4 => Self::Spawn(Box::new(decode(&mut from)?)),
            5 => Self::Kill(from.user()?),
            6 => Self::Act { user: from.user()?, work: std::str::from_utf8(from.bytes()?).map_err(|_| garbled())?, input: from.bytes()? },
            _ => return Err(garbled()),
        })
    }
}

fn encode<'w>(out: &'w mut Writer, command: &Command) -> &'w mut Writer {
    let Command { program, args, cwd, env, stdin: _, timeout: _, limits, output_cap: _, user: _, sandbox, handed: _ } = command;
    out.bytes(program.as_bytes()).number(args.len() as u64);
    for argument in args {
        out.bytes(argument.as_bytes());
    }
    out.optional(cwd.as_ref().map(|cwd| cwd.as_os_str().as_bytes())).number(env.len() as u64);
    for (name, value) in env {
        out.bytes(name.as_bytes()).bytes(value.as_bytes());
    }
    let Limits { processes, data_bytes, file_size_bytes, open_files, oom_score_adj } = *limits;
    for limit in [processes, data_bytes, file_size_bytes, open_files, oom_score_adj.map(u64::from)] {
        out.optional(limit.map(u64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }
    let sandbox = sandbox.as_ref().expect("only commands behind walls are started by the spawner");
    out.number(sandbox.slot.as_ref().map_or(0, Slot::uid).into()).bytes(sandbox.level.name().as_bytes());
    let Profile { read, write, network, memory_bytes, disk_bytes } = &*sandbox.profile;
    for paths in [read, write] {
        out.number(paths.len() as u64);
        for path in paths {
            out.bytes(path.as_os_str().as_bytes());
        }
    }
    // What a proxy lets through is decided on our side; the walls only have to know that there is one.
    let first_port = sandbox.first_port.map_or(0, u64::from);
    out.bytes(network.name().as_bytes()).number(*memory_bytes).number(*disk_bytes).number(first_port)
}

fn decode(from: &mut Reader<'_>) -> io::Result<Command> {
    let mut command = Command::new(from.text()?);
    for _ in 0..from.number()? {
        command.args.push(from.text()?);
    }
    command.cwd = from.optional()?.map(|cwd| PathBuf::from(OsStr::from_bytes(cwd)));
    for _ in 0..from.number()? {
        let name = from.text()?;
        command.env.insert(name, from.text()?);
    }
    let mut limit = || from.optional()?.map(|bytes| bytes.try_into().map(u64::from_le_bytes).map_err(|_| garbled())).transpose();
    command.limits = Limits {
        processes: limit()?,
        data_bytes: limit()?,
        file_size_bytes: limit()?,
        open_files: limit()?,
        oom_score_adj: limit()?.map(u16::try_from).transpose().map_err(|_| garbled())?,
    };
    let user = from.user()?;
    let level: Level = std::str::from_utf8(from.bytes()?).map_err(|_| garbled())?.parse().map_err(|_| garbled())?;
    let mut paths = || (0..from.number()?).map(|_| from.text().map(PathBuf::from)).collect::<io::Result<Vec<_>>>();
    let (read, write) = (paths()?, paths()?);
    let network = Network::shape(std::str::from_utf8(from.bytes()?).map_err(|_| garbled())?).ok_or_else(garbled)?;
    let profile = Profile { read, write, network, memory_bytes: from.number()?, disk_bytes: from.number()? };
    let first_port = Some(u16::try_from(from.number()?).map_err(|_| garbled())?).filter(|port| *port != 0);
    command.sandbox = Some(Sandbox { profile: Arc::new(profile), level, slot: Some(Slot::held_elsewhere(user)), first_port });
    command.timeout = Duration::MAX;
    Ok(command)
}

fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the message between a process and its spawner is garbled")
}

/// Numbers and texts, one after the other.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn optional(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.number(1).bytes(bytes),
            None => self.number(0),
        }
    }
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn number(&mut self) -> io::Result<u64> {
        let (number, rest) = self.0.split_first_chunk().ok_or_else(garbled)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*number))
    }

    pub(super) fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).map_err(|_| garbled())?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(garbled)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn optional(&mut self) -> io::Result<Option<&'a [u8]>> {
        match self.number()? {
            0 => Ok(None),
            _ => self.bytes().map(Some),
        }
    }

    fn text(&mut self) -> io::Result<OsString> {
        self.bytes().map(|bytes| OsString::from_vec(bytes.to_vec()))
    }

    fn user(&mut self) -> io::Result<u32> {
        u32::try_from(self.number()?).map_err(|_| garbled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_arrives_as_it_was_sent() {
        let profile = Profile::new(vec!["/opt/x".into()], vec!["/w".into(), "/h".into()]);
        let limits = Limits { processes: Some(7), oom_score_adj: Some(1000), ..Limits::default() };
        let sandbox =
            Sandbox { profile: Arc::new(profile), level: Level::Full, slot: Some(Slot::held_elsewhere(63_500)), first_port: Some(16_384) };
        let command = Command::new("/bin/sh").args(["-c", "true"]).env("A", "b").cwd("/w").limits(limits).sandbox(sandbox);
        let bytes = Request::Spawn(Box::new(command.clone())).encode();
        let Request::Spawn(arrived) = Request::decode(&bytes).unwrap() else { panic!("another request") };
        let sent = Command { timeout: Duration::MAX, ..command };
        assert_eq!(format!("{arrived:?}"), format!("{sent:?}"));
    }

    #[test]
    fn a_request_that_is_cut_is_refused() {
        let bytes = Request::Act { user: 63_500, work: "disk", input: b"x" }.encode();
        assert!((0..bytes.len()).all(|length| Request::decode(&bytes[..length]).is_err()));
    }
}
