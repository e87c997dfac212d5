//! `DependencyGraph`: ids in, ids out; the numbers stay in between.

#![expect(
    clippy::doc_markdown,
    reason = "these are the docstrings of the stub, which Python's `help` shows as they are"
)]

use std::fmt::Write;
use std::sync::OnceLock;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple};

use super::errors::{error, guarded};
use super::keys::Keys;
use super::mapping::{self, Contents, prefetch};
use super::traverse::Traversal;
use crate::error::Cycle;
use crate::graph::{Graph, NumberTable};

/// How many ids of a long cycle, and how many further defects, a message shows.
const SHOWN: usize = 10;

/// The strings of a graph.
pub(super) struct Ids {
    keys: Keys,
    /// Numbers by content, made when first asked for.
    index: OnceLock<NumberTable>,
}

impl Ids {
    pub(super) fn get<'py>(&self, py: Python<'py>, node: u32) -> &Bound<'py, PyString> {
        self.keys.get(py, node)
    }

    pub(super) fn list<'py>(&self, py: Python<'py>, nodes: &[u32]) -> PyResult<Bound<'py, PyList>> {
        self.keys.list(py, nodes)
    }

    /// Returns the number of an id; `NoSuchContainerError` when there is none.
    pub(super) fn number(&self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<u32> {
        self.find(py, id)?.ok_or_else(|| {
            let message = format!(
                "no container `{id}` in this graph\nhint: ids are the keys that it was made from"
            );
            error(py, "NoSuchContainerError", (message,))
        })
    }

    fn find(&self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<Option<u32>> {
        let index = if let Some(index) = self.index.get() {
            index
        } else {
            let index = self.keys.index(py)?;
            self.index.get_or_init(|| index)
        };
        self.keys.find(index, id)
    }
}

/// What containers depend on: checked, in order, and immutable.
///
/// Every list is deterministic: what is not ordered by dependency comes in the order of the keys
/// of the mapping. The strings are the caller's own objects.
///
/// Args:
///     mapping: the id of every container, and the ids that it depends on. Duplicates collapse.
///         A dict of lists, tuples or sets is read fastest; any other mapping of iterables gives
///         the same answers. The interpreter lock is held while it is read.
///
/// Raises:
///     UnknownDependencyError: a container depends on what is no key.
///     DependencyCycleError: containers depend on each other in a circle, or one on itself. The
///         exception of the first defect is raised, unknown ones before cycles; its ``defects``
///         are all: every unknown dependency, every self-dependency, and for every set of
///         containers that reach each other the shortest cycle through the first of them.
///     InvalidArgumentError: dependencies are a single str instead of an iterable of them, or a
///         key appears twice.
///     TypeError: something is not a mapping of str to iterables of str.
///     RuntimeError: the mapping changed while it was read.
///     OverflowError: there are more nodes or edges than 32 bits can count.
#[pyclass(frozen, module = "podcore._core")]
pub(super) struct DependencyGraph {
    pub(super) ids: Ids,
    pub(super) graph: Graph,
}

#[pymethods]
impl DependencyGraph {
    #[new]
    #[pyo3(signature = (mapping, /))]
    fn new(mapping: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = mapping.py();
        guarded(py, || {
            let Contents {
                keys,
                dependencies,
                unknown,
            } = mapping::read(mapping)?;
            let graph = if unknown.is_empty() {
                Graph::with_prefetch(dependencies, |number| prefetch(number))
            } else {
                Err(Graph::cycles(dependencies))
            };
            match graph {
                Ok(graph) => Ok(Self {
                    ids: Ids {
                        keys,
                        index: OnceLock::new(),
                    },
                    graph,
                }),
                Err(cycles) => Err(defects(py, &keys, &unknown, &cycles)?),
            }
        })
    }

    /// Returns all ids: by level, and in a level in the order of the keys.
    fn order<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        guarded(py, || self.ids.keys.list_all(py, self.graph.levels()))
    }

    /// Returns the ids by level: the length of the longest path to them from a root.
    fn levels<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyList>>> {
        guarded(py, || {
            self.graph
                .levels()
                .iter()
                .map(|nodes| self.ids.list(py, nodes))
                .collect()
        })
    }

    /// The ids without dependencies.
    #[getter]
    fn roots<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        guarded(py, || self.ids.list(py, &self.graph.roots()))
    }

    /// The ids on which nothing depends.
    #[getter]
    fn leaves<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        guarded(py, || self.ids.list(py, &self.graph.leaves()))
    }

    /// Returns what a container depends on directly.
    ///
    /// Raises:
    ///     NoSuchContainerError: the id is no key.
    #[pyo3(signature = (id, /))]
    fn dependencies<'py>(&self, id: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        self.about(id, Graph::dependencies)
    }

    /// Returns what depends on a container directly; raises as ``dependencies`` does.
    #[pyo3(signature = (id, /))]
    fn dependents<'py>(&self, id: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        self.about(id, |graph, node| graph.dependents(node).to_vec())
    }

    /// Returns what a container depends on, directly or not; raises as ``dependencies``.
    #[pyo3(signature = (id, /))]
    fn ancestors<'py>(&self, id: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        self.about(id, Graph::ancestors)
    }

    /// Returns what depends on a container, directly or not; raises as ``dependencies``.
    #[pyo3(signature = (id, /))]
    fn descendants<'py>(&self, id: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyList>> {
        self.about(id, Graph::descendants)
    }

    /// Returns the path of the greatest sum of weights, dependencies first.
    ///
    /// With durations in seconds as weights, nothing that starts in order can be faster than it.
    ///
    /// Raises:
    ///     InvalidArgumentError: a weight is missing, negative or not finite.
    ///     TypeError: a weight is not a number.
    #[pyo3(signature = (weights, /))]
    fn critical_path<'py>(&self, weights: &Bound<'py, PyMapping>) -> PyResult<Bound<'py, PyList>> {
        let py = weights.py();
        guarded(py, || {
            let weights = (0..self.graph.len() as u32)
                .map(|node| weight(weights, self.ids.get(py, node)))
                .collect::<PyResult<Vec<f64>>>()?;
            self.ids.list(py, &self.graph.critical_path(&weights))
        })
    }

    /// Returns the dependencies of each id without those that others imply, as for drawing.
    fn transitive_reduction<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        guarded(py, || {
            let reduced = PyDict::new(py);
            for (node, row) in (0_u32..).zip(self.graph.transitive_reduction().iter()) {
                reduced.set_item(self.ids.get(py, node), self.ids.list(py, row)?)?;
            }
            Ok(reduced)
        })
    }

    /// Returns a new walk: dependencies first, or dependents first when it is reversed.
    #[pyo3(signature = (*, reverse = false))]
    fn traversal(slf: &Bound<'_, Self>, reverse: bool) -> PyResult<Traversal> {
        guarded(slf.py(), || Ok(Traversal::new(slf, reverse)))
    }

    fn __len__(&self) -> usize {
        self.graph.len()
    }

    fn __contains__(&self, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = id.py();
        guarded(py, || match id.cast::<PyString>() {
            Ok(id) => Ok(self.ids.find(py, id)?.is_some()),
            Err(_) => Ok(false),
        })
    }

    fn __repr__(&self) -> String {
        format!("<DependencyGraph of {} containers>", self.graph.len())
    }
}

impl DependencyGraph {
    /// Answers a question about one container with a list of others.
    fn about<'py>(
        &self,
        id: &Bound<'py, PyString>,
        question: impl FnOnce(&Graph, u32) -> Vec<u32>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = id.py();
        guarded(py, || {
            let node = self.ids.number(py, id)?;
            self.ids.list(py, &question(&self.graph, node))
        })
    }
}

/// Reads the weight of one container.
fn weight(weights: &Bound<'_, PyMapping>, id: &Bound<'_, PyString>) -> PyResult<f64> {
    let py = id.py();
    let invalid = |what: &str| {
        let message = format!(
            "the weight of container `{id}` {what}\n\
             hint: give every container a finite weight of 0 or more"
        );
        error(py, "InvalidArgumentError", (message,))
    };
    if !weights.contains(id)? {
        return Err(invalid("is missing"));
    }
    let value = weights.get_item(id)?;
    let weight: f64 = value.extract().map_err(|_| {
        PyTypeError::new_err(format!("the weight of container `{id}` must be a number"))
    })?;
    if !weight.is_finite() || weight < 0.0 {
        return Err(invalid(&format!("is {weight}")));
    }
    Ok(weight)
}

/// Makes the exception for a mapping that is no graph: of the type of its first defect.
#[cold]
fn defects(
    py: Python<'_>,
    keys: &Keys,
    unknown: &[(u32, Py<PyString>)],
    cycles: &[Cycle],
) -> PyResult<PyErr> {
    let count = unknown.len() + cycles.len();
    let mut texts = Vec::with_capacity(count.min(SHOWN + 1));
    for (node, name) in unknown.iter().take(SHOWN + 1) {
        texts.push(unknown_text(keys.get(py, *node), name.bind(py)));
    }
    for cycle in cycles.iter().take(SHOWN + 1 - texts.len()) {
        texts.push(cycle_text(py, keys, cycle));
    }
    let further = further_text(&texts, count);

    let mut exceptions: Vec<Bound<'_, PyAny>> = Vec::with_capacity(count);
    let mut further = Some(further);
    for (node, name) in unknown {
        let (container, name) = (keys.get(py, *node), name.bind(py));
        let message = format!(
            "{}{}\nhint: create `{name}` in the same pod, or take it out of the dependencies of \
             `{container}`",
            unknown_text(container, name),
            further.take().unwrap_or_default(),
        );
        let made = error(py, "UnknownDependencyError", (message, container, name));
        exceptions.push(made.into_value(py).into_bound(py).into_any());
    }
    for cycle in cycles {
        let message = format!(
            "{}{}\nhint: take one of these dependencies out",
            cycle_text(py, keys, cycle),
            further.take().unwrap_or_default(),
        );
        let path = cycle
            .0
            .iter()
            .chain(cycle.0.first())
            .map(|&node| keys.get(py, node));
        let path = PyTuple::new(py, path.collect::<Vec<_>>())?;
        let made = error(py, "DependencyCycleError", (message, path));
        exceptions.push(made.into_value(py).into_bound(py).into_any());
    }
    let raised = exceptions[0].clone();
    let exceptions = PyTuple::new(py, exceptions)?;
    raised.setattr("defects", exceptions)?;
    Ok(PyErr::from_value(raised))
}

fn unknown_text(container: &Bound<'_, PyString>, name: &Bound<'_, PyString>) -> String {
    format!("container `{container}` depends on `{name}`, which is not in the same pod")
}

/// Shows a cycle as `a → b → a`, the middle of a long one left out.
fn cycle_text(py: Python<'_>, keys: &Keys, cycle: &Cycle) -> String {
    let Some((&first, rest)) = cycle.0.split_first() else {
        unreachable!("a cycle has a node");
    };
    let first = keys.get(py, first);
    if rest.is_empty() {
        return format!("container `{first}` depends on itself: {first} → {first}");
    }
    let mut text = format!("container `{first}` depends on itself by way of others: {first}");
    // Writing to a String cannot fail.
    for &node in rest.iter().take(SHOWN) {
        let _ = write!(text, " → {}", keys.get(py, node));
    }
    if rest.len() > SHOWN {
        let _ = write!(text, " → … ({} more)", rest.len() - SHOWN);
    }
    let _ = write!(text, " → {first}");
    text
}

/// Tells of the defects after the first in lines of their own.
fn further_text(texts: &[String], count: usize) -> String {
    let mut further = String::new();
    for text in texts.iter().skip(1) {
        let _ = write!(further, "\nalso: {text}");
    }
    if count > texts.len() {
        let _ = write!(further, "\nalso: {} more defects", count - texts.len());
    }
    further
}
