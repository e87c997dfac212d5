"""Processes are told apart, and signals hit only the one that was meant."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.polling import eventually
from podcore.kernel import process
from podcore.records import ProcessIdentity

Start = Callable[..., subprocess.Popen[str]]


def sleeper(popen: Start) -> tuple[subprocess.Popen[str], ProcessIdentity]:
    child = popen(["sleep", "1000"])
    identity = process.identify(child.pid)
    assert identity is not None
    return child, identity


def become_zombie(child: subprocess.Popen[str]) -> None:
    """Kills a child without reaping it."""
    os.kill(child.pid, signal.SIGKILL)
    pidfd = os.pidfd_open(child.pid)
    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)


def test_a_process_is_identified_by_pid_and_start_time() -> None:
    identity = process.identify(os.getpid())
    assert identity == process.me()
    assert identity.pid == os.getpid()
    assert identity.start_time > 0
    assert process.alive(identity)


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1])
def test_there_is_no_process_with_an_impossible_pid(pid: int) -> None:
    assert process.identify(pid) is None
    assert process.cgroup_paths(pid) == {}


def test_a_zombie_counts_as_dead(popen: Start) -> None:
    child, identity = sleeper(popen)
    assert process.alive(identity)
    become_zombie(child)
    os.kill(child.pid, 0)  # the kernel still knows it
    assert process.identify(child.pid) is None
    assert not process.alive(identity)
    assert process.open_pidfd(identity) is None
    assert not process.send(identity, signal.SIGTERM)
    assert process.wait_gone([identity], 0) == []


def test_a_signal_reaches_the_process_that_is_meant(popen: Start) -> None:
    child, identity = sleeper(popen)
    assert process.send(identity, signal.SIGTERM)
    assert child.wait(20) == -signal.SIGTERM
    assert not process.send(identity, signal.SIGTERM)


def test_another_process_with_the_same_pid_gets_no_signal(popen: Start) -> None:
    child, identity = sleeper(popen)
    earlier = ProcessIdentity(identity.pid, identity.start_time - 1)
    assert not process.alive(earlier)
    assert not process.send(earlier, signal.SIGKILL)
    assert process.open_pidfd(earlier) is None
    assert process.wait_gone([earlier], 20) == []
    assert child.poll() is None
    assert process.alive(identity)


def test_a_recycled_pid_is_not_the_earlier_process(popen: Start) -> None:
    if not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
        pytest.skip("this host doesn't let pids be chosen")
    first, identity = sleeper(popen)
    first.kill()
    first.wait()
    # Until the clock of start times has gone on: within one tick they would be the same.
    eventually(lambda: clock_ticks() > identity.start_time + 1, what="the next clock tick")
    for _ in range(200):
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(first.pid - 1))
        second = popen(["sleep", "1000"])
        if second.pid == first.pid:
            break
        second.kill()
        second.wait()
    else:
        pytest.skip("somebody else is faster at taking pids")
    assert not process.send(identity, signal.SIGKILL)
    assert process.wait_gone([identity], 0) == []
    assert second.poll() is None


def clock_ticks() -> int:
    with open("/proc/uptime", encoding="ascii") as file:
        return int(float(file.read().split()[0]) * os.sysconf("SC_CLK_TCK"))


def test_a_signal_is_withheld_from_a_process_in_another_cgroup(popen: Start) -> None:
    child, identity = sleeper(popen)
    assert not process.send(identity, signal.SIGKILL, "podcore-test-elsewhere/x")
    assert child.poll() is None


def test_waiting_ends_with_the_last_process_and_not_before(popen: Start) -> None:
    first, a = sleeper(popen)
    second, b = sleeper(popen)
    assert process.wait_gone([a, b], 0) == [a, b]
    first.kill()
    first.wait()
    assert process.wait_gone([a, b], 0.05) == [b]
    second.kill()
    assert process.wait_gone([a, b], 20) == []
    assert process.wait_gone([], None) == []


def test_waiting_leaves_no_descriptors_behind(popen: Start) -> None:
    _, identity = sleeper(popen)
    before = os.listdir("/proc/self/fd")
    process.wait_gone([identity, ProcessIdentity(identity.pid, 1)], 0)
    process.send(identity, 0)
    assert os.listdir("/proc/self/fd") == before


def test_processes_are_found_by_their_arguments_in_order_of_pid(popen: Start) -> None:
    mark = f"podcore-test-{os.getpid()}"
    code = "import sys; print(flush=True); sys.stdin.read()"
    started = [
        popen([sys.executable, "-c", code, mark], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    for child in started:
        assert child.stdout is not None
        child.stdout.readline()
    found = process.find(lambda argv: argv[-1:] == [mark.encode()])
    assert [identity.pid for identity in found] == sorted(child.pid for child in started)


FORKS = "import os, sys, time; sys.stdin.read(1); os.fork() {}; time.sleep(1000)"


def forks_when_told(
    popen: Start, then: str = ""
) -> tuple[subprocess.Popen[str], Callable[[list[bytes]], bool]]:
    """Starts what waits for a byte, forks and goes on with ``then``; it is told by its argv."""
    mark = f"podcore-test-{os.getpid()}-{time.monotonic_ns()}".encode()
    child = popen([sys.executable, "-c", FORKS.format(then), mark], stdin=subprocess.PIPE)

    def match(argv: list[bytes]) -> bool:
        return argv[-1:] == [mark]

    eventually(lambda: len(process.find(match)) == 1, what="its command line")
    return child, match


def tell(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("x")
    child.stdin.flush()


def test_what_forks_and_exits_during_a_look_is_found_by_its_child(
    popen: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, match = forks_when_told(popen, "and os._exit(0)")
    listed = os.listdir

    def before_it_is_told(path: str) -> list[str]:
        found = listed(path)
        if child.returncode is None:
            tell(child)
            child.wait()
        return found

    monkeypatch.setattr(os, "listdir", before_it_is_told)
    (found,) = process.find(match)

    assert found.pid != child.pid
    assert process.end(match, 20) == []
    assert not process.alive(found)


def test_what_is_forked_while_its_parent_is_killed_is_killed_too(
    popen: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, match = forks_when_told(popen)
    send = process.send

    def first_it_is_told(identity: ProcessIdentity, signum: int) -> bool:
        if identity.pid == child.pid:
            tell(child)
            eventually(lambda: len(process.find(match)) == 2, what="its child")
        return send(identity, signum)

    monkeypatch.setattr(process, "send", first_it_is_told)

    assert process.end(match, 20) == []
    assert process.find(match) == []


def test_an_end_has_a_deadline(popen: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    child, match = forks_when_told(popen)
    monkeypatch.setattr(process, "send", lambda *_arguments: True)

    assert [one.pid for one in process.end(match, 0.05)] == [child.pid]


def test_the_cgroups_of_a_process_begin_with_a_slash() -> None:
    paths = process.cgroup_paths(os.getpid())
    assert paths
    assert all(path.startswith("/") for path in paths.values())


comm = st.binary(min_size=1, max_size=15).filter(lambda name: b"\0" not in name)
WEIRD = st.sampled_from([b") (", b")", b"(", b") R 1 2", b"a\nb", b" ", b"\xff)\xfe"]) | comm


@given(name=WEIRD, state=st.sampled_from(list(b"RSDZTtXxI")), start=st.integers(0, 2**63))
def test_any_name_of_a_program_leaves_state_and_start_time_readable(
    name: bytes, state: int, start: int
) -> None:
    fields = [b"%d" % number for number in range(4, 22)]
    line = b"42 (" + name + b") " + bytes((state,)) + b" " + b" ".join(fields)
    line += b" %d 0 0\n" % start
    assert process.parse_stat(line) == (bytes((state,)), start)


@given(st.binary(max_size=200))
def test_garbage_for_a_stat_is_no_error(data: bytes) -> None:
    process.parse_stat(data)


path = st.text(
    st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=20
).map(lambda text: "/" + text)


@given(st.dictionaries(st.from_regex(r"\A(name=)?[a-z]{1,8}\Z"), path, max_size=6))
def test_cgroups_are_read_by_controller(paths: dict[str, str]) -> None:
    lines = [f"{n}:{name}:{path}\n" for n, (name, path) in enumerate(paths.items(), 1)]
    assert process.parse_cgroups("".join(lines).encode()) == paths


def test_controllers_that_share_a_hierarchy_are_read_one_by_one() -> None:
    data = b"4:cpu,cpuacct:/a:b\n1:name=systemd:/s\n0::/u\n"
    wanted = {"cpu": "/a:b", "cpuacct": "/a:b", "name=systemd": "/s", "": "/u"}
    assert process.parse_cgroups(data) == wanted


@given(st.binary(max_size=200))
def test_garbage_for_cgroups_is_no_error(data: bytes) -> None:
    process.parse_cgroups(data)
