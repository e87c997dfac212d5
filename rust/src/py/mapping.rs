//! Reads `Mapping[str, Iterable[str]]` into rows of node numbers, and keeps the caller's strings.
//!
//! From a hundred thousand nodes on nearly all time goes into waiting for memory, so this file
//! works on groups: it asks for all cache lines that a group will touch, then touches them. That,
//! and walking dicts and lists without making an object for each step, needs the C API: this is
//! the one file of the binding in which unsafe code is allowed.
//!
//! A string is looked up by its address first, which reads nothing of the string itself; by
//! content only when it is not the very object that is a key.
//!
//! Borrowed references are safe here because the interpreter lock is held throughout, and nothing
//! between taking and using one can run Python code. Where something can, as with anything but
//! exact built-in types, references are owned. Without such a lock only a private copy is read so.
#![allow(
    unsafe_code,
    reason = "the C API is what makes reading a large mapping fast"
)]

use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit, replace, take};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::{ptr, slice};

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::addresses::{AddressTable, NOT_FOUND};
use super::general::to_builtin_types;
use super::keys::Keys;
use crate::error::TooLarge;
use crate::graph::{Levels, NumberTable, Rows};

/// How many keys are read at a time.
pub(super) const KEYS: usize = 64;
/// How many rows are read at a time.
const ROWS: usize = 32;
/// How far ahead objects are fetched in plain walks over them.
const AHEAD: usize = 16;
/// Of rows up to this length all look-ups by address are prepared at once.
const PREPARED: usize = 64;
/// How many look-ups by content are in one stage at a time.
const LOOKUPS: usize = 8;
/// How many rows may pass before a wrong guess about the input is noticed.
const SAMPLES: usize = 8;
/// Mappings up to this size are in the nearest caches, where asking ahead only costs.
const NEAR: usize = 2048;
/// Working memory up to this size stays with the thread for the next graph.
const KEPT_BYTES: usize = 6 << 20;
/// How many nodes are few, so that a byte has a number more than there are; and how many edges
/// altogether.
const FEW: usize = 128;
const FEW_EDGES: usize = 4 * FEW;
/// Slots for few nodes: sparse, so that hardly any look-up needs a second step.
const SLOTS: usize = 4 * FEW;
/// Rows up to this length are searched for duplicates one by one.
const SHORT_ROW: usize = 16;
/// For `Reader::by_content_groups`.
const ALWAYS: u32 = u32::MAX;

/// What is in a mapping.
pub(super) struct Contents {
    pub(super) keys: Keys,
    /// For each key the numbers of its dependencies, without duplicates.
    pub(super) dependencies: Rows,
    /// What is no key: the number of the container, and the dependency that it names.
    pub(super) unknown: Vec<(u32, Py<PyString>)>,
}

/// Reads a mapping.
///
/// # Errors
///
/// `TypeError` for what is not a mapping of str to iterables of str, `InvalidArgumentError` for a
/// single str in place of an iterable, `RuntimeError` when the mapping changes meanwhile, and
/// whatever its own methods raise.
pub(super) fn read(mapping: &Bound<'_, PyAny>) -> PyResult<Contents> {
    if has_interpreter_lock(mapping.py())
        && let Ok(dict) = mapping.cast_exact::<PyDict>()
    {
        if let Some(contents) = read_few(dict) {
            return Ok(contents);
        }
        if let Some(contents) = read_exact(dict)? {
            return Ok(contents);
        }
    }
    let (plain, originals) = to_builtin_types(mapping)?;
    let mut contents = read_exact(&plain)?
        .ok_or_else(|| PyRuntimeError::new_err("the copy of a mapping changed while being read"))?;
    contents.keys.shown = Some(originals);
    Ok(contents)
}

/// Working memory of a read, kept by the thread while it is small: fresh memory comes page by page,
/// which is much of the time that a graph of some thousand nodes takes.
#[derive(Default)]
struct Scratch {
    by_address: AddressTable,
    by_content: NumberTable,
    /// Empty: the memory for the names of the next graph.
    names: Vec<Py<PyString>>,
    /// Borrowed: the dependencies of each key.
    values: Vec<*mut ffi::PyObject>,
    /// Borrowed: the dependencies of a group of keys, one after the other.
    items: Vec<*const ffi::PyObject>,
    /// For each of the group the end of its `items`.
    ends: Vec<usize>,
    /// The numbers of `items`.
    found: Vec<u32>,
    /// Places in `items` that were not found by address.
    missed: Vec<usize>,
    /// The hashes of what was not.
    hashes: Vec<u64>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Reads a dict of exact built-in types; returns None when it has others.
fn read_exact(dict: &Bound<'_, PyDict>) -> PyResult<Option<Contents>> {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = Reader::new(dict, &mut scratch).and_then(|reader| match reader {
        Some(reader) => reader.read(),
        None => Ok(None),
    });
    let words = scratch.names.capacity()
        + scratch.values.capacity()
        + scratch.items.capacity()
        + scratch.missed.capacity()
        + scratch.hashes.capacity();
    let bytes =
        scratch.by_address.bytes() + scratch.by_content.bytes() + words * size_of::<usize>();
    if bytes <= KEPT_BYTES {
        SCRATCH.set(Some(scratch));
    }
    result
}

struct Reader<'py, 's> {
    py: Python<'py>,
    scratch: &'s mut Scratch,
    /// Whether there is too much to be in the nearest caches anyway.
    far: bool,
    /// What `layout_is_known` says.
    direct: bool,
    /// Whether the table of contents has been filled.
    by_content_filled: bool,
    contents: Contents,
    /// Owned: the values from some point on, once something could run Python code.
    held: Vec<Py<PyAny>>,
    /// Owned: the items of the current group, likewise.
    held_items: Vec<Py<PyAny>>,
    /// Numbers the rows that contained each node last, for long rows.
    last_row: Vec<u32>,
    strays: Vec<Stray>,
    /// How many groups are looked up by content right away, as looking by address was in vain;
    /// `ALWAYS` when there is no table of addresses.
    by_content_groups: u32,
}

/// What is in the way of the fast path.
enum Stop {
    /// Something is not of an exact built-in type.
    OtherType,
    Raised(PyErr),
}

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl<'py, 's> Reader<'py, 's> {
    /// Reads the keys; returns None when one is not an exact str.
    fn new(dict: &Bound<'py, PyDict>, scratch: &'s mut Scratch) -> PyResult<Option<Self>> {
        let count = dict.len();
        if count >= NOT_FOUND as usize {
            return Err(too_large(TooLarge));
        }
        let direct = layout_is_known(dict.py());
        let Some((keys, first, last)) = take_keys(dict, scratch, count, direct) else {
            return Ok(None);
        };
        // Strings that nobody else refers to cannot be keys: they come from a parser, and looking
        // them up by address would be in vain.
        let by_content = only_equal_strings(&scratch.values);
        let by_content_groups = if by_content { ALWAYS } else { 0 };
        if by_content {
            keys.fill_by_content(dict.py(), &mut scratch.by_content)?;
        } else {
            let objects = keys.names.iter().map(|name| name.as_ptr().cast_const());
            scratch.by_address.fill(objects, first, last);
        }
        let far = count > NEAR;
        let dependencies = Rows::with_capacity(count);
        Ok(Some(Self {
            py: dict.py(),
            scratch,
            far,
            direct,
            by_content_filled: by_content,
            contents: Contents {
                keys,
                dependencies,
                unknown: Vec::new(),
            },
            held: Vec::new(),
            held_items: Vec::new(),
            last_row: Vec::new(),
            strays: Vec::new(),
            by_content_groups,
        }))
    }

    /// Reads the rows; returns None when something is not of an exact built-in type.
    fn read(mut self) -> PyResult<Option<Contents>> {
        let mut begin = 0;
        while begin < self.scratch.values.len() {
            match self.read_group(begin) {
                Ok(()) => begin += ROWS,
                Err(Stop::OtherType) => return Ok(None),
                Err(Stop::Raised(error)) => return Err(error),
            }
        }
        self.contents.unknown = without_duplicates(self.py, &self.strays)?;
        Ok(Some(self.contents))
    }

    fn read_group(&mut self, begin: usize) -> Result<(), Stop> {
        let count = self.scratch.values.len();
        let end = count.min(begin + ROWS);
        // What the group after the next one needs first, and the next one second.
        if self.far {
            let (next_end, after_end) = (count.min(end + ROWS), count.min(end + 2 * ROWS));
            for &value in &self.scratch.values[next_end..after_end] {
                prefetch(value);
            }
            for &value in &self.scratch.values[end..next_end] {
                prefetch_items(value);
            }
        }

        self.scratch.items.clear();
        self.scratch.ends.clear();
        self.held_items.clear();
        if !self.held.is_empty() || !self.gather_borrowed(begin..end)? {
            self.hold_values(begin);
            self.scratch.items.clear();
            self.scratch.ends.clear();
            for place in begin..end {
                self.gather_owned(self.scratch.values[place])?;
                self.scratch.ends.push(self.scratch.items.len());
            }
        }

        self.look_up()?;
        self.write_rows(begin)?;
        Ok(())
    }

    /// Gathers the items of a group of values; returns false when one of these is a set.
    fn gather_borrowed(&mut self, group: Range<usize>) -> Result<bool, Stop> {
        let (direct, prepared) = (self.direct, self.far && self.by_content_groups == 0);
        let Scratch {
            by_address,
            values,
            items,
            ends,
            ..
        } = &mut *self.scratch;
        for &value in &values[group] {
            // SAFETY: the dict keeps the value alive, as no Python code has run since.
            unsafe {
                if direct && ffi::PyList_CheckExact(value) != 0 {
                    let list = list_items(value);
                    if prepared && list.len() <= PREPARED {
                        items.extend(list.iter().map(|&item| {
                            prefetch(by_address.early(item));
                            item.cast_const()
                        }));
                    } else {
                        items.extend(list.iter().map(|item| item.cast_const()));
                    }
                } else if !gather(value, items)? {
                    return Ok(false);
                }
            }
            ends.push(items.len());
        }
        Ok(true)
    }

    /// Takes references to all values from a point on.
    ///
    /// Walking a set makes an iterator, which can start a garbage collection, which can run any
    /// Python code. Nothing has run since the values were borrowed when this is first called.
    fn hold_values(&mut self, begin: usize) {
        if self.held.is_empty() {
            for &value in &self.scratch.values[begin..] {
                // SAFETY: the dict has not changed since it gave the value.
                self.held
                    .push(unsafe { Bound::from_borrowed_ptr(self.py, value) }.unbind());
            }
        }
    }

    /// As `gather`, for sets too, and with references to all items.
    fn gather_owned(&mut self, value: *mut ffi::PyObject) -> Result<(), Stop> {
        let first = self.scratch.items.len();
        // SAFETY: `held` keeps the value alive.
        let set = unsafe { is_exact_set(value) };
        if !set {
            // SAFETY: likewise.
            unsafe { gather(value, &mut self.scratch.items) }?;
            for &item in &self.scratch.items[first..] {
                // SAFETY: no Python code has run since `gather` borrowed it from its list.
                self.held_items
                    .push(unsafe { Bound::from_borrowed_ptr(self.py, item.cast_mut()) }.unbind());
            }
            return Ok(());
        }
        // SAFETY: `held` keeps the value alive.
        let set = unsafe { Bound::from_borrowed_ptr(self.py, value) };
        for item in set.try_iter()? {
            let item = item?;
            self.scratch.items.push(item.as_ptr().cast_const());
            self.held_items.push(item.unbind());
        }
        Ok(())
    }

    /// Finds the numbers of the group's items.
    fn look_up(&mut self) -> Result<(), Stop> {
        let scratch = &mut *self.scratch;
        scratch.found.clear();
        scratch.missed.clear();
        if self.by_content_groups > 0 {
            if self.by_content_groups != ALWAYS {
                self.by_content_groups -= 1;
            }
            scratch.found.resize(scratch.items.len(), NOT_FOUND);
            scratch.missed.extend(0..scratch.items.len());
        } else {
            let table = &scratch.by_address;
            if !table.find(&scratch.items, &mut scratch.found) {
                let places = scratch.found.iter().enumerate();
                scratch.missed.extend(
                    places
                        .filter(|&(_, &number)| number == NOT_FOUND)
                        .map(|(place, _)| place),
                );
            }
            if scratch.missed.len() * 2 > scratch.items.len() {
                self.by_content_groups = 63;
            }
        }
        if self.scratch.missed.is_empty() {
            Ok(())
        } else {
            self.look_up_by_content()
        }
    }

    fn look_up_by_content(&mut self) -> Result<(), Stop> {
        let (py, keys) = (self.py, &self.contents.keys);
        let Scratch {
            by_content,
            items,
            found,
            missed,
            hashes,
            ..
        } = &mut *self.scratch;
        let table = by_content;
        if !self.by_content_filled {
            keys.fill_by_content(py, table)?;
            self.by_content_filled = true;
        }
        hashes.clear();
        // A pipeline: while some wait for memory in one stage, others work in the next one.
        let stage = |step: usize, number: usize| {
            let begin = step
                .checked_sub(number)
                .map_or(usize::MAX, |step| step * LOOKUPS);
            begin.min(missed.len())..begin.saturating_add(LOOKUPS).min(missed.len())
        };
        for step in 0..missed.len().div_ceil(LOOKUPS) + 3 {
            for &place in &missed[stage(step, 0)] {
                prefetch_string(items[place]);
            }
            for &place in &missed[stage(step, 1)] {
                // SAFETY: alive, as its list is, or as it is in `held_items`.
                let item = unsafe { Borrowed::from_ptr(py, items[place].cast_mut()) };
                let hash = content_hash(&*item.cast_exact().map_err(|_| Stop::OtherType)?)?;
                prefetch(table.slot(hash));
                hashes.push(hash);
            }
            for which in stage(step, 2) {
                let hash = hashes[which];
                if let Some(candidate) = table.find(hash, hash as u32, |_| true) {
                    prefetch_string(keys.names[candidate as usize].as_ptr());
                    found[missed[which]] = candidate;
                }
            }
            for which in stage(step, 3) {
                let hash = hashes[which];
                // SAFETY: likewise, and an exact str, as was seen two steps before.
                let item = unsafe {
                    Borrowed::from_ptr(py, items[missed[which]].cast_mut()).cast_unchecked()
                };
                let number = &mut found[missed[which]];
                // The candidate is what is sought, but for strings that share half of their hash.
                if *number != NOT_FOUND && !keys.equal(*number, item) {
                    let other = table.find(hash, hash as u32, |number| keys.equal(number, item));
                    *number = other.unwrap_or(NOT_FOUND);
                }
            }
        }
        Ok(())
    }

    /// Writes the group's rows without duplicates, and notes what was not found.
    fn write_rows(&mut self, begin: usize) -> PyResult<()> {
        let Scratch { found, ends, .. } = &*self.scratch;
        let mut first = 0;
        let clean = ends
            .iter()
            .all(|&end| is_clean(&found[replace(&mut first, end)..end]));
        if clean {
            return self
                .contents
                .dependencies
                .extend(found, ends)
                .map_err(too_large);
        }
        first = 0;
        for place in 0..self.scratch.ends.len() {
            let (row, end) = (begin + place, self.scratch.ends[place]);
            let numbers = &self.scratch.found[first..end];
            let rows = &mut self.contents.dependencies;
            let long = numbers.len() > SHORT_ROW;
            if long && self.last_row.is_empty() {
                self.last_row.resize(self.contents.keys.len(), NOT_FOUND);
            }
            for &number in numbers {
                if number == NOT_FOUND {
                    continue;
                }
                if long {
                    let last = &mut self.last_row[number as usize];
                    if *last != row as u32 {
                        *last = row as u32;
                        rows.push(number);
                    }
                } else if !rows.unfinished().contains(&number) {
                    rows.push(number);
                }
            }
            rows.end_row().map_err(too_large)?;
            if numbers.contains(&NOT_FOUND) {
                self.note_strays(row, first..end);
            }
            first = end;
        }
        Ok(())
    }

    /// Notes the dependencies of a row that are no keys. Makes no Python object: see `hold_values`.
    #[cold]
    fn note_strays(&mut self, row: usize, places: Range<usize>) {
        // SAFETY: the dict, or `held`, keeps the value alive.
        let in_set = unsafe { is_exact_set(self.scratch.values[row]) };
        for place in places {
            if self.scratch.found[place] == NOT_FOUND {
                // SAFETY: a str, as it has been looked up by content, and alive, as its list is,
                // or as it is in `held_items`.
                let name = unsafe {
                    Bound::from_borrowed_ptr(self.py, self.scratch.items[place].cast_mut())
                        .cast_into_unchecked()
                };
                self.strays.push(Stray {
                    row: row as u32,
                    name: name.unbind(),
                    in_set,
                });
            }
        }
    }
}

/// Takes the keys of a dict, and borrows its values into `scratch`; returns the least and the
/// greatest address among the keys too, or None when one is not an exact str.
fn take_keys(
    dict: &Bound<'_, PyDict>,
    scratch: &mut Scratch,
    count: usize,
    direct: bool,
) -> Option<(Keys, usize, usize)> {
    let mut names = if scratch.names.capacity() / 4 <= count.max(KEYS) {
        take(&mut scratch.names)
    } else {
        Vec::new()
    };
    names.reserve_exact(count);
    let values = &mut scratch.values;
    values.clear();
    values.reserve(count);
    let (mut first, mut last) = (usize::MAX, 0);
    let mut take_one = |key: *mut ffi::PyObject| {
        // SAFETY: the dict holds its keys, which are asked for their types first; and the layout
        // is known if it is said to be.
        unsafe {
            if ffi::PyUnicode_CheckExact(key) == 0 {
                return false;
            }
            if direct {
                // One of them for the first list.
                add_references(key, 2);
            } else {
                ffi::Py_INCREF(key);
            }
            names.push(owned_string(dict.py(), key));
        }
        first = first.min(key.addr());
        last = last.max(key.addr());
        true
    };
    // A key is touched when others have been met since, and its memory is there.
    let mut pending = [ptr::null_mut(); AHEAD];
    let mut all = true;
    let mut position = 0;
    let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: a live dict, which cannot change as no Python code runs in this loop.
    let mut next =
        |key, value| unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut position, key, value) != 0 };
    while all && next(&raw mut key, &raw mut value) {
        prefetch(key);
        let earlier = replace(&mut pending[values.len() % AHEAD], key);
        values.push(value);
        all = earlier.is_null() || take_one(earlier);
    }
    pending.rotate_left(values.len() % AHEAD);
    all = all && pending.iter().all(|&key| key.is_null() || take_one(key));
    let keys = Keys {
        names,
        shown: None,
        spare: AtomicBool::new(direct),
    };
    all.then_some((keys, first, last))
}

/// Reads a dict of few nodes and edges, all in lists and each dependency the very object that is a
/// key; returns None for any other. Everything is at hand here, and nothing but the answer needs
/// an allocation.
fn read_few(dict: &Bound<'_, PyDict>) -> Option<Contents> {
    let py = dict.py();
    if dict.len() > FEW || !layout_is_known(py) {
        return None;
    }
    let mut keys = [const { MaybeUninit::<*mut ffi::PyObject>::uninit() }; FEW];
    let mut values = [const { MaybeUninit::<*mut ffi::PyObject>::uninit() }; FEW];
    // The number of a key plus one, by address.
    let mut slots = [0_u8; SLOTS];
    let mut count = 0;
    let mut position = 0;
    let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: a live dict, which cannot change as no Python code runs in this function; it holds
    // its keys and values, and they are only asked for their types.
    unsafe {
        while ffi::PyDict_Next(
            dict.as_ptr(),
            &raw mut position,
            &raw mut key,
            &raw mut value,
        ) != 0
        {
            if count == FEW
                || ffi::PyUnicode_CheckExact(key) == 0
                || ffi::PyList_CheckExact(value) == 0
            {
                return None;
            }
            let mut slot = slot(key);
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            keys[count].write(key);
            values[count].write(value);
            count += 1;
            slots[slot] = count as u8;
        }
    }
    // SAFETY: so many have been written.
    let (keys, values) = unsafe {
        (
            slice::from_raw_parts(keys.as_ptr().cast::<*mut ffi::PyObject>(), count),
            slice::from_raw_parts(values.as_ptr().cast::<*mut ffi::PyObject>(), count),
        )
    };

    let mut offsets = [0; FEW + 1];
    let mut targets = [const { MaybeUninit::uninit() }; FEW_EDGES];
    let mut end = 0;
    // The last row that contained each key, plus one.
    let mut last_row = [0_u8; FEW];
    for (row, &value) in (1_u8..).zip(values) {
        // SAFETY: an exact list, as was seen, and alive.
        for &item in unsafe { list_items(value) } {
            let mut slot = slot(item);
            let number = loop {
                let number = usize::from(slots[slot]).checked_sub(1)?;
                if keys[number] == item {
                    break number;
                }
                slot = (slot + 1) % SLOTS;
            };
            if replace(&mut last_row[number], row) != row {
                targets.get_mut(end)?.write(number as u32);
                end += 1;
            }
        }
        offsets[usize::from(row)] = end as u32;
    }
    // SAFETY: so many have been written.
    let targets = unsafe { slice::from_raw_parts(targets.as_ptr().cast::<u32>(), end) };
    let names = keys.iter().map(|&key| {
        // SAFETY: an exact str, as was seen, and alive; the layout is known.
        unsafe {
            // One of them for the first list.
            add_references(key, 2);
            owned_string(py, key)
        }
    });
    Some(Contents {
        keys: Keys {
            names: names.collect(),
            shown: None,
            spare: AtomicBool::new(true),
        },
        dependencies: Rows::copied(&offsets[..=count], targets),
        unknown: Vec::new(),
    })
}

/// Returns the first slot of `read_few` for an object.
#[inline]
fn slot(object: *mut ffi::PyObject) -> usize {
    /// As in a `NumberTable`.
    const SPREAD: usize = 0x9E37_79B9_7F4A_7C15_u64 as usize;
    object.addr().wrapping_mul(SPREAD) >> (usize::BITS - SLOTS.trailing_zeros())
}

/// Guesses from a few rows whether dependencies are other objects than the keys.
fn only_equal_strings(values: &[*mut ffi::PyObject]) -> bool {
    let mut seen = 0;
    for &value in values.iter().take(SAMPLES * SAMPLES) {
        // SAFETY: the dict keeps its values alive, these keep their items, and the functions
        // called are those for the exact type. No Python code runs.
        let count = unsafe {
            if ffi::PyList_CheckExact(value) != 0 && ffi::PyList_Size(value) > 0 {
                ffi::Py_REFCNT(ffi::PyList_GetItem(value, 0))
            } else if ffi::PyTuple_CheckExact(value) != 0 && ffi::PyTuple_Size(value) > 0 {
                ffi::Py_REFCNT(ffi::PyTuple_GetItem(value, 0))
            } else {
                continue;
            }
        };
        if count > 1 {
            return false;
        }
        seen += 1;
        if seen == SAMPLES {
            break;
        }
    }
    seen > 0
}

/// Enters some keys, the first of which has a certain number, into a table by content.
pub(super) fn insert_by_content(
    py: Python<'_>,
    table: &mut NumberTable,
    names: &[Py<PyString>],
    first: usize,
) -> PyResult<()> {
    let mut hashes = [0; KEYS];
    for (hash, name) in hashes.iter_mut().zip(names) {
        *hash = content_hash(name.bind(py))?;
        prefetch(table.slot(*hash));
    }
    for (place, &hash) in hashes[..names.len()].iter().enumerate() {
        table.insert(hash, hash as u32, (first + place) as u32);
    }
    Ok(())
}

/// Appends the items of a list or tuple, borrowed from it; returns false for a set.
///
/// # Safety
///
/// The value is alive.
unsafe fn gather(
    value: *mut ffi::PyObject,
    items: &mut Vec<*const ffi::PyObject>,
) -> Result<bool, Stop> {
    // SAFETY: the functions called are those for the exact type of a live object, and the places
    // asked for are within its size. No Python code runs.
    unsafe {
        if ffi::PyList_CheckExact(value) != 0 {
            let places = 0..ffi::PyList_Size(value);
            items.extend(places.map(|place| ffi::PyList_GetItem(value, place).cast_const()));
        } else if ffi::PyTuple_CheckExact(value) != 0 {
            let places = 0..ffi::PyTuple_Size(value);
            items.extend(places.map(|place| ffi::PyTuple_GetItem(value, place).cast_const()));
        } else if is_exact_set(value) {
            return Ok(false);
        } else {
            return Err(Stop::OtherType);
        }
    }
    Ok(true)
}

/// Returns whether threads of this interpreter run one at a time.
fn has_interpreter_lock(py: Python<'_>) -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        // Before Python 3.13, which has the function, there always is a lock.
        py.import("sys")
            .and_then(|sys| sys.getattr("_is_gil_enabled")?.call0()?.is_truthy())
            .unwrap_or(true)
    })
}

/// Returns whether this interpreter is one whose objects are laid out as `list_items`,
/// `add_reference` and `drop_reference` expect.
///
/// The stable ABI does not promise it all, so only versions that have been looked at are trusted.
pub(super) fn layout_is_known(py: Python<'_>) -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let version = py.version_info();
        let cpython = py
            .import("sys")
            .and_then(|sys| {
                sys.getattr("implementation")?
                    .getattr("name")?
                    .extract::<String>()
            })
            .is_ok_and(|name| name == "cpython");
        // Without an interpreter lock, objects begin with more than a count and a type.
        let plain = size_of::<ffi::PyObject>() == 2 * size_of::<usize>();
        cpython && plain && ((3, 11)..(3, 15)).contains(&(version.major, version.minor))
    })
}

/// Takes references without a call.
///
/// As `Py_INCREF` is in the stable ABI of Python 3.11, and so in extensions that later versions
/// still load: immortal objects, which these have, bear it.
///
/// # Safety
///
/// The object is alive, and `layout_is_known` says so.
#[inline]
unsafe fn add_references(object: *mut ffi::PyObject, count: ffi::Py_ssize_t) {
    // SAFETY: as the caller promises; the interpreter lock is held.
    unsafe { *object.cast::<ffi::Py_ssize_t>() += count };
}

/// Returns an owner of a reference to an exact str.
///
/// # Safety
///
/// The reference belongs to the caller, and to an exact str.
#[inline]
unsafe fn owned_string(py: Python<'_>, string: *mut ffi::PyObject) -> Py<PyString> {
    // SAFETY: as the caller promises.
    unsafe {
        Bound::from_owned_ptr(py, string)
            .cast_into_unchecked()
            .unbind()
    }
}

/// Gives up some references to each string, without a call where the layout is known and others
/// are left.
///
/// All but one of them are beside those that the vector owns; `Keys` keeps count of them.
pub(super) fn drop_references(py: Python<'_>, strings: Vec<Py<PyString>>, each: u8) {
    let (direct, each) = (layout_is_known(py), ffi::Py_ssize_t::from(each));
    let strings = ManuallyDrop::new(strings);
    for (place, string) in strings.iter().enumerate() {
        if let Some(later) = strings.get(place + AHEAD) {
            prefetch(later.as_ptr());
        }
        let string = string.as_ptr();
        // SAFETY: the vector and its owner had these references, and the vector is not used after
        // this loop. As for `add_references`.
        unsafe {
            let count = string.cast::<ffi::Py_ssize_t>();
            if direct && *count > each {
                *count -= each;
            } else {
                for _ in 0..each {
                    ffi::Py_DECREF(string);
                }
            }
        }
    }
    // Only the memory is left to be given back.
    let mut strings = ManuallyDrop::into_inner(strings);
    // SAFETY: shorter than it was; no reference is dropped a second time.
    unsafe { strings.set_len(0) };
    // Small ones the allocator keeps itself.
    if strings.capacity() < NEAR {
        return;
    }
    // At the end of a thread there may be no scratch, and the memory is freed.
    let _ = SCRATCH.try_with(|scratch| {
        if let Some(mut kept) = scratch.take() {
            if kept.names.capacity() < strings.capacity()
                && strings.capacity() * size_of::<usize>() <= KEPT_BYTES / 4
            {
                kept.names = strings;
            }
            scratch.set(Some(kept));
        }
    });
}

/// Returns a new list of some of the strings.
pub(super) fn list_of<'py>(
    py: Python<'py>,
    strings: &[Py<PyString>],
    nodes: &[u32],
) -> PyResult<Bound<'py, PyList>> {
    if layout_is_known(py) {
        new_list(py, nodes, |place| {
            if let Some(&later) = nodes.get(place + AHEAD) {
                prefetch(strings[later as usize].as_ptr());
            }
            let string = strings[nodes[place] as usize].as_ptr();
            // SAFETY: the caller keeps it alive, and the layout is known.
            unsafe { add_references(string, 1) };
            string
        })
    } else {
        PyList::new(py, nodes.iter().map(|&node| &strings[node as usize]))
    }
}

/// Returns a new list of all strings by level, to which a spare reference to each of them goes:
/// see `Keys::spare`. The layout is known where there are such.
pub(super) fn list_of_spare<'py>(
    py: Python<'py>,
    strings: &[Py<PyString>],
    levels: &Levels,
) -> PyResult<Bound<'py, PyList>> {
    let nodes = levels.order();
    assert_eq!(
        nodes.len(),
        strings.len(),
        "a reference to each goes to the list"
    );
    new_list(py, nodes, |place| strings[nodes[place] as usize].as_ptr())
}

/// Returns a new list with the owned reference that `item` gives for each place in `nodes`.
fn new_list<'py>(
    py: Python<'py>,
    nodes: &[u32],
    item: impl Fn(usize) -> *mut ffi::PyObject,
) -> PyResult<Bound<'py, PyList>> {
    let count = ffi::Py_ssize_t::try_from(nodes.len())?;
    // SAFETY: every place of the new list is given a reference of its own before anyone sees it.
    unsafe {
        let list = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(count))?;
        let items = list_items(list.as_ptr()).as_ptr().cast_mut();
        for place in 0..nodes.len() {
            *items.add(place) = item(place);
        }
        Ok(list.cast_into_unchecked())
    }
}

/// Returns the items of an exact list, borrowed.
///
/// # Safety
///
/// The list is alive and does not change while the items are used, and
/// `layout_is_known` says so.
#[inline]
unsafe fn list_items<'a>(list: *mut ffi::PyObject) -> &'a [*mut ffi::PyObject] {
    /// `PyListObject` of `CPython` 3.11 to 3.14.
    #[repr(C)]
    struct List {
        head: ffi::PyObject,
        size: ffi::Py_ssize_t,
        items: *const *mut ffi::PyObject,
    }
    // SAFETY: as the caller promises; an empty list need not have an array.
    unsafe {
        let list = &*list.cast::<List>();
        match list.size {
            0 => &[],
            size => slice::from_raw_parts(list.items, size.cast_unsigned()),
        }
    }
}

/// Returns whether a row can be written as it is: short, complete, and without duplicates.
// Without branches: which of the comparisons fails can't be predicted, and hardly any does.
#[allow(clippy::needless_bitwise_bool)]
#[inline]
fn is_clean(row: &[u32]) -> bool {
    match *row {
        [] => true,
        [a] => a != NOT_FOUND,
        [a, b] => a != b && a.max(b) != NOT_FOUND,
        [a, b, c] => a != b && a != c && b != c && a.max(b).max(c) != NOT_FOUND,
        _ => {
            row.len() <= SHORT_ROW
                && !row.contains(&NOT_FOUND)
                && (1..row.len()).all(|place| !row[..place].contains(&row[place]))
        }
    }
}

/// A dependency that is no key, as it is met.
struct Stray {
    row: u32,
    name: Py<PyString>,
    in_set: bool,
}

/// Drops the duplicates in each row; sorts those that come from a set, whose order differs from
/// run to run.
fn without_duplicates(py: Python<'_>, strays: &[Stray]) -> PyResult<Vec<(u32, Py<PyString>)>> {
    let mut unknown = Vec::new();
    for row in strays.chunk_by(|a, b| a.row == b.row) {
        let names = PyDict::new(py);
        for stray in row {
            names.set_item(&stray.name, ())?;
        }
        let names = names.keys();
        if row[0].in_set {
            names.sort()?;
        }
        for name in names {
            unknown.push((row[0].row, name.cast_into::<PyString>()?.unbind()));
        }
    }
    Ok(unknown)
}

fn too_large(error: TooLarge) -> PyErr {
    pyo3::exceptions::PyOverflowError::new_err(error.to_string())
}

/// Returns the same string as an exact str.
pub(super) fn exact<'py>(string: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: a live str; the call returns a new reference to an exact one, or null with an
    // exception set.
    unsafe {
        let plain = ffi::PyUnicode_FromObject(string.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(string.py(), plain)?.cast_into_unchecked())
    }
}

/// Returns the hash of an exact str.
#[inline]
pub(super) fn content_hash(string: &Bound<'_, PyString>) -> PyResult<u64> {
    if layout_is_known(string.py()) {
        // SAFETY: head, length and hash are what a str begins with in all versions that are known.
        let hash = unsafe { *string.as_ptr().cast::<ffi::Py_hash_t>().add(3) };
        // Until it is first asked for, there is none.
        if hash != -1 {
            return Ok(hash.cast_unsigned() as u64);
        }
    }
    Ok(string.hash()?.cast_unsigned() as u64)
}

impl Keys {
    /// Returns whether a key and another exact str have the same content.
    #[inline]
    pub(super) fn equal(&self, number: u32, other: Borrowed<'_, '_, PyString>) -> bool {
        let (name, other, py) = (&self.names[number as usize], other.as_ptr(), other.py());
        let name = name.as_ptr();
        // SAFETY: both are exact str and alive: comparing them runs no Python code, and cannot
        // fail as they have been hashed before.
        unsafe {
            if name == other {
                return true;
            }
            match (ascii(py, name), ascii(py, other)) {
                (Some(name), Some(other)) => name == other,
                _ => ffi::PyUnicode_Compare(name, other) == 0,
            }
        }
    }
}

/// Returns the characters of an exact str that has only ASCII ones, where the layout is known.
///
/// # Safety
///
/// The str is alive while the characters are used.
#[inline]
unsafe fn ascii<'a>(py: Python<'_>, string: *mut ffi::PyObject) -> Option<&'a [u8]> {
    /// Set in the state of a str whose characters follow its head, and are all ASCII.
    const COMPACT_ASCII: u32 = 0b110_0000;
    static HEAD: OnceLock<usize> = OnceLock::new();
    let head = *HEAD.get_or_init(|| {
        let version = py.version_info();
        let plain = cfg!(all(target_endian = "little", target_pointer_width = "64"));
        match (version.major, version.minor) {
            (3, 11) if plain && layout_is_known(py) => 48,
            (3, 12 | 13) if plain && layout_is_known(py) => 40,
            _ => 0,
        }
    });
    if head == 0 {
        return None;
    }
    // SAFETY: head, length, hash and state are what a str begins with in these versions; one of
    // this state has as many bytes behind its head as its length says.
    unsafe {
        let words = string.cast::<usize>();
        let state = *words.add(4).cast::<u32>();
        (state & COMPACT_ASCII == COMPACT_ASCII)
            .then(|| slice::from_raw_parts(string.cast::<u8>().add(head), *words.add(2)))
    }
}

/// Returns whether an object is an exact set or frozenset.
///
/// # Safety
///
/// The object is alive.
#[inline]
unsafe fn is_exact_set(object: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller promises; only the type is read.
    unsafe { ffi::PySet_CheckExact(object) != 0 || ffi::PyFrozenSet_CheckExact(object) != 0 }
}

/// Asks for the cache line at an address, which may be any.
#[inline]
pub(super) fn prefetch<T>(address: *const T) {
    // SAFETY: a prefetch is a hint; it neither reads nor faults, whatever the address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for the cache lines of a str of the length of an id.
#[inline]
fn prefetch_string(string: *const ffi::PyObject) {
    let first = string.cast::<u8>();
    prefetch(first);
    prefetch(first.wrapping_add(64));
    prefetch(first.wrapping_add(112));
}

/// Asks for the array behind a list, which is an object of its own in memory.
#[inline]
fn prefetch_items(value: *mut ffi::PyObject) {
    // SAFETY: the callers pass live objects. An exact list is larger than four words in every
    // version of CPython (head, type, length, array, capacity). If the fourth were something else
    // one day, then a useless address would be prefetched, and nothing worse.
    unsafe {
        if ffi::PyList_CheckExact(value) != 0 {
            prefetch(*value.cast::<*const u8>().add(3));
        }
    }
}
