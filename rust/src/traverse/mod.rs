//! The traversal of a dependency graph: says what is ready, is told what became of it, and says
//! what is skipped. A state machine without input or output.

use std::ops::Deref;

use crate::error::NotAtWork;
use crate::graph::{Graph, Rows};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for dependencies, or to be handed out.
    Waiting,
    HandedOut,
    Succeeded,
    Failed,
    Skipped,
}

/// One walk over a graph, dependencies first, or dependents first when it is reversed.
///
/// `G` is what keeps the graph: a reference, or whatever owns it together with others.
#[derive(Debug)]
pub struct Traversal<G> {
    graph: G,
    reverse: bool,
    /// How many of those that a node waits for have not succeeded.
    missing: Vec<u32>,
    state: Vec<State>,
    /// Waits for nothing any more, and is not handed out.
    ready: Vec<u32>,
    /// Nodes that are neither skipped nor have a result.
    unfinished: usize,
    /// Skipped nodes with the failed one behind it, in the order in which they were skipped.
    skipped: Vec<(u32, u32)>,
}

impl<G: Deref<Target = Graph>> Traversal<G> {
    pub fn new(graph: G, reverse: bool) -> Self {
        let count = graph.len();
        let waits_for = if reverse {
            graph.dependents_by_row()
        } else {
            graph.dependencies_by_row()
        };
        let missing: Vec<u32> = waits_for.iter().map(|row| row.len() as u32).collect();
        let ready = if reverse {
            graph.leaves()
        } else {
            graph.roots()
        };
        Self {
            graph,
            reverse,
            missing,
            state: vec![State::Waiting; count],
            ready,
            unfinished: count,
            skipped: Vec::new(),
        }
    }

    /// Hands out the nodes that have become ready since the last call, by number.
    pub fn ready(&mut self) -> Vec<u32> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_unstable();
        for &node in &ready {
            self.state[node as usize] = State::HandedOut;
        }
        ready
    }

    /// Takes note that a node did what it should, which may make others ready.
    pub fn succeed(&mut self, node: u32) -> Result<(), NotAtWork> {
        self.finish(node, State::Succeeded)?;
        for &next in released_by(&self.graph, self.reverse).row(node) {
            let missing = &mut self.missing[next as usize];
            *missing -= 1;
            if *missing == 0 {
                self.ready.push(next);
            }
        }
        Ok(())
    }

    /// Takes note that a node failed; returns the nodes that are skipped for it, by number.
    ///
    /// These are all that wait for it, directly or not, but for those skipped before.
    pub fn fail(&mut self, node: u32) -> Result<Vec<u32>, NotAtWork> {
        self.finish(node, State::Failed)?;
        let rows = released_by(&self.graph, self.reverse);
        let mut open = vec![node];
        let mut skipped = Vec::new();
        while let Some(node) = open.pop() {
            for &next in rows.row(node) {
                // Whatever waits for a skipped node was skipped with it.
                if self.state[next as usize] == State::Waiting {
                    self.state[next as usize] = State::Skipped;
                    skipped.push(next);
                    open.push(next);
                }
            }
        }
        skipped.sort_unstable();
        self.unfinished -= skipped.len();
        self.skipped
            .extend(skipped.iter().map(|&skipped| (skipped, node)));
        Ok(skipped)
    }

    /// Returns the skipped nodes, each with the node that failed first of those it waited for.
    pub fn skipped(&self) -> &[(u32, u32)] {
        &self.skipped
    }

    /// Returns whether every node is skipped or has a result.
    pub fn finished(&self) -> bool {
        self.unfinished == 0
    }

    fn finish(&mut self, node: u32, result: State) -> Result<(), NotAtWork> {
        let state = &mut self.state[node as usize];
        match state {
            State::HandedOut => {
                *state = result;
                self.unfinished -= 1;
                Ok(())
            }
            State::Waiting => Err(NotAtWork::NotHandedOut),
            State::Skipped => Err(NotAtWork::Skipped),
            State::Succeeded | State::Failed => Err(NotAtWork::ToldBefore),
        }
    }
}

/// Returns the rows of the nodes that wait for a node.
fn released_by(graph: &Graph, reverse: bool) -> &Rows {
    if reverse {
        graph.dependencies_by_row()
    } else {
        graph.dependents_by_row()
    }
}
