//! Tests of the pure core, without an interpreter. Properties are tested from Python.

use std::cell::Cell;
use std::sync::Arc;

use _core::error::{Cycle, NotAtWork};
use _core::graph::{Graph, NumberTable, Rows};
use _core::traverse::Traversal;

fn rows(dependencies: &[&[u32]]) -> Rows {
    let mut rows = Rows::with_capacity(dependencies.len());
    for row in dependencies {
        for &dependency in *row {
            rows.push(dependency);
        }
        rows.end_row().expect("a small graph");
    }
    rows
}

fn graph(dependencies: &[&[u32]]) -> Graph {
    Graph::new(rows(dependencies)).expect("no cycle")
}

fn cycles(dependencies: &[&[u32]]) -> Vec<Vec<u32>> {
    Graph::cycles(rows(dependencies))
        .into_iter()
        .map(|Cycle(nodes)| nodes)
        .collect()
}

/// Node `i` depends on `i - 1`, or on `i + 1` when reversed; the ends meet when closed.
fn chain(count: u32, reversed: bool, closed: bool) -> Rows {
    let mut rows = Rows::with_capacity(count as usize);
    for node in 0..count {
        let next = if reversed {
            node + 1
        } else {
            node.wrapping_sub(1)
        };
        if next < count {
            rows.push(next);
        } else if closed {
            rows.push(if reversed { 0 } else { count - 1 });
        }
        rows.end_row().expect("a million edges");
    }
    rows
}

#[test]
fn copied_rows_are_those_that_were_written_one_by_one() {
    let written = rows(&[&[3, 1], &[], &[3], &[]]);

    assert_eq!(Rows::copied(&[0, 2, 2, 3, 3], &[3, 1, 3]), written);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there, and is safe code")]
fn asking_for_memory_early_changes_no_answer() {
    let asked = Cell::new(0);
    let count = 40_000;

    let plain = Graph::new(chain(count, true, false)).expect("a chain");
    let ahead = Graph::with_prefetch(chain(count, true, false), |_| asked.set(asked.get() + 1));

    assert_eq!(ahead.expect("a chain").levels(), plain.levels());
    assert!(asked.get() > 0, "so large a graph asks");
}

#[test]
fn order_is_by_level_and_then_by_number() {
    // 3 and 1 have no dependencies; 0 needs both; 2 needs 3 alone.
    let graph = graph(&[&[3, 1], &[], &[3], &[]]);

    assert_eq!(graph.levels().order(), [1, 3, 0, 2]);
    assert_eq!(
        graph.levels().iter().collect::<Vec<_>>(),
        [&[1, 3][..], &[0, 2]]
    );
}

#[test]
fn ordered_and_unordered_input_of_one_graph_give_the_same_levels() {
    // The same graph twice; the second time with the numbers turned round.
    let ordered = graph(&[&[], &[0], &[0], &[1, 2], &[]]);
    let turned = graph(&[&[], &[3, 2], &[4], &[4], &[]]);

    let turn = |level: &[u32]| level.iter().rev().map(|node| 4 - node).collect::<Vec<_>>();
    let levels: Vec<_> = ordered.levels().iter().map(<[u32]>::to_vec).collect();
    assert_eq!(levels, turned.levels().iter().map(turn).collect::<Vec<_>>());
}

#[test]
fn levels_do_not_depend_on_how_few_nodes_there_are() {
    // Graphs of up to 32 nodes are sorted in another way than larger ones.
    for count in [1, 2, 31, 32, 33, 64] {
        let nodes: Vec<u32> = (0..count).rev().collect();
        let graph = Graph::new(chain(count, true, false)).expect("no cycle");
        assert_eq!(graph.levels().order(), nodes);
        assert_eq!(graph.levels().iter().count(), nodes.len());
        assert_eq!(
            Graph::cycles(chain(count, true, true)),
            [Cycle((0..count).collect())]
        );
    }
}

#[test]
fn empty_graph_has_no_levels() {
    let graph = graph(&[]);

    assert!(graph.is_empty());
    assert_eq!(graph.levels().iter().count(), 0);
    assert_eq!(graph.critical_path(&[]), [0_u32; 0]);
}

#[test]
fn neighbours_and_reachable_nodes_come_by_number() {
    let graph = graph(&[&[], &[0], &[1, 0], &[2]]);

    assert_eq!(graph.dependencies(2), [0, 1]);
    assert_eq!(graph.dependents(0), [1, 2]);
    assert_eq!(graph.ancestors(3), [0, 1, 2]);
    assert_eq!(graph.descendants(0), [1, 2, 3]);
    assert_eq!((graph.roots(), graph.leaves()), (vec![0], vec![3]));
}

#[test]
fn reduction_drops_what_a_longer_path_implies() {
    let reduced = graph(&[&[], &[0], &[1, 0], &[2, 1, 0]]).transitive_reduction();

    assert_eq!(reduced, rows(&[&[], &[0], &[1], &[2]]));
}

#[test]
fn critical_path_has_the_greatest_weight() {
    let graph = graph(&[&[], &[], &[0, 1], &[2]]);

    assert_eq!(graph.critical_path(&[1.0, 5.0, 1.0, 1.0]), [1, 2, 3]);
    assert_eq!(graph.critical_path(&[1.0, 1.0, 1.0, 1.0]), [0, 2, 3]);
    assert_eq!(graph.critical_path(&[1.0, 9.0, 0.0, 0.0]), [1]);
}

#[test]
fn self_dependency_is_a_cycle_of_one() {
    assert_eq!(cycles(&[&[0]]), [vec![0]]);
}

#[test]
fn cycle_is_the_shortest_through_the_first_node_of_its_tangle() {
    // 1 → 2 → 3 → 1 and 1 → 3 → 1: the latter is shorter. 0 only depends on the tangle.
    assert_eq!(cycles(&[&[1], &[2, 3], &[3], &[1]]), [vec![1, 3]]);
}

#[test]
fn every_tangle_and_every_self_dependency_is_told() {
    assert_eq!(
        cycles(&[&[1], &[0], &[2], &[4, 3], &[3]]),
        [vec![0, 1], vec![2], vec![3], vec![3, 4]]
    );
}

#[test]
#[cfg_attr(miri, ignore = "an interpreter takes hours for it")]
fn million_nodes_need_no_recursion() {
    const COUNT: u32 = 1_000_000;
    let forward = Graph::new(chain(COUNT, false, false)).expect("a chain");
    assert!(forward.levels().order().iter().copied().eq(0..COUNT));
    assert_eq!(forward.descendants(0).len(), COUNT as usize - 1);

    let backward = Graph::new(chain(COUNT, true, false)).expect("a chain");
    assert!(
        backward
            .levels()
            .order()
            .iter()
            .copied()
            .eq((0..COUNT).rev())
    );

    for reversed in [false, true] {
        let found = Graph::new(chain(COUNT, reversed, true)).expect_err("a cycle");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.len(), COUNT as usize);
    }
}

#[test]
fn traversal_hands_out_each_node_once_and_after_its_dependencies() {
    let mut walk = Traversal::new(Arc::new(graph(&[&[], &[], &[1, 0], &[2]])), false);

    assert_eq!(walk.ready(), [0, 1]);
    assert_eq!(walk.ready(), [0_u32; 0]);
    walk.succeed(1).expect("at work");
    assert_eq!(walk.ready(), [0_u32; 0]);
    walk.succeed(0).expect("at work");
    assert_eq!(walk.ready(), [2]);
    walk.succeed(2).expect("at work");
    assert_eq!(walk.ready(), [3]);
    assert!(!walk.finished());
    walk.succeed(3).expect("at work");
    assert!(walk.finished());
}

#[test]
fn failure_skips_what_waits_for_it_with_the_first_failed_as_cause() {
    // 4 waits for both 0 and 1; 3 for 1 alone; 2 for 0 alone.
    let mut walk = Traversal::new(Arc::new(graph(&[&[], &[], &[0], &[1], &[2, 1]])), false);
    walk.ready();

    assert_eq!(walk.fail(1), Ok(vec![3, 4]));
    assert_eq!(walk.fail(0), Ok(vec![2]));
    assert_eq!(walk.skipped(), [(3, 1), (4, 1), (2, 0)]);
    assert!(walk.finished());
}

#[test]
fn traversal_refuses_news_of_nodes_that_are_not_at_work() {
    let mut walk = Traversal::new(Arc::new(graph(&[&[], &[0]])), false);

    assert_eq!(walk.succeed(0), Err(NotAtWork::NotHandedOut));
    walk.ready();
    assert_eq!(walk.fail(1), Err(NotAtWork::NotHandedOut));
    walk.fail(0).expect("at work");
    assert_eq!(walk.succeed(0), Err(NotAtWork::ToldBefore));
    assert_eq!(walk.succeed(1), Err(NotAtWork::Skipped));
}

#[test]
fn reversed_traversal_starts_with_what_nothing_depends_on() {
    let mut walk = Traversal::new(Arc::new(graph(&[&[], &[0], &[0]])), true);

    assert_eq!(walk.ready(), [1, 2]);
    assert_eq!(walk.fail(2), Ok(vec![0]));
    walk.succeed(1).expect("at work");
    assert!(walk.finished());
}

#[test]
fn table_tells_entries_of_one_tag_apart() {
    let mut table = NumberTable::default();
    table.reset(3);
    for number in 0..3 {
        table.insert(7, 7, number);
    }

    assert_eq!(table.find(7, 7, |number| number == 2), Some(2));
    assert_eq!(table.find(7, 8, |_| true), None);
    table.reset(3);
    assert_eq!(table.find(7, 7, |_| true), None);
}
