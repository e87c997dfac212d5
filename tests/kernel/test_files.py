"""Files can't be swapped, blocked or seen halfway."""

import contextlib
import itertools
import os
import socket
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podcore.errors import InvalidArgumentError, ResourceExhaustedError, UnsupportedError
from podcore.kernel import files


def contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def test_a_file_is_written_with_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        files.write_atomic(f"{tmp_path}/private", b"a")
        files.write_atomic(f"{tmp_path}/public", b"b", 0o644, durable=True)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(f"{tmp_path}/private").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(f"{tmp_path}/public").st_mode) == 0o644
    assert contents(f"{tmp_path}/public") == b"b"
    assert sorted(os.listdir(tmp_path)) == ["private", "public"]


def test_readers_see_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = f"{tmp_path}/file"
    files.write_atomic(path, b"0" * 100_000)
    done = threading.Event()

    def write() -> None:
        for number in range(1, 100):
            files.write_atomic(path, b"%d" % (number % 10) * 100_000)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        seen = contents(path)
        assert len(seen) == 100_000
        assert len(set(seen)) == 1
    writer.join()


def test_a_link_is_replaced_and_what_it_points_to_is_untouched(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("canary")
    os.symlink("other", f"{tmp_path}/link")
    files.write_atomic(f"{tmp_path}/link", b"new")
    assert (tmp_path / "other").read_text() == "canary"
    assert not os.path.islink(f"{tmp_path}/link")
    assert contents(f"{tmp_path}/link") == b"new"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    os.mkdir(f"{tmp_path}/directory")
    with pytest.raises(IsADirectoryError):
        files.write_atomic(f"{tmp_path}/directory", b"x")
    with pytest.raises(FileNotFoundError):
        files.write_atomic(f"{tmp_path}/missing/file", b"x")
    assert os.listdir(tmp_path) == ["directory"]


@pytest.mark.integration
def test_a_full_disk_is_a_typed_error_and_the_old_file_stays(root: None, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        path = f"{tmp_path}/file"
        files.write_atomic(path, b"old")
        with pytest.raises(ResourceExhaustedError, match="no space or inodes left") as caught:
            files.write_atomic(path, bytes(1 << 20))
        assert path in str(caught.value)
        assert os.listdir(tmp_path) == ["file"]
        assert contents(path) == b"old"
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_leftover_of_a_killed_writer_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_serial", itertools.count(7))
    os.symlink("nowhere", f"{tmp_path}/file.{os.getpid()}.7.tmp")
    files.write_atomic(f"{tmp_path}/file", b"x")
    assert os.listdir(tmp_path) == ["file"]
    assert contents(f"{tmp_path}/file") == b"x"


def test_reading_takes_a_regular_file_up_to_its_cap(tmp_path: Path) -> None:
    path = f"{tmp_path}/file"
    files.write_atomic(path, b"12345")
    assert files.read_capped(path, 5) == b"12345"
    with pytest.raises(ValueError, match="longer than 4 bytes"):
        files.read_capped(path, 4)
    files.write_atomic(path, b"")
    assert files.read_capped(path, 0) == b""


def test_reading_refuses_what_is_no_regular_file_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(f"{tmp_path}/fifo")
    os.symlink("/etc/passwd", f"{tmp_path}/link")
    with pytest.raises(ValueError, match="not a regular file"):
        files.read_capped(f"{tmp_path}/fifo", 10)
    with pytest.raises(ValueError, match="not a regular file"):
        files.read_capped(str(tmp_path), 10)
    with pytest.raises(ValueError, match="not a regular file"):
        files.read_capped("/dev/zero", 10)
    with pytest.raises(OSError, match="symbolic link"):
        files.read_capped(f"{tmp_path}/link", 10)
    with pytest.raises(FileNotFoundError):
        files.read_capped(f"{tmp_path}/missing", 10)


def test_a_private_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    path = f"{tmp_path}/a/b/c"
    files.ensure_private_directory(path)
    files.ensure_private_directory(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


def test_a_directory_that_is_not_private_is_refused_with_a_remedy(tmp_path: Path) -> None:
    os.mkdir(f"{tmp_path}/open", 0o755)
    os.symlink("open", f"{tmp_path}/link")
    (tmp_path / "file").touch()
    for name, why in {
        "open": r"mode 0755[^\n]*\nhint: `chmod 700",
        "link": r"symbolic link[^\n]*\nhint: ",
        "file": "not a directory",
        "file/below": "can't be used: Not a directory",
    }.items():
        with pytest.raises(InvalidArgumentError, match=why):
            files.ensure_private_directory(f"{tmp_path}/{name}")
    with pytest.raises(InvalidArgumentError, match="absolute"):
        files.ensure_private_directory("relative")


@pytest.mark.integration
def test_somebody_elses_directory_is_refused(root: None, tmp_path: Path) -> None:
    os.mkdir(f"{tmp_path}/theirs", 0o700)
    os.chown(f"{tmp_path}/theirs", 1000, 1000)
    with pytest.raises(InvalidArgumentError, match="belongs to user 1000"):
        files.ensure_private_directory(f"{tmp_path}/theirs")


def test_a_directory_that_cannot_be_made_says_so() -> None:
    with pytest.raises((UnsupportedError, InvalidArgumentError), match="can't be used"):
        files.ensure_private_directory("/proc/podcore")


def test_making_a_directory_twice_is_fine_and_a_file_in_its_place_is_not(tmp_path: Path) -> None:
    files.make_directory(f"{tmp_path}/a")
    files.make_directory(f"{tmp_path}/a")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        files.make_directory(f"{tmp_path}/file")
    with pytest.raises(FileNotFoundError):
        files.make_directory(f"{tmp_path}/missing/a")


def test_a_missing_parent_is_made_too(tmp_path: Path) -> None:
    for _ in range(2):
        files.make_below(f"{tmp_path}/parent", f"{tmp_path}/parent/child")
    assert os.listdir(f"{tmp_path}/parent") == ["child"]
    with pytest.raises(FileNotFoundError):
        files.make_below(f"{tmp_path}/missing/parent", f"{tmp_path}/missing/parent/child")


def test_a_file_is_put_in_place_anew_only_when_it_changes(tmp_path: Path) -> None:
    path = f"{tmp_path}/file"
    files.put(str(tmp_path), {"file": b"one"})
    first = os.stat(path).st_ino
    files.put(str(tmp_path), {"file": b"one"})
    assert os.stat(path).st_ino == first
    for data in (b"two", b"longer", b"", bytes(100_000)):
        files.put(str(tmp_path), {"file": data})
        assert contents(path) == data
    assert os.listdir(tmp_path) == ["file"]


def test_files_are_put_in_place_with_their_mode_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        files.put(str(tmp_path), {"a": b"1", "b": b"2"}, 0o644)
        files.put(str(tmp_path), {"c": b"3"})
    finally:
        os.umask(old)
    modes = {name: stat.S_IMODE(os.stat(f"{tmp_path}/{name}").st_mode) for name in "abc"}
    assert modes == {"a": 0o644, "b": 0o644, "c": 0o600}
    assert [contents(f"{tmp_path}/{name}") for name in "abc"] == [b"1", b"2", b"3"]


def test_new_files_are_written_once_with_their_mode_and_never_over_others(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        files.put_new(str(tmp_path), {"a": b"1", "b": b""}, 0o644)
    finally:
        os.umask(old)
    assert [contents(f"{tmp_path}/{name}") for name in "ab"] == [b"1", b""]
    assert stat.S_IMODE(os.stat(f"{tmp_path}/a").st_mode) == 0o644
    os.symlink("nowhere", f"{tmp_path}/link")
    for name in ("a", "link"):
        with pytest.raises(FileExistsError):
            files.put_new(str(tmp_path), {name: b"2"})
    assert contents(f"{tmp_path}/a") == b"1"
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "link"]


def test_what_is_no_regular_file_is_replaced_unread(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "canary").write_text("same")
    os.symlink("../canary", f"{tmp_path}/there/link")
    os.mkfifo(f"{tmp_path}/there/fifo")
    files.put(f"{tmp_path}/there", {"link": b"same", "fifo": b""})
    for name, data in {"link": b"same", "fifo": b""}.items():
        assert stat.S_ISREG(os.lstat(f"{tmp_path}/there/{name}").st_mode)
        assert contents(f"{tmp_path}/there/{name}") == data
    assert (tmp_path / "canary").read_text() == "same"


def test_nothing_is_put_through_a_link_into_another_directory(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.symlink("theirs", f"{tmp_path}/link")
    with pytest.raises(NotADirectoryError) as caught:
        files.put(f"{tmp_path}/link", {"file": b"x"})
    assert caught.value.filename == f"{tmp_path}/link"
    assert os.listdir(f"{tmp_path}/theirs") == []
    with pytest.raises(FileNotFoundError):
        files.put(f"{tmp_path}/missing", {"file": b"x"})


def test_a_file_that_can_not_be_put_in_place_leaves_nothing_else(tmp_path: Path) -> None:
    os.mkdir(f"{tmp_path}/b")
    with pytest.raises(IsADirectoryError) as caught:
        files.put(str(tmp_path), {"a": b"1", "b": b"2", "c": b"3"})
    assert caught.value.filename == f"{tmp_path}/b"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.integration
def test_a_full_disk_leaves_files_as_they_were(root: None, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        files.put(str(tmp_path), {"a": b"old", "b": b"old"})
        with pytest.raises(ResourceExhaustedError, match="no space or inodes left") as caught:
            files.put(str(tmp_path), {"a": b"new", "b": bytes(1 << 20)})
        assert f"{tmp_path}/b" in str(caught.value)
        with pytest.raises(ResourceExhaustedError, match="no space or inodes left"):
            files.put_new(str(tmp_path), {"c": bytes(1 << 20)})
        assert sorted(os.listdir(tmp_path)) == ["a", "b"]
        assert [contents(f"{tmp_path}/{name}") for name in "ab"] == [b"new", b"old"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_leftover_of_a_killed_putter_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_serial", itertools.count(7))
    os.symlink("nowhere", f"{tmp_path}/file.{os.getpid()}.7.tmp")
    files.put(str(tmp_path), {"file": b"x"})
    assert os.listdir(tmp_path) == ["file"]
    assert contents(f"{tmp_path}/file") == b"x"


def test_a_tree_is_removed_with_everything_in_it(tmp_path: Path) -> None:
    for directory in ("a/b/c", "a/d", "a/e/f"):
        os.makedirs(f"{tmp_path}/tree/{directory}")
        (tmp_path / "tree" / directory / "file").touch()
    os.mkfifo(f"{tmp_path}/tree/fifo")
    os.chmod(f"{tmp_path}/tree/a/d", 0o500 if os.geteuid() == 0 else 0o700)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{tmp_path}/tree/socket")
    files.remove_tree(f"{tmp_path}/tree/")
    files.remove_tree(f"{tmp_path}/tree")
    files.remove_tree(f"{tmp_path}/missing/tree")
    assert os.listdir(tmp_path) == []


def test_links_in_a_tree_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "canary").touch()
    (tmp_path / "tree").mkdir()
    os.symlink("../kept", f"{tmp_path}/tree/link")
    os.symlink("kept", f"{tmp_path}/link")
    files.remove_tree(f"{tmp_path}/tree")
    files.remove_tree(f"{tmp_path}/link")
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(f"{tmp_path}/kept") == ["canary"]


def test_a_tree_deeper_than_a_path_can_be_long_is_removed(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(600):
        os.mkdir("directory", dir_fd=at)
        below = os.open("directory", os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    before = os.listdir("/proc/self/fd")
    files.remove_tree(f"{tmp_path}/directory")
    assert os.listdir(tmp_path) == []
    assert os.listdir("/proc/self/fd") == before


def test_a_tree_that_several_remove_at_once_is_gone_for_all(tmp_path: Path) -> None:
    trees = [f"{tmp_path}/{number}" for number in range(200)]
    for tree in trees:
        for name in "abcdef":
            os.makedirs(f"{tree}/{name}/below")
    at_once = threading.Barrier(2)
    failed: list[OSError] = []

    def remove(_: int) -> None:
        for tree in trees:
            at_once.wait(60)
            try:
                files.remove_tree(tree)
            except OSError as error:
                failed.append(error)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(remove, range(2)))
    assert failed == []
    assert os.listdir(tmp_path) == []


def test_a_directory_that_is_swapped_for_a_link_meanwhile_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "canary").touch()
    (tmp_path / "aside").mkdir()
    tree, inside = f"{tmp_path}/tree", f"{tmp_path}/tree/inside"
    done = threading.Event()

    def swap() -> None:
        for number in itertools.count():
            if done.is_set():
                return
            with contextlib.suppress(OSError):
                os.rename(inside, f"{tmp_path}/aside/{number}")
                os.symlink("../kept", inside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(500):
            with contextlib.suppress(FileExistsError):
                os.mkdir(tree)
            with contextlib.suppress(FileExistsError):
                os.mkdir(inside)
            # Who keeps on adding may win, but nobody is led out of the tree.
            with contextlib.suppress(OSError):
                files.remove_tree(tree)
    finally:
        done.set()
        swapper.join()
    assert os.listdir(f"{tmp_path}/kept") == ["canary"]


@pytest.mark.integration
def test_what_is_mounted_in_a_tree_is_not_entered(root: None, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "canary").touch()
    (tmp_path / "tree" / "mounted").mkdir(parents=True)
    point = f"{tmp_path}/tree/mounted"
    # Of the same file system, so that device numbers don't tell.
    subprocess.run(["mount", "--bind", f"{tmp_path}/kept", point], check=True)
    try:
        for path in (f"{tmp_path}/tree", point):
            with pytest.raises(OSError, match="mount point"):
                files.remove_tree(path)
        assert os.listdir(f"{tmp_path}/kept") == ["canary"]
    finally:
        subprocess.run(["umount", point], check=True)


@pytest.mark.parametrize("path", ["/", "", ".", "/tmp/..", "a/."])
def test_a_path_without_a_name_is_never_removed(path: str) -> None:
    with pytest.raises(InvalidArgumentError):
        files.remove_tree(path)
