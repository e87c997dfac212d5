//! Levels and order: where a node stands when everything that it depends on comes first.

use std::mem::take;

use super::csr::Rows;
use super::spare;

/// How many nodes are few.
const FEW: usize = 32;

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
    fn from_level_of_each(level: &[u32]) -> Self {
        let count = level.len();
        let levels = level.iter().max().map_or(0, |&last| last as usize + 1);
        let mut order_and_begins = spare::take_zeros(count + levels + 1);
        let (order, begins) = order_and_begins.split_at_mut(count);
        for &level in level {
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

/// Returns the levels of a graph in which each node depends only on nodes of smaller number, or
/// which has few nodes; None for any other, and where there is a cycle.
///
/// Nothing has to be reversed or queued for these.
pub(super) fn levels_at_once(dependencies: &Rows) -> Option<Levels> {
    let count = dependencies.len();
    if count <= FEW {
        let mut level = [0; FEW];
        let level = &mut level[..count];
        let known = level_ordered(dependencies, level) || level_few(dependencies, level);
        return known.then(|| Levels::from_level_of_each(level));
    }
    let mut level = spare::take_zeros(count);
    let levels =
        level_ordered(dependencies, &mut level).then(|| Levels::from_level_of_each(&level));
    spare::give(level);
    levels
}

/// Writes the level of each node; returns false when one depends on a node of no smaller number.
fn level_ordered(dependencies: &Rows, level: &mut [u32]) -> bool {
    for (node, row) in dependencies.iter().enumerate() {
        let (before, own) = level.split_at_mut(node);
        for &dependency in row {
            let Some(below) = before.get(dependency as usize) else {
                return false;
            };
            own[0] = own[0].max(below + 1);
        }
    }
    true
}

/// Writes the level of each of few nodes; returns false when there is a cycle.
///
/// Sets of nodes are bits here: for so few it costs less to look at all nodes once for each level
/// than to make room for anything.
fn level_few(dependencies: &Rows, level: &mut [u32]) -> bool {
    let mut needed = [0_u64; FEW];
    for (needed, row) in needed.iter_mut().zip(dependencies.iter()) {
        for &dependency in row {
            *needed |= 1 << dependency;
        }
    }
    let all = (1_u64 << level.len()) - 1;
    let (mut done, mut current) = (0, 0);
    while done != all {
        let mut ready = 0;
        for (node, (own, needed)) in level.iter_mut().zip(needed).enumerate() {
            if done >> node & 1 == 0 && needed & !done == 0 {
                ready |= 1 << node;
                *own = current;
            }
        }
        if ready == 0 {
            return false;
        }
        done |= ready;
        current += 1;
    }
    true
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
    let levels = Levels::from_level_of_each(&missing);
    spare::give(missing);
    Ok(levels)
}
