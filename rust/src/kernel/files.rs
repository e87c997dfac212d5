//! Small files that are put in place whole.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, fstat, open, openat, renameat, unlinkat,
};
use rustix::io::{Errno, Result, read, retry_on_intr, write};

/// A file as it is to be.
pub struct File<'a> {
    /// In its directory.
    pub name: CString,
    /// All of what it has.
    pub data: &'a [u8],
    /// Permission bits, whatever the umask.
    pub mode: u32,
}

/// Makes some files of a directory be as they are to be; what is right already is left alone.
///
/// A reader sees the old one or the new one, never a part. Neither the directory nor a file may be
/// a link: the one is refused, the other replaced. `suffix` makes the name of a temporary file,
/// which nobody else uses; a leftover there is replaced. Without one, the files are new and nobody
/// looks at them yet: they are written under their own names, and may not be there.
///
/// After a failure, the number of the file that it is about comes with it.
pub fn put(
    directory: &Path,
    files: &[File<'_>],
    suffix: Option<&CStr>,
) -> std::result::Result<(), (Option<usize>, Errno)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory =
        retry_on_intr(|| open(directory, flags, Mode::empty())).map_err(|errno| (None, errno))?;
    let mut buffer = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let directory = directory.as_fd();
        let done = match suffix {
            None => make(directory, file),
            Some(_) if is_right(directory, file, &mut buffer) => Ok(()),
            Some(suffix) => replace(directory, file, suffix),
        };
        done.map_err(|errno| (Some(number), errno))?;
    }
    Ok(())
}

/// Whether a file is there as it is to be; what can't be read is not.
fn is_right(directory: BorrowedFd<'_>, file: &File<'_>, buffer: &mut Vec<u8>) -> bool {
    // NONBLOCK: opening a FIFO that nobody writes to would hang.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = retry_on_intr(|| openat(directory, &file.name, flags, Mode::empty()));
    let Ok(there) = opened else {
        return false;
    };
    let Ok(status) = fstat(&there) else {
        return false;
    };
    let length = file.data.len();
    if !FileType::from_raw_mode(status.st_mode).is_file()
        || usize::try_from(status.st_size) != Ok(length)
    {
        return false;
    }
    buffer.resize(length, 0);
    let mut filled = 0;
    while filled < length {
        match retry_on_intr(|| read(&there, &mut buffer[filled..])) {
            Ok(0) | Err(_) => return false,
            Ok(count) => filled += count,
        }
    }
    buffer.as_slice() == file.data
}

fn make(directory: BorrowedFd<'_>, file: &File<'_>) -> Result<()> {
    let made = create(directory, &file.name, file.mode)?;
    whole_or_gone(fill(&made, file), directory, &file.name)
}

fn replace(directory: BorrowedFd<'_>, file: &File<'_>, suffix: &CStr) -> Result<()> {
    let temporary = [file.name.as_bytes(), b".", suffix.to_bytes()].concat();
    let temporary = CString::new(temporary).map_err(|_| Errno::INVAL)?;
    let made = match create(directory, &temporary, file.mode) {
        Err(Errno::EXIST) => {
            retry_on_intr(|| unlinkat(directory, &temporary, AtFlags::empty()))?;
            create(directory, &temporary, file.mode)
        }
        other => other,
    }?;
    let rename = || renameat(directory, &temporary, directory, &file.name);
    let done = fill(&made, file).and_then(|()| retry_on_intr(rename));
    whole_or_gone(done, directory, &temporary)
}

fn whole_or_gone(done: Result<()>, directory: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    if done.is_err() {
        // The first error is the one that tells.
        let _ = retry_on_intr(|| unlinkat(directory, name, AtFlags::empty()));
    }
    done
}

fn create(directory: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Where files are served by a process, even making one can be interrupted by a signal.
    retry_on_intr(|| openat(directory, name, flags, Mode::from(mode)))
}

fn fill(made: &OwnedFd, file: &File<'_>) -> Result<()> {
    let mut left = file.data;
    while !left.is_empty() {
        let count = retry_on_intr(|| write(made, left))?;
        left = &left[count..];
    }
    if file.mode & !0o700 != 0 {
        retry_on_intr(|| fchmod(made, Mode::from(file.mode)))?; // opening it obeyed the umask
    }
    Ok(())
}
