//! The thin Python binding: converts, and hands every decision to the pure modules.

use pyo3::prelude::*;

mod addresses;
mod errors;
mod general;
mod graph;
mod kernel;
mod keys;
mod lock;
mod mapping;
mod traverse;

/// The Rust core of podcore.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::errors::panic_for_test;
    #[pymodule_export]
    use super::graph::DependencyGraph;
    #[pymodule_export]
    use super::kernel::{
        is_dumpable, mount_bind, mount_from, mount_overlay, mount_private, mount_tmpfs,
        open_beneath, open_in_root, pin_namespaces, put_files, remove_tree, set_child_subreaper,
        unmount,
    };
    #[pymodule_export]
    use super::lock::{LockGuard, LockSession, LockTable};
    #[pymodule_export]
    use super::traverse::Traversal;

    // Python's spelling.
    #[allow(non_upper_case_globals)]
    #[pymodule_export]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
