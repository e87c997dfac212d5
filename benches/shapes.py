"""Seeded graphs of several shapes, and the questions that the benchmarks of graphs put to them."""

import json
import random
from collections.abc import Callable, Iterable, Mapping

Dependencies = dict[str, list[str]]

SEED = 20260
DEPENDENCIES = 3
LAYER = 50


def ids(count: int) -> list[str]:
    """Returns ids as containers have them: 64 hexadecimal digits."""
    rng = random.Random(SEED)
    return [f"{rng.getrandbits(256):064x}" for _ in range(count)]


def random_shape(count: int) -> Dependencies:
    """Each node depends on three others; the keys are in no order of any use."""
    rng = random.Random(SEED + 1)
    names = ids(count)
    rows = {
        name: [names[i] for i in rng.sample(range(place), min(place, DEPENDENCIES))]
        for place, name in enumerate(names)
    }
    rng.shuffle(names)
    return {name: rows[name] for name in names}


def layered_shape(count: int) -> Dependencies:
    """Each node depends on three of the layer before its own, in the order of creation."""
    rng = random.Random(SEED + 2)
    names = ids(count)
    layer = max(2, min(LAYER, count // 4))
    mapping: Dependencies = {}
    for place, name in enumerate(names):
        begin = place // layer * layer
        before = range(max(0, begin - layer), begin)
        mapping[name] = [names[i] for i in rng.sample(before, min(len(before), DEPENDENCIES))]
    return mapping


def chain_shape(count: int) -> Dependencies:
    """Each node depends on the three before it, so that there is one way through."""
    names = ids(count)
    return {name: names[max(0, i - DEPENDENCIES) : i] for i, name in enumerate(names)}


SHAPES: Mapping[str, Callable[[int], Dependencies]] = {
    "random": random_shape,
    "layered": layered_shape,
    "chain": chain_shape,
}


def with_equal_strings(mapping: Dependencies) -> Dependencies:
    """Returns the same with no string twice, as read from JSON."""
    return {key: json.loads(json.dumps(row)) for key, row in mapping.items()}


def is_order_of(order: Iterable[str], mapping: Mapping[str, Iterable[str]]) -> bool:
    """Returns whether the order has every node once, and after all that it depends on."""
    place = {name: i for i, name in enumerate(order)}
    return place.keys() == mapping.keys() and all(
        place[dependency] < place[name] for name, row in mapping.items() for dependency in row
    )
