//! `Traversal`: the state machine of `crate::traverse` behind a lock, with ids for numbers.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::errors::{error, guarded};
use super::graph::{DependencyGraph, Ids};
use crate::error::NotAtWork;
use crate::graph::Graph;
use crate::traverse;

/// The graph of a walk.
struct Shared(Py<DependencyGraph>);

impl Deref for Shared {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        &self.0.get().graph
    }
}

/// One walk over a graph. Threads may share it.
#[pyclass(frozen, module = "podcore._core")]
pub(super) struct Traversal {
    /// Where the ids are.
    graph: Py<DependencyGraph>,
    state: Mutex<traverse::Traversal<Shared>>,
}

impl Traversal {
    pub(super) fn new(graph: &Bound<'_, DependencyGraph>, reverse: bool) -> Self {
        let walk = traverse::Traversal::new(Shared(graph.clone().unbind()), reverse);
        Self {
            graph: graph.clone().unbind(),
            state: Mutex::new(walk),
        }
    }

    fn ids(&self) -> &Ids {
        &self.graph.get().ids
    }

    /// Locks the state. Nobody runs Python code or waits while holding it, so it is never
    /// contended for long; after a panic it is what it was when that was reported.
    fn state(&self) -> MutexGuard<'_, traverse::Traversal<Shared>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Traversal {
    fn ready<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        guarded(py, || {
            let ready = self.state().ready();
            self.ids().list(py, &ready)
        })
    }

    #[pyo3(signature = (id, /))]
    fn succeed(&self, id: &Bound<'_, PyString>) -> PyResult<()> {
        let py = id.py();
        guarded(py, || {
            let node = self.ids().number(py, id)?;
            let told = self.state().succeed(node);
            told.map_err(|why| not_at_work(py, id, why))
        })
    }

    #[pyo3(signature = (id, /))]
    fn fail<'py>(&self, id: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        let py = id.py();
        guarded(py, || {
            let node = self.ids().number(py, id)?;
            let told = self.state().fail(node);
            let skipped = told.map_err(|why| not_at_work(py, id, why))?;
            self.ids().list(py, &skipped)
        })
    }

    #[getter]
    fn skipped<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        guarded(py, || {
            let pairs = self.state().skipped().to_vec();
            let skipped = PyDict::new(py);
            for (node, cause) in pairs {
                skipped.set_item(self.ids().get(py, node), self.ids().get(py, cause))?;
            }
            Ok(skipped)
        })
    }

    #[getter]
    fn finished(&self) -> bool {
        self.state().finished()
    }
}

#[cold]
fn not_at_work(py: Python<'_>, id: &Bound<'_, PyString>, why: NotAtWork) -> PyErr {
    let why = match why {
        NotAtWork::NotHandedOut => "has not been handed out",
        NotAtWork::ToldBefore => "has a result already",
        NotAtWork::Skipped => "was skipped, because one that it waited for failed",
    };
    let message = format!(
        "container `{id}` {why}\nhint: tell the result of what `ready()` returned, and once"
    );
    error(py, "InvalidArgumentError", (message,))
}
