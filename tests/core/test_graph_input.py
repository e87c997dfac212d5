"""What a dependency graph can be read from, and what happens to what it can't be."""

import gc
import json
import subprocess
import sys
import weakref
from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType

import pytest

from podcore import errors
from podcore._core import DependencyGraph

MAPPING = {"web": ["api", "db"], "api": ["db"], "db": []}
ORDER = ["db", "api", "web"]


class Name(str):
    """A str subclass whose own hash and equality must not be asked."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment] # unhashable on purpose


class Text(str):
    """A harmless str subclass."""

    __slots__ = ()


class Strange(Mapping[str, Iterable[str]]):
    """A mapping that is no dict, with a say in each step of its being read."""

    def __init__(
        self, rows: dict[str, Iterable[str]], on_read: Callable[[str], object] = lambda _: None
    ) -> None:
        self.rows = rows
        self.on_read = on_read

    def __getitem__(self, key: str) -> Iterable[str]:
        self.on_read(key)
        return self.rows[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@pytest.mark.parametrize(
    "convert",
    [list, tuple, set, frozenset, iter, dict.fromkeys, lambda row: (name for name in row)],
    ids=["list", "tuple", "set", "frozenset", "iterator", "dict", "generator"],
)
@pytest.mark.parametrize("wrap", [dict, OrderedDict, MappingProxyType, UserDict, Strange])
def test_any_mapping_of_any_iterables_gives_the_same_answers(
    wrap: Callable[[dict[str, Iterable[str]]], Mapping[str, Iterable[str]]],
    convert: Callable[[list[str]], Iterable[str]],
) -> None:
    graph = DependencyGraph(wrap({key: convert(row) for key, row in MAPPING.items()}))

    assert graph.order() == ORDER
    assert graph.dependencies("web") == ["api", "db"]
    assert graph.roots == ["db"]


def test_kinds_of_rows_may_be_mixed_in_one_dict() -> None:
    count = 300
    kinds = (list, tuple, set, frozenset)
    mapping: dict[str, Iterable[str]] = {
        f"n{i}": kinds[i % len(kinds)](f"n{j}" for j in range(max(0, i - 3), i))
        for i in range(count)
    }

    assert DependencyGraph(mapping).order() == list(mapping)


def test_strings_are_the_callers_own() -> None:
    keys = [Text(f"n{i}") if i % 2 else f"n{i}" for i in range(40)]
    for chosen in (keys, [key for key in keys if type(key) is str]):
        mapping: dict[str, list[str]] = {key: [] for key in chosen}
        order = DependencyGraph(mapping).order()
        assert all(ours is theirs for ours, theirs in zip(order, mapping, strict=True))


@pytest.mark.parametrize("count", [5, 500])
def test_equal_strings_need_not_be_the_same_objects(count: int) -> None:
    mapping = {f"n{i}": [f"n{j}" for j in range(max(0, i - 3), i)] for i in range(count)}
    half = {
        key: json.loads(json.dumps(row)) if i % 2 else row
        for i, (key, row) in enumerate(mapping.items())
    }

    for other in (json.loads(json.dumps(mapping)), half):
        graph = DependencyGraph(other)
        assert graph.order() == list(mapping)
        assert graph.dependents("n1") == DependencyGraph(mapping).dependents("n1")


def test_subclasses_of_str_are_compared_as_text() -> None:
    graph = DependencyGraph({Text("b"): [Text("a"), "a"], "a": []})
    strange = DependencyGraph(Strange({"b": [Name("a")], "a": []}))

    assert graph.order() == strange.order() == ["a", "b"]
    assert graph.ancestors(Text("b")) == ["a"]
    assert Name("a") in strange


def test_ids_may_be_any_text() -> None:
    names = ["", "ä", "\N{SNOWMAN}", "\N{PILE OF POO}", "\ud800", "a\0b"]
    mapping = {name: [str(before)] for before, name in pairwise(names)}

    assert DependencyGraph(mapping | {"": []}).order() == names


def test_duplicates_collapse() -> None:
    row = ["a", "b", "a", "c", "b"]
    graph = DependencyGraph({"x": row * 10, "y": row, "a": [], "b": [], "c": []})

    for name in ("x", "y"):
        assert graph.dependencies(name) == ["a", "b", "c"]
    assert graph.dependents("a") == ["x", "y"]
    walk = graph.traversal()
    for name in walk.ready():
        walk.succeed(name)
    assert walk.ready() == ["x", "y"]


def test_a_row_may_be_long() -> None:
    names = [f"n{i}" for i in range(5000)]
    graph = DependencyGraph({"all": [*names, *names, "n0"]} | {name: [] for name in names})

    assert graph.order() == [*names, "all"]
    assert graph.dependencies("all") == names


def test_output_does_not_depend_on_the_hashes_of_strings() -> None:
    program = """if True:
        from podcore import errors
        from podcore._core import DependencyGraph
        rows = {f"n{i}": {f"n{j}" for j in range(i % 7, i, 3)} for i in range(60)}
        graph = DependencyGraph(dict(reversed(rows.items())))
        walk = graph.traversal()
        print(graph.order(), graph.dependencies("n50"), graph.transitive_reduction(), walk.ready())
        try:
            DependencyGraph({"a": {"x", "y", "z", "b", "c"}, "b": {"a", "c"}, "c": {"a", "b"}})
        except errors.GraphError as error:
            print(error, error.defects)
    """
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(outputs) == 1
    assert b"`a` depends on `x`" in outputs.pop()


@pytest.mark.parametrize("wrap", [dict, Strange])
def test_single_str_instead_of_several_is_refused(wrap: Callable[[object], object]) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=r"`web`.*\nhint: "):
        DependencyGraph(wrap({"web": "db"}))  # type: ignore[arg-type] # object on purpose


@pytest.mark.parametrize("row", [None, 1, [1], ("db", None), {b"db"}, b"db", iter([1])])
def test_dependencies_that_are_no_strings_are_refused(row: object) -> None:
    with pytest.raises(TypeError, match="`web`"):
        DependencyGraph({"db": [], "web": row})  # type: ignore[dict-item] # on purpose


@pytest.mark.parametrize("mapping", [None, [("a", [])], {1: []}, {"a": [], None: []}, {("a",): []}])
def test_what_is_no_mapping_of_strings_is_refused(mapping: object) -> None:
    with pytest.raises(TypeError):
        DependencyGraph(mapping)  # type: ignore[arg-type] # on purpose


def test_key_that_appears_twice_is_refused() -> None:
    class Twice(Strange):
        def __iter__(self) -> Iterator[str]:
            return iter(["a", "a"])

        def __len__(self) -> int:
            return 2

    with pytest.raises(errors.InvalidArgumentError, match="`a`"):
        DependencyGraph(Twice({"a": []}))


def test_exceptions_of_the_mapping_come_through() -> None:
    def fail(_: str) -> None:
        raise OSError(5, "gone")

    def rows() -> Iterator[str]:
        yield "a"
        raise OSError(5, "gone")

    with pytest.raises(OSError, match="gone"):
        DependencyGraph(Strange({"a": []}, fail))
    with pytest.raises(OSError, match="gone"):
        DependencyGraph({"a": [], "b": rows()})


@pytest.mark.parametrize("change", ["grow", "shrink", "clear"])
@pytest.mark.parametrize("wrap", [dict, Strange])
def test_change_while_being_read_is_an_error(wrap: type[dict[str, object]], change: str) -> None:
    def row() -> Iterator[str]:
        match change:
            case "grow":
                rows["new"] = []
            case "shrink":
                del rows["n90"]
            case _:
                rows.clear()
        yield from ()

    rows: dict[str, Iterable[str]] = {f"n{i}": [] for i in range(100)}
    rows["n50"] = row()
    mapping = rows if wrap is dict else Strange(rows)

    with pytest.raises(RuntimeError):
        DependencyGraph(mapping)


def test_change_at_the_last_key_is_an_error() -> None:
    def row() -> Iterator[str]:
        rows["new"] = []
        yield from ()

    rows: dict[str, Iterable[str]] = {"a": [], "b": row()}

    with pytest.raises(RuntimeError):
        DependencyGraph(rows)


def test_garbage_collection_while_sets_are_read_may_change_the_mapping() -> None:
    class Bomb:
        pass

    mapping: dict[str, Iterable[str]] = {f"n{i}": {"n0", f"m{i}"} - {f"m{i}"} for i in range(5000)}
    mapping["n0"] = set()
    fired = []

    def clear(_: object = None) -> None:
        fired.append(len(mapping))
        for row in mapping.values():
            if isinstance(row, set):
                row.clear()
        mapping.clear()

    bomb = Bomb()
    bomb.itself = bomb  # type: ignore[attr-defined] # only the collector frees it
    weakref.finalize(bomb, clear)
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        del bomb
        try:
            order = DependencyGraph(mapping).order()
        except RuntimeError:
            pass  # it was noticed
        else:
            assert len(order) in {0, 5000}
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert fired


def test_failed_reads_keep_nothing_alive() -> None:
    key = Text("key")
    before = sys.getrefcount(key)

    for row in ([key], ["unknown"], 1, [2], {"unknown", key}):
        with pytest.raises((errors.GraphError, TypeError)):
            DependencyGraph({key: row})  # type: ignore[dict-item] # wrong types on purpose
        with pytest.raises((errors.GraphError, TypeError)):
            DependencyGraph({str(key): row})  # type: ignore[dict-item] # likewise
    del row
    gc.collect()

    assert sys.getrefcount(key) == before


def test_graph_gives_every_reference_back() -> None:
    keys = [f"key {i}" for i in range(50)]
    before = [sys.getrefcount(key) for key in keys]

    mapping: dict[str, Iterable[str]] = {
        key: kind(keys[:i])
        for i, (key, kind) in enumerate(zip(keys, (list, set) * 25, strict=True))
    }
    graph = DependencyGraph(mapping)
    walk = graph.traversal()
    walk.ready()
    del mapping, graph, walk

    assert [sys.getrefcount(key) for key in keys] == before
