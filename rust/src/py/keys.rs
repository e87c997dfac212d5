//! The strings of a graph: the caller's own objects, by number and by content.

use std::mem::take;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::mapping::{
    KEYS, content_hash, drop_references, exact, insert_by_content, list_of, list_of_spare, prefetch,
};
use crate::graph::{Levels, NumberTable};

/// The caller's own strings by node number.
pub(super) struct Keys {
    /// Exact str, to be compared.
    pub(super) names: Vec<Py<PyString>>,
    /// What the caller gave, where that was something else than exact str.
    pub(super) shown: Option<Vec<Py<PyString>>>,
    /// Whether there is a second reference to each of the names, for the first list of all: it was
    /// taken while they were at hand, as fetching them again is most of what a list costs.
    pub(super) spare: AtomicBool,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns the string that the caller gave.
    pub(super) fn get<'py>(&self, py: Python<'py>, node: u32) -> &Bound<'py, PyString> {
        self.shown.as_ref().unwrap_or(&self.names)[node as usize].bind(py)
    }

    /// Returns a new list of some of the strings.
    pub(super) fn list<'py>(&self, py: Python<'py>, nodes: &[u32]) -> PyResult<Bound<'py, PyList>> {
        list_of(py, self.shown.as_ref().unwrap_or(&self.names), nodes)
    }

    /// Returns a new list of all strings, by level.
    pub(super) fn list_all<'py>(
        &self,
        py: Python<'py>,
        levels: &Levels,
    ) -> PyResult<Bound<'py, PyList>> {
        if self.shown.is_none() && self.spare.swap(false, Ordering::Relaxed) {
            return list_of_spare(py, &self.names, levels)
                .inspect_err(|_| self.spare.store(true, Ordering::Relaxed));
        }
        self.list(py, levels.order())
    }

    /// Returns a table for `find`.
    pub(super) fn index(&self, py: Python<'_>) -> PyResult<NumberTable> {
        let mut table = NumberTable::default();
        self.fill_by_content(py, &mut table)?;
        Ok(table)
    }

    /// Returns the number of a str of equal content.
    pub(super) fn find(
        &self,
        index: &NumberTable,
        id: &Bound<'_, PyString>,
    ) -> PyResult<Option<u32>> {
        let id = exact(id)?;
        let hash = content_hash(&id)?;
        Ok(index.find(hash, hash as u32, |number| {
            self.equal(number, id.as_borrowed())
        }))
    }

    /// Fills a table with the numbers of all keys by content.
    pub(super) fn fill_by_content(&self, py: Python<'_>, table: &mut NumberTable) -> PyResult<()> {
        table.reset(self.names.len());
        for begin in (0..self.names.len()).step_by(KEYS) {
            let end = self.names.len().min(begin + KEYS);
            for name in self.names[end..].iter().take(KEYS) {
                prefetch(name.as_ptr());
            }
            insert_by_content(py, table, &self.names[begin..end], begin)?;
        }
        Ok(())
    }
}

impl Drop for Keys {
    /// Drops the references faster than one by one; without an interpreter they drop themselves.
    fn drop(&mut self) {
        Python::try_attach(|py| {
            let each = if *self.spare.get_mut() { 2 } else { 1 };
            drop_references(py, take(&mut self.names), each);
            if let Some(shown) = self.shown.take() {
                drop_references(py, shown, 1);
            }
        });
    }
}
