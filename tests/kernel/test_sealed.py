"""Copies of programs in memory: what runs, that nobody can change it, and when there is none."""

import ctypes
import errno
import gc
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from podcore.kernel import sealed
from podcore.kernel.sealed import SealedCopy

TRUE = shutil.which("true") or ""
ECHO = shutil.which("echo") or ""


@pytest.fixture
def program(tmp_path: Path) -> str:
    return shutil.copy(ECHO, tmp_path / "program")


def replaced(program: str, by: str) -> None:
    shutil.copy(by, f"{program}.new")
    os.rename(f"{program}.new", program)


def answer(path: str) -> bytes:
    return subprocess.run([path, "here"], stdout=subprocess.PIPE, check=True).stdout


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_the_copy_does_what_the_program_does(program: str) -> None:
    copy = SealedCopy(program)

    assert copy.path() != program
    assert os.readlink(copy.path()).startswith("/memfd:program")
    assert answer(copy.path()) == answer(program) == b"here\n"
    assert Path(copy.path()).read_bytes() == Path(program).read_bytes()


def test_nobody_can_change_the_copy(program: str) -> None:
    copy = SealedCopy(program)

    fd = os.open(copy.path(), os.O_RDWR)
    try:
        with pytest.raises(PermissionError):
            os.write(fd, b"#!")
        with pytest.raises(PermissionError):
            os.truncate(fd, 0)
        with pytest.raises(PermissionError):
            os.truncate(fd, 1 << 20)
    finally:
        os.close(fd)
    assert answer(copy.path()) == b"here\n"


def test_it_is_made_once(program: str) -> None:
    copy = SealedCopy(program)

    assert copy.path() == copy.path()


def test_it_is_made_again_when_the_program_is_another_one(program: str) -> None:
    copy = SealedCopy(program)
    before = copy.path()
    replaced(program, TRUE)

    assert copy.path() != before
    assert answer(copy.path()) == b""
    # A thread may be about to execute it.
    assert answer(before) == b"here\n"


def test_the_memory_is_given_back(program: str) -> None:
    before = open_descriptors()
    copy = SealedCopy(program)
    copy.path()
    replaced(program, TRUE)
    copy.path()
    assert len(open_descriptors() - before) == 2

    del copy
    gc.collect()
    assert open_descriptors() == before


def test_a_program_that_is_gone_is_left_to_whoever_executes_it(program: str) -> None:
    copy = SealedCopy(program)
    copy.path()
    os.unlink(program)

    assert copy.path() == program


def test_a_script_is_run_from_its_file(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho $0\n")

    assert SealedCopy(str(script)).path() == str(script)


def test_what_is_large_is_run_from_its_file(program: str) -> None:
    with open(program, "r+b") as file:
        file.truncate((4 << 20) + 1)

    assert SealedCopy(program).path() == program


def test_with_selinux_the_file_decides_the_domain(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "enforce").touch()
    monkeypatch.setattr(sealed, "_SELINUX", str(tmp_path / "enforce"))

    assert SealedCopy(program).path() == program


def test_nobody_else_could_run_the_copy_of_a_process_that_can_not_be_looked_into(
    program: str,
) -> None:
    prctl = ctypes.CDLL(None).prctl
    assert prctl(4, 0, 0, 0, 0) == 0  # PR_SET_DUMPABLE
    try:
        assert SealedCopy(program).path() == program
    finally:
        assert prctl(4, 1, 0, 0, 0) == 0
    assert SealedCopy(program).path() != program


@pytest.fixture(params=[errno.EMFILE, errno.ENOMEM, errno.EACCES])
def no_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(name: str, flags: int) -> int:
        raise OSError(request.param, os.strerror(request.param))

    with monkeypatch.context() as patch:
        patch.setattr(os, "memfd_create", refuse)
        yield


@pytest.mark.usefixtures("no_memory")
def test_without_memory_for_it_the_file_is_run(program: str) -> None:
    before = open_descriptors()

    assert SealedCopy(program).path() == program
    assert open_descriptors() == before


def test_what_can_not_be_sealed_is_not_run(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()
    make = os.memfd_create
    monkeypatch.setattr(os, "memfd_create", lambda name, _: make(name, os.MFD_CLOEXEC))

    assert SealedCopy(program).path() == program
    assert open_descriptors() == before


def test_a_kernel_before_6_3_makes_every_memory_executable(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = os.memfd_create

    def old(name: str, flags: int) -> int:
        if flags & ~(os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return make(name, flags)

    monkeypatch.setattr(os, "memfd_create", old)

    assert answer(SealedCopy(program).path()) == b"here\n"


def test_its_number_is_one_that_other_processes_do_not_use(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert int(SealedCopy(program).path().rpartition("/")[2]) >= 900

    monkeypatch.setattr(sealed, "_HIGH", 1 << 30)  # above the limit
    copy = SealedCopy(program)
    assert int(copy.path().rpartition("/")[2]) < 900
    assert answer(copy.path()) == b"here\n"
