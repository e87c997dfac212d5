"""From a mapping to an order: podcore beside rustworkx and graphlib."""

import functools
import graphlib

from podcore import DependencyGraph
from shapes import SHAPES, is_order_of, with_equal_strings

try:
    import rustworkx
except ImportError:  # it belongs to the dependency group `bench`, which the tests do without
    rustworkx = None

# How many times faster than rustworkx, by number of nodes.
TARGETS = {10: 8, 100: 10, 1000: 14, 10_000: 14, 100_000: 20, 1_000_000: 25}
# Chains have a third of the edges: there is less for a peer to be slow at.
CHAIN_TARGET = 14
EQUAL_STRINGS_TARGET = 8
# Where dependencies are equal to keys, but not the same objects.
EQUAL_STRINGS_FROM = 10_000
GRAPHLIB_TARGET = 30
# graphlib takes a second from here on.
GRAPHLIB_UP_TO = 100_000
SHORT = 1000


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


SUBJECTS = {"podcore": by_podcore, "rustworkx": by_rustworkx, "graphlib": by_graphlib}


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


def subjects(size, equal_strings):
    names = ["podcore"]
    if rustworkx is not None:
        names.append("rustworkx")
    if size <= GRAPHLIB_UP_TO and not equal_strings:
        names.append("graphlib")
    return names


def pytest_generate_tests(metafunc):
    short = metafunc.config.getoption("benchmark_disable")
    metafunc.parametrize(
        ("shape", "size", "equal_strings", "subject"),
        [
            (shape, size, equal_strings, subject)
            for size in TARGETS
            for shape in SHAPES
            for equal_strings in (False, True)
            for subject in subjects(size, equal_strings)
            if (size <= SHORT if short else size >= EQUAL_STRINGS_FROM or not equal_strings)
        ],
    )


def test_order_of_a_mapping(benchmark, shape, size, equal_strings, subject):
    mapping = mapping_of(shape, size, equal_strings)
    strings = ":equal strings" if equal_strings else ""
    benchmark.group = f"graph:{shape}:{size}{strings}"
    benchmark.extra_info |= {"subject": subject, "shape": shape, "size": size}
    if subject == "podcore":
        benchmark.extra_info["target"] = targets(shape, size, equal_strings)

    if benchmark.disabled or size <= SHORT:
        order = benchmark(SUBJECTS[subject], mapping)
    else:
        rounds = 3 if size > GRAPHLIB_UP_TO else 7
        order = benchmark.pedantic(SUBJECTS[subject], (mapping,), rounds=rounds, warmup_rounds=1)

    assert is_order_of(order, mapping)
