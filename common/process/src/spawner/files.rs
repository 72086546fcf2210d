//! What is done with the files of a workspace as the user that they belong to. The spawner does each in a child that has
//! become that user, so a path can lead nowhere where the user's own commands could not go.

use std::collections::HashSet;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chmodat, chownat, fchmod, fchown, openat, statat, unlinkat};
use rustix::io::Errno;

/// Removes everything in `folder`.
pub(super) fn clear(folder: BorrowedFd<'_>) -> io::Result<()> {
    each(folder, &mut |place, name, status| {
        if is_folder(status) {
            let within = enter(place, name, status)?;
            clear(within.as_fd())?;
            drop(within);
            Ok(unlinkat(place, name, AtFlags::REMOVEDIR)?)
        } else {
            Ok(unlinkat(place, name, AtFlags::empty())?)
        }
    })
}

/// Lets the group of the user, in which nobody else is but the process that works on its jobs, read what is in `folder`.
pub(super) fn open_up(folder: BorrowedFd<'_>) -> io::Result<()> {
    fchmod(folder, Mode::from_raw_mode(0o750))?;
    open_up_within(folder)
}

fn open_up_within(folder: BorrowedFd<'_>) -> io::Result<()> {
    each(folder, &mut |place, name, status| {
        let wanted = match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => 0o750,
            FileType::RegularFile => 0o040,
            _ => return Ok(()),
        };
        let mode = status.st_mode & 0o7777;
        if mode & wanted != wanted {
            chmodat(place, name, Mode::from_raw_mode(mode | wanted), AtFlags::empty())?;
        }
        if is_folder(status) { open_up_within(open(place, name)?.as_fd()) } else { Ok(()) }
    })
}

/// What the files in `folder` take up, in bytes. Each is counted once, however often it is linked.
pub(super) fn disk(folder: BorrowedFd<'_>, linked: &mut HashSet<(u64, u64)>) -> io::Result<u64> {
    let mut bytes = 0;
    each(folder, &mut |place, name, status| {
        if is_folder(status) || status.st_nlink == 1 || linked.insert((status.st_dev, status.st_ino)) {
            bytes += status.st_blocks.unsigned_abs() * 512;
        }
        if !is_folder(status) {
            return Ok(());
        }
        // What is closed even to its owner is opened for as long as we look.
        let within = match open(place, name) {
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => enter(place, name, status),
            other => other,
        };
        let within = match within {
            // It went meanwhile, or is something else now.
            Err(error) if [libc::ENOENT, libc::ENOTDIR, libc::ELOOP].map(Some).contains(&error.raw_os_error()) => return Ok(()),
            other => other?,
        };
        if status.st_mode & 0o500 != 0o500 {
            fchmod(&within, Mode::from_raw_mode(0o700))?;
        }
        let used = disk(within.as_fd(), linked);
        if status.st_mode & 0o500 != 0o500 {
            fchmod(&within, Mode::from_raw_mode(status.st_mode & 0o7777))?;
        }
        bytes += used?;
        Ok(())
    })?;
    Ok(bytes)
}

/// Gives `folder` and all that is in it from `owner` to `user`, and closes it to everybody but these two.
///
/// # Errors
/// When something in it is somebody else's, or a file has a second name that could lie elsewhere.
pub(super) fn give(folder: BorrowedFd<'_>, owner: u32, user: u32) -> io::Result<()> {
    let refused = |status: &Stat| status.st_uid != owner && status.st_uid != user || !is_folder(status) && status.st_nlink > 1;
    if refused(&rustix::fs::fstat(folder)?) {
        return Err(io::Error::other("a folder is given to the user of a slot that is somebody else's"));
    }
    give_within(folder, user, &refused)?;
    fchmod(folder, Mode::from_raw_mode(0o750))?;
    Ok(fchown(folder, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))?)
}

fn give_within(folder: BorrowedFd<'_>, user: u32, refused: &impl Fn(&Stat) -> bool) -> io::Result<()> {
    each(folder, &mut |place, name, status| {
        if refused(status) {
            let name = name.to_string_lossy();
            return Err(io::Error::other(format!("{name:?} is given to the user of a slot, and is somebody else's or has a second name")));
        }
        if is_folder(status) {
            give_within(open(place, name)?.as_fd(), user, refused)?;
        }
        Ok(chownat(place, name, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)), AtFlags::SYMLINK_NOFOLLOW)?)
    })
}

/// Calls `visit` with the folder, name and state of everything in `folder` that is still there.
fn each(folder: BorrowedFd<'_>, visit: &mut dyn FnMut(BorrowedFd<'_>, &CStr, &Stat) -> io::Result<()>) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    for name in names {
        match statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            status => visit(folder, &name, &status?)?,
        }
    }
    Ok(())
}

fn is_folder(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::Directory
}

fn open(place: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(place, name, flags, Mode::empty())?)
}

/// Opens a folder, and opens the way into it where it is closed to its owner.
fn enter(place: BorrowedFd<'_>, name: &CStr, status: &Stat) -> io::Result<OwnedFd> {
    if status.st_mode & 0o700 != 0o700 {
        chmodat(place, name, Mode::from_raw_mode(0o700), AtFlags::empty())?;
    }
    open(place, name)
}
