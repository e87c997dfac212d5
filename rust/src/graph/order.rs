//! Levels and order: where a node stands when everything that it depends on comes first.

use std::mem::take;

use super::csr::Rows;
use super::spare;

/// How many nodes are few.
const FEW: usize = 16;
/// From how many nodes on a walk waits for memory, so that asking for it early is worth it.
const FAR: usize = 1 << 15;
/// How many places ahead of a walk it is asked for where a row is, for the row, and for what is
/// missing of the nodes in it.
const OFFSET_AHEAD: usize = 24;
const ROW_AHEAD: usize = 16;
const MISSING_AHEAD: usize = 8;

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
        return levels_of_few(dependencies);
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
        let mut own = 0;
        for &dependency in row {
            if dependency as usize >= node {
                return false;
            }
            own = own.max(level[dependency as usize] + 1);
        }
        level[node] = own;
    }
    true
}

/// Returns the levels of few nodes; None when there is a cycle.
///
/// Sets of nodes are bits here: for so few it costs less to look at all that are left once for
/// each level than to make room for anything.
fn levels_of_few(dependencies: &Rows) -> Option<Levels> {
    let count = dependencies.len();
    let mut needed = [0_u32; FEW];
    for (needed, row) in needed.iter_mut().zip(dependencies.iter()) {
        for &dependency in row {
            *needed |= 1 << dependency;
        }
    }
    let (mut order, mut begins) = ([0; FEW], [0; FEW + 1]);
    let (mut placed, mut levels) = (0, 0);
    let mut waiting = (1_u32 << count) - 1;
    while waiting != 0 {
        let (before, mut left) = (placed, waiting);
        begins[levels] = before as u32;
        levels += 1;
        let mut still_waiting = waiting;
        while left != 0 {
            let node = left.trailing_zeros();
            left &= left - 1;
            let ready = needed[node as usize % FEW] & waiting == 0;
            // As in `levels_of_any`: written in any case, counted only when it is ready.
            order[placed % FEW] = node;
            placed += usize::from(ready);
            still_waiting ^= u32::from(ready) << node;
        }
        if placed == before {
            return None;
        }
        waiting = still_waiting;
    }
    begins[levels] = count as u32;
    let mut order_and_begins = Vec::with_capacity(count + levels + 1);
    order_and_begins.extend_from_slice(&order[..count]);
    order_and_begins.extend_from_slice(&begins[..=levels]);
    Some(Levels {
        order_and_begins,
        count,
    })
}

/// Returns the levels of any graph, by Kahn's algorithm.
///
/// `prefetch` asks for the memory of a number.
///
/// # Errors
///
/// Which nodes are on a cycle or depend on one, when there is a cycle.
pub(super) fn levels_of_any(
    dependencies: &Rows,
    dependents: &Rows,
    prefetch: impl Fn(&u32) + Copy,
) -> Result<Levels, Vec<bool>> {
    let count = dependencies.len();
    let far = count >= FAR;
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
        if far {
            // What is not in the queue yet stands there as 0, or as a node that was not counted.
            if let Some(&later) = queue.get(next + OFFSET_AHEAD) {
                dependents.prefetch_offset(later, prefetch);
            }
            if let Some(&later) = queue.get(next + ROW_AHEAD) {
                dependents.prefetch_row(later, prefetch);
                prefetch(&missing[later as usize]);
            }
            if next + MISSING_AHEAD < end {
                for &dependent in dependents.row(queue[next + MISSING_AHEAD]) {
                    prefetch(&missing[dependent as usize]);
                }
            }
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
