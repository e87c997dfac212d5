"""The processes of containers, as they and the host count them."""

import json
import os
import shutil

import pytest

import podcore
from harness import host
from harness.polling import eventually
from pods.inside import add

SCRIPT = "sleep 1001 & sleep 1002 & exec sleep 1000"


@pytest.fixture
def pod(site):
    return site.engine().create_pod("web")


def whole(container, count=3):
    """Its processes, once they are all there and have become what they are to be."""
    found = []

    def complete():
        found[:] = container.top()
        return len(found) == count and all(one.name == "sleep" for one in found)

    eventually(complete, what=f"{count} processes of `{container.name}`")
    return found


def test_the_processes_of_a_container_are_those_that_it_sees(site, pod):
    container = add(site, pod, "app", user="user", command=["/bin/sh", "-c", SCRIPT])
    pod.start()
    found = whole(container)
    commands = {one.command for one in found}
    assert commands == {("sleep", "1000"), ("sleep", "1001"), ("sleep", "1002")}
    first = found[0]
    assert (first.pid, first.parent, first.host_pid) == (1, 0, container.pid)
    assert {one.parent for one in found[1:]} == {1}
    seen = container.exec(["/bin/ps", "-o", "pid,args"]).stdout.decode()
    for one in found:
        assert f"{one.pid} {' '.join(one.command)}" in " ".join(seen.split())
        assert one.container == "app"
        assert (one.user, one.group, one.host_uid, one.host_gid) == ("user", "user", 1000, 1000)
        assert one.threads == 1
        assert one.terminal == ""
        assert one.memory > 0
        assert f"NSpid:\t{one.host_pid}\t{one.pid}" in host.read_proc(one.host_pid, "status")
    container.pause()
    assert {one.host_pid for one in container.top()} == {one.host_pid for one in found}
    container.unpause()
    pod.stop(timeout=0)
    with pytest.raises(podcore.ContainerStateError, match=r"is exited: it has no processes\nhint"):
        container.top()
    with pytest.raises(podcore.ContainerStateError, match="no container of pod `web` runs"):
        pod.top()


@pytest.mark.runtimes("runc")
def test_cpu_time_is_that_of_the_process(site, pod):
    busy = add(site, pod, "busy", command=["/bin/sh", "-c", "while :; do :; done"])
    pod.start()
    eventually(lambda: busy.top()[0].cpu_seconds > 0.05, what="some CPU time")
    (one,) = busy.top()
    assert one.cpu_seconds <= one.elapsed + 0.1
    assert one.state in "RS"


def test_a_container_with_ids_of_its_own_is_shown_with_them(site, pod):
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    os.chmod(site.base, 0o711)
    strict = add(
        site,
        pod,
        "strict",
        rootfs=rootfs,
        profile="strict",
        user="1000",
        command=["/bin/sleep", "9"],
    )
    pod.start()
    (one,) = whole(strict, 1)
    assert one.pid == 1
    assert one.user == "user"
    assert one.host_uid >= 65536 + 1000


@pytest.mark.runtimes("crun")
def test_the_command_line_shows_the_columns_that_are_asked_for(site, pod):
    one = add(site, pod, "one", namespaces={"pid": "host"}, command=["/bin/sh", "-c", SCRIPT])
    add(site, pod, "two")
    late = add(site, pod, "late")
    one.start()
    pod.container("two").start()
    found = whole(one)
    # In the host's pid namespace they count as the host does.
    assert [info.pid for info in found] == [info.host_pid for info in found]
    heading, *rows = site.cli("top", "web/one").stdout.splitlines()
    assert heading.split() == ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]
    assert len(rows) == 3
    assert rows[0].split()[:3] == ["root", str(one.pid), "0"]
    assert rows[0].endswith("sleep 1000")
    shown = site.cli("pod", "top", "web", "comm", "-eo", "container,hpid").stdout.splitlines()
    assert shown[0].split() == ["COMMAND", "CONTAINER", "HPID"]
    assert {row.split()[1] for row in shown[1:]} == {"one", "two"}
    assert len(shown) == 5
    listed = json.loads(site.cli("pod", "top", "web", "--json").stdout)
    assert [row["Command"] for row in listed if row["Container"] == "two"] == [
        ["/bin/sleep", "1000"]
    ]
    done = site.cli("top", "web/late", check=False)
    assert (done.returncode, late.status) == (125, "configured")
    done = site.cli("top", "web/one", "colour", check=False)
    assert done.returncode == 125
    assert "there is no column `colour`" in done.stderr
