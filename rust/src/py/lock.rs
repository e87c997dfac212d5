//! `LockTable`, `LockSession` and `LockGuard` for Python.

#![expect(
    clippy::doc_markdown,
    reason = "these are the docstrings of the stub, which Python's `help` shows as they are"
)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::{self, guarded};
use super::kernel::os_error;
use crate::lock::{self, Blocked, Holder, Key, Kind, LockError, Session, Taken, Ticket};

impl From<LockError> for PyErr {
    fn from(error: LockError) -> Self {
        let text = error.to_string();
        let class = match error {
            LockError::Io { path, source } => return from_io(&path, &source, text),
            LockError::Insecure { .. }
            | LockError::OtherThread
            | LockError::Closed
            | LockError::Busy
            | LockError::Replaced { .. }
            | LockError::TooManyWaits { .. } => "LockError",
            LockError::Remote { .. } => "UnsupportedError",
            LockError::Order { .. } => "LockOrderError",
            LockError::Forked => "UseAfterForkError",
        };
        Python::attach(|py| errors::error(py, class, (text,)))
    }
}

impl From<Blocked> for PyErr {
    fn from(blocked: Blocked) -> Self {
        let text = blocked.to_string();
        match blocked {
            Blocked::Fault(error) => error.into(),
            Blocked::Timeout { holder, waited, .. } => {
                Python::attach(
                    |py| match holder.map(|holder| to_dict(py, holder)).transpose() {
                        Ok(holder) => {
                            let arguments = (text, holder, waited.as_secs_f64());
                            errors::error(py, "LockTimeoutError", arguments)
                        }
                        Err(error) => error,
                    },
                )
            }
        }
    }
}

fn from_io(path: &Path, source: &std::io::Error, text: String) -> PyErr {
    let Some(errno) = source.raw_os_error() else {
        return invalid(text);
    };
    match errno {
        libc::EMFILE
        | libc::ENFILE
        | libc::ENOSPC
        | libc::EDQUOT
        | libc::ENOMEM
        | libc::ENOLCK
        | libc::EAGAIN => {
            Python::attach(|py| errors::error(py, "ResourceExhaustedError", (text, errno)))
        }
        _ => os_error(errno, path),
    }
}

fn invalid(text: String) -> PyErr {
    Python::attach(|py| errors::error(py, "InvalidArgumentError", (text,)))
}

fn to_dict(py: Python<'_>, holder: Holder) -> PyResult<Bound<'_, PyDict>> {
    let since = holder.since.duration_since(UNIX_EPOCH).unwrap_or_default();
    let dict = PyDict::new(py);
    dict.set_item("pid", holder.pid)?;
    dict.set_item("operation", holder.operation)?;
    dict.set_item("since", since.as_secs_f64())?;
    Ok(dict)
}

fn to_key(kind: &str, number: Option<&Bound<'_, PyAny>>) -> PyResult<Key> {
    let kind = Kind::parse(kind).ok_or_else(|| {
        let known = Kind::listed();
        invalid(format!("`{kind}` is not a kind of lock: {known}"))
    })?;
    let refuse = |number: &Bound<'_, PyAny>| {
        let max = Key::MAX_NUMBER;
        invalid(format!("`{number}` is not a lock number: 0 to {max}"))
    };
    let Some(number) = number else {
        return Ok(Key::of(kind));
    };
    let value = number.extract::<i64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(number.py()) {
            refuse(number)
        } else {
            error
        }
    })?;
    u64::try_from(value)
        .ok()
        .and_then(|value| Key::new(kind, value))
        .ok_or_else(|| refuse(number))
}

fn to_timeout(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    match seconds {
        None => Ok(None),
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => Err(invalid(format!(
            "`{seconds}` is not a timeout: seconds, from 0 on, or None"
        ))),
        // What is too long for the clock is for ever.
        Some(seconds) => Ok(Duration::try_from_secs_f64(seconds).ok()),
    }
}

/// A directory of locks between threads and processes.
///
/// A lock is a kind and a number; nothing has to be made before it can be locked, and there is no
/// limit on their number. The kernel frees what a process holds when it ends, however it ends.
/// In a forked child a table of the parent raises ``UseAfterForkError``; a new one works.
///
/// Args:
///     directory: made with mode 0700 when it is missing; its parent must exist.
///
/// Raises:
///     LockError: the directory is a symbolic link, somebody else's, or open to others.
///     UnsupportedError: it is on a network filesystem.
///     ResourceExhaustedError: no space or no descriptors.
///     OSError: it can't be made or opened.
#[pyclass(frozen, module = "podcore._core")]
pub(super) struct LockTable {
    inner: Arc<lock::LockTable>,
}

#[pymethods]
impl LockTable {
    #[new]
    fn new(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        guarded(py, || {
            let inner = Arc::new(lock::LockTable::open(directory)?);
            Ok(Self { inner })
        })
    }

    /// Where the lock files are. They are never removed.
    #[getter]
    fn directory(&self) -> &OsStr {
        self.inner.directory().as_os_str()
    }

    /// Returns the name of every file that may be in such a directory.
    #[staticmethod]
    fn file_names() -> Vec<String> {
        lock::LockTable::file_names().collect()
    }

    /// Begins a session.
    ///
    /// Args:
    ///     operation: what others are told who wait for its locks; cut after 96 bytes.
    #[pyo3(signature = (operation = ""))]
    fn session(&self, py: Python<'_>, operation: &str) -> PyResult<LockSession> {
        guarded(py, || {
            let inner = Session::new(Arc::clone(&self.inner), operation)?;
            Ok(LockSession { inner })
        })
    }

    /// Says whether any session, of this process too, holds a lock at this moment.
    #[pyo3(
        signature = (kind, number = None),
        text_signature = "($self, kind, number=0)"
    )]
    fn probe(
        &self,
        py: Python<'_>,
        kind: &str,
        number: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        guarded(py, || Ok(self.inner.is_locked(to_key(kind, number)?)?))
    }

    /// Returns what the holder of a lock has noted about itself, for messages only.
    ///
    /// It may be stale, and None for a lock that is held; ``probe`` knows.
    #[pyo3(
        signature = (kind, number = None),
        text_signature = "($self, kind, number=0)"
    )]
    fn holder<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        number: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        guarded(py, || {
            let holder = self.inner.holder(to_key(kind, number)?)?;
            holder.map(|holder| to_dict(py, holder)).transpose()
        })
    }

    // Quoted and escaped, as a repr is.
    #[allow(clippy::unnecessary_debug_formatting)]
    fn __repr__(&self) -> String {
        format!("<LockTable {:?}>", self.inner.directory())
    }
}

/// The locks of one thread: the one that first acquires. Made by ``LockTable.session``.
///
/// Locks are asked for in ascending order of (init, pod, namespaces, container, store), then of
/// number, and released in any. Sessions exclude each other, also in one process and in one thread.
/// Leaving its ``with`` or ``close`` releases everything; so does the end of the last reference to
/// it and to its guards.
#[pyclass(frozen, module = "podcore._core")]
pub(super) struct LockSession {
    inner: Session,
}

#[pymethods]
impl LockSession {
    /// Takes a lock, waiting for it in the kernel's queue.
    ///
    /// The interpreter lock is released and signals are handled during the wait. A wait that ends
    /// without the lock leaves a thread and a descriptor behind until its turn comes; the next wait
    /// for the same lock takes them over.
    ///
    /// Args:
    ///     kind: ranks in the order init, pod, namespaces, container, store.
    ///     number: of the object, from 0 on.
    ///     shared: admits other shared holders.
    ///     timeout: seconds; None waits for ever, 0 not at all.
    ///
    /// Raises:
    ///     LockTimeoutError: it was not free in time; names the holder when that is known.
    ///     LockOrderError: this session holds it already, or one that comes later in the order.
    ///     LockError: the session is closed or another thread's, or the lock file was deleted or
    ///         replaced while locks were held in it.
    ///     UseAfterForkError: the session was made before a fork.
    ///     InvalidArgumentError: there is no such kind or number, or the timeout is negative.
    ///     ResourceExhaustedError: no descriptors, threads or memory.
    #[pyo3(
        signature = (kind, number = None, shared = false, timeout = None),
        text_signature = "($self, kind, number=0, shared=False, timeout=None)"
    )]
    fn acquire(
        slf: &Bound<'_, Self>,
        kind: &str,
        number: Option<&Bound<'_, PyAny>>,
        shared: bool,
        timeout: Option<f64>,
    ) -> PyResult<LockGuard> {
        let py = slf.py();
        let pause = |ticket: Option<&Ticket>, at_most| {
            py.detach(|| Ticket::rest(ticket, at_most));
            py.check_signals()
        };
        guarded(py, || {
            let (key, timeout) = (to_key(kind, number)?, to_timeout(timeout)?);
            let taken = slf.get().inner.acquire(key, shared, timeout, pause)?;
            Ok(LockGuard {
                session: slf.clone().unbind(),
                taken,
            })
        })
    }

    /// What this session holds: kind, number, shared; in order.
    #[getter]
    fn held(&self, py: Python<'_>) -> PyResult<Vec<(&'static str, u64, bool)>> {
        guarded(py, || {
            let held = self.inner.held()?;
            let row = |(key, shared): (Key, bool)| (key.kind().name(), key.number(), shared);
            Ok(held.into_iter().map(row).collect())
        })
    }

    /// Whether it has been closed, as it is in a forked child.
    #[getter]
    fn closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Releases everything and ends the session; the second time, it does nothing.
    ///
    /// In a forked child it does nothing either: the locks are the parent's.
    ///
    /// Raises:
    ///     LockError: it is another thread's session.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        guarded(py, || Ok(self.inner.close()?))
    }

    fn __enter__(slf: Py<Self>) -> PyResult<Py<Self>> {
        slf.get().inner.check()?;
        Ok(slf)
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _exc_type: &Bound<'_, PyAny>,
        _exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py)
    }
}

/// One lock that a session has taken. Dropping it releases nothing.
#[pyclass(frozen, module = "podcore._core")]
pub(super) struct LockGuard {
    session: Py<LockSession>,
    taken: Taken,
}

#[pymethods]
impl LockGuard {
    /// Releases the lock; the second time, or after the session's end, it does nothing.
    ///
    /// Raises:
    ///     LockError: it is another thread's.
    ///     UseAfterForkError: it was taken before a fork.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        guarded(py, || Ok(self.session.get().inner.release(self.taken)?))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _exc_type: &Bound<'_, PyAny>,
        _exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.release(py)
    }

    fn __repr__(&self) -> String {
        format!("<LockGuard of {}>", self.taken.key())
    }
}
