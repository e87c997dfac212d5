//! Large arrays of node numbers that the next graph of a thread can use again.
//!
//! The allocator would give their memory back to the system, and ask for it again page by page,
//! which is much of the time that a graph of a hundred thousand nodes takes.

use std::cell::RefCell;

/// How many arrays a thread keeps, and up to which size altogether.
const KEPT: usize = 8;
const KEPT_BYTES: usize = 4 << 20;
/// From which size on an array is worth it, in numbers: smaller ones the allocator keeps itself.
const LARGE: usize = 1 << 13;
/// How many times larger than needed an array may be.
const SLACK: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u32>>> = const { RefCell::new(Vec::new()) };
}

/// Returns an empty array with room for so many numbers.
#[inline]
pub(super) fn take(room: usize) -> Vec<u32> {
    if room < LARGE {
        return Vec::with_capacity(room);
    }
    // Without a thread's memory, as at its end, there is nothing to be found.
    let found = SPARE.try_with(|spare| find(spare, room)).ok().flatten();
    found.unwrap_or_else(|| Vec::with_capacity(room))
}

/// Returns an array of so many zeros.
#[inline]
pub(super) fn take_zeros(count: usize) -> Vec<u32> {
    let mut array = take(count);
    array.resize(count, 0);
    array
}

/// Keeps an array for later, if there is room for it.
#[inline]
pub(super) fn give(array: Vec<u32>) {
    if array.capacity() >= LARGE {
        // At the end of a thread nothing is kept, and the array is freed.
        let _ = SPARE.try_with(|spare| keep(spare, array));
    }
}

/// Takes out the smallest array that is large enough, and not much too large.
fn find(spare: &RefCell<Vec<Vec<u32>>>, room: usize) -> Option<Vec<u32>> {
    let mut spare = spare.borrow_mut();
    let fits = |capacity| capacity >= room && capacity / SLACK <= room;
    let best = (0..spare.len())
        .filter(|&place| fits(spare[place].capacity()))
        .min_by_key(|&place| spare[place].capacity())?;
    Some(spare.swap_remove(best))
}

fn keep(spare: &RefCell<Vec<Vec<u32>>>, mut array: Vec<u32>) {
    let mut spare = spare.borrow_mut();
    if spare.len() == KEPT {
        spare.remove(0);
    }
    let numbers: usize = spare.iter().map(Vec::capacity).sum();
    if (numbers + array.capacity()) * size_of::<u32>() <= KEPT_BYTES {
        array.clear();
        spare.push(array);
    }
}
