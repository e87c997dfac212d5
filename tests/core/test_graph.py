"""What a dependency graph answers, by example."""

import math
from typing import TYPE_CHECKING

import pytest

from podcore import errors
from podcore._core import DependencyGraph, _panic_for_test

if TYPE_CHECKING:
    from collections.abc import Callable

# d needs c and b, these need a; e stands alone. The keys come in no order of any use.
DIAMOND = {"d": ["c", "b"], "b": ["a"], "e": [], "c": ["a"], "a": []}


def test_order_is_by_level_and_then_by_key() -> None:
    graph = DependencyGraph(DIAMOND)

    assert graph.order() == ["e", "a", "b", "c", "d"]
    assert graph.levels() == [["e", "a"], ["b", "c"], ["d"]]


def test_roots_have_no_dependencies_and_on_leaves_nothing_depends() -> None:
    graph = DependencyGraph(DIAMOND)

    assert graph.roots == ["e", "a"]
    assert graph.leaves == ["d", "e"]


def test_neighbours_and_relatives_come_in_the_order_of_the_keys() -> None:
    graph = DependencyGraph(DIAMOND)

    assert graph.dependencies("d") == ["b", "c"]
    assert graph.dependents("a") == ["b", "c"]
    assert graph.ancestors("d") == ["b", "c", "a"]
    assert graph.descendants("a") == ["d", "b", "c"]
    assert graph.ancestors("e") == graph.descendants("e") == []


def test_length_and_membership() -> None:
    graph = DependencyGraph(DIAMOND)

    assert len(graph) == 5
    assert "a" in graph
    assert "x" not in graph
    assert 1 not in graph


def test_empty_mapping_is_an_empty_graph() -> None:
    graph = DependencyGraph({})

    assert (len(graph), graph.order(), graph.levels(), graph.roots) == (0, [], [], [])
    assert graph.critical_path({}) == []
    assert graph.transitive_reduction() == {}
    assert "a" not in graph
    assert graph.traversal().finished


@pytest.mark.parametrize("query", ["dependencies", "dependents", "ancestors", "descendants"])
def test_query_for_an_unknown_id_names_it(query: str) -> None:
    ask: Callable[[object], list[str]] = getattr(DependencyGraph(DIAMOND), query)

    with pytest.raises(errors.NoSuchContainerError, match="`x`"):
        ask("x")
    with pytest.raises(TypeError):
        ask(1)


# Libpod's thirteen cases (libpod/container_graph_test.go), with the order that there has to be.
@pytest.mark.parametrize(
    ("mapping", "order"),
    [
        pytest.param({}, [], id="no containers"),
        pytest.param({"a": []}, ["a"], id="one"),
        pytest.param({"a": [], "b": []}, ["a", "b"], id="two without edge"),
        pytest.param({"a": ["b"], "b": []}, ["b", "a"], id="two with edge"),
        pytest.param({"a": [], "b": [], "c": []}, ["a", "b", "c"], id="three without edges"),
        pytest.param({"a": ["b", "c"], "b": ["c"], "c": []}, ["c", "b", "a"], id="three acyclic"),
        pytest.param({"a": [], "b": [], "c": [], "d": []}, ["a", "b", "c", "d"], id="four loose"),
        pytest.param(
            {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []},
            ["d", "b", "c", "a"],
            id="four acyclic",
        ),
    ],
)
def test_libpod_graphs_without_cycle(mapping: dict[str, list[str]], order: list[str]) -> None:
    assert DependencyGraph(mapping).order() == order


@pytest.mark.parametrize(
    ("mapping", "cycle"),
    [
        pytest.param({"a": ["b"], "b": ["a"]}, "aba", id="two in a cycle"),
        pytest.param({"a": ["b"], "b": ["a"], "c": []}, "aba", id="three, two in a cycle"),
        pytest.param({"a": ["b"], "b": ["c"], "c": ["a"]}, "abca", id="three, all in a cycle"),
        pytest.param(
            {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["c"]}, "abca", id="four, three in a cycle"
        ),
        pytest.param(
            {"a": ["b"], "b": ["c"], "c": ["d"], "d": ["a"]}, "abcda", id="four, all in a cycle"
        ),
    ],
)
def test_libpod_graphs_with_cycle(mapping: dict[str, list[str]], cycle: str) -> None:
    with pytest.raises(errors.DependencyCycleError) as raised:
        DependencyGraph(mapping)

    assert raised.value.cycle == tuple(cycle)
    assert " → ".join(cycle) in str(raised.value)
    assert raised.value.defects == (raised.value,)


def test_self_dependency_is_a_cycle() -> None:
    with pytest.raises(errors.DependencyCycleError, match=r"`a`.*a → a") as raised:
        DependencyGraph({"b": [], "a": ["b", "a"]})

    assert raised.value.cycle == ("a", "a")


def test_all_defects_of_an_input_are_collected() -> None:
    with pytest.raises(errors.UnknownDependencyError) as raised:
        DependencyGraph(
            {
                "a": ["b"],
                "b": ["a", "y", "x", "y"],
                "c": ["c", "x"],
                "d": ["e", "f"],
                "e": ["f"],
                "f": ["d"],
            }
        )

    defects = raised.value.defects
    assert defects[0] is raised.value
    unknown = [d for d in defects if isinstance(d, errors.UnknownDependencyError)]
    cycles = [d for d in defects if isinstance(d, errors.DependencyCycleError)]
    assert [(d.container, d.dependency) for d in unknown] == [("b", "y"), ("b", "x"), ("c", "x")]
    assert ["".join(d.cycle) for d in cycles] == ["aba", "cc", "dfd"]
    assert len(defects) == len(unknown) + len(cycles)
    text = str(raised.value)
    assert "`b` depends on `y`" in text
    assert "a → b → a" in text
    assert "\nhint: " in text


def test_long_cycles_and_many_defects_are_told_in_short() -> None:
    count = 2000
    ring = {f"r{i}": [f"r{(i + 1) % count}"] for i in range(count)}
    with pytest.raises(errors.DependencyCycleError) as cyclic:
        DependencyGraph(ring)
    with pytest.raises(errors.UnknownDependencyError) as unknown:
        DependencyGraph({f"c{i}": [f"x{i}"] for i in range(count)})

    assert len(cyclic.value.cycle) == count + 1
    assert len(str(cyclic.value)) < 500
    assert len(unknown.value.defects) == count
    assert len(str(unknown.value)) < 2000


def test_critical_path_is_the_heaviest() -> None:
    graph = DependencyGraph(DIAMOND)

    assert graph.critical_path({"a": 1, "b": 2, "c": 3, "d": 1, "e": 0}) == ["a", "c", "d"]
    assert graph.critical_path({"a": 1, "b": 3, "c": 3, "d": 1, "e": 0}) == ["a", "b", "d"]
    assert graph.critical_path({"a": 1, "b": 2, "c": 3, "d": 1, "e": 9.5}) == ["e"]


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_weight_that_means_nothing_is_refused(weight: float) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="`a`"):
        DependencyGraph({"a": []}).critical_path({"a": weight})


def test_weight_that_is_missing_or_no_number_is_refused() -> None:
    graph = DependencyGraph({"a": []})

    with pytest.raises(errors.InvalidArgumentError, match="`a` is missing"):
        graph.critical_path({})
    with pytest.raises(TypeError, match="`a`"):
        graph.critical_path({"a": "much"})  # type: ignore[dict-item] # the wrong type on purpose


def test_transitive_reduction_drops_what_others_imply() -> None:
    reduced = DependencyGraph({"c": ["b", "a"], "b": ["a"], "a": []}).transitive_reduction()

    assert reduced == {"c": ["b"], "b": ["a"], "a": []}
    assert list(reduced) == ["c", "b", "a"]


def test_a_chain_and_a_cycle_of_many_nodes_need_no_recursion() -> None:
    count = 200_000  # the Rust tests do it with a million
    chain = {str(i): [str(i + 1)] for i in range(count)} | {str(count): []}
    graph = DependencyGraph(chain)

    assert graph.order() == [str(i) for i in range(count, -1, -1)]
    assert len(graph.ancestors("0")) == count

    chain[str(count)] = ["0"]
    with pytest.raises(errors.DependencyCycleError) as raised:
        DependencyGraph(chain)
    assert raised.value.cycle == (*chain, "0")


def test_panic_of_the_core_is_an_internal_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(errors.InternalError, match="on purpose"):
        _panic_for_test()

    assert "on purpose" in capfd.readouterr().err
