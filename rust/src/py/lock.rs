//! `LockTable`, `LockSession` and `LockGuard` for Python.

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
        let known = Kind::ALL.map(Kind::name).join(", ");
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

    /// Where the lock files are.
    #[getter]
    fn directory(&self) -> &OsStr {
        self.inner.directory().as_os_str()
    }

    /// Begins a session for one thread.
    #[pyo3(signature = (operation = ""))]
    fn session(&self, py: Python<'_>, operation: &str) -> PyResult<LockSession> {
        guarded(py, || {
            let inner = Session::new(Arc::clone(&self.inner), operation)?;
            Ok(LockSession { inner })
        })
    }

    /// Says whether any session holds a lock at this moment.
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

    /// Returns what the holder of a lock has noted about itself.
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

/// The locks of one thread.
#[pyclass(frozen, module = "podcore._core")]
pub(super) struct LockSession {
    inner: Session,
}

#[pymethods]
impl LockSession {
    /// Takes a lock, waiting for it in a fair queue.
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

    /// What this session holds, in order.
    #[getter]
    fn held(&self, py: Python<'_>) -> PyResult<Vec<(&'static str, u64, bool)>> {
        guarded(py, || {
            let held = self.inner.held()?;
            let row = |(key, shared): (Key, bool)| (key.kind().name(), key.number(), shared);
            Ok(held.into_iter().map(row).collect())
        })
    }

    /// Whether the session has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Releases everything and ends the session.
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

/// One lock that a session has taken.
#[pyclass(frozen, module = "podcore._core")]
pub(super) struct LockGuard {
    session: Py<LockSession>,
    taken: Taken,
}

#[pymethods]
impl LockGuard {
    /// Releases the lock; the second time, or after the session's end, it does nothing.
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
