"""What stands in a config.json that podcore writes."""

import dataclasses
import json
import os
import resource
import stat

import pytest

from podcore import bundle
from podcore.bundle import config, hardening
from podcore.errors import InvalidArgumentError, UnsupportedError
from podcore.model import Limits, Mount
from podcore.specs import mounts


def mount_at(made, target):
    return next(mount for mount in made["mounts"] if mount["destination"] == target)


def test_the_default_confines(request_for, monkeypatch):
    monkeypatch.setattr(hardening, "_may_raise", lambda: True)
    made = bundle.build(request_for())
    process, linux = made["process"], made["linux"]
    assert made["ociVersion"] == "1.0.2"
    assert len(process["capabilities"]["bounding"]) == 11
    assert process["capabilities"].keys() == {"bounding", "effective", "permitted"}
    assert process["noNewPrivileges"] is True
    assert process["rlimits"] == [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 1024}]
    assert linux["resources"]["pids"] == {"limit": 2048}
    assert linux["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
    assert linux["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert len(linux["seccomp"]["architectures"]) == 1
    assert {"/proc/kcore", "/proc/keys", "/sys/firmware"} <= set(linux["maskedPaths"])
    assert "/proc/sys" in linux["readonlyPaths"]
    assert [entry["type"] for entry in linux["namespaces"]] == [
        "mount",
        "ipc",
        "network",
        "uts",
        "pid",
        "cgroup",
    ]
    assert linux["cgroupsPath"] == "/parent/pod/container"
    assert bundle.deltas(made) == []


def test_equal_requests_give_equal_bytes(request_for):
    fields = {
        "env": {"B": "1", "A": "2"},
        "sysctls": {"kernel.sem": "1", "kernel.msgmax": "2"},
        "annotations": {"b": "1", "a": "2"},
        "mounts": [Mount(type="tmpfs", target="/a")],
    }
    assert config.render(request_for(**fields)) == config.render(request_for(**fields))
    turned = fields | {"annotations": {"a": "2", "b": "1"}}
    assert config.render(request_for(**turned)) == config.render(request_for(**fields))


def test_what_is_written_is_hashed_private_and_complete(request_for, tmp_path):
    request = request_for()
    found = bundle.digest(bundle.write(request))
    path = tmp_path / "config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == bundle.build(request)
    assert bundle.verify(str(tmp_path), found)
    assert os.listdir(tmp_path) == ["config.json"]
    path.write_text(path.read_text() + " ")
    assert not bundle.verify(str(tmp_path), found)
    assert bundle.digest(bundle.write(request)) == found
    assert bundle.verify(str(tmp_path), found)


@pytest.mark.parametrize("replace", ["missing", "link", "fifo"])
def test_verify_says_no_to_what_is_no_file(request_for, tmp_path, replace):
    found = bundle.digest(bundle.write(request_for()))
    path = tmp_path / "config.json"
    path.rename(tmp_path / "moved")
    if replace == "link":
        path.symlink_to(tmp_path / "moved")
    elif replace == "fifo":
        os.mkfifo(path)
    assert not bundle.verify(str(tmp_path), found)


def test_env_is_what_podman_gives_and_the_user_wins(request_for, tmp_path):
    (tmp_path / "file").write_text("A=file\nB=file\n")
    made = bundle.build(
        request_for(env={"A": "own", "HOME": "/x"}, env_files=[f"{tmp_path}/file"], terminal=True)
    )
    variables = dict(entry.split("=", 1) for entry in made["process"]["env"])
    assert variables == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM": "xterm",
        "container": "podcore",
        "HOME": "/x",
        "HOSTNAME": "host-1",
        "A": "own",
        "B": "file",
    }


@pytest.mark.parametrize(
    ("user", "group_add", "expected", "home"),
    [
        (None, (), {"uid": 0, "gid": 0}, "/root"),
        ("user", (), {"uid": 1000, "gid": 1000}, "/home"),
        ("1000", (), {"uid": 1000, "gid": 1000}, "/home"),
        ("user:0", (), {"uid": 1000, "gid": 0}, "/home"),
        ("4242", (), {"uid": 4242, "gid": 0}, "/"),
        ("4242:user", ["root", "7"], {"uid": 4242, "gid": 1000, "additionalGids": [0, 7]}, "/"),
    ],
)
def test_users_are_looked_up_in_the_rootfs(request_for, user, group_add, expected, home):
    made = bundle.build(request_for(user=user, group_add=group_add))
    assert made["process"]["user"] == expected
    assert f"HOME={home}" in made["process"]["env"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"user": "nobody-here"}, "user `nobody-here`"),
        ({"user": "0:nobody-here"}, "group `nobody-here`"),
        ({"group_add": ["nobody-here"]}, "group `nobody-here`"),
    ],
)
def test_unknown_users_are_refused(request_for, fields, message):
    with pytest.raises(InvalidArgumentError, match=message):
        bundle.build(request_for(**fields))


def test_a_link_in_the_rootfs_never_leads_to_the_host_s_users(request_for, tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (tmp_path / "passwd").write_text("canary:x:77:77::/canary:/bin/sh\n")
    (root / "etc" / "passwd").symlink_to(f"../../..{tmp_path}/passwd")
    with pytest.raises(InvalidArgumentError, match="user `canary`"):
        bundle.build(request_for(rootfs=str(root), user="canary"))
    (root / "etc" / "passwd").unlink()
    (root / "etc" / "passwd").symlink_to("/private/passwd")
    (root / "private").mkdir()
    (root / "private" / "passwd").write_text("inside:x:5:6::/home:/bin/sh\n")
    made = bundle.build(request_for(rootfs=str(root), user="inside"))
    assert made["process"]["user"] == {"uid": 5, "gid": 6}


def test_a_fifo_as_passwd_holds_nobody_up(request_for, tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    os.mkfifo(root / "etc" / "passwd")
    assert bundle.build(request_for(rootfs=str(root)))["process"]["user"]["uid"] == 0


def test_supplementary_groups_come_with_a_user_by_name(request_for, tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("broken\nu:x:5:6::/h:/bin/sh\nv:x:x:6::/h:/bin/sh\n")
    (root / "etc" / "group").write_text("own:x:6:\nextra:x:7:u,w\nother:x:8:w\nbad:x\n")
    made = bundle.build(request_for(rootfs=str(root), user="u"))
    assert made["process"]["user"] == {"uid": 5, "gid": 6, "additionalGids": [7]}


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), ("all",), []),
        (("NET_RAW",), ("all",), ["CAP_NET_RAW"]),
        (("all",), ("NET_RAW",), 40),
        (("all",), (), 41),
        (("NET_RAW",), ("KILL", "CHOWN"), 10),
        (("KILL",), ("KILL",), 10),
    ],
)
def test_capabilities_are_added_and_dropped_as_podman_does(request_for, add, drop, expected):
    made = bundle.build(request_for(cap_add=add, cap_drop=drop))
    held = made["process"]["capabilities"]["effective"]
    assert held == expected or len(held) == expected


def test_limits_on_open_files_never_exceed_the_caller_s(request_for, monkeypatch):
    monkeypatch.setattr(hardening, "_may_raise", lambda: False)
    monkeypatch.setattr(resource, "getrlimit", lambda number: (100, 512))
    assert hardening.ulimits({"core": (-1, -1)}) == [
        {"type": "RLIMIT_CORE", "hard": 512, "soft": 512},
        {"type": "RLIMIT_NOFILE", "hard": 512, "soft": 512},
    ]
    monkeypatch.setattr(hardening, "_may_raise", lambda: True)
    assert hardening.ulimits({"nofile": (5, -1)}) == [
        {"type": "RLIMIT_NOFILE", "hard": (1 << 64) - 1, "soft": 5}
    ]


def test_mounts_come_parents_first_and_replace_podcore_s(request_for, tmp_path):
    made = bundle.build(
        request_for(
            {"volumes": {"data": "/volumes/data"}, "extra_mounts": [("/f", "/etc/hosts")]},
            mounts=[
                Mount(type="volume", target="/a/b", source="data"),
                Mount(type="bind", target="/a", source=str(tmp_path), read_only=True),
                Mount(type="tmpfs", target="/dev/shm", size="1m", mode=0o700),
                Mount(type="bind", target="/etc/hosts", source=str(tmp_path)),
            ],
        )
    )
    targets = [mount["destination"] for mount in made["mounts"]]
    assert targets.index("/a") < targets.index("/a/b")
    assert targets.count("/dev/shm") == 1
    assert targets.count("/etc/hosts") == 1
    assert mount_at(made, "/etc/hosts")["source"] == str(tmp_path)
    assert "size=1048576" in mount_at(made, "/dev/shm")["options"]
    assert mount_at(made, "/a/b")["source"] == "/volumes/data"
    assert "ro" in mount_at(made, "/a")["options"]
    assert "ro" not in mount_at(made, "/a/b")["options"]


def test_an_unknown_volume_is_refused(request_for):
    with pytest.raises(InvalidArgumentError, match="no volume `data`"):
        bundle.build(request_for(mounts=[Mount(type="volume", target="/a", source="data")]))


@pytest.mark.parametrize(("asked", "root"), [("shared", "rshared"), ("rslave", "rslave")])
def test_propagation_of_a_mount_is_let_through(request_for, tmp_path, asked, root):
    mount = Mount(type="bind", target="/a", source=str(tmp_path), propagation=asked)
    made = bundle.build(request_for(mounts=[mount]))
    assert made["linux"]["rootfsPropagation"] == root


def test_namespaces_are_joined_by_path_and_the_host_s_left_out(request_for):
    made = bundle.build(
        request_for(
            {"namespaces": {"net": "/proc/7/ns/net", "uts": "/proc/7/ns/uts", "ipc": None}},
        )
    )
    assert made["linux"]["namespaces"] == [
        {"type": "mount"},
        {"type": "ipc"},
        {"type": "network", "path": "/proc/7/ns/net"},
        {"type": "uts", "path": "/proc/7/ns/uts"},
    ]
    # Whoever joins a uts namespace must not rename everybody in it.
    assert "hostname" not in made
    assert "sysctl" not in made["linux"]


def test_dev_shm_goes_with_the_ipc_namespace(request_for):
    private = mount_at(bundle.build(request_for()), "/dev/shm")
    assert private["type"] == "tmpfs"
    shared = mount_at(bundle.build(request_for({"shm_path": "/pod/shm"})), "/dev/shm")
    assert shared["source"] == "/pod/shm"
    host = mount_at(bundle.build(request_for({"namespaces": {}})), "/dev/shm")
    assert host["source"] == "/dev/shm"


def test_devices_are_allowed_one_by_one(request_for):
    made = bundle.build(request_for(devices=["/dev/full:/dev/mine:r"]))
    assert made["linux"]["devices"] == [
        {
            "path": "/dev/mine",
            "type": "c",
            "major": 1,
            "minor": 7,
            "fileMode": stat.S_IMODE(os.stat("/dev/full").st_mode),
            "uid": 0,
            "gid": os.stat("/dev/full").st_gid,
        }
    ]
    rules = made["linux"]["resources"]["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert rules[1] == {"allow": True, "type": "c", "major": 1, "minor": 7, "access": "r"}


def test_init_wraps_the_command(request_for, monkeypatch):
    monkeypatch.setattr("podcore.bundle.mounts.init_program", lambda: "/opt/catatonit")
    made = bundle.build(request_for(init=True, command=["a", "b"]))
    assert made["process"]["args"] == ["/dev/podcore-init", "--", "a", "b"]
    assert mount_at(made, "/dev/podcore-init")["source"] == "/opt/catatonit"


def test_strict_has_nothing(request_for, monkeypatch):
    monkeypatch.setattr(mounts, "check_reachable", lambda rootfs, what: None)
    made = bundle.build(request_for({"id_slot": 3}, profile="strict"))
    assert made["process"]["capabilities"]["bounding"] == []
    assert made["root"]["readonly"] is True
    assert {"type": "user"} in made["linux"]["namespaces"]
    assert made["linux"]["uidMappings"] == hardening.id_mappings(3)
    assert made["linux"]["gidMappings"] == hardening.id_mappings(3)
    assert bundle.deltas(made) == []


def test_id_ranges_do_not_overlap_and_wrap_round(monkeypatch):
    monkeypatch.setattr(hardening, "_subordinate_ids", lambda: (100_000, 200_000))
    first = [hardening.id_mappings(slot)[0]["hostID"] for slot in range(4)]
    assert first == [100_000, 165_536, 231_072, 100_000]
    monkeypatch.undo()
    assert hardening.id_mappings(0)[0]["size"] == 65536


def test_unconfined_has_no_filter_and_resources_are_kept(request_for):
    made = bundle.build(
        request_for({"resources": {"pids": {"limit": 7}}}, seccomp_profile="unconfined")
    )
    assert "seccomp" not in made["linux"]
    assert made["linux"]["resources"]["pids"] == {"limit": 7}
    assert [delta.path for delta in bundle.deltas(made)] == ["linux.seccomp"]


def test_limits_of_the_spec_do_not_replace_the_request_s_resources(request_for):
    made = bundle.build(request_for(limits=Limits(pids_limit=5)))
    # What the limits mean for this host's cgroups is kernel/limits' business.
    assert made["linux"]["resources"]["pids"] == {"limit": 2048}


def test_an_exec_may_do_what_the_container_may(request_for):
    made = bundle.build(request_for(env={"A": "1"}, cwd="/tmp", oom_score_adj=5))
    process = bundle.process_for_exec(
        made, ["id"], env={"B": "2"}, user="user", cwd="/", terminal=True
    )
    own = made["process"]
    for key in ("capabilities", "noNewPrivileges", "rlimits", "oomScoreAdj"):
        assert process[key] == own[key]
    assert process["args"] == ["id"]
    assert process["user"] == {"uid": 1000, "gid": 1000}
    assert process["cwd"] == "/"
    assert process["terminal"] is True
    assert {"A=1", "B=2", "HOME=/home", "TERM=xterm"} <= set(process["env"])
    assert own["args"] == ["/bin/true"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"command": []}, "no command"),
        ({"command": ["x"], "cwd": "/proc/self/fd/9"}, "lies in /proc"),
        ({"command": ["x"], "user": "nobody-here"}, "does not know it"),
        ({"command": ["x"], "env": {"A=": "1"}}, "has a `=`"),
    ],
)
def test_a_bad_exec_is_refused(request_for, arguments, message):
    made = bundle.build(request_for())
    with pytest.raises(InvalidArgumentError, match=message):
        bundle.process_for_exec(made, **arguments)


def test_a_link_to_the_rootfs_is_resolved_for_runc(request_for, tmp_path, rootfs):
    (tmp_path / "link").symlink_to(rootfs)
    made = bundle.build(request_for(rootfs=f"{tmp_path}/link"))
    assert made["root"]["path"] == os.path.realpath(rootfs)


def test_a_rootfs_that_is_gone_is_a_typed_error(request_for, tmp_path):
    (tmp_path / "root").mkdir()
    request = request_for(rootfs=f"{tmp_path}/root")
    (tmp_path / "root").rmdir()
    with pytest.raises(InvalidArgumentError, match="can't be read"):
        bundle.build(request)


def test_a_device_that_is_gone_is_a_typed_error(request_for, tmp_path):
    request = request_for()
    gone = dataclasses.replace(request.spec, devices=(f"{tmp_path}/gone:/dev/x:r",))
    request = dataclasses.replace(request, spec=gone)
    with pytest.raises(UnsupportedError, match="is gone"):
        bundle.build(request)
