//! What a process may ask the kernel about itself and its children.

use rustix::io;
use rustix::process::{DumpableBehavior, dumpable_behavior, getpid, set_child_subreaper as set};

/// Makes this process the parent of its orphaned descendants, or not any more.
pub fn set_child_subreaper(yes: bool) -> io::Result<()> {
    set(yes.then(getpid))
}

/// Whether other processes of the same user may look into this one, by way of `/proc/<pid>`.
pub fn is_dumpable() -> io::Result<bool> {
    Ok(dumpable_behavior()? == DumpableBehavior::Dumpable)
}
