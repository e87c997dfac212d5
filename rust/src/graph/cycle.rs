//! Finds cycles and shows one of each tangle.

use super::csr::Rows;
use crate::error::Cycle;

const UNSEEN: u32 = u32::MAX;

/// Returns the cycles worth telling, by their first node.
///
/// These are every self-dependency, and for every strongly connected component the shortest cycle
/// through its first node. `stuck` says which nodes can be on a cycle at all. The rows are sorted,
/// so the answer does not depend on the order in which dependencies were named.
pub(super) fn cycles(dependencies: &Rows, stuck: &[bool]) -> Vec<Cycle> {
    let component = components(dependencies, stuck);
    let mut search = Search::new(dependencies, &component);
    let mut seen = vec![false; component.len()];
    let mut found = Vec::new();
    for node in 0..component.len() as u32 {
        if !stuck[node as usize] {
            continue;
        }
        if dependencies.row(node).contains(&node) {
            found.push(Cycle(vec![node]));
        }
        let first = !std::mem::replace(&mut seen[component[node as usize] as usize], true);
        if first && let Some(cycle) = search.shortest(node) {
            found.push(cycle);
        }
    }
    found
}

/// Returns for each stuck node the number of its strongly connected component.
///
/// Tarjan's algorithm with a stack of its own instead of recursion.
fn components(dependencies: &Rows, stuck: &[bool]) -> Vec<u32> {
    let count = dependencies.len();
    let mut component = vec![UNSEEN; count];
    let mut index = vec![UNSEEN; count];
    let mut low = vec![0_u32; count];
    let mut open: Vec<u32> = Vec::new();
    // A node and how many of its dependencies have been looked at.
    let mut path: Vec<(u32, u32)> = Vec::new();
    let (mut next_index, mut next_component) = (0, 0);
    for start in 0..count as u32 {
        if !stuck[start as usize] || index[start as usize] != UNSEEN {
            continue;
        }
        path.push((start, 0));
        while let Some((node, position)) = path.last_mut() {
            let node = *node as usize;
            if *position == 0 {
                index[node] = next_index;
                low[node] = next_index;
                next_index += 1;
                open.push(node as u32);
            }
            let row = dependencies.row(node as u32);
            if let Some(&target) = row.get(*position as usize) {
                *position += 1;
                if !stuck[target as usize] {
                    continue;
                }
                if index[target as usize] == UNSEEN {
                    path.push((target, 0));
                } else if component[target as usize] == UNSEEN {
                    low[node] = low[node].min(index[target as usize]);
                }
                continue;
            }
            path.pop();
            if let Some(&(parent, _)) = path.last() {
                low[parent as usize] = low[parent as usize].min(low[node]);
            }
            if low[node] == index[node] {
                while let Some(member) = open.pop() {
                    component[member as usize] = next_component;
                    if member as usize == node {
                        break;
                    }
                }
                next_component += 1;
            }
        }
    }
    component
}

/// Breadth-first searches that stay in one component each, so that all together are linear.
struct Search<'a> {
    dependencies: &'a Rows,
    component: &'a [u32],
    /// The node from which each node was reached.
    reached_from: Vec<u32>,
}

impl<'a> Search<'a> {
    fn new(dependencies: &'a Rows, component: &'a [u32]) -> Self {
        Self {
            dependencies,
            component,
            reached_from: vec![UNSEEN; component.len()],
        }
    }

    /// Returns the shortest cycle of at least two nodes through `start`, if there is one.
    fn shortest(&mut self, start: u32) -> Option<Cycle> {
        let mut queue = vec![start];
        let mut next = 0;
        while let Some(&node) = queue.get(next) {
            next += 1;
            for &target in self.dependencies.row(node) {
                if target == start && node != start {
                    let mut path = vec![node];
                    let mut node = node;
                    while node != start {
                        node = self.reached_from[node as usize];
                        path.push(node);
                    }
                    path.reverse();
                    return Some(Cycle(path));
                }
                let within = self.component[target as usize] == self.component[start as usize];
                let reached = &mut self.reached_from[target as usize];
                if target != start && within && *reached == UNSEEN {
                    *reached = node;
                    queue.push(target);
                }
            }
        }
        None
    }
}
