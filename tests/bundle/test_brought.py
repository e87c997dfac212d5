"""Bundles that users bring, and what is said about them."""

import json

import pytest

from podcore import bundle
from podcore.errors import InvalidArgumentError


@pytest.fixture
def brought(tmp_path):
    """A user's bundle: returns a function that writes its config.json and returns its path."""
    directory = tmp_path / "brought"
    (directory / "rootfs").mkdir(parents=True)

    def write(text):
        (directory / "config.json").write_text(text)
        return str(directory)

    return write


def complete(directory):
    return {
        "ociVersion": "1.0.2",
        "root": {"path": f"{directory}/brought/rootfs"},
        "process": {"args": ["x"], "cwd": "/"},
        "hooks": {"prestart": [{"path": "/bin/hook"}]},
        "linux": {"namespaces": [{"type": "mount"}]},
        "unknown": {"kept": [1, 2.5, None, "ä"]},
    }


def test_only_where_things_are_is_changed(brought, request_for, tmp_path):
    config = complete(tmp_path)
    config["root"]["path"] = "rootfs"
    config["mounts"] = [
        {"destination": "/a", "type": "bind", "source": "data"},
        {"destination": "/proc", "type": "proc", "source": "proc"},
    ]
    path = brought(json.dumps(config))
    found = bundle.digest(bundle.write(request_for(bundle=path)))
    written = bundle.load(f"{tmp_path}/config.json")
    config["root"]["path"] = f"{path}/rootfs"
    config["mounts"][0]["source"] = f"{path}/data"
    config["linux"]["cgroupsPath"] = "/parent/pod/container"
    assert written == config
    assert bundle.verify(str(tmp_path), found)
    assert (
        json.loads((tmp_path / "brought" / "config.json").read_text())["root"]["path"] == "rootfs"
    )


def test_a_cgroup_of_its_own_is_refused(brought, request_for, tmp_path):
    path = brought(json.dumps(complete(tmp_path)))
    request = request_for(bundle=path)
    config = complete(tmp_path)
    # Changed after it was checked.
    config["linux"]["cgroupsPath"] = "/elsewhere"
    brought(json.dumps(config))
    with pytest.raises(InvalidArgumentError, match="cgroupsPath"):
        bundle.write(request)
    config["linux"]["cgroupsPath"] = "/parent/pod/container"
    brought(json.dumps(config, indent=7))
    bundle.write(request)
    # Nothing to change: the very bytes.
    assert (tmp_path / "config.json").read_text() == json.dumps(config, indent=7)


def test_a_bare_bundle_lacks_every_line_of_defence():
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": "/r"},
        "process": {
            "args": ["x"],
            "cwd": "/proc/self/fd/9",
            "capabilities": {
                "bounding": ["CAP_SYS_ADMIN"],
                "ambient": ["CAP_KILL"],
                "inheritable": [],
            },
        },
        "mounts": [
            {"destination": "/h", "type": "bind", "source": "/", "options": ["ro"]},
            {"destination": "/s", "source": "/run/docker.sock", "options": ["bind"]},
            {"destination": "/proc/x", "type": "tmpfs"},
            {"destination": "/sys", "type": "sysfs"},
        ],
        "annotations": {"org.systemd.property.X": "1", "fine": "1"},
        "hooks": {"prestart": [{"path": "/x"}], "poststop": []},
        "linux": {
            "sysctl": {"kernel.core_pattern": "|/x", "net.ipv4.ip_forward": "1"},
            "devices": [{"path": "/dev/mem"}],
        },
    }
    found = bundle.deltas(config)
    assert [(delta.severity.value, delta.path) for delta in found] == [
        ("high", "process.capabilities.bounding"),
        ("high", "process.cwd"),
        ("high", "linux.seccomp"),
        ("high", "linux.namespaces"),
        ("high", "linux.namespaces"),
        ("high", "linux.namespaces"),
        ("high", "linux.resources.devices"),
        ("high", "mounts[0]"),
        ("high", "mounts[1]"),
        ("high", "mounts[2]"),
        ("high", "hooks.prestart"),
        ("high", "annotations.org.systemd.property.X"),
        ("high", "linux.sysctl.kernel.core_pattern"),
        ("medium", "process.capabilities.ambient"),
        ("medium", "process.noNewPrivileges"),
        ("medium", "linux.maskedPaths"),
        ("medium", "linux.readonlyPaths"),
        ("medium", "linux.namespaces"),
        ("medium", "linux.namespaces"),
        ("medium", "linux.namespaces"),
        ("medium", "linux.resources.pids.limit"),
        ("medium", "linux.devices"),
        ("medium", "mounts[3]"),
        ("low", "process.rlimits"),
    ]


def test_odd_shapes_count_as_missing():
    config = {"linux": [], "process": {"capabilities": 7, "rlimits": ["x", None]}, "mounts": [1]}
    assert "linux.seccomp" in {delta.path for delta in bundle.deltas(config)}
    assert bundle.security(config)["seccomp"]["default_action"] == "unconfined"


def test_what_a_container_may_do_is_summed_up(request_for, tmp_path):
    from podcore.model import Mount

    made = bundle.build(
        request_for(
            {"namespaces": {"net": "/proc/1/ns/net", "pid": None}},
            mounts=[Mount(type="bind", target="/a", source=str(tmp_path))],
        )
    )
    summary = bundle.security(made)
    assert json.loads(json.dumps(summary)) == summary
    assert summary["namespaces"] == {
        "mount": "private",
        "user": "host",
        "pid": "private",
        "network": "/proc/1/ns/net",
        "ipc": "host",
        "uts": "host",
        "cgroup": "host",
    }
    assert summary["writable_host_paths"] == ["/dev/shm", str(tmp_path)]
    assert summary["no_new_privileges"] is True
    assert summary["pids_limit"] == 2048
    assert len(summary["deltas"]) == 3
