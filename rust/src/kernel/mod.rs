//! Linux system calls that Python's standard library lacks, through rustix.
//!
//! Thin on purpose: each function is one call, or the few that belong together, and returns the
//! kernel's own error.

pub mod files;
pub mod mounts;
pub mod namespaces;
pub mod paths;
pub mod process;
pub mod trees;
