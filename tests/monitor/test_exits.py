"""Exit files: what conmon wrote is believed, whatever else stands there is an unknown exit."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from podcore.monitor.exits import read_exit

ID = "f" * 64


@pytest.fixture
def dirs(tmp_path: Path) -> tuple[Path, Path]:
    persist, exits = tmp_path / "persist", tmp_path / "exits"
    persist.mkdir()
    exits.mkdir()
    return persist, exits


def fifo(path: Path) -> None:
    os.mkfifo(path)


def symlink(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("0")
    path.symlink_to(target)


def directory(path: Path) -> None:
    path.mkdir()


def containing(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


BAD = {
    "empty": containing(b""),
    "text": containing(b"abc"),
    "huge": containing(b"0" * 10_000_000),
    "negative": containing(b"-1"),
    "too big": containing(b"256"),
    "two lines": containing(b"1\n2"),
    "spaces": containing(b" 1"),
    "other digits": containing("١".encode()),
    "fifo": fifo,
    "symlink": symlink,
    "directory": directory,
}


def test_no_file_means_that_nobody_has_said_anything(dirs: tuple[Path, Path]) -> None:
    persist, exits = dirs

    assert read_exit(str(persist), str(exits), ID) is None
    assert read_exit(f"{persist}/missing", f"{exits}/missing", ID) is None


@pytest.mark.parametrize("code", [0, 1, 7, 137, 255])
def test_each_copy_alone_says_the_code(dirs: tuple[Path, Path], code: int) -> None:
    persist, exits = dirs
    for path in (persist / "exit", exits / ID):
        path.write_text(str(code))
        found = read_exit(str(persist), str(exits), ID)
        path.unlink()

        assert found is not None
        assert (found.code, found.reason, found.oom) == (code, "", False)


def test_the_persistent_copy_comes_first(dirs: tuple[Path, Path]) -> None:
    persist, exits = dirs
    (persist / "exit").write_text("3")
    (exits / ID).write_text("4")
    os.utime(persist / "exit", (100.0, 100.5))

    found = read_exit(str(persist), str(exits), ID)
    assert found is not None
    assert (found.code, found.time) == (3, 100.5)


@pytest.mark.parametrize("bad", BAD)
def test_anything_else_is_an_unknown_exit_and_never_waited_for(
    dirs: tuple[Path, Path], bad: str
) -> None:
    persist, exits = dirs
    BAD[bad](persist / "exit")

    found = read_exit(str(persist), str(exits), ID)
    assert found is not None
    assert found.code is None
    assert found.reason.startswith("ExitUnknown: `")


@pytest.mark.parametrize("bad", BAD)
def test_a_damaged_copy_does_not_hide_the_good_one(dirs: tuple[Path, Path], bad: str) -> None:
    persist, exits = dirs
    BAD[bad](persist / "exit")
    (exits / ID).write_text("9")

    found = read_exit(str(persist), str(exits), ID)
    assert found is not None
    assert (found.code, found.reason) == (9, "")


def test_an_oom_kill_is_seen(dirs: tuple[Path, Path]) -> None:
    persist, exits = dirs
    (persist / "exit").write_text("137")
    (persist / "oom").touch()

    found = read_exit(str(persist), str(exits), ID)
    assert found is not None
    assert found.oom


def test_half_written_temporary_files_are_not_looked_at(dirs: tuple[Path, Path]) -> None:
    persist, exits = dirs
    (exits / f"{ID}.XA12BC").write_text("1")
    (persist / "exit.XA12BC").write_text("1")

    assert read_exit(str(persist), str(exits), ID) is None
