"""What /proc says of processes, well-formed and not."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.kernel import tasks

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
FILES = {
    "stat": (
        b"4711 (evil) S 1 (x) S 100 4711 4711 34817 4711 4194560 1 2 3 4 250 50 7 8 20 -5 3 0 "
        + b"%d 8192 3 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n" % (90 * TICKS)
    ),
    "status": (
        b"Name:\tevil\nState:\tS (sleeping)\nPid:\t4711\nPPid:\t100\nUid:\t1 70001 3 4\n"
        b"Gid:\t5\t70002\t7\t8\nNSpid:\t4711\t12\t3\n"
    ),
    "cmdline": b"/bin/x\0an argument\0\0",
    "uid_map": b"         0      70000      65536\n",
    "gid_map": b"         0          0 4294967295\n",
}


def test_every_field_is_read() -> None:
    assert tasks.parse(FILES, 100.0) == tasks.Task(
        pids=(4711, 12, 3),
        parent=100,
        uid=70001,
        gid=70002,
        own_uid=1,
        own_gid=70002,
        state="S",
        threads=3,
        cpu_seconds=300 / TICKS,
        elapsed=10.0,
        memory=3 * PAGE,
        size=8192,
        terminal="pts/1",
        nice=-5,
        name="evil) S 1 (x",
        command=("/bin/x", "an argument", ""),
    )


@pytest.mark.parametrize(
    ("device", "terminal"),
    [
        (0, ""),
        (os.makedev(136, 0), "pts/0"),
        (os.makedev(137, 2), "pts/258"),
        (os.makedev(5, 1), "console"),
        (os.makedev(4, 64), "4:64"),
    ],
)
def test_terminals_are_named(device: int, terminal: str) -> None:
    files = FILES | {"stat": FILES["stat"].replace(b"34817", b"%d" % device)}
    task = tasks.parse(files, 100.0)
    assert task is not None
    assert task.terminal == terminal


def test_an_id_that_a_user_namespace_does_not_have_is_none() -> None:
    task = tasks.parse(FILES | {"uid_map": b"0 0 1000\n"}, 100.0)
    assert task is not None
    assert (task.uid, task.own_uid) == (70001, None)


@pytest.mark.parametrize("letter", [b"Z", b"X"])
def test_the_dead_are_not_there(letter: bytes) -> None:
    assert (
        tasks.parse(FILES | {"stat": FILES["stat"].replace(b"S 100", letter + b" 100")}, 1) is None
    )


@given(st.sampled_from(sorted(FILES)), st.binary(max_size=60))
def test_garbage_is_no_process(name: str, data: bytes) -> None:
    tasks.parse(FILES | {name: data}, 100.0)


@given(st.sampled_from(sorted(FILES)), st.integers(0, 200))
def test_half_a_file_is_no_error(name: str, length: int) -> None:
    tasks.parse(FILES | {name: FILES[name][:length]}, 100.0)


def test_a_real_process_is_read_and_one_that_is_gone_is_none(
    sleeping: Callable[[], int],
) -> None:
    task = tasks.read(sleeping())
    assert task is not None
    assert task.parent == os.getpid()
    assert task.uid == os.geteuid()
    assert task.elapsed < 600
    me = tasks.read(os.getpid())
    assert me is not None
    assert me.cpu_seconds > 0
    assert me.memory > 1 << 20
    assert me.command[0].endswith(os.path.basename(sys.executable))
    child = subprocess.Popen(["true"])
    child.wait()
    assert tasks.read(child.pid) is None
