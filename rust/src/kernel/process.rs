//! What a process may ask for about its children.

use rustix::io;
use rustix::process::{getpid, set_child_subreaper as set};

/// Makes this process the parent of its orphaned descendants, or not any more.
pub fn set_child_subreaper(yes: bool) -> io::Result<()> {
    set(yes.then(getpid))
}
