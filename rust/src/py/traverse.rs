//! `Traversal`: the state machine of `crate::traverse` behind a lock, with ids for numbers.

#![expect(
    clippy::doc_markdown,
    reason = "these are the docstrings of the stub, which Python's `help` shows as they are"
)]

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

/// One walk over a graph: says what is ready, is told what became of it, says what is skipped.
///
/// Made by ``DependencyGraph.traversal``. It does nothing by itself and never waits.
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
    /// Returns the ids that became ready since the last call; each is handed out once.
    fn ready<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        guarded(py, || {
            let ready = self.state().ready();
            self.ids().list(py, &ready)
        })
    }

    /// Takes note that a container did what it should.
    ///
    /// Raises:
    ///     InvalidArgumentError: it was not handed out, or its result is known already.
    ///     NoSuchContainerError: the graph has no such id.
    #[pyo3(signature = (id, /))]
    fn succeed(&self, id: &Bound<'_, PyString>) -> PyResult<()> {
        let py = id.py();
        guarded(py, || {
            let node = self.ids().number(py, id)?;
            let told = self.state().succeed(node);
            told.map_err(|why| not_at_work(py, id, why))
        })
    }

    /// Takes note that a container failed.
    ///
    /// Returns:
    ///     The ids that are skipped for it: all that wait for it, directly or not, but for those
    ///     that were skipped before.
    ///
    /// Raises:
    ///     InvalidArgumentError: it was not handed out, or its result is known already.
    ///     NoSuchContainerError: the graph has no such id.
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

    /// Every skipped id with the one that failed first of those it waited for.
    ///
    /// In the order in which they were skipped, and then in that of the keys.
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

    /// Whether every id is skipped or has a result.
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
