//! The directory of lock files.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::error::LockError;
use super::filesystem::refused;
use super::kind::{Key, Kind, file_name};
use super::notes::{Holder, Notes};
use super::sys::{self, Descriptor};
use super::wait::Waits;

/// The name of the file of the notes.
const NOTES: &str = "notes";

/// How often a lock file may be replaced between its opening and the look at it.
const ATTEMPTS: usize = 8;

/// How often a lock is looked for before it is believed that there is none. The kernel shows a page
/// of all locks at a time and goes on by number, so one is missed when others are released between
/// two pages.
const LOOKS: usize = 16;

/// Bytes for what is read of the kernel's list of locks, of which it takes about 70 for each.
const ROOM: usize = 64 * 1024;

/// A directory of lock files, made when it is missing.
#[derive(Debug)]
pub struct LockTable {
    directory: PathBuf,
    born: u64,
    pub(super) notes: Notes,
    pub(super) waits: Waits,
}

impl LockTable {
    /// Opens the directory; it must be the caller's own and local.
    pub fn open(directory: PathBuf) -> Result<Self, LockError> {
        let born = sys::born();
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(LockError::at(&directory))?,
        }
        check_directory(&directory)?;
        let stat = rustix::fs::statfs(&directory)
            .map_err(|error| LockError::at(&directory)(error.into()))?;
        // The magic number is a C long, sign-extended for those above 2^31.
        if let Some(name) = refused(stat.f_type.cast_unsigned() as u32) {
            return Err(LockError::Remote {
                path: directory,
                name,
            });
        }
        let notes = Notes::open(&directory.join(NOTES))?;
        Ok(Self {
            directory,
            born,
            notes,
            waits: Waits::default(),
        })
    }

    /// Returns where the lock files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the name of every file that may be in the directory.
    pub fn file_names() -> impl Iterator<Item = String> {
        (0..Kind::FILES).map(file_name).chain([NOTES.to_owned()])
    }

    /// Refuses to go on in a forked child.
    pub(super) fn check_fork(&self) -> Result<(), LockError> {
        if self.is_forked() {
            Err(LockError::Forked)
        } else {
            Ok(())
        }
    }

    /// Says whether this is the child of a fork that happened after the table was opened.
    pub(super) fn is_forked(&self) -> bool {
        self.born != sys::generation()
    }

    /// Says whether any session, of this process too, holds a lock at this moment.
    pub fn is_locked(&self, key: Key) -> Result<bool, LockError> {
        self.check_fork()?;
        let path = self.path(key.file());
        let file = match Descriptor::open(&path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(LockError::at(&path))?,
        };
        file.is_marked(key.byte()).map_err(LockError::at(path))
    }

    /// Returns what the holder of a lock has noted about itself; it may be stale or missing.
    pub fn holder(&self, key: Key) -> Result<Option<Holder>, LockError> {
        self.check_fork()?;
        Ok(self.notes.read(key))
    }

    pub(super) fn path(&self, file: usize) -> PathBuf {
        self.directory.join(file_name(file))
    }

    /// Opens a lock file, creating it when it is missing.
    ///
    /// A lock on a file that is no longer at its path excludes nobody. So the file is compared with
    /// the path, and with the inode number that every process of this directory has seen there.
    pub(super) fn open_file(&self, index: usize) -> Result<Descriptor, LockError> {
        let path = self.path(index);
        for _ in 0..ATTEMPTS {
            let file = Descriptor::open(&path, true).map_err(LockError::at(&path))?;
            if !self.is_current(index, &file)? {
                continue;
            }
            let seen = inode(&file, &path)?;
            let known = self.notes.inode(index, seen);
            if known == seen {
                return Ok(file);
            }
            // First this, then the look: whoever locks the old file from now on finds it out.
            self.notes.announce_replacement();
            if has_locks(known)? {
                return Err(LockError::Replaced { path });
            }
            self.notes.set_inode(index, seen);
            return Ok(file);
        }
        Err(LockError::Replaced { path })
    }

    /// Says whether an open lock file is still the one at its path.
    pub(super) fn is_current(&self, index: usize, file: &Descriptor) -> Result<bool, LockError> {
        let path = self.path(index);
        let at_path = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(LockError::at(&path))?,
        };
        if !at_path.is_file() {
            return Err(LockError::Insecure {
                path,
                what: "is not a regular file",
            });
        }
        Ok(at_path.ino() == inode(file, &path)?)
    }
}

fn inode(file: &Descriptor, path: &Path) -> Result<u64, LockError> {
    let stat = rustix::fs::fstat(file).map_err(|error| LockError::at(path)(error.into()))?;
    Ok(stat.st_ino)
}

fn check_directory(path: &Path) -> Result<(), LockError> {
    let insecure = |what| {
        Err(LockError::Insecure {
            path: path.into(),
            what,
        })
    };
    let stat = fs::symlink_metadata(path).map_err(LockError::at(path))?;
    if stat.is_symlink() {
        return insecure("is a symbolic link");
    }
    if !stat.is_dir() {
        return insecure("is not a directory");
    }
    if stat.uid() != rustix::process::geteuid().as_raw() {
        return insecure("belongs to another user");
    }
    if stat.mode() & 0o022 != 0 {
        return insecure("can be written by its group or by others");
    }
    Ok(())
}

/// Says whether anybody on this host holds an OFD lock on a file of that inode number.
///
/// The device is left out, because what `/proc/locks` shows differs from `stat` on some file
/// systems: another file's lock may be taken for ours for as long as it is held, never the reverse.
fn has_locks(inode: u64) -> Result<bool, LockError> {
    const LOCKS: &str = "/proc/locks";
    let suffix = format!(":{inode}");
    let ours = |line: &str| {
        let mut fields = line.split_whitespace();
        line.contains("OFDLCK") && fields.any(|field| field.ends_with(&suffix))
    };
    // With room for all at once: the kernel shows no more in one piece than there is room for.
    let mut text = String::with_capacity(ROOM);
    for _ in 0..LOOKS {
        text.clear();
        let read = fs::File::open(LOCKS).and_then(|mut file| file.read_to_string(&mut text));
        read.map_err(LockError::at(LOCKS))?;
        if text.lines().any(ours) {
            return Ok(true);
        }
    }
    Ok(false)
}
