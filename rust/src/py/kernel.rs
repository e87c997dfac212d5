//! Linux system calls for Python. Each raises `OSError` with errno and path.

#![expect(
    clippy::doc_markdown,
    reason = "these are the docstrings of the stub, which Python's `help` shows as they are"
)]
// PyO3 hands the arguments of a function over by value.
#![allow(clippy::needless_pass_by_value)]

use std::ffi::{CString, OsString};
use std::os::fd::{IntoRawFd, RawFd};
use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::errors::guarded;
use crate::kernel::trees::Failure;
use crate::kernel::{files, mounts, namespaces, paths, process, trees};

/// Returns the `OSError`, of the class that belongs to the errno, about a path.
pub(super) fn os_error(errno: i32, path: &Path) -> PyErr {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned();
    PyOSError::new_err((errno, text, path.as_os_str().to_owned()))
}

/// Runs system calls without the interpreter lock; an error of theirs is about that path.
fn call<T: Send>(
    py: Python<'_>,
    path: &Path,
    body: impl FnOnce() -> Result<T, Errno> + Send,
) -> PyResult<T> {
    guarded(py, || {
        py.detach(body)
            .map_err(|errno| os_error(errno.raw_os_error(), path))
    })
}

/// Opens a path as a process whose root directory is ``root_fd`` would see it.
///
/// Links are followed inside that root, and magic links of ``/proc`` refused (openat2 with
/// RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS).
///
/// Args:
///     root_fd: a descriptor of the directory.
///     path: absolute or not, it begins there.
///     flags: ``os.O_…``; O_CLOEXEC is added.
///     mode: of a file that is created.
///
/// Returns:
///     A descriptor that the caller closes.
///
/// Raises:
///     OSError: with errno and path.
#[pyfunction]
#[pyo3(signature = (root_fd, path, flags, mode = 0o600))]
pub(super) fn open_in_root(
    py: Python<'_>,
    root_fd: RawFd,
    path: PathBuf,
    flags: i32,
    mode: u32,
) -> PyResult<RawFd> {
    let (flags, bits) = (
        OFlags::from_bits_retain(flags.cast_unsigned()),
        Mode::from(mode),
    );
    call(py, &path, || {
        paths::open_in_root(root_fd, &path, flags, bits)
    })
    .map(IntoRawFd::into_raw_fd)
}

/// Opens a path below ``dir_fd``; any link on the way, and ``..`` out of it, is refused.
///
/// As ``open_in_root`` otherwise (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS).
#[pyfunction]
#[pyo3(signature = (dir_fd, path, flags, mode = 0o600))]
pub(super) fn open_beneath(
    py: Python<'_>,
    dir_fd: RawFd,
    path: PathBuf,
    flags: i32,
    mode: u32,
) -> PyResult<RawFd> {
    let (flags, bits) = (
        OFlags::from_bits_retain(flags.cast_unsigned()),
        Mode::from(mode),
    );
    call(py, &path, || {
        paths::open_beneath(dir_fd, &path, flags, bits)
    })
    .map(IntoRawFd::into_raw_fd)
}

/// Mounts an overlay of directories; any character may occur in their paths.
///
/// Args:
///     lower: read only, the topmost first.
///     target: a directory.
///     upper: takes what is written; without it the mount is read-only.
///     work: an empty directory on the filesystem of ``upper``.
///
/// Raises:
///     OSError: with errno and target.
///     ValueError: only one of ``upper`` and ``work`` is given.
#[pyfunction]
#[pyo3(signature = (lower, target, *, upper = None, work = None))]
pub(super) fn mount_overlay(
    py: Python<'_>,
    lower: Vec<PathBuf>,
    target: PathBuf,
    upper: Option<PathBuf>,
    work: Option<PathBuf>,
) -> PyResult<()> {
    let upper = match (&upper, &work) {
        (Some(upper), Some(work)) => Some((upper.as_path(), work.as_path())),
        (None, None) => None,
        _ => return Err(PyValueError::new_err("upper and work go together")),
    };
    call(py, &target, || {
        mounts::mount_overlay(&lower, upper, &target)
    })
}

/// Shows a file or directory at a second place of its kind.
///
/// Args:
///     source: what is shown.
///     target: where.
///     recursive: with the mounts below it.
///     readonly: for the topmost mount only; those below it keep what they are.
///
/// Raises:
///     OSError: with errno and target.
#[pyfunction]
#[pyo3(signature = (source, target, *, recursive = true, readonly = false))]
pub(super) fn mount_bind(
    py: Python<'_>,
    source: PathBuf,
    target: PathBuf,
    recursive: bool,
    readonly: bool,
) -> PyResult<()> {
    call(py, &target, || {
        mounts::mount_bind(&source, &target, recursive, readonly)
    })
}

/// Mounts a tmpfs without devices and set-user-id programs.
///
/// Args:
///     target: a directory.
///     size: bytes; None is the kernel's default, half of the memory.
///     mode: of its root directory.
///
/// Raises:
///     OSError: with errno and target.
#[pyfunction]
#[pyo3(signature = (target, *, size = None, mode = 0o755))]
pub(super) fn mount_tmpfs(
    py: Python<'_>,
    target: PathBuf,
    size: Option<u64>,
    mode: u32,
) -> PyResult<()> {
    call(py, &target, || mounts::mount_tmpfs(&target, size, mode))
}

/// Keeps mounts at and below this one from spreading to other mount namespaces, and back.
///
/// Raises:
///     OSError: with errno and target; EINVAL when it is not a mount point.
#[pyfunction]
pub(super) fn mount_private(py: Python<'_>, target: PathBuf) -> PyResult<()> {
    call(py, &target, || mounts::mount_private(&target))
}

/// Makes namespaces that no process lives in, each kept by a mount onto a file.
///
/// They are made by a thread that ends. A new network has its loopback up.
///
/// Args:
///     pins: ``ipc``, ``net`` or ``uts``, and an existing file for each.
///     hostname: of a new UTS namespace.
///     sysctls: files of ``/proc/sys`` that belong to the new namespaces, and their contents.
///
/// Raises:
///     OSError: with errno and the first file; some of the files may be mounted onto.
///     ValueError: a kind that needs a process.
#[pyfunction]
#[pyo3(signature = (pins, *, hostname = None, sysctls = None))]
pub(super) fn pin_namespaces(
    py: Python<'_>,
    pins: Vec<(String, PathBuf)>,
    hostname: Option<String>,
    sysctls: Option<Vec<(PathBuf, String)>>,
) -> PyResult<()> {
    let pins = pins
        .into_iter()
        .map(|(name, path)| match namespaces::Kind::of(&name) {
            Some(kind) => Ok((kind, path)),
            None => Err(PyValueError::new_err(format!(
                "a namespace of the kind `{name}` can't be pinned"
            ))),
        })
        .collect::<PyResult<Vec<_>>>()?;
    let Some((_, first)) = pins.first() else {
        return Ok(());
    };
    call(py, first, || {
        let hostname = hostname.as_deref().map(str::as_bytes);
        namespaces::pin(&pins, hostname, sysctls.as_deref().unwrap_or_default())
    })
}

/// Shows a directory of another mount namespace, as its processes see it, at a place of ours.
///
/// Args:
///     namespace: such as ``/proc/PID/ns/mnt``.
///     source: a path there, whose last part is no link.
///     target: a directory here.
///
/// Raises:
///     OSError: with errno and target.
#[pyfunction]
pub(super) fn mount_from(
    py: Python<'_>,
    namespace: PathBuf,
    source: PathBuf,
    target: PathBuf,
) -> PyResult<()> {
    call(py, &target, || {
        namespaces::mount_from(&namespace, &source, &target)
    })
}

/// Takes a mount away; a symbolic link is not followed.
///
/// Args:
///     target: the mount point.
///     detach: takes a busy one away too, at once for new users and finally when it is idle.
///
/// Raises:
///     OSError: with errno and target; EINVAL when nothing is mounted there, EBUSY when in use.
#[pyfunction]
#[pyo3(signature = (target, *, detach = false))]
pub(super) fn unmount(py: Python<'_>, target: PathBuf, detach: bool) -> PyResult<()> {
    call(py, &target, || mounts::unmount(&target, detach))
}

/// Makes this process the parent of its orphaned descendants, or not any more.
///
/// Raises:
///     OSError: with errno.
#[pyfunction]
pub(super) fn set_child_subreaper(enabled: bool) -> PyResult<()> {
    Ok(process::set_child_subreaper(enabled).map_err(std::io::Error::from)?)
}

/// Whether other processes of this user may look into this one, by way of ``/proc/<pid>``.
///
/// Raises:
///     OSError: with errno.
#[pyfunction]
pub(super) fn is_dumpable() -> PyResult<bool> {
    Ok(process::is_dumpable().map_err(std::io::Error::from)?)
}

/// Makes some files of a directory be as they are to be; what is right already is left alone.
///
/// Each is put in place as a whole: a reader sees the old one or the new one. A link in the place
/// of one is replaced.
///
/// Args:
///     directory: refused where it is a symbolic link.
///     contents: name and data of each.
///     mode: permission bits of those that are written, whatever the umask.
///     suffix: makes the name of a temporary file out of that of a file, with a dot between them;
///         nobody else may use it at the time. What is left there of an earlier use is replaced.
///         None: the files are new and nobody looks at them yet, so they are written under their
///         own names, and one that is there is an error.
///
/// Raises:
///     OSError: with errno and the path of the directory or of a file; those before that are in
///         place, and no temporary file is left.
///     ValueError: a name has a NUL in it.
#[pyfunction]
#[pyo3(signature = (directory, contents, mode, *, suffix = None))]
pub(super) fn put_files(
    py: Python<'_>,
    directory: PathBuf,
    contents: Vec<(String, Bound<'_, PyBytes>)>,
    mode: u32,
    suffix: Option<CString>,
) -> PyResult<()> {
    let wanted = contents
        .iter()
        .map(|(name, data)| {
            Ok(files::File {
                name: CString::new(name.as_str())?,
                data: data.as_bytes(),
                mode,
            })
        })
        .collect::<PyResult<Vec<_>>>()?;
    guarded(py, || {
        py.detach(|| files::put(&directory, &wanted, suffix.as_deref()))
            .map_err(|(number, errno)| {
                let path = match number {
                    Some(number) => directory.join(&contents[number].0),
                    None => directory.clone(),
                };
                os_error(errno.raw_os_error(), &path)
            })
    })
}

/// Removes a file or a directory with all that is in it; a missing one is fine.
///
/// Symbolic links are removed, never followed, also when something is swapped for one meanwhile. A
/// mount below is not entered (openat2 with RESOLVE_NO_XDEV). The interpreter lock is released;
/// signal handlers run now and then, and one that raises ends the removal.
///
/// Args:
///     parent: the directory in which it is; a link is followed.
///     name: without a slash; neither ``.`` nor ``..``.
///
/// Raises:
///     OSError: with errno and path; EBUSY where something is mounted, ENOTEMPTY where somebody
///         keeps adding files.
#[pyfunction]
pub(super) fn remove_tree(py: Python<'_>, parent: PathBuf, name: OsString) -> PyResult<()> {
    guarded(py, || {
        py.detach(|| trees::remove(&parent, &name, run_handlers))
            .map_err(|failure| tree_error(failure, &parent.join(&name)))
    })
}

/// Runs the handlers of the signals that have come; one that raises is the error.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method itself is one of a certain lifetime"
)]
fn run_handlers() -> PyResult<()> {
    Python::attach(|py| py.check_signals())
}

fn tree_error(failure: Failure<PyErr>, path: &Path) -> PyErr {
    let (errno, text) = match failure {
        Failure::Stopped(error) => return error,
        Failure::Refused(errno) => return os_error(errno.raw_os_error(), path),
        Failure::Growing => (Errno::NOTEMPTY, "something keeps adding files".to_owned()),
        Failure::Mounted(name) => {
            let text = format!("`{}` is a mount point", name.to_string_lossy());
            (Errno::BUSY, text)
        }
    };
    PyOSError::new_err((errno.raw_os_error(), text, path.as_os_str().to_owned()))
}
