//! What holders say about themselves, and what the lock files were, in one mapped file.
//!
//! A note is for messages only: it costs a few stores into memory where a system call would double
//! the price of a lock. Nothing in it decides who holds a lock; it may be stale, torn, or of another
//! lock that shares the slot, and is checked before it is shown.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FallocateFlags, FileType, Mode, OFlags};
use rustix::process::{Pid, test_kill_process};

use super::error::LockError;
use super::kind::{Key, Kind};
use super::sys::Words;

const SLOT_WORDS: usize = 16;
const TEXT_WORDS: usize = SLOT_WORDS - TEXT;
const SLOTS: usize = 8192;
const HEADER_WORDS: usize = 128;
const WORDS: usize = HEADER_WORDS + SLOTS * SLOT_WORDS;

/// Places in the header: a count of replaced files, then the inode number of each file.
const EPOCH: usize = 0;
const INODES: usize = 1;
const _: () = assert!(INODES + Kind::FILES <= HEADER_WORDS);

/// Places in a slot: the key, pid and length of the text, nanoseconds since 1970, the same for the
/// moment from which somebody is the first to wait, text.
const KEY: usize = 0;
const WHO: usize = 1;
const SINCE: usize = 2;
const FIRST: usize = 3;
const TEXT: usize = 4;

/// Who holds a lock, by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub operation: String,
    pub since: SystemTime,
}

/// What a session writes into its notes: made once, because it is written at every lock.
#[derive(Debug)]
pub(super) struct Author {
    who: u64,
    text: [u64; TEXT_WORDS],
    words: usize,
}

impl Author {
    /// Prepares the notes of an operation; a long name is cut.
    pub(super) fn new(pid: u32, operation: &str) -> Self {
        let room = TEXT_WORDS * size_of::<u64>();
        let mut len = operation.len().min(room);
        while !operation.is_char_boundary(len) {
            len -= 1;
        }
        let mut text = [0; TEXT_WORDS];
        for (word, bytes) in text.iter_mut().zip(operation.as_bytes()[..len].chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_ne_bytes(whole);
        }
        Self {
            who: u64::from(pid) << 32 | len as u64,
            text,
            words: len.div_ceil(8),
        }
    }
}

/// The mapped file of one lock directory.
#[derive(Debug)]
pub(super) struct Notes {
    words: Words,
}

impl Notes {
    /// Opens the file, creating and allocating it when that has not been done.
    pub(super) fn open(path: &Path) -> Result<Self, LockError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let at = |error: rustix::io::Errno| LockError::at(path)(error.into());
        let file = rustix::fs::open(path, flags | OFlags::NONBLOCK, Mode::RUSR | Mode::WUSR)
            .map_err(at)?;
        let stat = rustix::fs::fstat(&file).map_err(at)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(LockError::Insecure {
                path: path.into(),
                what: "is not a regular file",
            });
        }
        let size = (WORDS * size_of::<u64>()) as u64;
        if stat.st_size.cast_unsigned() < size {
            // Allocated, not merely extended: a write into a hole on a full disk is a SIGBUS.
            match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size) {
                Err(rustix::io::Errno::OPNOTSUPP) => fill(&file, size).map_err(at)?,
                other => other.map_err(at)?,
            }
        }
        let words =
            Words::map(std::os::fd::AsFd::as_fd(&file), WORDS).map_err(LockError::at(path))?;
        Ok(Self { words })
    }

    fn slot(&self, key: Key) -> &[AtomicU64] {
        // Neighbouring numbers get neighbouring slots, so that many locks touch few pages.
        let index = key.number().wrapping_add(key.kind() as u64 * 1021) as usize % SLOTS;
        &self.words.as_slice()[HEADER_WORDS + index * SLOT_WORDS..][..SLOT_WORDS]
    }

    /// Notes that the author has taken a lock just now.
    pub(super) fn write(&self, key: Key, author: &Author) {
        let slot = self.slot(key);
        slot[WHO].store(0, Ordering::Relaxed);
        slot[KEY].store(label(key), Ordering::Relaxed);
        slot[SINCE].store(now(), Ordering::Relaxed);
        for (place, word) in slot[TEXT..].iter().zip(&author.text[..author.words]) {
            place.store(*word, Ordering::Relaxed);
        }
        slot[WHO].store(author.who, Ordering::Release);
    }

    /// Takes the author's note back, unless another holder has written its own since.
    pub(super) fn erase(&self, key: Key, author: &Author) {
        let slot = self.slot(key);
        if slot[WHO].load(Ordering::Relaxed) == author.who
            && slot[KEY].load(Ordering::Relaxed) == label(key)
        {
            slot[WHO].store(0, Ordering::Relaxed);
        }
    }

    /// Returns the note on a lock if it makes sense and its author is alive.
    pub(super) fn read(&self, key: Key) -> Option<Holder> {
        let slot = self.slot(key);
        let who = slot[WHO].load(Ordering::Acquire);
        let since = slot[SINCE].load(Ordering::Relaxed);
        let bytes: Vec<u8> = slot[TEXT..]
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
            .take((who & 0xffff_ffff) as usize)
            .collect();
        let known = slot[KEY].load(Ordering::Acquire) == label(key);
        if !known || slot[WHO].load(Ordering::Acquire) != who {
            return None;
        }
        let pid = (who >> 32) as u32;
        let alive = test_kill_process(Pid::from_raw(i32::try_from(pid).ok()?)?);
        if alive == Err(rustix::io::Errno::SRCH) {
            return None;
        }
        let operation = String::from_utf8(bytes).ok()?;
        let since = UNIX_EPOCH + Duration::from_nanos(since);
        Some(Holder {
            pid,
            operation,
            since,
        })
    }

    /// Notes that the caller is now the first of those who wait for a lock.
    pub(super) fn begin_turn(&self, key: Key) {
        self.slot(key)[FIRST].store(now(), Ordering::Relaxed);
    }

    /// Notes that nobody is the first to wait.
    pub(super) fn end_turn(&self, key: Key) {
        self.slot(key)[FIRST].store(0, Ordering::Relaxed);
    }

    /// Returns for how long somebody has been the first to wait, if anybody is.
    pub(super) fn turn(&self, key: Key) -> Option<Duration> {
        match self.slot(key)[FIRST].load(Ordering::Relaxed) {
            0 => None,
            // Should the clock be set back, it has been long.
            since => Some(Duration::from_nanos(now().abs_diff(since))),
        }
    }

    /// Returns how often a lock file may have been found to be another one than before.
    pub(super) fn epoch(&self) -> u64 {
        self.words.as_slice()[EPOCH].load(Ordering::Acquire)
    }

    /// Returns the inode number that a lock file is known under, writing it down the first time.
    pub(super) fn inode(&self, file: usize, seen: u64) -> u64 {
        let known = &self.words.as_slice()[INODES + file];
        match known.compare_exchange(0, seen, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => seen,
            Err(known) => known,
        }
    }

    /// Has every session look whether its lock files are still in their places.
    pub(super) fn announce_replacement(&self) {
        self.words.as_slice()[EPOCH].fetch_add(1, Ordering::SeqCst);
    }

    /// Writes down that a lock file is another one now.
    pub(super) fn set_inode(&self, file: usize, seen: u64) {
        self.words.as_slice()[INODES + file].store(seen, Ordering::Release);
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos() as u64
}

fn label(key: Key) -> u64 {
    (key.kind() as u64) << 62 | key.number()
}

fn fill(file: &std::os::fd::OwnedFd, size: u64) -> rustix::io::Result<()> {
    let zeros = [0_u8; 4096];
    let mut done = 0;
    while done < size {
        let len = zeros.len().min((size - done) as usize);
        done += rustix::io::pwrite(file, &zeros[..len], done)? as u64;
    }
    Ok(())
}
