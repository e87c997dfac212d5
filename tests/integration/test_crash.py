"""Callers, monitors and runtimes that are killed in the middle of a verb, and hosts that reboot.

What a killed caller leaves at each step of each verb is the matter of ``tests/testing``; here,
processes are killed from outside, with others of theirs still at work.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

import podcore
from harness import host
from harness.bare import kill_hard
from harness.polling import eventually
from integration.builders import POLITE, add, await_ready, new_pod, outcomes, states
from podcore.kernel import host as kernel_host
from podcore.kernel import mounts, process
from podcore.testing import check_invariants

WRAPPER = """#!/bin/sh
# Stands still before or after one verb of the real runtime, for as long as a file is there.
stand() {{
    if [ -e {base}/stand-$1 ]; then echo $$ > {base}/standing; read x < {base}/fifo; fi
}}
for word; do
    case $word in create|start|delete) verb=$word;; esac
done
stand before-$verb
{real} "$@"
code=$?
stand after-$verb
exit $code
"""

CALL = """
import sys
import podcore
getattr(podcore.Engine().pod("web"), sys.argv[1])()
"""


class Stand:
    """A runtime that stands still where it is told to."""

    def __init__(self, site):
        self.base = site.base
        directory = f"{site.base}/bin"
        os.mkdir(directory)
        os.mkfifo(f"{site.base}/fifo")
        self.path = f"{directory}/{site.runtime}"
        with open(self.path, "w", encoding="ascii") as file:
            file.write(WRAPPER.format(base=site.base, real=shutil.which(site.runtime)))
        os.chmod(self.path, 0o755)

    def at(self, place):
        with open(f"{self.base}/stand-{place}", "w", encoding="ascii"):
            pass

    def nowhere(self):
        for name in os.listdir(self.base):
            if name.startswith("stand-"):
                os.unlink(f"{self.base}/{name}")

    def standing(self):
        """Waits until a runtime process stands, and returns its pid."""
        path = f"{self.base}/standing"
        eventually(
            lambda: os.path.exists(path) and os.path.getsize(path), what="a standing runtime"
        )
        with open(path, encoding="ascii") as file:
            return int(file.read())


@pytest.fixture
def stand(site):
    return Stand(site)


@pytest.fixture
def caller(site, popen):
    """Starts a verb of the pod `web` in a process of its own."""

    def call(verb):
        argv = [sys.executable, "-c", CALL, verb]
        return popen(argv, env=site.environ, stderr=subprocess.DEVNULL)

    return call


def of_the_site(site, *words):
    """The pids of all processes whose command line names the site and all the words."""
    found = []
    for pid in host.processes():
        line = host.read_proc(pid, "cmdline").split("\0")
        if any(f"{site.base}/" in part for part in line) and all(word in line for word in words):
            found.append(pid)
    return found


def monitors(site):
    return [pid for pid in of_the_site(site) if host.read_proc(pid, "comm").strip() == "conmon"]


def monitor_of(container):
    with container._engine.host.store.read() as view:
        return view.container(container.id).monitor.pid


@pytest.mark.parametrize("place", ["before-create", "after-create", "before-start", "after-start"])
def test_a_killed_start_is_finished_by_the_next_one_and_leaves_no_orphan(
    site, stand, caller, place
):
    engine = site.engine(oci_runtime=stand.path)
    pod = new_pod(site, engine=engine)
    members = [
        add(site, pod, "base", command=POLITE),
        add(site, pod, "top", "base", command=POLITE),
    ]
    stand.at(place)
    call = caller("start")
    standing = stand.standing()
    call.kill()
    call.wait()
    assert os.path.exists(f"/proc/{standing}"), "the runtime process outlives its caller"
    stand.nowhere()

    report = pod.start()

    assert report.ok
    assert states(pod) == {"base": "running", "top": "running"}
    eventually(lambda: not os.path.exists(f"/proc/{standing}"), what="the end of the old runtime")
    await_ready(*members)
    assert len(monitors(site)) == 2
    assert of_the_site(site, "start") == []
    assert check_invariants(engine) == []


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("place", ["before-create", "after-create", "before-start", "after-start"])
@pytest.mark.parametrize("verb", ["stop", "restart", "remove"])
def test_any_verb_goes_on_from_a_killed_start(site, stand, caller, place, verb):
    engine = site.engine(oci_runtime=stand.path)
    pod = new_pod(site, engine=engine)
    add(site, pod, "a", stop_timeout=0)
    stand.at(place)
    call = caller("start")
    standing = stand.standing()
    call.kill()
    call.wait()
    stand.nowhere()

    if verb == "remove":
        pod.remove(force=True)
    else:
        getattr(pod, verb)()

    eventually(lambda: not os.path.exists(f"/proc/{standing}"), what="the end of the old runtime")
    assert check_invariants(engine) == []
    if verb == "restart":
        assert states(pod) == {"a": "running"}


@pytest.mark.runtimes("crun")
def test_the_monitor_of_a_container_that_is_called_start_is_spared(site, stand, caller):
    engine = site.engine(oci_runtime=stand.path)
    pod = new_pod(site, engine=engine)
    container = add(site, pod, "start")
    stand.at("before-start")
    call = caller("start")
    stand.standing()
    monitor = monitor_of(container)
    call.kill()
    call.wait()
    stand.nowhere()

    assert pod.start().ok

    assert monitors(site) == [monitor]
    pod.kill()
    assert container.exit_code == 137


@pytest.mark.runtimes("crun")
def test_a_killed_stop_is_not_sticky(site, caller):
    pod = new_pod(site)
    container = add(site, pod, "a", stop_timeout=600)
    pod.start()
    call = caller("stop")
    eventually(lambda: container.status == "stopping")
    call.kill()
    call.wait()

    assert container.status == "running"
    assert outcomes(pod.start()) == {"a": "ignored"}
    assert outcomes(pod.stop(timeout=0)) == {"a": "done"}
    assert container.exit_code == 137
    assert check_invariants(pod._engine) == []


@pytest.mark.runtimes("crun")
def test_a_container_that_obeys_a_killed_stop_has_its_exit_code(site, caller):
    # It heeds SIGTERM, but only when it is told that nobody waits for it any more.
    script = "trap 'while [ ! -e /tmp/go ]; do sleep 0.02; done; exit 4' TERM; echo ready; "
    command = ["sh", "-c", script + "sleep 1000 & wait"]
    pod = new_pod(site)
    container = add(site, pod, "a", command=command, rootfs_mode="overlay", stop_timeout=600)
    pod.start()
    await_ready(container)
    call = caller("stop")
    eventually(lambda: container.status == "stopping")
    call.kill()
    call.wait()
    container.exec(["touch", "/tmp/go"], timeout=60)

    assert container.wait(timeout=60) == 4
    assert pod.start().ok


@pytest.mark.runtimes("crun")
def test_a_killed_removal_is_finished_by_the_next_one(site, stand, caller):
    engine = site.engine(oci_runtime=stand.path)
    pod = new_pod(site, engine=engine)
    add(site, pod, "a")
    pod.start()
    pod.kill()
    stand.at("before-delete")
    call = caller("remove")
    standing = stand.standing()
    call.kill()
    call.wait()
    stand.nowhere()
    assert pod.state == "error"
    assert states(pod) == {"a": "removing"}

    assert pod.remove().ok

    eventually(lambda: not os.path.exists(f"/proc/{standing}"), what="the end of the old runtime")
    assert engine.pods() == []
    assert check_invariants(engine) == []


@pytest.mark.runtimes("crun")
def test_a_killed_restart_is_finished_by_a_start(site, stand, caller):
    engine = site.engine(oci_runtime=stand.path)
    pod = new_pod(site, engine=engine)
    add(site, pod, "base", stop_timeout=0)
    add(site, pod, "top", "base", stop_timeout=0)
    pod.start()
    stand.at("before-create")
    call = caller("restart")
    stand.standing()
    call.kill()
    call.wait()
    stand.nowhere()

    assert pod.start().ok

    assert states(pod) == {"base": "running", "top": "running"}
    assert len(monitors(site)) == 2
    assert check_invariants(engine) == []


def test_a_container_outlives_its_monitor(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()

    kill_hard(monitor_of(container))

    assert container.status == "running"
    assert outcomes(pod.pause()) == outcomes(pod.unpause()) == {"a": "done"}
    assert outcomes(pod.stop(timeout=0)) == {"a": "done"}
    # Nobody can know how it ended, and nothing is invented.
    assert (container.status, container.exit_code) == ("exited", None)
    assert container.inspect().reason == "MonitorLost"
    assert pod.start().ok
    assert container.status == "running"


@pytest.mark.runtimes("crun")
def test_a_container_that_dies_after_its_monitor_is_exited(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    kill_hard(monitor_of(container))
    kill_hard(container.pid)

    assert (container.status, container.exit_code) == ("exited", None)
    assert container.inspect().reason == "MonitorLost"
    assert container.wait(timeout=30) is None


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("place", ["before-create", "after-create"])
def test_a_monitor_that_is_killed_while_it_creates_is_an_error(site, stand, place):
    engine = site.engine(oci_runtime=stand.path)
    pod = new_pod(site, engine=engine)
    container = add(site, pod, "a")
    stand.at(place)
    errors = []

    def start():
        try:
            container.start()
        except podcore.PodcoreError as error:
            errors.append(error)

    starter = threading.Thread(target=start)
    starter.start()
    standing = stand.standing()
    for pid in monitors(site):
        os.kill(pid, signal.SIGKILL)
    starter.join(60)

    assert not starter.is_alive()
    assert [type(error) for error in errors] in (
        [podcore.MonitorError],
        [podcore.MonitorProtocolError],
    )
    assert container.status == "configured"
    eventually(lambda: not os.path.exists(f"/proc/{standing}"), what="the end of the old runtime")
    stand.nowhere()
    assert pod.start().ok
    assert check_invariants(engine) == []


def test_a_runtime_that_has_lost_its_state_is_not_needed(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    engine = pod._engine
    shutil.rmtree(engine.host.runtime(container.inspect().oci_runtime).root)

    assert container.status == "running"
    with pytest.raises(podcore.PodcoreError):
        container.exec(["true"], timeout=60)
    assert outcomes(pod.pause()) == outcomes(pod.unpause()) == {"a": "done"}
    assert outcomes(pod.restart(timeout=0)) == {"a": "done"}
    shutil.rmtree(engine.host.runtime(container.inspect().oci_runtime).root)
    assert outcomes(pod.stop(timeout=0, cleanup=True)) == {"a": "done"}
    assert container.exit_code == 137
    assert pod.remove().ok


@pytest.mark.runtimes("crun")
def test_a_created_container_that_lost_its_process_is_started_afresh(site, stand, caller):
    engine = site.engine(oci_runtime=stand.path)
    pod = new_pod(site, engine=engine)
    container = add(site, pod, "a")
    stand.at("before-start")
    call = caller("start")
    stand.standing()
    call.kill()
    call.wait()
    stand.nowhere()
    assert container.status == "created"
    kill_hard(container.pid)

    assert pod.start().ok

    assert container.status == "running"


def _end_of_boot(site, engine):
    """What a power cut does: no process, no mount and no run directory is left."""
    ours = [process.identify(pid) for pid in monitors(site)]
    for container in (c for pod in engine.pods() for c in pod.containers()):
        ours += [
            process.identify(pid)
            for pid in engine.host.cgroup(container.inspect().cgroup_path).procs()
        ]
    for pod in engine.pods():
        if infra := pod.inspect().infra_container_id:
            path = engine.container(infra).inspect().cgroup_path
            ours += [process.identify(pid) for pid in engine.host.cgroup(path).procs()]
    engine.close()
    for identity in filter(None, ours):
        process.send(identity, signal.SIGKILL)
    assert process.wait_gone([identity for identity in ours if identity], 30) == []
    # Monitors of containers that have exited may still be writing to the run directory.
    run_root = os.fsencode(site.run_root)
    eventually(lambda: not process.find(lambda argv: any(run_root in part for part in argv)))
    for mount in reversed([m.mount_point for m in host.mounts()]):
        if mount.startswith(f"{site.base}/"):
            mounts.unmount(mount)


@pytest.mark.parametrize("kept", [True, False], ids=["run-directory-kept", "run-directory-gone"])
def test_after_a_reboot_nothing_runs_and_everything_starts_again(site, monkeypatch, kept):
    engine = site.engine()
    pod = new_pod(site, engine=engine, share=("ipc", "net", "uts"))
    add(site, pod, "base", rootfs_mode="overlay")
    ended = add(site, pod, "ended")
    pod.start()
    ended.kill("KILL")
    add(site, pod, "new", "base")
    _end_of_boot(site, engine)
    if not kept:
        shutil.rmtree(site.run_root)
    monkeypatch.setattr(kernel_host, "boot_id", lambda: "00000000-0000-4000-8000-000000000000")

    pod = site.engine().pod("web")

    assert states(pod) == {"base": "exited", "ended": "exited", "new": "configured"}
    base = pod.container("base")
    # Its monitor may have written an exit file before it went down with the host.
    assert (base.exit_code, base.inspect().reason) in ((None, "Reboot"), (137, ""))
    assert pod.container("ended").exit_code == 137
    assert pod.start().ok
    assert set(states(pod).values()) == {"running"}
    assert pod.remove(force=True).ok
    monkeypatch.undo()
