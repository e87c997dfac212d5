"""A walk over a graph from Python, in which every node succeeds."""

import pytest

from podcore import DependencyGraph
from shapes import SHAPES, is_order_of

SIZE = 100_000
SHORT = 1000
# Seconds that a node may take.
BUDGET = 1e-6


def drain(walk):
    order = []
    while not walk.finished:
        for name in walk.ready():
            walk.succeed(name)
            order.append(name)
    return order


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("shape", SHAPES)
def test_drain(benchmark, shape, reverse):
    size = SHORT if benchmark.disabled else SIZE
    mapping = SHAPES[shape](size)
    graph = DependencyGraph(mapping)
    graph.traversal().ready()
    benchmark.group = f"traversal:{shape}:{'reverse' if reverse else 'forward'}"
    benchmark.extra_info |= {"subject": "podcore", "shape": shape, "size": size}
    benchmark.extra_info["budget"] = size * BUDGET

    order = benchmark.pedantic(
        drain,
        setup=lambda: ((graph.traversal(reverse=reverse),), {}),
        rounds=1 if benchmark.disabled else 7,
        warmup_rounds=0 if benchmark.disabled else 1,
    )

    assert is_order_of(reversed(order) if reverse else order, mapping)
