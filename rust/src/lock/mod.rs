//! Who may touch what at a moment: OFD byte-range locks, one byte for each object.
//!
//! A `LockTable` is a directory of lock files, a `Session` one thread's work with it. A lock is the
//! byte at the object's number in one of a few files, so there is nothing to allocate and no limit;
//! the kernel frees everything of a process that dies. Sessions exclude each other, also within a
//! process, because each has open file descriptions of its own.

mod error;
mod filesystem;
mod held;
mod kind;
mod notes;
mod session;
#[allow(
    unsafe_code,
    reason = "fcntl, mmap and pthread_atfork; each block says why it is sound"
)]
mod sys;
mod table;
#[cfg(test)]
mod tests;
mod wait;

pub use error::{Blocked, LockError};
pub use held::Taken;
pub use kind::{Key, Kind};
pub use notes::Holder;
pub use session::Session;
pub use table::LockTable;
pub use wait::Ticket;
