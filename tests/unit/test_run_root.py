"""Engines on one state directory must have one run directory: the locks are there."""

import os
import shutil

import pytest

import podcore
from podcore.kernel import host as kernel_host
from podcore.testing import fake_engine


@pytest.fixture
def engine(tmp_path):
    """Makes engines on one state directory."""
    made = []

    def make(run="run", root="state"):
        one = podcore.Engine(
            root=tmp_path / root, run_root=tmp_path / run, cgroup_parent="podcore-run-root"
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


VERBS = {
    "list": lambda engine: engine.pods(),
    "make": lambda engine: engine.create_pod("db", share=()),
    "make with an infra container": lambda engine: engine.create_pod("db"),
    "volume": lambda engine: engine.volumes.create("data"),
    "check": lambda engine: engine.check(repair=True),
}


@pytest.mark.parametrize("verb", VERBS)
def test_another_run_directory_is_refused_before_it_is_made(engine, tmp_path, verb):
    engine().create_pod("web", share=())
    before = sorted(os.listdir(tmp_path / "state"))

    with pytest.raises(podcore.InvalidArgumentError) as caught:
        VERBS[verb](engine("other"))

    assert f"`{tmp_path}/run`" in str(caught.value)
    assert f"`{tmp_path}/other`" in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["run", "state"]
    assert sorted(os.listdir(tmp_path / "state")) == before
    assert [pod.name for pod in engine().pods()] == ["web"]


@pytest.mark.parametrize("verb", VERBS)
def test_one_that_exists_is_refused_as_well(engine, tmp_path, verb):
    engine().create_pod("web", share=())
    before = sorted(os.listdir(tmp_path / "state"))
    os.mkdir(tmp_path / "other", 0o700)
    with pytest.raises(podcore.InvalidArgumentError, match="hint: give `"):
        VERBS[verb](engine("other"))
    assert sorted(os.listdir(tmp_path / "state")) == before


def test_the_remedy_of_the_message_works(engine, tmp_path):
    engine().create_pod("web", share=())
    shutil.rmtree(tmp_path / "run")
    engine("other").create_pod("db", share=())
    os.mkdir(tmp_path / "run", 0o700)
    with pytest.raises(podcore.InvalidArgumentError):
        engine().pods()
    assert len(engine("other").pods()) == 2


def test_the_next_boot_may_use_another(engine, monkeypatch):
    engine().create_pod("web", share=())
    monkeypatch.setattr(kernel_host, "boot_id", lambda: "next")
    engine("other").create_pod("db", share=())
    with pytest.raises(podcore.InvalidArgumentError):
        engine().pods()


def test_a_state_directory_that_was_moved_keeps_its_run_directory(engine, tmp_path):
    first = engine()
    first.create_pod("web", share=())
    first.close()
    os.rename(tmp_path / "state", tmp_path / "moved")
    assert [pod.name for pod in engine(root="moved").pods()] == ["web"]
    with pytest.raises(podcore.InvalidArgumentError, match="moved"):
        engine("other", root="moved").pods()


def test_a_link_on_the_way_and_a_relative_path_are_the_same_directory(
    engine, tmp_path, monkeypatch
):
    os.mkdir(tmp_path / "real")
    os.symlink(tmp_path / "real", tmp_path / "link")
    engine("real/run").create_pod("web", share=())
    monkeypatch.chdir(tmp_path)
    for path in ("link/run", "real/../link/run"):
        assert engine(path).run_root == f"{tmp_path}/real/run"
        engine(path).create_pod(None, share=())
        with podcore.Engine(root="state", run_root=path) as relative:
            assert relative.run_root == f"{tmp_path}/real/run"
            relative.create_pod(None, share=())


@pytest.mark.parametrize("lost", ["gone", "damaged"])
def test_a_database_that_was_rebuilt_remembers_it_again(engine, tmp_path, lost):
    first = engine()
    first.create_pod("web", share=())
    first.close()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        os.unlink(tmp_path / "state" / name)
    if lost == "damaged":
        (tmp_path / "state" / "state.db").write_bytes(b"no database" * 1000)

    assert all(finding.repaired for finding in engine().check(repair=True))

    with pytest.raises(podcore.InvalidArgumentError, match="hint: give `"):
        engine("other").pods()
    assert [pod.name for pod in engine().pods()] == ["web"]


def test_simulated_engines_hold_to_it(tmp_path):
    with fake_engine(tmp_path) as simulated:
        simulated.create_pod("web", share=())
        root, run_root = simulated.root, simulated.run_root
        with (
            podcore.Engine(root=root, run_root=tmp_path / "other") as other,
            pytest.raises(podcore.InvalidArgumentError, match=run_root),
        ):
            other.pods()
