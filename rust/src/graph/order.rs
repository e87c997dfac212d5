//! Levels and order: where a node stands when everything that it depends on comes first.

use std::mem::take;

use super::csr::Rows;
use super::spare;

/// The nodes of an acyclic graph by level, and in each level by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    /// All nodes, those of the first level first; behind them where each level begins, and the end
    /// of the last one. One array, as small graphs spend most of their time on allocations.
    order_and_begins: Vec<u32>,
    count: usize,
}

impl Levels {
    /// Returns all nodes, those of the first level first.
    pub fn order(&self) -> &[u32] {
        &self.order_and_begins[..self.count]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let (order, begins) = self.order_and_begins.split_at(self.count);
        begins
            .windows(2)
            .map(|ends| &order[ends[0] as usize..ends[1] as usize])
    }

    /// Sorts the nodes by counting: both passes over `level` are sequential.
    fn from_level_of_each(level: Vec<u32>) -> Self {
        let count = level.len();
        let levels = level.iter().max().map_or(0, |&last| last as usize + 1);
        let mut order_and_begins = spare::take_zeros(count + levels + 1);
        let (order, begins) = order_and_begins.split_at_mut(count);
        for &level in &level {
            begins[level as usize] += 1;
        }
        // As in `Rows::transposed`: ends become begins while the levels fill from behind.
        let mut end = 0;
        for begin in &mut *begins {
            end += *begin;
            *begin = end;
        }
        for (node, &level) in level.iter().enumerate().rev() {
            let place = &mut begins[level as usize];
            *place -= 1;
            order[*place as usize] = node as u32;
        }
        spare::give(level);
        Self {
            order_and_begins,
            count,
        }
    }
}

impl Drop for Levels {
    fn drop(&mut self) {
        spare::give(take(&mut self.order_and_begins));
    }
}

/// Returns the levels of a graph in which each node depends only on nodes of smaller number; None
/// for any other.
///
/// Nothing has to be reversed or queued for it: one pass in order of number does.
pub(super) fn levels_of_ordered(dependencies: &Rows) -> Option<Levels> {
    let mut level = spare::take(dependencies.len());
    for row in dependencies.iter() {
        let mut own = 0;
        for &dependency in row {
            own = own.max(level.get(dependency as usize)? + 1);
        }
        level.push(own);
    }
    Some(Levels::from_level_of_each(level))
}

/// Returns the levels of any graph, by Kahn's algorithm.
///
/// # Errors
///
/// Which nodes are on a cycle or depend on one, when there is a cycle.
pub(super) fn levels_of_any(dependencies: &Rows, dependents: &Rows) -> Result<Levels, Vec<bool>> {
    let count = dependencies.len();
    // Of a node in the queue or behind it nothing is missing; its level takes the place.
    let mut missing = spare::take(count);
    missing.extend(dependencies.iter().map(|row| row.len() as u32));
    // One place more than there are nodes: see below.
    let mut queue = spare::take_zeros(count + 1);
    let mut end = 0;
    for (node, &missing) in missing.iter().enumerate() {
        queue[end] = node as u32;
        end += usize::from(missing == 0);
    }
    let (mut next, mut level_end, mut level) = (0, end, 0);
    while next < end {
        if next == level_end {
            level_end = end;
            level += 1;
        }
        let node = queue[next];
        next += 1;
        missing[node as usize] = level;
        for &dependent in dependents.row(node) {
            let missing = &mut missing[dependent as usize];
            *missing -= 1;
            // Written in any case, counted only when nothing is missing: a branch here would be
            // mispredicted all the time, and hold up the reads of the next nodes behind it.
            queue[end] = dependent;
            end += usize::from(*missing == 0);
        }
    }
    if end < count {
        let mut stuck = vec![true; count];
        for &node in &queue[..end] {
            stuck[node as usize] = false;
        }
        return Err(stuck);
    }
    spare::give(queue);
    Ok(Levels::from_level_of_each(missing))
}
