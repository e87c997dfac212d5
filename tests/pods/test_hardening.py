"""What a container can't do, tried from inside; and what nobody can make podcore do.

The rules for callers of ``reliability.md`` 5.4 that need no container have their tests where the
rule is kept: names and ids in ``unit/test_names``, ids as paths and ``--`` in
``oci/test_fake_runtimes``, programs that can't be trusted in ``oci/test_discovery``, descriptors
and environment of children in ``kernel/test_command`` and ``monitor/test_launch``, FIFOs and links
in place of files in ``kernel/test_files`` and ``monitor/test_exits``, control characters in
``cli/test_output``, copies of bundles in ``bundle/test_brought``.
"""

import json
import os
import re
import shutil

import pytest

import podcore
from harness import host
from podcore.bundle import hardening
from podcore.oci import discovery
from pods.inside import add, namespaces, proc_file, sh

# Each must fail for the root of a container that was asked for nothing special.
FORBIDDEN = {
    "mount": "mount -t tmpfs none /tmp",
    "host name": "hostname evil",
    "a device node of the disk": "mknod /tmp/disk b 7 0",
    "kernel settings": "echo 1 > /proc/sys/kernel/panic",
    "sysrq": "echo h > /proc/sysrq-trigger",
    "kernel memory": "head -c 1 /proc/kcore | grep .",
    "timers": "cat /proc/timer_list | grep .",
    "firmware": "ls -A /sys/firmware | grep .",
    "cgroups": "mkdir /sys/fs/cgroup/pids/mine",
    "network": "ip link add x type dummy",
    "raw sockets": "ping -c 1 -W 1 192.0.2.1",
    "chroot out through proc": "ls /proc/1/root/../../canary",
    "trace": "cat /proc/1/environ | grep PODCORE",
}


def test_a_container_can_not_do_what_it_was_not_given(site):
    pod = site.engine().create_pod("web")
    container = add(site, pod, "app")
    pod.start()
    script = "\n".join(
        f"( {command} ) > /dev/null 2>&1 && echo '{name}'" for name, command in FORBIDDEN.items()
    )
    assert sh(container, f"{script}\ntrue") == ""
    status = proc_file(container, "status")
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    mounted = sh(container, "cat /proc/mounts")
    for path in ("/proc/sys", "/proc/irq", "/sys"):
        assert re.search(rf" {path} \S+ ro[, ]", mounted)


def test_the_strict_profile_from_inside(site):
    # Pytest's own directory is private; the root of a user namespace must get through.
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    os.chmod(site.base, 0o711)
    pod = site.engine().create_pod("web")
    mounts = [podcore.Mount(type="tmpfs", target="/tmp", size="1m")]
    container = pod.create_container(
        "app", rootfs=rootfs, command=["/bin/sleep", "1000"], profile="strict", mounts=mounts
    )
    pod.start()
    script = "\n".join(
        f"( {command} ) > /dev/null 2>&1 && echo '{name}'" for name, command in FORBIDDEN.items()
    )
    assert sh(container, f"{script}\ntrue") == ""
    assert sh(container, "id -u; touch /x 2>&1 || true") == "0\ntouch: /x: Read-only file system"
    assert sh(container, "echo kept > /tmp/x; cat /tmp/x") == "kept"
    assert sh(container, "chown 1 /tmp/x 2>&1 || echo refused").endswith("refused")
    assert sh(container, "ip -o link | wc -l; nc -w 1 127.0.0.1 1 || echo none") == "1\nnone"
    first, host, size = sh(container, "cat /proc/self/uid_map").split()
    assert (int(first), int(size)) == (0, 65536)
    assert int(host) >= 65536
    status = proc_file(container, "status")
    assert f"Uid:\t{host}" in status
    assert all(f"Cap{kind}:\t{'0' * 16}" in status for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    own = namespaces(os.getpid())
    theirs = namespaces(container.pid)
    assert not [kind for kind in own if own[kind] == theirs[kind]]


def test_a_monitor_owes_nothing_to_whoever_called(site, monkeypatch):
    """Of ``reliability.md`` 5.4: environment, stdio, session, directory, out-of-memory score."""
    monkeypatch.setenv("LD_PRELOAD_OF_MINE", "x")
    monkeypatch.chdir(site.base)
    engine = site.engine()
    pod = engine.create_pod("web")
    plain = add(site, pod, "plain")
    first = add(site, pod, "first", oom_score_adj=500)
    pod.start()
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        mine = file.read()
    # conmon may protect itself from the kernel's choice; what it starts must not be protected.
    assert proc_file(plain, "oom_score_adj") == mine
    assert proc_file(first, "oom_score_adj") == "500\n"
    with engine.host.store.read() as view:
        monitor = view.container(plain.id).monitor.pid
    assert os.getsid(monitor) == monitor
    assert os.readlink(f"/proc/{monitor}/cwd") != site.base
    assert {os.readlink(f"/proc/{monitor}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    names = {item.partition("=")[0] for item in host.read_proc(monitor, "environ").split("\0")}
    assert names <= {"", "PATH", "LC_ALL", "_OCI_SYNCPIPE", "_OCI_STARTPIPE"}
    assert not [name for name in sh(plain, "env").splitlines() if "OF_MINE" in name]


@pytest.mark.runtimes("runc")
def test_what_users_call_things_moves_no_terminal(site):
    evil = "\x1b]0;evil\x07\x9b2J\r\n"
    pod = site.engine().create_pod("web", labels={"note": evil})
    add(site, pod, "app", labels={"note": evil}, env={"NOTE": evil}, command=["/bin/echo", evil])
    for argv in (
        ("pod", "inspect", "web"),
        ("inspect", "web/app"),
        ("ps", "--all", "--json"),
        ("ps", "--all", "--no-trunc"),
        ("pod", "ps", "--format", "{{.Labels}}"),
    ):
        shown = site.cli(*argv).stdout
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown), (argv, shown)
    labels = json.loads(site.cli("inspect", "web/app").stdout)[0]["Config"]["Labels"]
    assert labels == {"note": evil}


def test_a_volume_or_copy_never_reaches_the_host_through_a_link(site):
    """Where the rootfs is hostile from the start, not only once its container runs."""
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    outside = f"{site.base}/outside"
    os.mkdir(outside)
    with open(f"{outside}/canary", "w", encoding="utf-8") as file:
        file.write("host")
    os.symlink(outside, f"{rootfs}/data")
    os.symlink(f"{outside}/canary", f"{rootfs}/root/link")
    shutil.rmtree(f"{rootfs}/srv", ignore_errors=True)
    os.symlink("../../../../../../../../.." + outside, f"{rootfs}/srv")
    engine = site.engine()
    pod = engine.create_pod("web")
    mounting = [
        podcore.Mount(type="volume", source="one", target="/data"),
        podcore.Mount(type="volume", source="two", target="/srv"),
    ]
    for mount in mounting:
        try:
            add(site, pod, mount.source, rootfs=rootfs, mounts=[mount]).start()
        except podcore.PodcoreError:
            pass  # to refuse it is as right as to mount it inside
    app = add(site, pod, "app", rootfs=rootfs)
    for path in ("/data/canary", "/root/link", "/srv/canary"):
        with pytest.raises(podcore.InvalidArgumentError):
            app.copy_out(path, f"{site.base}/stolen")
    app.start()
    with pytest.raises(podcore.InvalidArgumentError):
        app.copy_out("/root/link", f"{site.base}/stolen")
    assert sorted(os.listdir(outside)) == ["canary"]
    volumes = [volume.path for volume in engine.volumes.list()]
    assert [os.listdir(path) for path in volumes] == [[]] * len(volumes)


def test_an_id_is_no_path_to_other_directories(site):
    """crun 1.8.1 removed all beside its root for the id ``..``."""
    canary = f"{site.base}/r/canary"
    os.makedirs(canary)
    os.chmod(f"{site.base}/r", 0o700)
    engine = site.engine()
    pod = engine.create_pod("web")
    adapter = discovery.runtime_for(
        discovery.resolve(site.runtime, os.environ), f"{site.run_root}/runtime"
    )
    for name in ("..", "../..", ".", "", "/", "a/b", "-a", "--help", "a\n", "a" * 129):
        with pytest.raises(podcore.PodcoreError):
            adapter.delete(name, force=True, log=f"{site.base}/log")
        with pytest.raises(podcore.PodcoreError):
            adapter.purge(name)
        with pytest.raises(podcore.InvalidNameError):
            add(site, pod, name)
        with pytest.raises(podcore.InvalidNameError):
            engine.create_pod(name)
        with pytest.raises(podcore.InvalidNameError):
            engine.pod(name)
        with pytest.raises(podcore.InvalidNameError):
            engine.volumes.create(name)
    assert os.path.isdir(canary)
    os.rmdir(canary)


@pytest.mark.runtimes("runc")
def test_a_bundle_of_the_users_is_taken_as_it_is_and_can_not_change_afterwards(site):
    bundle = f"{site.base}/bundle"
    os.mkdir(bundle)
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "args": ["/bin/sleep", "1000"],
            "cwd": "/",
            "env": ["PATH=/bin"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": {
                kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")
            },
        },
        "root": {"path": site.rootfs, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
    }

    def write():
        with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)

    write()
    pod = site.engine().create_pod("web", share=())
    container = pod.create_container("app", bundle=bundle)
    config["process"]["args"] = ["/bin/echo", "evil"]
    write()
    pod.start()
    status = proc_file(container, "status")
    # It gets what it asks for, and `bundle check` and `inspect --security` say what that is.
    assert f"CapEff:\t{1 << 21:016x}" in status
    assert "Seccomp:\t0" in status
    shown = json.loads(site.cli("inspect", "--security", "web/app").stdout)[0]["Security"]
    assert shown["Capabilities"] == ["CAP_SYS_ADMIN"]
    assert shown["Seccomp"]["DefaultAction"] == "unconfined"
    assert {delta["Severity"] for delta in shown["Deltas"]} >= {"high", "medium"}
    checked = json.loads(site.cli("bundle", "check", "--json", bundle, check=False).stdout)
    assert {row["Path"] for row in checked} >= {"process.noNewPrivileges", "linux.seccomp"}
    # Whoever changes podcore's own copy does not get a container of it.
    container.kill()
    with open(f"{site.root}/containers/{container.id}/bundle/config.json", "a", encoding="utf-8"):
        pass
    container.start()
    container.kill()
    with open(
        f"{site.root}/containers/{container.id}/bundle/config.json", "a", encoding="utf-8"
    ) as file:
        file.write(" ")
    with pytest.raises(podcore.ContainerStateError, match="was changed"):
        container.start()


@pytest.mark.runtimes("runc")
def test_what_podcore_writes_lacks_nothing_of_its_own_profile(site):
    pod = site.engine().create_pod("web")
    add(site, pod, "app")
    add(site, pod, "loose", seccomp_profile="unconfined", namespaces={"pid": "host"})
    # Before the first start it is what it will be.
    before = json.loads(site.cli("inspect", "--security", "web/app").stdout)[0]["Security"]
    assert before["Namespaces"].pop("Network") == "pod"
    pod.start()
    shown = json.loads(site.cli("inspect", "--security", "web/app").stdout)[0]["Security"]
    for kind in ("Network", "Ipc", "Uts"):
        path = shown["Namespaces"].pop(kind)
        assert before["Namespaces"].pop(kind, "pod") == "pod"
        assert path.startswith("/proc/")
    del before["WritableHostPaths"], shown["WritableHostPaths"]  # with those of /etc by now
    assert before == shown
    assert shown["Deltas"] == []
    assert shown["NoNewPrivileges"] is True
    assert shown["PidsLimit"] == hardening.PIDS_LIMIT
    assert len(shown["Capabilities"]) == 11
    loose = json.loads(site.cli("inspect", "--security", "web/loose").stdout)[0]["Security"]
    assert loose["Namespaces"]["Pid"] == "host"
    assert {delta["Path"] for delta in loose["Deltas"]} == {"linux.seccomp", "linux.namespaces"}


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize("which", ["root", "run_root"])
def test_a_state_directory_that_others_can_reach_is_refused(site, which):
    elsewhere = f"{site.base}/elsewhere"
    os.mkdir(elsewhere, 0o700)
    os.symlink(elsewhere, f"{site.base}/link")
    os.mkdir(f"{site.base}/open")
    os.chmod(f"{site.base}/open", 0o755)
    for name in ("link", "open"):
        with pytest.raises(podcore.PodcoreError):
            site.engine(**{which: f"{site.base}/{name}"}).create_pod("web")
    assert os.listdir(elsewhere) == []
