"""Bad input: a typed error, and nothing touched.

What is touched is seen by comparing all rows and all files before and after.
"""

import math
import os
import stat

import apsw
import pytest

import podcore
from integration.builders import STUBBORN, add, new_pod
from podcore import ContainerSpec

pytestmark = pytest.mark.runtimes("crun")

MALFORMED = [
    "..",
    ".",
    "a/b",
    "-x",
    "x\n",
    "\n",
    "x" * 300,
    "",
    " ",
    "a b",
    "ä",
    "_x",
    "a\0",
    "a:b",
    "../x",
    "%s",
    "*",
    "\u202eecil",  # shown from right to left
    "\N{WHALE}",
]
NO_STRINGS = [None, 1, b"web", ["web"], object()]


def rows(site):
    """Everything that is in the database, but for its own bookkeeping."""
    path = f"{site.root}/state.db"
    if not os.path.exists(path):
        return {}
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        return {name: list(connection.execute(f'SELECT * FROM "{name}"')) for name in names}
    finally:
        connection.close()


def files(site):
    """Everything that is on disk but what the database and the locks keep for themselves."""
    found = {}
    for directory, names, others in os.walk(site.base):
        for name in names + others:
            path = f"{directory}/{name}"
            if "state.db" in name or directory.endswith("/locks"):
                continue
            status = os.lstat(path)
            size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
            found[path] = (status.st_mode, size, status.st_mtime_ns if size else 0)
    return found


@pytest.fixture
def untouched(site):
    """Makes a pod `web` of `db` and `api`, and checks afterwards that nothing has changed."""
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    add(site, pod, "db")
    add(site, pod, "api", "db")
    other = new_pod(site, "other", engine=engine)
    add(site, other, "far")
    before = rows(site), files(site)
    yield pod
    assert rows(site) == before[0]
    assert files(site) == before[1]


def test_a_malformed_name(site, untouched, subtests):
    pod, engine = untouched, untouched._engine
    attempts = [
        engine.create_pod,
        engine.pod,
        pod.container,
        lambda name: add(site, pod, name),
        lambda name: add(site, pod, "new", name),
        engine.volumes.create,
        engine.volumes.get,
        engine.volumes.remove,
    ]
    for name in MALFORMED:
        with subtests.test(name=name):
            for attempt in attempts:
                with pytest.raises(podcore.InvalidNameError):
                    attempt(name)
            if "/" not in name:
                with pytest.raises(podcore.InvalidNameError):
                    engine.container(name)


def test_a_name_that_is_no_string(site, untouched, subtests):
    pod, engine = untouched, untouched._engine
    references = [
        engine.pod,
        engine.container,
        pod.container,
        lambda name: add(site, pod, "new", name),
    ]
    names = [engine.create_pod, lambda name: add(site, pod, name)]
    for name in NO_STRINGS:
        with subtests.test(name=repr(name)):
            # Of a new one, None means that a name is to be generated.
            for attempt in references if name is None else references + names:
                with pytest.raises(podcore.InvalidArgumentError):
                    attempt(name)


def test_an_unknown_name_or_id(untouched):
    pod, engine = untouched, untouched._engine
    for unknown in ("nobody", "f" * 64, "0" * 63 + "g"):
        with pytest.raises(podcore.NoSuchPodError):
            engine.pod(unknown)
        with pytest.raises(podcore.NoSuchContainerError):
            engine.container(unknown)
        with pytest.raises(podcore.NoSuchContainerError):
            pod.container(unknown)
    with pytest.raises(podcore.NoSuchPodError):
        engine.container("nobody/db")
    with pytest.raises(podcore.NoSuchContainerError):
        engine.container("web/far")
    with pytest.raises(podcore.NoSuchVolumeError):
        engine.volumes.get("nobody")


def test_a_name_that_is_taken(site, untouched):
    pod, engine = untouched, untouched._engine
    with pytest.raises(podcore.PodExistsError):
        engine.create_pod("web")
    with pytest.raises(podcore.ContainerExistsError):
        add(site, pod, "db")
    twice = [ContainerSpec(name="x", rootfs=site.rootfs, command=STUBBORN) for _ in range(2)]
    with pytest.raises(podcore.ContainerExistsError):
        pod.create_containers(twice)


def test_a_dependency_that_is_not_in_the_pod(site, untouched):
    far = untouched._engine.container("far")
    for reference in ("nobody", "far", far.id, far.id[:12]):
        with pytest.raises(podcore.UnknownDependencyError) as caught:
            add(site, untouched, "new", "db", reference)
        assert (caught.value.container, caught.value.dependency) == ("new", reference)


def test_a_dependency_on_itself(site, untouched):
    with pytest.raises(podcore.DependencyCycleError) as caught:
        add(site, untouched, "new", "new")
    assert caught.value.cycle == ("new", "new")


def test_a_cycle_among_new_containers(site, untouched):
    edges = {"a": ("b",), "b": ("c", "db"), "c": ("a",), "d": ("a",)}
    specs = [
        ContainerSpec(name=name, rootfs=site.rootfs, command=STUBBORN, depends_on=needs)
        for name, needs in edges.items()
    ]
    with pytest.raises(podcore.DependencyCycleError, match="a → b → c → a") as caught:
        untouched.create_containers(specs)
    assert caught.value.cycle == ("a", "b", "c", "a")


def test_all_defects_of_new_containers_are_told(site, untouched):
    edges = {"a": ("a",), "b": ("nobody",), "c": ("nowhere",)}
    specs = [
        ContainerSpec(name=name, rootfs=site.rootfs, command=STUBBORN, depends_on=needs)
        for name, needs in edges.items()
    ]
    with pytest.raises(podcore.UnknownDependencyError) as caught:
        untouched.create_containers(specs)
    kinds = [type(defect).__name__ for defect in caught.value.defects]
    assert sorted(kinds) == ["DependencyCycleError"] + ["UnknownDependencyError"] * 2


def test_one_bad_spec_refuses_all(site, untouched):
    good = ContainerSpec(name="good", rootfs=site.rootfs, command=STUBBORN)
    bad = ContainerSpec(name="bad", rootfs=f"{site.base}/missing", command=STUBBORN)
    with pytest.raises(podcore.InvalidArgumentError):
        untouched.create_containers([good, bad])


NO_CONTAINERS = [
    {"rootfs": "/does/not/exist"},
    {"rootfs": "/etc/passwd"},
    {"rootfs": ""},
    {"rootfs": None},
    {"rootfs": "relative\0"},
    {"rootfs": 1},
    {"rootfs_mode": "bogus"},
    {"bundle": "/does/not/exist", "rootfs": None},
    {"command": []},
    {"command": ["  ", ""][1:]},
    {"command": "sleep 1"},
    {"command": [1]},
    {"command": ["a\0b"]},
    {"env": {"": "x"}},
    {"env": {"A=B": "x"}},
    {"env": ["A"]},
    {"env_files": ["/does/not/exist"]},
    {"cwd": "relative"},
    {"user": ""},
    {"hostname": "not a host"},
    {"stop_signal": "BOGUS"},
    {"stop_signal": 0},
    {"stop_signal": 65},
    {"stop_timeout": -1},
    {"stop_timeout": math.nan},
    {"stop_timeout": "soon"},
    {"cap_add": ["CAP_NOTHING"]},
    {"ulimits": {"bogus": (1, 1)}},
    {"sysctls": {"kernel.panic": "1"}},
    {"annotations": {"org.systemd.property.X": "1"}},
    {"annotations": {"run.oci.keep_original_groups": "1"}},
    {"namespaces": {"net": "bogus"}},
    {"namespaces": {"bogus": "private"}},
    {"memory": "lots"},
    {"memory": -5},
    {"cpus": 0},
    {"pids_limit": -2},
    {"oom_score_adj": 2000},
    {"labels": {1: "x"}},
    {"mounts": [podcore.Mount(type="bind", source="/does/not/exist", target="/x")]},
    {"mounts": [podcore.Mount(type="tmpfs", target="relative")]},
    {"devices": ["/does/not/exist"]},
    {"seccomp_profile": "/does/not/exist"},
    {"log_size_max": -1},
    {"depends_on": "db"},
]


def test_a_container_that_can_not_be(site, untouched, subtests):
    for fields in NO_CONTAINERS:
        with subtests.test(fields=repr(fields)), pytest.raises(podcore.InvalidArgumentError):
            add(site, untouched, "new", **fields)


def test_an_unknown_field_is_a_type_error(site, untouched):
    with pytest.raises(TypeError):
        add(site, untouched, "new", bogus=1)
    with pytest.raises(TypeError):
        untouched._engine.create_pod("new", bogus=1)


NO_PODS = [
    {"share": ("bogus",)},
    {"share": "net"},
    {"hostname": "not a host"},
    {"labels": {"": "x"}},
    {"memory": "lots"},
    {"cpus": -1},
    {"infra": "yes"},
]


def test_a_pod_that_can_not_be(untouched, subtests):
    for fields in NO_PODS:
        with subtests.test(fields=repr(fields)), pytest.raises(podcore.InvalidArgumentError):
            untouched._engine.create_pod("new", **fields)


def test_an_unknown_runtime(site, untouched, tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("")
    for runtime in ("bogus", "/does/not/exist", str(empty)):
        with pytest.raises(podcore.OCIRuntimeNotFoundError):
            add(site, untouched, "new", oci_runtime=runtime)
        pod = site.engine(oci_runtime=runtime).pod("web")
        with pytest.raises(podcore.OCIRuntimeNotFoundError):
            add(site, pod, "new")


def test_a_bogus_signal(untouched, subtests):
    for signal in ("BOGUS", "", None, 0, -1, 65, 1.5):
        for verb in (untouched.kill, untouched.container("db").kill):
            with subtests.test(signal=signal), pytest.raises(podcore.InvalidArgumentError):
                verb(signal)


def test_a_bad_timeout(untouched, subtests):
    one = untouched.container("db")
    for timeout in (-1, -0.5, math.nan, "1"):
        for verb in (untouched.stop, untouched.restart, one.stop, one.restart, one.wait):
            with subtests.test(timeout=timeout), pytest.raises(podcore.InvalidArgumentError):
                verb(timeout=timeout)


NO_ENGINES = [
    {"root": ""},
    {"root": 1},
    {"root": "a\0b"},
    {"run_root": ""},
    {"cgroup_parent": "/"},
    {"cgroup_parent": "../x"},
    {"cgroup_parent": "a/../b"},
    {"cgroup_parent": ""},
    {"max_workers": 0},
    {"max_workers": 257},
    {"max_workers": "4"},
    {"max_workers": True},
    {"oci_runtime": ""},
    {"conmon": ""},
]


def test_an_engine_that_can_not_be(site, subtests):
    for arguments in NO_ENGINES:
        with subtests.test(arguments=repr(arguments)), pytest.raises(podcore.InvalidArgumentError):
            site.engine(**arguments)
    assert not os.path.exists(site.root)


def test_a_state_directory_that_is_a_file(site, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")

    with pytest.raises(podcore.PodcoreError):
        site.engine(root=str(path)).create_pod("web")

    assert path.read_text() == "mine"


def test_a_state_directory_that_is_a_link(site, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")

    with pytest.raises(podcore.PodcoreError):
        site.engine(root=str(tmp_path / "link")).pods()

    assert os.listdir(tmp_path / "real") == []


def test_a_state_directory_that_others_may_write(site, tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    with pytest.raises(podcore.PodcoreError):
        site.engine(root=str(tmp_path / "open")).pods()

    assert os.listdir(tmp_path / "open") == []


def test_a_state_directory_that_can_not_be_made(site):
    with pytest.raises(podcore.PodcoreError):
        site.engine(root="/proc/podcore-test").create_pod("web")


def test_a_monitor_that_is_not_there(site):
    pod = new_pod(site, engine=site.engine(conmon="/does/not/exist"))
    container = add(site, pod, "a")

    with pytest.raises(podcore.MonitorError):
        container.start()

    assert container.status == "configured"


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda engine, pod: engine.create_pod("other", colour="red"), "create_pod"),
        (lambda engine, pod: pod.create_container("a", colour="red"), "create_container"),
        (
            lambda engine, pod: pod.create_container("a", limits=None, colour="red"),
            "create_container",
        ),
        (lambda engine, pod: pod.update(colour="red"), "update"),
        (lambda engine, pod: pod.update(limits=None, colour="red"), "update"),
    ],
    ids=["pod", "container", "container with limits", "update", "update with limits"],
)
def test_an_unknown_keyword_is_refused_in_the_name_of_the_call(call, said, site):
    engine = site.engine()
    pod = engine.create_pod("web", share=())

    with pytest.raises(TypeError, match=rf"^{said}\(\) got an unexpected keyword .* `colour`$"):
        call(engine, pod)

    assert [one.name for one in engine.pods()] == ["web"]
    assert pod.containers() == []
