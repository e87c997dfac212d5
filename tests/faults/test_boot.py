"""Faults of beginnings: first openings, reboots and where the locks lie, in docs/reliability.md."""

import os
import subprocess
import sys

import pytest

from harness.bare import kill_hard
from harness.polling import eventually
from integration.builders import STUBBORN, add, events, new_pod, states
from podcore import LockTable
from podcore.errors import UnsupportedError
from podcore.kernel import host as kernel_host
from podcore.kernel import process
from podcore.model import ContainerStatus
from podcore.records import Intent, Verb
from podcore.testing import check_invariants

NEXT_BOOT = "00000000-0000-4000-8000-000000000000"


def sound(engine):
    eventually(lambda: not check_invariants(engine), what="all invariants")


def end_lives(engine):
    """Ends all containers and their monitors, as the end of a boot does; the rows stay."""
    with engine.host.store.read() as view:
        rows = view.containers()
    for row in rows:
        for one in (row.monitor, row.init):
            if one is not None and process.alive(one):
                kill_hard(one.pid)


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize(
    "verb", [Verb.CREATE, Verb.START, Verb.STOP, Verb.PAUSE, Verb.CLEANUP, Verb.REMOVE, None]
)
def test_f52_processes_that_look_like_those_of_the_last_boot_are_spared(
    site, monkeypatch, popen, verb
):
    """Pids and start times begin anew with each boot, and services start in the same order."""
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    pod.start()
    end_lives(engine)
    victim = popen(STUBBORN)
    identity = process.identify(victim.pid)
    state = {
        Verb.CREATE: ContainerStatus.CONFIGURED,
        Verb.STOP: ContainerStatus.STOPPING,
        Verb.CLEANUP: ContainerStatus.EXITED,
        Verb.REMOVE: ContainerStatus.REMOVING,
    }.get(verb, ContainerStatus.RUNNING)
    with engine.host.session("test") as session, engine.host.store.write(session) as change:
        row = change.container(one.id)
        intent = Intent(verb, identity, 0) if verb else None
        change.save_container(row.but(state=state, init=identity, monitor=identity, intent=intent))
    monkeypatch.setattr(kernel_host, "boot_id", lambda: NEXT_BOOT)

    pod = site.engine().pod("web")
    if verb is not Verb.REMOVE:
        expected = "configured" if verb is Verb.CREATE else "exited"
        assert states(pod) == {"one": expected}
        pod.stop(timeout=0, cleanup=True)
        assert states(pod) == {"one": expected}
        assert pod.start().ok
    assert pod.remove(force=True).ok

    assert victim.poll() is None
    monkeypatch.undo()


OPENING = """
import sys
import podcore
from podcore.kernel import host
from podcore.store import creation

def wait():
    print("ready", flush=True)
    sys.stdin.readline()

if boot := sys.argv[2]:
    host.boot_id = lambda: boot
    wait()
else:
    # Each has seen that there is no database, before any of them makes one.
    create = creation.create
    creation.create = lambda *arguments: (wait(), create(*arguments))
with podcore.Engine() as engine:
    if boot:
        engine.pod("web").start()
    else:
        engine.create_pod(sys.argv[1], share=())
"""


@pytest.mark.contention
@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("when", ["ever", "after-a-reboot"])
def test_f53_sixteen_processes_are_the_first_at_once(site, popen, when):
    names = [f"p{number}" for number in range(16)]
    rebooted = when == "after-a-reboot"
    if rebooted:
        engine = site.engine()
        pod = new_pod(site, engine=engine)
        add(site, pod, "one")
        pod.start()
        end_lives(engine)
    boot = NEXT_BOOT if rebooted else ""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    callers = [
        popen([sys.executable, "-c", OPENING, name, boot], env=site.environ, **pipes)
        for name in names
    ]
    for caller in callers:
        assert caller.stdout.readline() == "ready\n"
    for caller in callers:
        caller.stdin.write("\n")
        caller.stdin.flush()

    assert [caller.communicate(timeout=120) for caller in callers] == [("", "")] * 16
    assert [caller.returncode for caller in callers] == [0] * 16
    engine = site.engine()
    if rebooted:
        # Once by the test, and once by all sixteen.
        assert events(engine, "start") == ["one"] * 2
    else:
        assert sorted(pod.name for pod in engine.pods()) == sorted(names)
        sound(engine)


FUSE = """
import os, struct, subprocess, sys

INIT, GETATTR, STATFS = 26, 3, 17
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40700,user_id=0,group_id=0"
mount = ["mount", "-i", "-t", "fuse", "-o", options, "podcore-test", sys.argv[1]]
subprocess.run(mount, check=True, pass_fds=[device])
print("mounted", flush=True)
answers = {
    INIT: struct.pack("=4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 4096, 0, 0, 0, *[0] * 8),
    GETATTR: struct.pack("=QIIQQQQQQIIIIIIIIII", 0, 0, 0, 1, *[0] * 8, 0o40700, 2, *[0] * 5),
    STATFS: struct.pack("=5Q4I6I", *[0] * 5, 4096, 255, 4096, *[0] * 7),
}
while True:
    try:
        _, opcode, unique = struct.unpack_from("=IIQ", os.read(device, 1 << 17))
    except OSError:  # unmounted
        break
    answer = answers.get(opcode)
    error = 0 if answer is not None else -38
    os.write(device, struct.pack("=IiQ", 16 + len(answer or b""), error, unique) + (answer or b""))
"""


@pytest.fixture
def fuse(tmp_path, popen):
    """The root of a FUSE file system that has nothing in it."""
    point = str(tmp_path / "fuse")
    os.mkdir(point, 0o700)
    server = popen([sys.executable, "-c", FUSE, point], stdout=subprocess.PIPE)
    if server.stdout.readline() != "mounted\n":
        pytest.skip("this host mounts no FUSE")
    yield point
    subprocess.run(["umount", "--lazy", point], check=True)


def test_f58_locks_on_a_file_system_of_others_are_refused_by_name(fuse):
    with pytest.raises(UnsupportedError, match="is on FUSE"):
        LockTable(fuse)
