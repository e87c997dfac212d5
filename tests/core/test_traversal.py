"""The traversal of a dependency graph: examples, a model that it is compared with, and threads."""

import threading
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from podcore import errors
from podcore._core import DependencyGraph, Traversal
from strategies import Dependencies, dags

DIAMOND = {"d": ["c", "b"], "b": ["a"], "e": [], "c": ["a"], "a": []}


def test_each_id_is_handed_out_once_and_after_its_dependencies() -> None:
    walk = DependencyGraph(DIAMOND).traversal()

    assert walk.ready() == ["e", "a"]
    assert walk.ready() == []
    walk.succeed("a")
    assert walk.ready() == ["b", "c"]
    walk.succeed("c")
    assert walk.ready() == []
    walk.succeed("b")
    assert walk.ready() == ["d"]
    walk.succeed("d")
    assert not walk.finished
    walk.succeed("e")
    assert walk.finished
    assert walk.skipped == {}


def test_reverse_hands_out_dependents_first() -> None:
    walk = DependencyGraph(DIAMOND).traversal(reverse=True)

    assert walk.ready() == ["d", "e"]
    assert walk.fail("d") == ["b", "c", "a"]
    assert walk.skipped == {"b": "d", "c": "d", "a": "d"}


def test_failed_dependency_skips_only_its_dependents() -> None:
    walk = DependencyGraph(DIAMOND).traversal()
    walk.ready()
    walk.succeed("a")
    walk.ready()

    assert walk.fail("b") == ["d"]
    assert walk.fail("c") == []
    assert walk.skipped == {"d": "b"}
    assert not walk.finished
    walk.succeed("e")
    assert walk.finished


def test_cause_is_never_a_skipped_one_in_between() -> None:
    chain: Dependencies = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}
    walk = DependencyGraph(chain).traversal()
    walk.ready()

    assert walk.fail("a") == ["b", "c", "d"]
    assert walk.skipped == {"b": "a", "c": "a", "d": "a"}


@pytest.mark.parametrize("tell", [Traversal.succeed, Traversal.fail])
def test_news_of_what_is_not_at_work_is_refused(tell: Callable[[Traversal, str], object]) -> None:
    walk = DependencyGraph(DIAMOND).traversal()
    with pytest.raises(errors.InvalidArgumentError, match="`a` has not been handed out"):
        tell(walk, "a")
    walk.ready()
    with pytest.raises(errors.InvalidArgumentError, match="`b` has not been handed out"):
        tell(walk, "b")
    tell(walk, "a")
    with pytest.raises(errors.InvalidArgumentError, match="`a` has a result already"):
        tell(walk, "a")
    with pytest.raises(errors.NoSuchContainerError, match="`x`"):
        tell(walk, "x")
    with pytest.raises(TypeError):
        tell(walk, 1)  # type: ignore[arg-type] # on purpose


def test_news_of_a_skipped_one_is_refused() -> None:
    walk = DependencyGraph(DIAMOND).traversal()
    walk.ready()
    walk.fail("a")

    with pytest.raises(errors.InvalidArgumentError, match="`b` was skipped"):
        walk.succeed("b")


def test_walks_over_one_graph_know_nothing_of_each_other() -> None:
    graph = DependencyGraph(DIAMOND)
    first, second = graph.traversal(), graph.traversal()
    del graph
    first.ready()
    first.fail("a")

    assert second.ready() == ["e", "a"]
    assert second.skipped == {}


@given(dags())
def test_reverse_is_the_mirror(mapping: Dependencies) -> None:
    mirror = {node: [key for key, row in mapping.items() if node in row] for node in mapping}
    walks = (
        DependencyGraph(mapping).traversal(reverse=True),
        DependencyGraph(mirror).traversal(),
    )

    while not walks[0].finished:
        ready = walks[0].ready()
        assert walks[1].ready() == ready
        for node in ready:
            for walk in walks:
                walk.succeed(node)
    assert walks[1].finished


@given(st.data(), dags(max_size=20), st.booleans())
def test_exactly_the_dependents_of_failed_ones_are_skipped(
    data: st.DataObject, mapping: Dependencies, reverse: bool
) -> None:
    graph = DependencyGraph(mapping)
    walk = graph.traversal(reverse=reverse)
    done: list[str] = []
    failed: list[str] = []
    while not walk.finished:
        for node in walk.ready():
            if data.draw(st.booleans()):
                walk.succeed(node)
                done.append(node)
            else:
                walk.fail(node)
                failed.append(node)

    waiting = graph.ancestors if reverse else graph.descendants
    expected: dict[str, str] = {}
    for node in failed:
        for other in waiting(node):
            expected.setdefault(other, node)
    assert walk.skipped == expected
    assert list(walk.skipped) == list(expected)
    assert sorted([*done, *failed, *expected]) == sorted(mapping)


class Model:
    """A walk as slow and as plain as can be."""

    def __init__(self, waits_for: Dependencies) -> None:
        self.waits_for = waits_for
        self.state: dict[str, Literal["at work", "succeeded", "failed"]] = {}
        self.skipped: dict[str, str] = {}

    def ready(self) -> list[str]:
        ready = [
            node
            for node, row in self.waits_for.items()
            if node not in self.state
            and node not in self.skipped
            and all(self.state.get(other) == "succeeded" for other in row)
        ]
        self.state |= dict.fromkeys(ready, "at work")
        return ready

    def fail(self, node: str) -> list[str]:
        self.state[node] = "failed"
        gone = {node} | self.skipped.keys()
        while more := [n for n in self.waits_for if n not in gone and gone & {*self.waits_for[n]}]:
            gone.update(more)
        skipped = [n for n in self.waits_for if n in gone - {node} - self.skipped.keys()]
        self.skipped |= dict.fromkeys(skipped, node)
        # Dependents of those that failed before were skipped then, failed ones never.
        return skipped

    @property
    def finished(self) -> bool:
        results = [state for state in self.state.values() if state != "at work"]
        return len(results) + len(self.skipped) == len(self.waits_for)


class WalkMachine(RuleBasedStateMachine):
    """Drives a traversal and the model side by side."""

    @initialize(mapping=dags(), reverse=st.booleans())
    def begin(self, mapping: Dependencies, reverse: bool) -> None:
        waits_for = mapping
        if reverse:
            waits_for = {n: [k for k, row in mapping.items() if n in row] for n in mapping}
        self.walk = DependencyGraph(mapping).traversal(reverse=reverse)
        self.model = Model(waits_for)

    @property
    def at_work(self) -> list[str]:
        return [node for node, state in self.model.state.items() if state == "at work"]

    @rule()
    def ready(self) -> None:
        assert self.walk.ready() == self.model.ready()

    @precondition(lambda self: self.at_work)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.at_work))
        self.walk.succeed(node)
        self.model.state[node] = "succeeded"

    @precondition(lambda self: self.at_work)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.at_work))
        assert self.walk.fail(node) == self.model.fail(node)

    @precondition(lambda self: len(self.at_work) < len(self.model.waits_for))
    @rule(data=st.data(), failed=st.booleans())
    def tell_of_another(self, data: st.DataObject, failed: bool) -> None:
        others = [node for node in self.model.waits_for if node not in self.at_work]
        node = data.draw(st.sampled_from(others))
        with pytest.raises(errors.InvalidArgumentError):
            (self.walk.fail if failed else self.walk.succeed)(node)

    @invariant()
    def same_state(self) -> None:
        assert self.walk.skipped == self.model.skipped
        assert list(self.walk.skipped) == list(self.model.skipped)
        assert self.walk.finished == self.model.finished


WalkMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestWalk = WalkMachine.TestCase


def test_threads_share_a_walk_and_no_id_is_handed_out_twice() -> None:
    width, depth, workers = 40, 15, 4
    mapping: Dependencies = {
        f"{level}.{place}": [f"{level - 1}.{(place + i) % width}" for i in range(3) if level]
        for level in range(depth)
        for place in range(width)
    }
    walk = DependencyGraph(mapping).traversal()
    start = threading.Barrier(workers)
    seen: list[list[str]] = [[] for _ in range(workers)]

    def work(mine: list[str]) -> None:
        start.wait(30)
        while not walk.finished:
            for node in walk.ready():
                mine.append(node)
                walk.succeed(node)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert walk.finished
    assert sorted(node for mine in seen for node in mine) == sorted(mapping)
