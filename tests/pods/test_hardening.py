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
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
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
