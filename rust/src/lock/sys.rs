//! The only unsafe part of the locks: `fcntl`, a shared mapping, and what happens at a fork.
//!
//! Facts of the kernel that the rest leans on (`fcntl(2)`, and measured):
//! an OFD lock belongs to the open file description, so two opens exclude each other also within a
//! process, a close of one never drops the lock of another, and the last close frees everything;
//! a second lock of the same bytes through the same description succeeds silently; a lock survives
//! in a forked child that keeps the descriptor; there is no detection of deadlocks.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{Mode, OFlags};

/// What a byte is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Shared,
    Exclusive,
    Free,
}

impl Mark {
    fn raw(self) -> libc::c_short {
        (match self {
            Self::Shared => libc::F_RDLCK,
            Self::Exclusive => libc::F_WRLCK,
            Self::Free => libc::F_UNLCK,
        }) as libc::c_short
    }
}

/// An open lock file that a forked child closes at once and that no exec'ed program sees.
#[derive(Debug)]
pub(super) struct Descriptor {
    fd: Option<OwnedFd>,
    born: u64,
}

impl Descriptor {
    /// Opens a file for reading and writing, creating it with mode 0600 when asked to.
    pub(super) fn open(path: &Path, create: bool) -> io::Result<Self> {
        let mut flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        flags.set(OFlags::CREATE, create);
        watch_forks();
        let turn = Turn::take();
        let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        register(fd.as_raw_fd())?;
        let born = generation();
        drop(turn);
        Ok(Self { fd: Some(fd), born })
    }

    /// Takes or frees one byte without waiting; false when another description has it.
    pub(super) fn mark(&self, byte: u64, mark: Mark) -> io::Result<bool> {
        match control(self.raw(), libc::F_OFD_SETLK, &mut range(byte, mark)) {
            Ok(()) => Ok(true),
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Takes one byte, waiting in the kernel's queue for as long as it takes.
    pub(super) fn wait(&self, byte: u64, mark: Mark) -> io::Result<()> {
        loop {
            match control(self.raw(), libc::F_OFD_SETLKW, &mut range(byte, mark)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Says whether another description has a lock on this byte.
    pub(super) fn is_marked(&self, byte: u64) -> io::Result<bool> {
        let mut asked = range(byte, Mark::Exclusive);
        control(self.raw(), libc::F_OFD_GETLK, &mut asked)?;
        Ok(asked.l_type != Mark::Free.raw())
    }

    fn raw(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("only drop takes it").as_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        if self.born == generation() {
            let _turn = Turn::take();
            unregister(fd.as_raw_fd());
            drop(fd);
        } else {
            // The fork handler has closed it; the number may be someone else's by now.
            let _ = fd.into_raw_fd();
        }
    }
}

fn range(byte: u64, mark: Mark) -> libc::flock {
    libc::flock {
        l_type: mark.raw(),
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte.cast_signed(),
        l_len: 1,
        l_pid: 0,
    }
}

fn control(fd: RawFd, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: all three commands take a pointer to a `flock`, which outlives the call; a bad
    // descriptor would give EBADF.
    let result = unsafe { libc::fcntl(fd, command, std::ptr::from_mut(lock)) };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A file mapped as shared 64-bit words. It is unmapped when dropped.
#[derive(Debug)]
pub(super) struct Words {
    start: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the mapping is plain memory that lives until drop and is only used as atomics.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    /// Maps the first `len` words of a file.
    ///
    /// The caller has made sure that they are allocated: a hole on a full disk, or a file that is
    /// truncated later, would end the process with SIGBUS at the next access.
    pub(super) fn map(file: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        // SAFETY: the kernel chooses the address, so no existing mapping is touched.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len * size_of::<u64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { start, len })
    }

    /// Returns the words. Other processes change them at any time.
    pub(super) fn as_slice(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, `len` words long, lives as long as `self`, and every
        // bit pattern is a valid word.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: `map` got exactly this range and nobody can borrow from `self` any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len * size_of::<u64>()) };
    }
}

/// How often this process, and those it was forked from, have been forked children.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Descriptors up to this number can be lock files; the kernel's own default limit is the same.
const MAX_DESCRIPTORS: usize = 1 << 20;

/// One bit for each open lock file. A bitmap, because a forked child may not allocate or lock.
static OPEN: [AtomicU64; MAX_DESCRIPTORS / 64] =
    [const { AtomicU64::new(0) }; MAX_DESCRIPTORS / 64];

/// How many words of `OPEN` have ever been used.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Held while a descriptor and its bit are brought in line, and over a fork.
static TURN: AtomicBool = AtomicBool::new(false);

/// The right to change `OPEN`.
struct Turn;

impl Turn {
    fn take() -> Self {
        take_turn();
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        end_turn();
    }
}

extern "C" fn take_turn() {
    while TURN.swap(true, Ordering::Acquire) {
        std::thread::yield_now();
    }
}

extern "C" fn end_turn() {
    TURN.store(false, Ordering::Release);
}

extern "C" fn begin_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for (index, word) in OPEN.iter().enumerate().take(USED.load(Ordering::Relaxed)) {
        let mut bits = word.swap(0, Ordering::Relaxed);
        while bits != 0 {
            let fd = (index as u32 * 64 + bits.trailing_zeros()).cast_signed();
            // SAFETY: the bit says that this is the child's copy of a lock file; its owner, of an
            // older generation, will not use the number again. Close, never unlock: the lock is
            // the parent's.
            unsafe { libc::close(fd) };
            bits &= bits - 1;
        }
    }
    end_turn();
}

/// Sees to it that a forked child closes the lock files that it inherits.
fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers only touch atomics and close descriptors, which is all that may be
        // done in the child of a process with threads; they live as long as the program.
        unsafe { libc::pthread_atfork(Some(take_turn), Some(end_turn), Some(begin_child)) };
    });
}

/// Returns a number that is another one in a forked child.
pub(super) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Makes sure that `generation` changes at every later fork.
pub(super) fn born() -> u64 {
    watch_forks();
    generation()
}

fn register(fd: RawFd) -> io::Result<()> {
    let number = fd.cast_unsigned() as usize;
    let word = OPEN
        .get(number / 64)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))?;
    word.fetch_or(1 << (number % 64), Ordering::Relaxed);
    USED.fetch_max(number / 64 + 1, Ordering::Relaxed);
    Ok(())
}

fn unregister(fd: RawFd) {
    let number = fd.cast_unsigned() as usize;
    if let Some(word) = OPEN.get(number / 64) {
        word.fetch_and(!(1 << (number % 64)), Ordering::Relaxed);
    }
}

/// Keeps signals away from the calling thread: one would cost it its place in a queue.
pub(super) fn block_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initialises the set before `pthread_sigmask` reads it; neither fails
    // with these arguments.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}
