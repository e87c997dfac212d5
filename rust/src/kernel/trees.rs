//! Removing a tree that somebody else may be changing meanwhile.

use std::ffi::{CStr, CString, OsStr};
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, open, openat2, renameat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

/// How many directories are open at once; depth is chosen by whoever filled the tree, so what lies
/// deeper is moved up instead.
const OPEN_LEVELS: usize = 32;
/// Somebody may add files while a directory is being emptied; who keeps on doing so wins.
const ATTEMPTS: usize = 10;
/// How many names go between two questions whether to go on.
const PATIENCE: usize = 1024;
/// Bytes of names that are asked for at once.
const LISTING: usize = 16 << 10;

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Why a tree is still there, or a part of it.
#[derive(Debug)]
pub enum Failure<E> {
    /// The kernel says so.
    Refused(Errno),
    /// Something is mounted on that directory.
    Mounted(CString),
    /// Something keeps adding files.
    Growing,
    /// The caller does not want to go on.
    Stopped(E),
}

impl<E> From<Errno> for Failure<E> {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

/// Removes a file or a directory with all that is in it; a missing one is fine.
///
/// Links are removed, never followed, also when something is swapped for one meanwhile. What is
/// mounted in the tree is not entered. `go_on` is asked now and then.
pub fn remove<E>(
    parent: &Path,
    name: &OsStr,
    go_on: impl FnMut() -> Result<(), E>,
) -> Result<(), Failure<E>> {
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match retry_on_intr(|| open(parent, flags, Mode::empty())) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let mut removal = Removal {
        parent,
        levels: Vec::new(),
        listing: Vec::with_capacity(LISTING),
        attempts: ATTEMPTS,
        patience: Patience { removed: 0, go_on },
    };
    removal.enter(name)?;
    while removal.step()? {}
    Ok(())
}

/// A directory that is being emptied: what is no directory is gone, `below` is left.
struct Level {
    directory: OwnedFd,
    name: CString,
    below: Vec<CString>,
}

struct Removal<F> {
    parent: OwnedFd,
    levels: Vec<Level>,
    listing: Vec<u8>,
    attempts: usize,
    patience: Patience<F>,
}

/// Asks now and then whether to go on.
struct Patience<F> {
    removed: usize,
    go_on: F,
}

impl<E, F: FnMut() -> Result<(), E>> Patience<F> {
    fn count(&mut self) -> Result<(), Failure<E>> {
        self.removed += 1;
        if self.removed.is_multiple_of(PATIENCE) {
            (self.go_on)().map_err(Failure::Stopped)?;
        }
        Ok(())
    }
}

impl<E, F: FnMut() -> Result<(), E>> Removal<F> {
    /// The directory in which the next one to enter lies.
    fn above(&self) -> BorrowedFd<'_> {
        let innermost = self.levels.last().map(|level| &level.directory);
        innermost.unwrap_or(&self.parent).as_fd()
    }

    fn step(&mut self) -> Result<bool, Failure<E>> {
        let depth = self.levels.len();
        let Some(level) = self.levels.last_mut() else {
            return Ok(false);
        };
        match level.below.pop() {
            Some(below) if depth < OPEN_LEVELS => self.enter(below)?,
            Some(below) => self.move_up(&below)?,
            None => self.leave()?,
        }
        Ok(true)
    }

    fn enter(&mut self, name: CString) -> Result<(), Failure<E>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // A mount is told by the kernel: a device number would not tell bind mounts apart.
        let resolve =
            ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let above = self.above();
        let opened = retry_on_intr(|| openat2(above, &name, flags, Mode::empty(), resolve));
        let directory = match opened {
            Ok(directory) => directory,
            Err(Errno::XDEV) => return Err(Failure::Mounted(name)),
            // It is no directory, or not any more.
            Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => {
                return if unlink(self.above(), &name)? {
                    self.patience.count()
                } else {
                    Err(error.into())
                };
            }
            Err(error) => return Err(error.into()),
        };
        let mut below = Vec::new();
        let mut entries = RawDir::new(directory.as_fd(), self.listing.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Err(Errno::INTR) => continue,
                // Somebody else has removed the directory since it was opened.
                Err(Errno::NOENT) => break,
                other => other?,
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if entry.file_type() == FileType::Directory || !unlink(directory.as_fd(), name)? {
                below.push(name.to_owned());
            }
            self.patience.count()?;
        }
        self.levels.push(Level {
            directory,
            name,
            below,
        });
        Ok(())
    }

    fn move_up(&mut self, below: &CStr) -> Result<(), Failure<E>> {
        let (Some(top), Some(level)) = (self.levels.first(), self.levels.last()) else {
            return Ok(());
        };
        let moved = loop {
            let mut moved = Vec::new();
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            // Writing into memory can't fail.
            let _ = write!(moved, ".removed.{}.{serial}", process::id());
            let moved = CString::new(moved).map_err(|_| Errno::INVAL)?;
            let rename = || renameat(&level.directory, below, &top.directory, &moved);
            match retry_on_intr(rename) {
                Ok(()) => break moved,
                Err(Errno::NOENT) => return Ok(()),
                // Somebody had that pid before and was killed, or whoever filled the tree guessed it.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => self.patience.count()?,
                Err(error) => return Err(error.into()),
            }
        };
        self.levels[0].below.push(moved);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Failure<E>> {
        let Some(Level {
            directory, name, ..
        }) = self.levels.pop()
        else {
            return Ok(());
        };
        drop(directory);
        let above = self.above();
        match retry_on_intr(|| unlinkat(above, &name, AtFlags::REMOVEDIR)) {
            Ok(()) | Err(Errno::NOENT) => self.patience.count(),
            Err(Errno::NOTEMPTY) => {
                self.attempts -= 1;
                if self.attempts == 0 {
                    return Err(Failure::Growing);
                }
                self.enter(name)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Removes what is no directory, or is gone already; false for a directory.
fn unlink(parent: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    match retry_on_intr(|| unlinkat(parent, name, AtFlags::empty())) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, create_dir, create_dir_all, read_dir, remove_dir, remove_dir_all};
    use std::path::PathBuf;

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("podcore-{name}-{}", process::id()));
        create_dir(&path).expect("a directory of this test's own");
        path
    }

    fn fill(path: &Path, count: usize) {
        create_dir(path).expect("a new directory");
        for number in 0..count {
            File::create(path.join(number.to_string())).expect("a new file");
        }
    }

    #[test]
    fn a_caller_who_does_not_want_to_go_on_is_obeyed() {
        let base = directory("stopped");
        fill(&base.join("tree"), 2 * PATIENCE);
        let result = remove(&base, OsStr::new("tree"), || Err("enough"));
        assert!(matches!(result, Err(Failure::Stopped("enough"))));
        let left = read_dir(base.join("tree")).expect("it is there").count();
        assert_eq!(left, PATIENCE);
        remove_dir_all(base).expect("the rest");
    }

    #[test]
    fn names_that_are_taken_do_not_keep_a_deep_tree() {
        let base = directory("taken");
        let tree = base.join("tree");
        create_dir_all(tree.join("d/".repeat(2 * OPEN_LEVELS))).expect("a deep tree");
        let next = SERIAL.load(Ordering::Relaxed);
        for serial in next..next + 4 {
            let taken = format!(".removed.{}.{serial}", process::id());
            fill(&tree.join(taken), 1);
        }
        let result = remove(&base, OsStr::new("tree"), || Ok::<_, ()>(()));
        assert!(result.is_ok(), "{result:?}");
        remove_dir(base).expect("nothing is left");
    }
}
