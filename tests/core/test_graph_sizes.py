"""Graphs on both sides of where another way of reading or levelling them begins."""

import gc
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache

import pytest

from podcore import errors
from podcore._core import DependencyGraph

# Few for levels: 16. Few for reading: 128. Near: 2,048. A walk that asks ahead: 32,768.
SIZES = [1, 15, 16, 17, 64, 127, 128, 129, 700, 2048, 2049, 33_000]
# Ids as they are, and so short that two of them can be in one granule of memory.
WIDTHS = [64, 1]

Rows = dict[str, list[str]]


def shuffled_dag(size: int, width: int) -> tuple[Rows, list[str]]:
    """Returns a mapping, keys in no order of any use, and the order by level and then by key."""
    rng = random.Random(size)
    names = [f"{i:0{width}x}" for i in range(size)]
    rows: Rows = {}
    level: dict[str, int] = {}
    for i, name in enumerate(names):
        rows[name] = [names[j] for j in rng.sample(range(i), min(i, rng.randrange(5)))]
        level[name] = max((level[dependency] + 1 for dependency in rows[name]), default=0)
    rng.shuffle(names)
    return {name: rows[name] for name in names}, sorted(names, key=lambda name: level[name])


cases = cache(shuffled_dag)


def equal_strings(rows: Rows) -> Rows:
    return {key: json.loads(json.dumps(row)) for key, row in rows.items()}


def some_equal_strings(rows: Rows) -> Rows:
    return {
        key: json.loads(json.dumps(row)) if i % 7 == 3 else row
        for i, (key, row) in enumerate(rows.items())
    }


def every_name_twice(rows: Rows) -> Rows:
    return {key: row + row for key, row in rows.items()}


def tuples(rows: Rows) -> dict[str, Iterable[str]]:
    return {key: tuple(row) for key, row in rows.items()}


def sets(rows: Rows) -> dict[str, Iterable[str]]:
    return {key: set(row) for key, row in rows.items()}


def a_set_at_the_end(rows: Rows) -> dict[str, Iterable[str]]:
    return {
        key: set(row) if i == len(rows) - 1 else row for i, (key, row) in enumerate(rows.items())
    }


@pytest.mark.parametrize(
    "variant",
    [dict, equal_strings, some_equal_strings, every_name_twice, tuples, sets, a_set_at_the_end],
)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", SIZES)
def test_order_is_the_same_for_every_size_and_kind_of_row(
    size: int, width: int, variant: Callable[[Rows], dict[str, Iterable[str]]]
) -> None:
    rows, order = cases(size, width)

    graph = DependencyGraph(variant(rows))

    assert graph.order() == order
    assert [id(name) for name in graph.order()] == [id(name) for name in order]


@pytest.mark.parametrize("size", SIZES)
def test_defects_are_found_at_every_size(size: int) -> None:
    rows, order = cases(size, 64)
    last = order[-1]

    with pytest.raises(errors.UnknownDependencyError) as unknown:
        DependencyGraph({**rows, last: [*rows[last], "unknown"]})
    with pytest.raises(errors.DependencyCycleError) as cycle:
        DependencyGraph({**rows, last: [*rows[last], last]})

    assert (unknown.value.container, unknown.value.dependency) == (last, "unknown")
    assert cycle.value.cycle == (last, last)


@pytest.mark.parametrize("lists", [0, 1, 3])
@pytest.mark.parametrize("size", [5, 200])
def test_every_reference_is_given_back_however_many_lists_there_were(size: int, lists: int) -> None:
    keys = [f"key {i}" for i in range(size)]
    before = [sys.getrefcount(key) for key in keys]

    graph = DependencyGraph({key: keys[:i] for i, key in enumerate(keys)})
    orders = [graph.order() for _ in range(lists)]
    del graph
    held = [sys.getrefcount(key) for key in keys]
    del orders

    assert held == [count + lists for count in before]
    assert [sys.getrefcount(key) for key in keys] == before


def test_failed_graphs_give_every_reference_back() -> None:
    keys = [f"key {i}" for i in range(300)]
    before = [sys.getrefcount(key) for key in keys]

    for size in (5, 300):
        rows: Rows = {key: keys[:i] for i, key in enumerate(keys[:size])}
        with pytest.raises(errors.GraphError):
            DependencyGraph(rows | {keys[0]: [keys[size - 1]]})
        with pytest.raises(errors.GraphError):
            DependencyGraph(rows | {keys[0]: ["unknown"]})
        with pytest.raises(TypeError):
            DependencyGraph(rows | {keys[0]: [1]})  # type: ignore[list-item] # wrong on purpose
        with pytest.raises(TypeError):
            DependencyGraph(rows | {1: []})  # type: ignore[dict-item] # likewise
        del rows
    gc.collect()

    assert [sys.getrefcount(key) for key in keys] == before


PEAK = """
import random, sys
from podcore import DependencyGraph

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

count = 100_000
rng = random.Random(1)
names = [f"{rng.getrandbits(256):064x}" for _ in range(count)]
rows = {n: [names[j] for j in rng.sample(range(i), min(i, 3))] for i, n in enumerate(names)}
rng.shuffle(names)
mapping = {name: rows[name] for name in names}
edges = sum(map(len, mapping.values()))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = status("VmRSS")
order = DependencyGraph(mapping).order()
print(status("VmHWM") - before, 128 * count + 24 * edges)
"""


def test_peak_of_memory_is_within_the_budget() -> None:
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    peak, budget = map(int, done.stdout.split())

    assert peak <= budget
