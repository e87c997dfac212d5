//! The dependency graph: who depends on whom, in which order they start, what is wrong with it.
//!
//! Nodes are numbers in input order. Everything here is iterative: a chain of a million nodes, or
//! a cycle of as many, needs no deeper stack than one of two.

mod csr;
mod cycle;
mod order;
mod reach;
mod spare;
mod table;

use std::sync::OnceLock;

pub use csr::Rows;
pub use order::Levels;
pub use table::NumberTable;

use crate::error::Cycle;

/// A directed acyclic graph of dependencies. Immutable; what only later questions need is made
/// when it is first asked for.
#[derive(Debug)]
pub struct Graph {
    dependencies: Rows,
    dependents: OnceLock<Rows>,
    levels: Levels,
}

impl Graph {
    /// Makes a graph from the dependencies of each node, without duplicates in a row.
    ///
    /// # Errors
    ///
    /// The cycles worth telling, by their first node: every self-dependency, and in every tangle
    /// of nodes that reach each other the shortest cycle through the first of them.
    pub fn new(dependencies: Rows) -> Result<Self, Vec<Cycle>> {
        Self::with_prefetch(dependencies, |_| ())
    }

    /// As `new`, with a way to ask for the memory of a number before it is read, which safe code
    /// lacks.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn with_prefetch(
        dependencies: Rows,
        prefetch: impl Fn(&u32) + Copy,
    ) -> Result<Self, Vec<Cycle>> {
        if let Some(levels) = order::levels_at_once(&dependencies) {
            return Ok(Self {
                dependencies,
                dependents: OnceLock::new(),
                levels,
            });
        }
        let dependents = dependencies.transposed();
        match order::levels_of_any(&dependencies, &dependents, prefetch) {
            Ok(levels) => Ok(Self {
                dependencies,
                dependents: dependents.into(),
                levels,
            }),
            Err(stuck) => Err(cycle::cycles(&dependencies.sorted(), &stuck)),
        }
    }

    /// Returns the cycles of rows that cannot become a graph anyway; empty when there are none.
    pub fn cycles(dependencies: Rows) -> Vec<Cycle> {
        Self::new(dependencies).err().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.dependencies.len()
    }

    pub fn is_empty(&self) -> bool {
        self.dependencies.is_empty()
    }

    /// Returns the nodes by level; in a level, and so in the order, smaller numbers come first.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Returns the dependencies of every node, each row as it was given.
    pub fn dependencies_by_row(&self) -> &Rows {
        &self.dependencies
    }

    /// Returns the dependents of every node, each row by number.
    pub fn dependents_by_row(&self) -> &Rows {
        self.dependents
            .get_or_init(|| self.dependencies.transposed())
    }

    /// Returns what a node depends on directly, by number.
    pub fn dependencies(&self, node: u32) -> Vec<u32> {
        let mut row = self.dependencies.row(node).to_vec();
        row.sort_unstable();
        row
    }

    /// Returns what depends on a node directly, by number.
    pub fn dependents(&self, node: u32) -> &[u32] {
        self.dependents_by_row().row(node)
    }

    /// Returns what a node depends on, directly or not, by number.
    pub fn ancestors(&self, node: u32) -> Vec<u32> {
        reach::reachable(&self.dependencies, node)
    }

    /// Returns what depends on a node, directly or not, by number.
    pub fn descendants(&self, node: u32) -> Vec<u32> {
        reach::reachable(self.dependents_by_row(), node)
    }

    /// Returns the nodes without dependencies, by number.
    pub fn roots(&self) -> Vec<u32> {
        without_targets(&self.dependencies)
    }

    /// Returns the nodes on which nothing depends, by number.
    pub fn leaves(&self) -> Vec<u32> {
        without_targets(self.dependents_by_row())
    }

    /// Returns the path of the greatest sum of weights, dependencies first.
    ///
    /// `weights` has a finite, not negative one for every node.
    pub fn critical_path(&self, weights: &[f64]) -> Vec<u32> {
        assert_eq!(weights.len(), self.len(), "one weight for every node");
        reach::critical_path(self, weights)
    }

    /// Returns the dependencies that are not implied by others, each row by number.
    pub fn transitive_reduction(&self) -> Rows {
        reach::transitive_reduction(self)
    }
}

fn without_targets(rows: &Rows) -> Vec<u32> {
    (0_u32..)
        .zip(rows.iter())
        .filter(|(_, row)| row.is_empty())
        .map(|(node, _)| node)
        .collect()
}
