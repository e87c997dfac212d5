"""From a mapping to an order: podcore beside rustworkx and graphlib."""

import functools
import graphlib
import statistics
import time

from podcore import DependencyGraph
from shapes import SHAPES, is_order_of, with_equal_strings

try:
    import rustworkx
except ImportError:  # it belongs to the dependency group `bench`, which the tests do without
    rustworkx = None

# How many times faster than rustworkx, by number of nodes.
TARGETS = {10: 8, 100: 10, 1000: 14, 10_000: 14, 100_000: 20, 1_000_000: 25}
# A chain is what peers are best at: each step finds its memory close by.
CHAIN_TARGET = 14
EQUAL_STRINGS_TARGET = 8
# Where dependencies are equal to keys, but not the same objects.
EQUAL_STRINGS_FROM = 10_000
GRAPHLIB_TARGET = 30
# graphlib takes a second from here on.
GRAPHLIB_UP_TO = 100_000
SHORT = 1000

ROUNDS = {10: 100, 100: 100, 1000: 60, 10_000: 20, 100_000: 7, 1_000_000: 3}
# In a round this many nodes are ordered by podcore, so that a clock can tell; by peers an eighth.
NODES_IN_A_ROUND = 20_000
PEERS_SHARE = 8


def by_podcore(mapping):
    return DependencyGraph(mapping).order()


def by_rustworkx(mapping):
    graph = rustworkx.PyDiGraph()
    numbers = dict(zip(mapping, graph.add_nodes_from(list(mapping)), strict=True))
    graph.add_edges_from_no_data(
        [(numbers[name], numbers[key]) for key, row in mapping.items() for name in row]
    )
    return [graph[number] for number in rustworkx.topological_sort(graph)]


def by_graphlib(mapping):
    return list(graphlib.TopologicalSorter(mapping).static_order())


@functools.lru_cache(maxsize=1)
def mapping_of(shape, size, equal_strings):
    mapping = SHAPES[shape](size)
    return with_equal_strings(mapping) if equal_strings else mapping


def targets(shape, size, equal_strings):
    if equal_strings:
        return {"rustworkx": EQUAL_STRINGS_TARGET}
    target = min(TARGETS[size], CHAIN_TARGET) if shape == "chain" else TARGETS[size]
    if 100 <= size <= GRAPHLIB_UP_TO:
        return {"rustworkx": target, "graphlib": GRAPHLIB_TARGET}
    return {"rustworkx": target}


def peers(size, equal_strings):
    found = {} if rustworkx is None else {"rustworkx": by_rustworkx}
    if size <= GRAPHLIB_UP_TO and not equal_strings:
        found["graphlib"] = by_graphlib
    return found


def seconds_of(run, mapping, times):
    begin = time.perf_counter()
    for _ in range(times):
        run(mapping)
    return (time.perf_counter() - begin) / times


def pytest_generate_tests(metafunc):
    short = metafunc.config.getoption("benchmark_disable")
    metafunc.parametrize(
        ("shape", "size", "equal_strings"),
        [
            (shape, size, equal_strings)
            for size in TARGETS
            for shape in SHAPES
            for equal_strings in (False, True)
            if (size <= SHORT if short else size >= EQUAL_STRINGS_FROM or not equal_strings)
        ],
    )


def test_order_of_a_mapping(benchmark, shape, size, equal_strings):
    """Peers take their turns after each round, so that what else the machine does hits all alike."""
    mapping = mapping_of(shape, size, equal_strings)
    strings = ":equal strings" if equal_strings else ""
    benchmark.group = f"graph:{shape}:{size}{strings}"
    benchmark.extra_info |= {"subject": "podcore", "shape": shape, "size": size}
    benchmark.extra_info["target"] = targets(shape, size, equal_strings)
    others = peers(size, equal_strings)
    # Warms all of them up, too.
    for run in (by_podcore, *others.values()):
        assert is_order_of(run(mapping), mapping)

    iterations = max(1, NODES_IN_A_ROUND // size)
    measured = {name: [] for name in others}

    def measure_peers(mapping):
        for name, run in others.items():
            measured[name].append(seconds_of(run, mapping, max(1, iterations // PEERS_SHARE)))

    order = benchmark.pedantic(
        by_podcore,
        (mapping,),
        teardown=measure_peers,
        rounds=ROUNDS[size],
        iterations=iterations,
    )
    benchmark.extra_info["peers"] = {
        name: statistics.median(seconds) for name, seconds in measured.items() if seconds
    }

    assert is_order_of(order, mapping)
