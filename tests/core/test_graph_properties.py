"""Properties of dependency graphs, against definitions that are slow and plain."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcore import errors
from podcore._core import DependencyGraph
from strategies import Dependencies, dags, digraphs, inputs


def slow_levels(mapping: Dependencies) -> dict[str, int]:
    level: dict[str, int] = {}
    while len(level) < len(mapping):
        for node, row in mapping.items():
            if all(dependency in level for dependency in row):
                level[node] = max((level[dependency] + 1 for dependency in row), default=0)
    return level


def distances(mapping: Dependencies, start: str) -> dict[str, int]:
    """How many edges it takes to each node; to the start itself, how many lead back to it."""
    distance: dict[str, int] = {}
    queue = deque([(start, 0)])
    while queue:
        node, steps = queue.popleft()
        for dependency in mapping.get(node, ()):
            if dependency not in distance:
                distance[dependency] = steps + 1
                queue.append((dependency, steps + 1))
    return distance


def mirrored(mapping: Dependencies) -> Dependencies:
    return {node: [key for key, row in mapping.items() if node in row] for node in mapping}


@given(dags())
def test_order_is_a_permutation_that_respects_every_edge(mapping: Dependencies) -> None:
    order = DependencyGraph(mapping).order()

    assert sorted(order) == sorted(mapping)
    place = {node: i for i, node in enumerate(order)}
    assert all(place[d] < place[node] for node, row in mapping.items() for d in row)


@given(dags())
def test_levels_are_minimal_and_ties_come_in_the_order_of_the_keys(mapping: Dependencies) -> None:
    graph = DependencyGraph(mapping)
    level = slow_levels(mapping)

    count = max(level.values(), default=-1) + 1
    assert graph.levels() == [[n for n in mapping if level[n] == i] for i in range(count)]
    assert graph.order() == [node for nodes in graph.levels() for node in nodes]


@given(dags(), st.randoms(use_true_random=False))
def test_answers_do_not_depend_on_how_dependencies_are_given(
    mapping: Dependencies, random: object
) -> None:
    graph = DependencyGraph(mapping)
    others = [
        DependencyGraph({node: set(row) for node, row in mapping.items()}),
        DependencyGraph({node: tuple(reversed(row)) * 9 for node, row in mapping.items()}),
        DependencyGraph({node: ("".join(list(d)) for d in row) for node, row in mapping.items()}),
    ]

    for other in others:
        assert other.levels() == graph.levels()
        assert other.transitive_reduction() == graph.transitive_reduction()
        assert all(other.dependencies(node) == graph.dependencies(node) for node in mapping)


@given(dags())
def test_relatives_are_what_can_be_reached(mapping: Dependencies) -> None:
    graph = DependencyGraph(mapping)
    mirror = mirrored(mapping)

    for node in mapping:
        up, down = distances(mapping, node), distances(mirror, node)
        assert graph.dependencies(node) == [key for key in mapping if key in mapping[node]]
        assert graph.dependents(node) == mirror[node]
        assert graph.ancestors(node) == [key for key in mapping if key in up]
        assert graph.descendants(node) == [key for key in mapping if key in down]
    assert graph.roots == [node for node in mapping if not mapping[node]]
    assert graph.leaves == [node for node in mapping if not mirror[node]]


@given(dags())
def test_reduction_keeps_what_can_be_reached_with_no_edge_to_spare(mapping: Dependencies) -> None:
    reduced = DependencyGraph(mapping).transitive_reduction()

    assert list(reduced) == list(mapping)
    for node, row in reduced.items():
        assert distances(reduced, node).keys() == distances(mapping, node).keys()
        for dependency in row:
            fewer = reduced | {node: [d for d in row if d != dependency]}
            assert dependency not in distances(fewer, node)


@given(st.data(), dags())
def test_critical_path_is_a_path_and_no_other_weighs_more(
    data: st.DataObject, mapping: Dependencies
) -> None:
    weights = {node: data.draw(st.integers(0, 5)) for node in mapping}
    path = DependencyGraph(mapping).critical_path(weights)

    assert all(before in mapping[after] for before, after in pairwise(path))
    heaviest: dict[str, int] = {}
    for node in sorted(mapping, key=slow_levels(mapping).__getitem__):
        heaviest[node] = weights[node] + max((heaviest[d] for d in mapping[node]), default=0)
    assert sum(weights[node] for node in path) == max(heaviest.values(), default=0)


@given(digraphs())
def test_cycle_is_told_if_and_only_if_there_is_one(mapping: Dependencies) -> None:
    back = {node: distances(mapping, node).get(node) for node in mapping}
    on_cycle = [node for node in mapping if back[node] is not None]
    if not on_cycle:
        assert len(DependencyGraph(mapping)) == len(mapping)
        return
    with pytest.raises(errors.DependencyCycleError) as raised:
        DependencyGraph(mapping)

    defects = raised.value.defects
    assert defects[0] is raised.value
    cycles = [d.cycle for d in defects if isinstance(d, errors.DependencyCycleError)]
    assert len(cycles) == len(defects) == len(set(cycles))
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(after in mapping[before] for before, after in pairwise(cycle))
        loopless = {node: [d for d in row if d != node] for node, row in mapping.items()}
        own = mapping if len(cycle) == 2 else loopless
        assert len(cycle) - 1 == distances(own, cycle[0])[cycle[0]]
        first = min(cycle, key=list(mapping).index)
        assert first == cycle[0]
    # The first node that is on a cycle at all begins the first one, by the shortest way.
    assert cycles[0][0] == on_cycle[0]
    assert len(cycles[0]) - 1 == back[on_cycle[0]]
    assert {(node, node) for node, row in mapping.items() if node in row} <= set(cycles)
    # Each tangle that is more than self-dependencies is told once.
    tangles = {
        frozenset(
            other
            for other in mapping
            if other in distances(mapping, node) and node in distances(mapping, other)
        )
        for node in on_cycle
    }
    assert sum(len(tangle) > 1 for tangle in tangles) == sum(len(cycle) > 2 for cycle in cycles)


@given(inputs())
def test_unknown_dependencies_are_told_one_by_one_and_before_cycles(mapping: Dependencies) -> None:
    unknown = [
        (node, d) for node, row in mapping.items() for d in dict.fromkeys(row) if d not in mapping
    ]
    if not unknown:
        return
    with pytest.raises(errors.UnknownDependencyError) as raised:
        DependencyGraph(mapping)
    known = {node: [d for d in row if d in mapping] for node, row in mapping.items()}
    try:
        DependencyGraph(known)
    except errors.DependencyCycleError as error:
        cycles = [d.cycle for d in error.defects if isinstance(d, errors.DependencyCycleError)]
    else:
        cycles = []

    told = [
        (d.container, d.dependency) if isinstance(d, errors.UnknownDependencyError) else d.cycle
        for d in raised.value.defects
        if isinstance(d, errors.UnknownDependencyError | errors.DependencyCycleError)
    ]
    assert told == unknown + cycles
    assert len(raised.value.defects) == len(told)


@given(dags())
@settings(max_examples=20)  # each with threads of its own
def test_threads_get_the_same_answers_from_one_graph(mapping: Dependencies) -> None:
    graph = DependencyGraph(mapping)

    def ask(_: int) -> object:
        return (
            graph.order(),
            graph.leaves,
            [graph.descendants(node) for node in mapping],
            graph.transitive_reduction(),
        )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(8)))

    assert all(answer == answers[0] for answer in answers)
