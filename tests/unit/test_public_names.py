"""The names that users rely on: those of the design exist, with their signatures."""

import inspect
import os
import pickle
import subprocess
import sys
from enum import StrEnum

import pytest

import podcore
from podcore import errors


@pytest.fixture
def engine(tmp_path):
    return podcore.Engine(tmp_path / "state", tmp_path / "run")


def parameters(callable_):
    return [name for name in inspect.signature(callable_).parameters if name != "self"]


@pytest.mark.parametrize(
    ("owner", "name", "wanted"),
    [
        ("Engine", "__init__", "root run_root oci_runtime max_workers cgroup_parent conmon"),
        ("Engine", "create_pod", "name labels share hostname infra limits"),
        ("Engine", "pods", ""),
        ("Engine", "pod", "reference"),
        ("Engine", "containers", ""),
        ("Engine", "container", "reference"),
        ("Engine", "inspect_pods", ""),
        ("Engine", "inspect_containers", "pod infra"),
        ("Engine", "list_containers", "pod infra alive"),
        ("Engine", "container_ids", "pod infra"),
        ("Engine", "check", "repair"),
        ("Engine", "close", ""),
        ("Pod", "create_container", "name fields"),
        ("Pod", "create_containers", "specs"),
        ("Pod", "containers", ""),
        ("Pod", "container", "reference"),
        ("Pod", "start", "progress"),
        ("Pod", "stop", "cleanup timeout progress"),
        ("Pod", "pause", ""),
        ("Pod", "unpause", ""),
        ("Pod", "restart", "timeout progress"),
        ("Pod", "kill", "signal"),
        ("Pod", "status", ""),
        ("Pod", "inspect", ""),
        ("Pod", "update", "limits"),
        ("Pod", "stats", ""),
        ("Pod", "top", ""),
        ("Pod", "remove", "force"),
        ("Container", "start", ""),
        ("Container", "stop", "timeout"),
        ("Container", "restart", "timeout"),
        ("Container", "kill", "signal"),
        ("Container", "pause", ""),
        ("Container", "unpause", ""),
        ("Container", "inspect", ""),
        ("Container", "remove", "force"),
        ("Container", "wait", "timeout"),
        ("Container", "logs", "follow tail since"),
        ("Container", "exec", "command timeout env user cwd stdin terminal on_output"),
        ("Container", "copy_in", "source target archive"),
        ("Container", "copy_out", "source target"),
        ("Container", "update", "limits"),
        ("Container", "stats", ""),
        ("Container", "top", ""),
        ("Container", "security", ""),
        ("Volumes", "create", "name labels"),
        ("Volumes", "list", ""),
        ("Volumes", "get", "name"),
        ("Volumes", "remove", "name"),
        ("Volumes", "prune", ""),
    ],
)
def test_a_method_has_the_parameters_of_the_design(owner, name, wanted):
    method = getattr(getattr(podcore, owner), name)
    assert parameters(method) == wanted.split()
    assert name == "__init__" or inspect.getdoc(method), "is documented"


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        ("Engine", "root run_root cgroup_parent volumes"),
        ("Pod", "id name state"),
        ("Container", "id name pod_id pod_name status exit_code pid"),
    ],
)
def test_a_handle_has_the_properties_of_the_design(owner, names):
    for name in names.split():
        found = getattr(getattr(podcore, owner), name)
        assert isinstance(found, property)
        assert inspect.getdoc(found), f"{name} is documented"


def test_states_and_outcomes_are_strings():
    assert issubclass(podcore.ContainerStatus, StrEnum)
    assert issubclass(podcore.PodStatus, StrEnum)
    assert issubclass(podcore.Outcome, StrEnum)
    wanted = "configured created running paused stopping exited removing unknown"
    assert list(podcore.ContainerStatus) == wanted.split()
    assert list(podcore.PodStatus) == "created running degraded paused stopped exited error".split()
    assert list(podcore.Outcome) == ["done", "ignored", "failed", "skipped"]


def test_every_name_is_public_once_and_the_list_is_sorted():
    assert podcore.__all__ == sorted(set(podcore.__all__))
    assert [name for name in podcore.__all__ if not hasattr(podcore, name)] == []
    assert set(podcore.__all__) <= set(dir(podcore))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        podcore.nonsense  # noqa: B018


def test_every_error_keeps_its_attributes_on_its_way_through_pickle():
    error = errors.AmbiguousReferenceError("x", ["a", "b"])
    assert pickle.loads(pickle.dumps(error)).matches == ("a", "b")


def test_importing_the_package_imports_none_of_its_parts():
    program = "import sys, podcore; print([n for n in sys.modules if n.startswith('podcore.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_making_an_engine_touches_nothing(tmp_path):
    with podcore.Engine(tmp_path / "state", tmp_path / "run") as engine:
        assert engine.root == str(tmp_path / "state")
        assert engine.run_root == str(tmp_path / "run")
    assert os.listdir(tmp_path) == []


def test_places_come_from_the_environment_and_arguments_win(monkeypatch, tmp_path):
    monkeypatch.setenv("PODCORE_ROOT", str(tmp_path / "a"))
    monkeypatch.setenv("PODCORE_RUNROOT", str(tmp_path / "b"))
    monkeypatch.setenv("PODCORE_CGROUP_PARENT", "/ci/one/")
    engine = podcore.Engine()
    assert (engine.root, engine.run_root) == (str(tmp_path / "a"), str(tmp_path / "b"))
    assert engine.cgroup_parent == "ci/one"
    assert podcore.Engine(root=tmp_path / "c", cgroup_parent="x").root == str(tmp_path / "c")


def test_without_any_of_them_the_places_are_the_hosts():
    engine = podcore.Engine()
    assert (engine.root, engine.run_root) == ("/var/lib/podcore", "/run/podcore")
    assert engine.cgroup_parent == "podcore"


@pytest.mark.parametrize(
    "arguments",
    [
        {"root": ""},
        {"root": "a\0b"},
        {"root": 5},
        {"run_root": b"/x"},
        {"oci_runtime": ""},
        {"oci_runtime": 1},
        {"max_workers": 0},
        {"max_workers": -1},
        {"max_workers": 257},
        {"max_workers": True},
        {"max_workers": 2.0},
        {"cgroup_parent": ""},
        {"cgroup_parent": "/"},
        {"cgroup_parent": "../x"},
        {"cgroup_parent": "a/../b"},
        {"cgroup_parent": "a//b"},
        {"cgroup_parent": "a\n"},
        {"conmon": ""},
    ],
    ids=repr,
)
def test_bad_arguments_of_an_engine_are_refused_at_once(arguments):
    with pytest.raises(podcore.InvalidArgumentError, match=next(iter(arguments))):
        podcore.Engine(**arguments)


def test_a_closed_engine_says_so(engine):
    engine.close()
    engine.close()
    with pytest.raises(podcore.StoreError, match="closed"):
        engine.pods()


@pytest.mark.skipif(os.geteuid() == 0, reason="asks for a user that is not root")
def test_rootless_is_refused_until_it_is_built(engine):
    with pytest.raises(podcore.UnsupportedError):
        engine.pods()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="podcore needs root")


@needs_root
def test_handles_of_one_object_are_equal_and_others_are_not(engine):
    with engine:
        web, other = engine.create_pod("web"), engine.create_pod("other")
        assert engine.pods() == [web, other]
        assert engine.pod("web") == engine.pod(web.id) == engine.pod(web.id[:20]) == web != other
        assert len({web, engine.pod("web"), other}) == 2
        assert web != "web"
        assert repr(web) == f"<Pod web {web.id[:12]}>"
        with podcore.Engine(engine.root, engine.run_root) as second:
            assert second.pod("web") != web
            assert second.pod("web").id == web.id


@needs_root
@pytest.mark.parametrize("reference", ["", "..", "a/b", "-x", "x\n", "x" * 300, None, 7])
def test_a_malformed_reference_is_refused(engine, reference):
    with engine:
        pod = engine.create_pod("web")
        with pytest.raises(podcore.InvalidNameError):
            engine.pod(reference)
        with pytest.raises(podcore.InvalidNameError):
            pod.container(reference)


@needs_root
def test_a_pod_of_rows_only(engine, tmp_path):
    with engine:
        pod = engine.create_pod("web", labels={"a": "b"}, memory="64m")
        assert len(pod.id) == 64
        assert pod.state is podcore.PodStatus.CREATED
        assert pod.status() == {}
        assert pod.containers() == []
        described = pod.inspect()
        assert described.labels == {"a": "b"}
        assert described.limits == podcore.Limits(memory=64 << 20)
        with pytest.raises(podcore.PodExistsError):
            engine.create_pod("web")
        with pytest.raises(podcore.NoSuchContainerError):
            pod.container("db")
        with pytest.raises(podcore.NoSuchContainerError):
            engine.container("web/db")
        with pytest.raises(podcore.NoSuchPodError):
            engine.container("nope/db")
        with pytest.raises(podcore.NoSuchContainerError, match="no containers in pod"):
            pod.start()
        assert isinstance(pod.remove(), podcore.Report)
        with pytest.raises(podcore.PodRemovedError):
            pod.status()
        assert engine.pods() == []
        assert engine.check() == []


@needs_root
def test_limits_are_keywords_or_one_object_but_not_both(engine):
    with engine:
        pod = engine.create_pod(limits=podcore.Limits(pids_limit=5))
        assert pod.inspect().limits.pids_limit == 5
        assert pod.name
        with pytest.raises(podcore.InvalidArgumentError, match="exclude each other"):
            engine.create_pod(limits=podcore.Limits(), memory="1g")
        with pytest.raises(TypeError, match="memry"):
            engine.create_pod(memry="1g")
        with pytest.raises(podcore.InvalidArgumentError):
            engine.create_pod(share="uts")


@needs_root
def test_volumes_through_the_engine(engine):
    with engine:
        made = engine.volumes.create("data", labels={"a": "b"})
        assert repr(engine.volumes) == f"<Volumes of {engine!r}>"
        assert os.path.isdir(made.path)
        assert engine.volumes.list() == [engine.volumes.get("data")] == [made]
        with pytest.raises(podcore.VolumeExistsError):
            engine.volumes.create("data")
        assert engine.volumes.prune() == ("data",)
        with pytest.raises(podcore.NoSuchVolumeError):
            engine.volumes.remove("data")
