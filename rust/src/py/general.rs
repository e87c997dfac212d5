//! Copies mappings and iterables of any type into exact built-in ones, for `super::mapping`.

use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PyMapping, PySet, PyString};

use super::errors::error;
use super::mapping::exact;

/// Copies any mapping into a dict of lists, all of exact types; returns the caller's keys too.
pub(super) fn to_builtin_types<'py>(
    mapping: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyDict>, Vec<Py<PyString>>)> {
    let py = mapping.py();
    let Ok(mapping) = mapping.cast::<PyMapping>() else {
        let message = format!(
            "dependencies must be a mapping of str to iterables of str, not {}",
            mapping.get_type().name()?
        );
        return Err(PyTypeError::new_err(message));
    };
    let count = mapping.len()?;
    let plain = PyDict::new(py);
    let mut originals = Vec::with_capacity(count);
    for key in mapping.try_iter()? {
        let key = key?;
        let Ok(key) = key.cast_into::<PyString>() else {
            return Err(PyTypeError::new_err(
                "every key of the dependencies must be a str",
            ));
        };
        let value = mapping.get_item(&key).map_err(|error| {
            if error.is_instance_of::<PyKeyError>(py) {
                changed()
            } else {
                error
            }
        })?;
        let name = exact(&key)?;
        if plain.contains(&name)? {
            let message = format!(
                "container `{name}` appears more than once among the keys\n\
                 hint: give all its dependencies under one key"
            );
            return Err(error(py, "InvalidArgumentError", (message,)));
        }
        plain.set_item(&name, list_of_exact(&name, &value)?)?;
        originals.push(key.unbind());
    }
    if mapping.len()? != count || plain.len() != count {
        return Err(changed());
    }
    Ok((plain, originals))
}

/// Copies the dependencies of one container into a list of exact str.
fn list_of_exact<'py>(
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = name.py();
    let list = PyList::empty(py);
    if value.is_instance_of::<PyString>() {
        let message = format!(
            "the dependencies of container `{name}` are a single str\n\
             hint: put it into a list, as every letter would count as a dependency otherwise"
        );
        return Err(error(py, "InvalidArgumentError", (message,)));
    }
    let items = value.try_iter().map_err(|error| {
        if error.is_instance_of::<PyTypeError>(py) {
            not_strings(name)
        } else {
            error
        }
    })?;
    for item in items {
        let item = item?;
        list.append(exact(
            item.cast::<PyString>().map_err(|_| not_strings(name))?,
        )?)?;
    }
    if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
        list.sort()?;
    }
    Ok(list)
}

fn not_strings(name: &Bound<'_, PyString>) -> PyErr {
    PyTypeError::new_err(format!(
        "the dependencies of container `{name}` must be an iterable of str"
    ))
}

fn changed() -> PyErr {
    PyRuntimeError::new_err("the dependencies were changed while they were read")
}
