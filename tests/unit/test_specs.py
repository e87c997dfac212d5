"""What a container or a pod may be asked to be."""

import dataclasses
import json
import math
import os
import resource
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.errors import InvalidArgumentError, InvalidNameError
from podcore.model import ContainerSpec, Limits, Mount, PodSpec, Profile, RootfsMode
from podcore.specs import (
    canonical_json,
    check_container,
    check_limits,
    check_pod,
    limits_from_json,
    limits_to_json,
    spec_from_json,
    spec_hash,
    spec_to_json,
)
from podcore.specs import mounts as mounts_module


@pytest.fixture
def tree(tmp_path):
    """A directory with what specs refer to: a rootfs, a bundle, env files."""
    (tmp_path / "root" / "etc").mkdir(parents=True)
    for name in ("proc", "dev", "sys"):
        (tmp_path / "root" / name).mkdir()
    (tmp_path / "file").write_text("text")
    (tmp_path / "env").write_text("# comment\n\nA=1\n  B=x=y # z\nC=\n")
    (tmp_path / "bad-env").write_text("A=1\nNAME\n")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bundle").mkdir()
    return tmp_path


def checked(tree, **fields: Any) -> ContainerSpec:
    fields.setdefault("name", "web")
    fields.setdefault("rootfs", f"{tree}/root")
    fields.setdefault("command", ["/bin/app"])
    return check_container(ContainerSpec(**fields))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"command": []}, "`command`"),
    ({"command": "sleep 1"}, "not a list"),
    ({"command": [""]}, "no command"),
    ({"command": ["a", 1]}, "not a string"),
    ({"command": ["a\0b"]}, "NUL"),
    ({"command": ["a\ud800"]}, "Unicode"),
    ({"command": ["x" * 131073]}, "131073 bytes"),
    ({"rootfs": None}, "`rootfs`"),
    ({"rootfs": "{tree}/missing"}, "does not exist"),
    ({"rootfs": "{tree}/file"}, "not a directory"),
    ({"rootfs": "/"}, "root of the host"),
    ({"rootfs": ""}, "empty"),
    ({"rootfs_mode": "rw"}, "`overlay`, `direct`, `ro`"),
    ({"profile": "lax"}, "`default`, `strict`"),
    ({"env": ["A=1"]}, "not a mapping"),
    ({"env": {"A=B": "1"}}, "has a `=`"),
    ({"env": {"": "1"}}, "empty"),
    ({"env": {"A": 1}}, "not a string"),
    ({"env_files": ["{tree}/missing"]}, "can't be read"),
    ({"env_files": ["{tree}/bad-env"]}, "line 2"),
    ({"env_files": ["{tree}/fifo"]}, "not a regular file"),
    ({"env_files": "{tree}/env"}, "not a list"),
    ({"cwd": "tmp"}, "not absolute"),
    ({"cwd": "/proc/self/fd/9"}, "lies in /proc"),
    ({"cwd": "/tmp/../proc/self/fd/9"}, "lies in /proc"),
    ({"cwd": "//proc/self/cwd"}, "lies in /proc"),
    ({"user": ""}, "`user`"),
    ({"user": "-1"}, "neither a name nor a number"),
    ({"user": "4294967295"}, "too large"),
    ({"user": "a:b:c"}, "neither a name nor a number"),
    ({"user": "a\n"}, "neither a name nor a number"),
    ({"user": "0:"}, "neither a name nor a number"),
    ({"group_add": ["../x"]}, "`group_add`"),
    ({"hostname": "a b"}, "not a host name"),
    ({"hostname": "x" * 65}, "not a host name"),
    ({"hostname": "a\n"}, "not a host name"),
    ({"hostname": "web", "namespaces": {"uts": "host"}}, "host's uts"),
    ({"read_only": "yes"}, "neither True nor False"),
    ({"stop_signal": "BOGUS"}, "BOGUS"),
    ({"stop_signal": 0}, "0"),
    ({"stop_signal": 65}, "65"),
    ({"stop_signal": True}, "True"),
    ({"stop_timeout": -1}, "`stop_timeout`"),
    ({"stop_timeout": math.nan}, "`stop_timeout`"),
    ({"stop_timeout": "10"}, "number of seconds"),
    ({"labels": {"": "x"}}, "empty"),
    ({"labels": {"a\nb": "x"}}, "not a key"),
    ({"labels": {"a": "x" * 300000}}, "bytes"),
    ({"labels": {f"k{n}": "x" * 100000 for n in range(3)}}, "together"),
    ({"annotations": {"org.systemd.property.ExecStartPre": "x"}}, "changes what a runtime does"),
    ({"annotations": {"run.oci.handler": "krun"}}, "changes what a runtime does"),
    ({"annotations": {"Run.OCI.handler": "krun"}}, "changes what a runtime does"),
    ({"annotations": {"io.podcore.x": "y"}}, "changes what a runtime does"),
    ({"cap_add": ["CAP_BOGUS"]}, "not a capability"),
    ({"cap_drop": "all"}, "not a list"),
    ({"no_new_privileges": None}, "neither True nor False"),
    ({"seccomp_profile": "{tree}/missing"}, "not a file"),
    ({"seccomp_architectures": ["x86"]}, "not an architecture"),
    ({"ulimits": {"bogus": (1, 1)}}, "not a limit"),
    ({"ulimits": {"nofile": (2, 1)}}, "above hard"),
    ({"ulimits": {"nofile": (-1, 5)}}, "above hard"),
    ({"ulimits": {"nofile": (1, 2, 3)}}, "(soft, hard)"),
    ({"ulimits": {"nofile": (-2, 2)}}, "out of bounds"),
    ({"sysctls": {"kernel.core_pattern": "|/x"}}, "does not belong"),
    ({"sysctls": {"kernel.hostname": "x"}}, "use `hostname`"),
    ({"sysctls": {"kernel/core_pattern": "x"}}, "does not belong"),
    ({"sysctls": {"kernel.shm_rmid_forced+x": "1"}}, "not the name"),
    ({"sysctls": {"net.ipv4.ip_forward": "1\n2"}}, "more than one line"),
    ({"sysctls": {"../kernel": "1"}}, "not the name"),
    ({"sysctls": {"net.ipv4.ip_forward": "1"}, "namespaces": {"net": "host"}}, "host's net"),
    ({"sysctls": {"kernel.sem": "1"}, "namespaces": {"ipc": "host"}}, "host's ipc"),
    ({"devices": ["{tree}/file"]}, "not a device node"),
    ({"devices": ["/dev/missing-device"]}, "No such file"),
    ({"devices": ["/dev/null:/proc/x"]}, "no device may be"),
    ({"devices": ["/dev/null:/dev/x:q"]}, "not a device"),
    ({"devices": ["/dev/null:/dev/x:r:w"]}, "not a device"),
    ({"mounts": ["/a:/b"]}, "not of type Mount"),
    ({"mounts": [Mount(type="bind", target="/data", source="{tree}/missing")]}, "does not exist"),
    ({"mounts": [Mount(type="bind", target="data", source="{tree}")]}, "not absolute"),
    ({"mounts": [Mount(type="bind", target="/x/..", source="{tree}")]}, "the root itself"),
    ({"mounts": [Mount(type="bind", target="/proc/self", source="{tree}")]}, "/proc and /sys"),
    ({"mounts": [Mount(type="bind", target="/a/../sys/fs", source="{tree}")]}, "/proc and /sys"),
    ({"mounts": [Mount(type="tmpfs", target="/proc")]}, "/proc and /sys"),
    ({"mounts": [Mount(type="tmpfs", target="/dev")]}, "container's own"),
    ({"mounts": [Mount(type="tmpfs", target="/t", source="x")]}, "no source"),
    ({"mounts": [Mount(type="tmpfs", target="/t", size="0")]}, "unlimited"),
    ({"mounts": [Mount(type="tmpfs", target="/t", mode=0o10000)]}, "out of bounds"),
    ({"mounts": [Mount(type="volume", target="/t", source="../x")]}, "volume"),
    ({"mounts": [Mount(type="bind", target="/t", source="/", size="1m")]}, "only a tmpfs"),
    ({"mounts": [Mount(type="bind", target="/t", source="/", propagation="x")]}, "propagation"),
    ({"mounts": [Mount(type="nfs", target="/t")]}, "`bind`, `tmpfs` or `volume`"),  # type: ignore[arg-type]  # what is tested
    ({"mounts": [Mount(type="tmpfs", target="/t"), Mount(type="tmpfs", target="/t/")]}, "two"),
    ({"rootfs_mode": "ro", "mounts": [Mount(type="tmpfs", target="/none")]}, "mount point `/none`"),
    ({"oom_score_adj": 1001}, "out of bounds"),
    ({"oom_score_adj": True}, "not an integer"),
    ({"limits": {"memory": "1m"}}, "not of type Limits"),
    ({"limits": Limits(memory="12x")}, "`memory`"),
    ({"limits": Limits(memory="1k")}, "too few"),
    ({"limits": Limits(memory="8m", memory_swap="4m")}, "less than"),
    ({"limits": Limits(memory_swap="8m")}, "`memory` is not set"),
    ({"limits": Limits(cpus=0)}, "`cpus`"),
    ({"limits": Limits(cpus=math.inf)}, "`cpus`"),
    ({"limits": Limits(cpuset_cpus="0-")}, "list of CPUs"),
    ({"limits": Limits(cpuset_cpus="3-1")}, "ends before"),
    ({"limits": Limits(pids_limit=0)}, "`pids_limit`"),
    ({"limits": Limits(cpu_shares=1)}, "`cpu_shares`"),
    ({"limits": Limits(blkio_weight=1001)}, "`blkio_weight`"),
    ({"namespaces": {"mnt": "host"}}, "not a namespace"),
    ({"namespaces": {"net": "shared"}}, "not a way"),
    ({"namespaces": {"net": "container:"}}, "`net`"),
    ({"namespaces": {"net": "container:../x"}}, "`net`"),
    ({"namespaces": {"net": "container:web"}}, "join itself"),
    ({"profile": "strict", "cap_add": ["NET_RAW"]}, "`cap_add`"),
    ({"profile": "strict", "namespaces": {"net": "host"}}, "own namespaces|of its own"),
    ({"profile": "strict", "no_new_privileges": False}, "weakened"),
    ({"profile": "strict", "seccomp_profile": "unconfined"}, "weakened"),
    ({"log_size_max": 1}, "`log_size_max`"),
    ({"oci_runtime": ""}, "`oci_runtime`"),
    ({"depends_on": "db"}, "not a list"),
    ({"bundle": "{tree}/bundle"}, "both `rootfs` and `bundle`"),
    ({"bundle": "{tree}/bundle", "rootfs": None}, "`command` can't be given"),
    ({"bundle": "{tree}/missing", "rootfs": None, "command": ()}, "not a directory"),
    ({"bundle": "{tree}/bundle", "rootfs": None, "command": ()}, "can't be read"),
]


def filled(value: Any, tree: Any) -> Any:
    if isinstance(value, str):
        return value.replace("{tree}", str(tree))
    if isinstance(value, Mount):
        return dataclasses.replace(value, source=filled(value.source, tree))
    if isinstance(value, list):
        return [filled(item, tree) for item in value]
    return value


@pytest.mark.parametrize(("fields", "message"), BAD, ids=range(len(BAD)))
def test_bad_input_is_refused_with_the_object_in_the_message(tree, fields, message):
    fields = {name: filled(value, tree) for name, value in fields.items()}
    with pytest.raises(InvalidArgumentError, match=message.replace("(", r"\(").replace(")", r"\)")):
        checked(tree, **fields)


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "x\n", "x" * 129, "ünï", 7])
def test_malformed_names_are_refused(tree, name):
    with pytest.raises(InvalidNameError):
        checked(tree, name=name)
    with pytest.raises(InvalidNameError):
        checked(tree, depends_on=[name])
    with pytest.raises(InvalidNameError):
        check_pod(PodSpec(name=name))


def test_a_message_names_the_container_and_the_field(tree):
    with pytest.raises(InvalidArgumentError, match=r"^container `web`, `limits`, `memory`: "):
        checked(tree, limits=Limits(memory="lots"))


def test_checking_gives_every_value_its_one_form(tree):
    spec = checked(
        tree,
        rootfs=f"{tree}/root/etc/..",
        command=["a", ""],
        cap_add=["net_raw", "CAP_CHOWN", "NET_RAW"],
        stop_signal="term",
        stop_timeout=3,
        cwd="/a/./b/../c/",
        rootfs_mode="direct",
        sysctls={"net/ipv4/ip_forward": "1"},
        devices=["/dev/null", "/dev/zero:r", "/dev/full:/dev/x"],
        mounts=[Mount(type="tmpfs", target="/t//x/", size="1m")],
        ulimits={"RLIMIT_NOFILE": [1, 2]},
        limits=Limits(memory="32m", cpus=2, memory_swap="-1"),
        depends_on=["db", "db"],
        namespaces={"pid": "host", "ipc": "private"},
    )
    assert spec.rootfs == f"{tree}/root"
    assert spec.command == ("a", "")
    assert spec.cap_add == ("CAP_CHOWN", "CAP_NET_RAW")
    assert spec.stop_signal == "SIGTERM"
    assert isinstance(spec.stop_timeout, float)
    assert spec.cwd == "/a/c"
    assert spec.rootfs_mode is RootfsMode.DIRECT
    assert spec.sysctls == {"net.ipv4.ip_forward": "1"}
    assert spec.devices == (
        "/dev/null:/dev/null:rwm",
        "/dev/zero:/dev/zero:r",
        "/dev/full:/dev/x:rwm",
    )
    assert (spec.mounts[0].target, spec.mounts[0].size) == ("/t/x", 1 << 20)
    assert spec.ulimits == {"nofile": (1, 2)}
    assert (spec.limits.memory, spec.limits.memory_swap) == (32 << 20, -1)
    assert spec.depends_on == ("db",)
    assert list(spec.namespaces) == ["ipc", "pid"]
    assert check_container(spec) == spec


def test_strict_shares_no_namespace_and_writes_nothing(tree, monkeypatch):
    monkeypatch.setattr(mounts_module, "check_reachable", lambda rootfs, what: None)
    spec = checked(tree, profile="strict")
    assert set(spec.namespaces.values()) == {"private"}
    assert len(spec.namespaces) == 5
    assert spec.rootfs_mode is RootfsMode.RO
    assert check_container(spec) == spec


def test_strict_needs_a_rootfs_that_anybody_can_get_at(tree):
    mounts_module.check_reachable("/usr/bin", "container")
    tree.chmod(0o700)
    with pytest.raises(InvalidArgumentError, match=r"hint: `chmod o\+x"):
        checked(tree, profile="strict")


def test_env_files_are_read_as_podman_reads_them(tree):
    from podcore.specs.process import read_environment_file

    assert read_environment_file(f"{tree}/env") == {"A": "1", "B": "x=y # z", "C": ""}


def test_a_bundle_decides_about_its_terminal(tree):
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": "../root"},
        "process": {"args": ["x"], "terminal": True},
    }
    (tree / "bundle" / "config.json").write_text(json.dumps(config))
    spec = check_container(ContainerSpec(name="b", bundle=f"{tree}/bundle"))
    assert spec.terminal
    assert check_container(spec) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"ociVersion": "1", "ociVersion": "2"}', "twice"),
        ('{"ociVersion": NaN}', "NaN"),
        ("\ufeff{}", "not JSON"),
        ("[" * 100_000 + "]" * 100_000, "levels deep"),
        ('{"a": ' + "9" * 5000 + "}", "too long"),
        ('{"ociVersion": "1.0.2"}', "`root.path`"),
        ('{"ociVersion": 1}', "not of type str"),
        ('{"ociVersion": "1", "root": {"path": "."}, "process": {"args": []}}', "process.args"),
        ('{"ociVersion": "1", "root": {"path": "."}, "mounts": [1]}', "`destination`"),
        ('{"x": "' + "a" * (4 << 20) + '"}', "larger than"),
    ],
)
def test_hostile_bundle_configurations_are_refused(tree, text, message):
    (tree / "bundle" / "config.json").write_text(text)
    with pytest.raises(InvalidArgumentError, match=message):
        check_container(ContainerSpec(name="b", bundle=f"{tree}/bundle"))


@pytest.mark.parametrize(
    ("kind", "message"),
    [("link", "symbolic links"), ("fifo", "not a regular file"), ("directory", "Is a directory")],
)
def test_a_bundle_configuration_that_is_no_file_is_refused(tree, kind, message):
    path = tree / "bundle" / "config.json"
    if kind == "link":
        good = '{"ociVersion": "1", "root": {"path": "../root"}, "process": {"args": ["x"]}}'
        (tree / "good.json").write_text(good)
        path.symlink_to(tree / "good.json")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(InvalidArgumentError, match=f"bundle configuration .*{message}"):
        check_container(ContainerSpec(name="b", bundle=f"{tree}/bundle"))


def test_brackets_inside_strings_are_not_depth():
    from podcore.specs.documents import parse_json

    assert parse_json(json.dumps(["[" * 1000, '"[' * 100, "\\"]).encode(), "text") is not None
    with pytest.raises(InvalidArgumentError, match="not JSON"):
        parse_json(b'["' + b'\\"[' * 1_000_000, "text")


@given(st.recursive(st.text() | st.integers(), st.lists, max_leaves=40), st.integers(0, 70))
def test_depth_is_what_nests_outside_of_strings(value, levels):
    from podcore.specs.documents import DEPTH_MAX, parse_json

    def depth(value):
        return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0

    for _ in range(levels):
        value = [value]
    text = json.dumps(value).encode()
    if depth(value) <= DEPTH_MAX:
        assert parse_json(text, "text") == value
    else:
        with pytest.raises(InvalidArgumentError, match="levels deep"):
            parse_json(text, "text")


def test_a_bundle_with_a_cgroup_of_its_own_is_refused(tree):
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": "../root"},
        "process": {"args": ["x"]},
        "linux": {"cgroupsPath": "/elsewhere"},
    }
    (tree / "bundle" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidArgumentError, match="cgroupsPath"):
        check_container(ContainerSpec(name="b", bundle=f"{tree}/bundle"))


def test_a_pod_shares_namespaces_in_one_order():
    spec = check_pod(PodSpec(name="p", share=["uts", "ipc", "uts"], limits=Limits(memory="64m")))
    assert spec.share == ("ipc", "uts")
    assert check_pod(spec) == spec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"share": ["mnt"]}, "not a namespace"),
        ({"share": "ipc"}, "not a list"),
        ({"hostname": "-"}, "not a host name"),
        ({"infra": 1}, "neither True nor False"),
        ({"labels": {"a b": ""}}, "not a key"),
        ({"limits": Limits(pids_limit=-2)}, "`pids_limit`"),
    ],
)
def test_bad_pods_are_refused(fields, message):
    with pytest.raises(InvalidArgumentError, match=message):
        check_pod(PodSpec(name="p", **fields))


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
keys = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
limits = st.builds(
    Limits,
    cpus=st.none() | st.floats(0.01, 64),
    cpu_shares=st.none() | st.integers(2, 262144),
    cpuset_cpus=st.sampled_from([None, "0", "0-1", "0,2-3"]),
    memory=st.none() | st.integers(1 << 20, 1 << 40) | st.sampled_from(["4m", "1g"]),
    pids_limit=st.none() | st.just(-1) | st.integers(1, 4096),
    blkio_weight=st.none() | st.integers(10, 1000),
)
mounts = st.lists(
    st.builds(
        Mount,
        type=st.just("tmpfs"),
        target=keys.map(lambda name: f"/mnt/{name}"),
        read_only=st.booleans(),
        size=st.none() | st.integers(1, 1 << 30),
        mode=st.integers(0, 0o7777),
    ),
    max_size=3,
    unique_by=lambda mount: mount.target,
)
specs = st.builds(
    ContainerSpec,
    name=keys,
    rootfs=st.just("/tmp"),
    rootfs_mode=st.sampled_from(["overlay", "direct"]),
    command=st.lists(words, min_size=1, max_size=3),
    depends_on=st.lists(keys, max_size=3),
    env=st.dictionaries(keys, words, max_size=3),
    cwd=keys.map(lambda name: f"/{name}"),
    user=st.none() | st.sampled_from(["0", "user", "user:group", "1:2"]),
    labels=st.dictionaries(keys, words, max_size=3),
    cap_add=st.lists(st.sampled_from(["all", "NET_RAW", "cap_kill"]), max_size=2),
    cap_drop=st.lists(st.sampled_from(["all", "KILL"]), max_size=2),
    stop_signal=st.sampled_from(["TERM", "SIGKILL", 9, "RTMIN+3"]),
    stop_timeout=st.floats(0, allow_infinity=True, allow_nan=False) | st.integers(0, 100),
    ulimits=st.dictionaries(st.sampled_from(["nofile", "CORE"]), st.just((1, -1)), max_size=2),
    mounts=mounts,
    limits=limits,
    namespaces=st.dictionaries(
        st.sampled_from(["ipc", "net", "pid"]), st.sampled_from(["private", "pod", "host"])
    ),
    oom_score_adj=st.none() | st.integers(-1000, 1000),
    read_only=st.booleans(),
    init=st.booleans(),
)


@given(specs)
def test_a_checked_spec_stays_itself_when_checked_again_and_through_json(spec):
    once = check_container(spec)
    assert check_container(once) == once
    text = canonical_json(once)
    back = spec_from_json(json.loads(text))
    assert back == once
    assert type(back.profile) is Profile
    assert type(back.stop_timeout) is float
    assert canonical_json(back) == text
    assert spec_hash(back) == spec_hash(once)
    assert spec_to_json(back) == spec_to_json(once)


@given(limits)
def test_limits_stay_themselves_through_json(limits):
    once = check_limits(limits)
    assert limits_from_json(json.loads(json.dumps(limits_to_json(once)))) == once


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_whatever_is_given_for_a_field_only_a_typed_error_comes_out(value):
    for field in dataclasses.fields(ContainerSpec):
        try:
            check_container(
                ContainerSpec(
                    **{"name": "x", "rootfs": "/tmp", "command": ["a"], field.name: value}
                )
            )
        except InvalidArgumentError:
            pass


def test_every_limit_of_the_system_has_its_name():
    from podcore.specs.process import ULIMITS

    assert ULIMITS["nofile"] == resource.RLIMIT_NOFILE
    assert {"core", "nproc", "memlock", "stack"} <= ULIMITS.keys()
