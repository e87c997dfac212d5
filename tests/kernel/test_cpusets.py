"""CPUs of nested cgroups in v1, which takes no step that leaves one with what its parent lacks."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.kernel import cgroupfs, cpusets

cpus = st.frozensets(st.integers(0, 20), min_size=1)
nested = st.recursive(
    cpus.map(lambda own: (own, ())),
    lambda inner: st.tuples(cpus, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=6,
)


@given(st.frozensets(st.integers(0, 8191), max_size=30))
def test_lists_are_read_as_they_are_shown(some: frozenset[int]) -> None:
    assert cpusets.parse(cpusets.show(some)) == some


def test_lists_are_as_the_kernel_writes_them() -> None:
    assert cpusets.parse("0-2,5\n") == {0, 1, 2, 5}
    assert cpusets.show(frozenset({5, 0, 1, 2, 7, 8})) == "0-2,5,7-8"
    assert cpusets.show(frozenset()) == ""


@pytest.mark.parametrize(
    ("own", "outer", "has"),
    [
        (None, "0-3", None),
        ("0-1", None, "0-1"),
        ("0-1", "1-2", "1"),
        ("0", "1", None),
    ],
)
def test_what_is_asked_for_is_had_as_far_as_the_outer_has_it(
    own: str | None, outer: str | None, has: str | None
) -> None:
    assert cpusets.within(own, outer) == has


class Strict:
    """Writes to the files of cgroups as the kernel of v1 allows it."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.writes: list[tuple[str, str]] = []

    def __call__(self, path: str, data: bytes) -> None:
        directory = os.path.dirname(path)
        new = cpusets.parse(data.decode())
        assert new, "a cgroup with processes needs a CPU"
        if directory != self.top:
            assert new <= self.of(os.path.dirname(directory)), "EACCES"
        for child in cgroupfs.tree(directory)[1:]:
            if os.path.dirname(child) == directory:
                assert self.of(child) <= new, "EBUSY"
        with open(path, "wb") as file:
            file.write(data)
        self.writes.append((os.path.relpath(directory, self.top), data.decode()))

    @staticmethod
    def of(directory: str) -> frozenset[int]:
        with open(f"{directory}/cpuset.cpus", encoding="ascii") as file:
            return cpusets.parse(file.read())


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """A pod with CPUs 0-3 and three containers, one with cgroups of its own."""
    for name, value in {
        "": "0-3",
        "all": "0-3",
        "some": "0-1",
        "some/all": "0-1",
        "some/one": "1",
        "last": "3",
    }.items():
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "cpuset.cpus").write_text(f"{value}\n")
    return tmp_path


def seen(pod: Path) -> dict[str, str]:
    names = ("", "all", "some", "some/all", "some/one", "last")
    return {name: cpusets.show(Strict.of(str(pod / name))) for name in names}


def test_a_pod_is_narrowed_and_widened_with_what_runs_in_it(
    pod: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Strict(str(pod))
    monkeypatch.setattr(cgroupfs, "write", kernel)
    below = {f"{pod}/all": None, f"{pod}/some": "0-1", f"{pod}/last": "3"}
    cpusets.confine(str(pod), "0-1", below)
    narrow = {"": "0-1", "all": "0-1", "some": "0-1", "some/all": "0-1", "some/one": "1"}
    # What the last one asks for is not there: it has all that is.
    assert seen(pod) == narrow | {"last": "0-1"}
    cpusets.confine(str(pod), "1", below)
    assert set(seen(pod).values()) == {"1"}
    kernel.writes.clear()
    cpusets.confine(str(pod), "2-3", below)
    assert kernel.writes[0] == (".", "1-3")
    assert set(seen(pod).values()) == {"2-3", "3"}
    cpusets.confine(str(pod), "0-3", below)
    wide = {"": "0-3", "all": "0-3", "some": "0-1", "some/all": "0-1", "last": "3"}
    assert seen(pod) == wide | {"some/one": "0-1"}
    kernel.writes.clear()
    cpusets.confine(str(pod), "0-3", below)
    assert kernel.writes == []


def test_a_container_that_goes_meanwhile_is_no_error(
    pod: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Strict(str(pod))

    def write(path: str, data: bytes) -> None:
        if path == f"{pod}/all/cpuset.cpus":
            os.unlink(path)
            os.rmdir(pod / "all")
            raise FileNotFoundError(2, "gone", path)
        kernel(path, data)

    monkeypatch.setattr(cgroupfs, "write", write)
    cpusets.confine(str(pod), "0", {f"{pod}/all": None})
    assert Strict.of(str(pod)) == {0}
    assert not (pod / "all").exists()


@given(nested, cpus, st.lists(cpus, min_size=3, max_size=3))
def test_no_step_is_one_that_the_kernel_refuses(
    tmp_path_factory: pytest.TempPathFactory,
    tree: tuple[frozenset[int], tuple[object, ...]],
    wanted: frozenset[int],
    asked: list[frozenset[int]],
) -> None:
    top = str(tmp_path_factory.mktemp("cpuset"))

    def make(directory: str, node: tuple[frozenset[int], tuple[object, ...]]) -> None:
        own, children = node
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/cpuset.cpus", "w", encoding="ascii") as file:
            file.write(cpusets.show(own))
        for number, child in enumerate(children):
            assert isinstance(child, tuple)
            make(f"{directory}/{number}", ((child[0] & own) or own, child[1]))

    make(top, tree)
    below = {f"{top}/{number}": cpusets.show(one) for number, one in enumerate(asked)}
    write = cgroupfs.write
    cgroupfs.write = Strict(top)
    try:
        cpusets.confine(top, cpusets.show(wanted), below)
    finally:
        cgroupfs.write = write
    assert Strict.of(top) == wanted
