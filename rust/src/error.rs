//! What the graph and the traversal refuse, in terms of node numbers.
//!
//! The binding knows which ids the numbers stand for and makes the Python exceptions.

use std::fmt;

/// A circle of dependencies: each node depends on the next one, the last one on the first.
///
/// The first node is not repeated at the end; a node that depends on itself is a cycle of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<u32>);

/// The graph has more nodes or more edges than 32-bit numbers can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a graph has at most 2\u{b3}\u{b2} - 2 nodes and as many edges")
    }
}

impl std::error::Error for TooLarge {}

/// A traversal was told something about a node that is not at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAtWork {
    /// It still waits for its dependencies, or nobody has asked for it yet.
    NotHandedOut,
    /// Its result is known already.
    ToldBefore,
    /// It was skipped, because a node that it depends on failed.
    Skipped,
}
