//! Questions about paths: what is reachable, which edges are needed for it, which path weighs most.

use super::Graph;
use super::csr::Rows;

/// Returns the nodes that can be reached from a node, itself not included, by number.
pub(super) fn reachable(rows: &Rows, node: u32) -> Vec<u32> {
    let mut seen = vec![false; rows.len()];
    seen[node as usize] = true;
    let mut found = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        for &target in rows.row(node) {
            if !std::mem::replace(&mut seen[target as usize], true) {
                found.push(target);
                open.push(target);
            }
        }
    }
    found.sort_unstable();
    found
}

/// Returns the fewest edges that keep everything reachable that is: rows of dependencies, sorted.
///
/// An edge is dropped when another dependency of the same node leads to its target. Searches never
/// go below the lowest level among a node's dependencies: nothing there can be one of them.
pub(super) fn transitive_reduction(graph: &Graph) -> Rows {
    let rows = graph.dependencies_by_row();
    let mut level = vec![0_u32; rows.len()];
    for (number, nodes) in graph.levels().iter().enumerate() {
        for &node in nodes {
            level[node as usize] = number as u32;
        }
    }
    let mut reduced = Rows::with_capacity(rows.len());
    // The node on whose behalf a node was last visited, plus one.
    let mut visited_for = vec![0_u32; rows.len()];
    let mut open: Vec<u32> = Vec::new();
    for (node, row) in rows.iter().enumerate() {
        let mark = node as u32 + 1;
        let lowest = row
            .iter()
            .map(|&target| level[target as usize])
            .min()
            .unwrap_or(0);
        // From the highest level down: whatever leads to a dependency is searched before it.
        let mut candidates = row.to_vec();
        candidates.sort_unstable_by_key(|&target| (u32::MAX - level[target as usize], target));
        let mut kept = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            if visited_for[candidate as usize] == mark {
                continue;
            }
            kept.push(candidate);
            open.push(candidate);
            while let Some(node) = open.pop() {
                for &target in rows.row(node) {
                    let visited = &mut visited_for[target as usize];
                    if *visited != mark && level[target as usize] >= lowest {
                        *visited = mark;
                        open.push(target);
                    }
                }
            }
        }
        kept.sort_unstable();
        for target in kept {
            reduced.push(target);
        }
        // A part of rows that could be counted before can be counted now.
        if reduced.end_row().is_err() {
            unreachable!("a reduction has no more edges than its graph");
        }
    }
    reduced
}

/// Returns the path of the greatest sum of weights, dependencies first; empty without nodes.
///
/// Weights are finite and not negative. Among paths of equal weight the one that ends at the node
/// of the smallest number is taken, and so on backwards.
pub(super) fn critical_path(graph: &Graph, weights: &[f64]) -> Vec<u32> {
    let mut total = vec![0.0_f64; weights.len()];
    let mut before: Vec<Option<u32>> = vec![None; weights.len()];
    for &node in graph.levels().order() {
        let mut best: Option<u32> = None;
        for &dependency in graph.dependencies_by_row().row(node) {
            if best.is_none_or(|best| heavier(&total, dependency, best)) {
                best = Some(dependency);
            }
        }
        total[node as usize] =
            weights[node as usize] + best.map_or(0.0, |best| total[best as usize]);
        before[node as usize] = best;
    }
    let mut last: Option<u32> = None;
    for node in 0..weights.len() as u32 {
        if last.is_none_or(|last| heavier(&total, node, last)) {
            last = Some(node);
        }
    }
    let mut path = Vec::new();
    while let Some(node) = last {
        path.push(node);
        last = before[node as usize];
    }
    path.reverse();
    path
}

fn heavier(total: &[f64], node: u32, than: u32) -> bool {
    let (own, other) = (total[node as usize], total[than as usize]);
    own > other || (own >= other && node < than)
}
