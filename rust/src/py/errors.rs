//! Makes the exceptions of `podcore.errors`, and turns panics into one of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;

/// Returns an exception of a class of `podcore.errors`, made with the given arguments.
pub(super) fn error<'py>(py: Python<'py>, class: &str, arguments: impl PyCallArgs<'py>) -> PyErr {
    let made = py
        .import("podcore.errors")
        .and_then(|errors| errors.getattr(class))
        .and_then(|class| class.call1(arguments));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

/// Runs the body of a binding; a panic in it becomes an `InternalError`.
///
/// Every `#[pymethods]` item that does more than read a field goes through here.
pub(super) fn guarded<T>(py: Python<'_>, body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(internal_error(py, &*panic)))
}

#[cold]
fn internal_error(py: Python<'_>, panic: &(dyn Any + Send)) -> PyErr {
    let what = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let message = format!("the Rust core panicked: {what}\nhint: this is a bug, please report it");
    error(py, "InternalError", (message,))
}

/// Panics, so that a test can see what becomes of it.
#[pyfunction]
#[pyo3(name = "_panic_for_test")]
pub(super) fn panic_for_test(py: Python<'_>) -> PyResult<()> {
    guarded(py, || panic!("on purpose"))
}
