//! Opening paths that somebody else may have prepared.

use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io;

/// Opens a path as a process that has `root` as its root directory would see it.
pub fn open_in_root(root: RawFd, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    resolve(
        root,
        path,
        flags,
        mode,
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
}

/// Opens a path below a directory; one that leads outside, or through any link, is refused.
pub fn open_beneath(
    directory: RawFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let resolve_flags =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    resolve(directory, path, flags, mode, resolve_flags)
}

/// Opens a descriptor of the caller anew, which checks it and needs no unsafe borrowing.
fn reopen(directory: RawFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{directory}");
    match open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Err(io::Errno::NOENT) => Err(io::Errno::BADF),
        other => other,
    }
}

fn resolve(
    directory: RawFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> io::Result<OwnedFd> {
    // The kernel says EAGAIN when a rename went on somewhere meanwhile, and leaves the retry to us.
    const ATTEMPTS: usize = 128;
    let directory = reopen(directory)?;
    // openat2 refuses a mode where nothing is created, which open ignores.
    let creates = flags.intersects(OFlags::CREATE | OFlags::TMPFILE);
    let mode = if creates { mode } else { Mode::empty() };
    for _ in 1..ATTEMPTS {
        match openat2(&directory, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(io::Errno::AGAIN | io::Errno::INTR) => {}
            other => return other,
        }
    }
    openat2(&directory, path, flags | OFlags::CLOEXEC, mode, resolve)
}
