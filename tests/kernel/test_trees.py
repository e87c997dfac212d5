"""Trees are copied as they are, and nothing leads out of the root file system."""

import os
import stat
from pathlib import Path

import pytest

from podcore.errors import InvalidArgumentError
from podcore.kernel import trees

ROOTS = pytest.mark.parametrize("by", ["path", "descriptor"])


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The root directory of a container, beside which lies something that it must not reach."""
    (tmp_path / "canary").write_text("host")
    (tmp_path / "root" / "tmp").mkdir(parents=True)
    (tmp_path / "root" / "etc").mkdir()
    (tmp_path / "root" / "etc" / "hosts").write_text("127.0.0.1")
    return tmp_path / "root"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A place on the host to copy from and to."""
    (tmp_path / "outside").mkdir()
    return tmp_path / "outside"


def make_tree(at: Path) -> None:
    (at / "a" / "b").mkdir(parents=True)
    (at / "a" / "file").write_text("contents")
    (at / "a" / "file").chmod(0o640)
    (at / "a" / "b" / "empty").touch()
    os.symlink("/etc/passwd", at / "a" / "absolute")
    os.symlink("nowhere", at / "a" / "b" / "dangling")
    (at / "a" / "b").chmod(0o711)
    for name in ("a/file", "a/b", "a"):
        os.utime(at / name, (1_000_000_000, 1_100_000_000))


def check_tree(at: Path) -> None:
    assert sorted(os.listdir(at)) == ["absolute", "b", "file"]
    assert (at / "file").read_text() == "contents"
    assert stat.S_IMODE((at / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((at / "b").stat().st_mode) == 0o711
    assert os.readlink(at / "absolute") == "/etc/passwd"
    assert os.readlink(at / "b" / "dangling") == "nowhere"
    assert (at / "b" / "empty").read_text() == ""
    for name in ("file", "b", "."):
        assert (at / name).stat().st_mtime == 1_100_000_000


@ROOTS
def test_a_tree_goes_in_and_comes_out_as_it_was(inside: Path, outside: Path, by: str) -> None:
    make_tree(outside)
    fd = os.open(inside, os.O_PATH)
    root = str(inside) if by == "path" else fd
    before = os.listdir("/proc/self/fd")
    trees.copy_in(root, f"{outside}/a", "/tmp")
    check_tree(inside / "tmp" / "a")
    trees.copy_in(root, f"{outside}/a", "/tmp/renamed")
    check_tree(inside / "tmp" / "renamed")
    trees.copy_out(root, "/tmp/renamed", str(outside))
    check_tree(outside / "renamed")
    trees.copy_out(root, "tmp/a/", f"{outside}/back")
    check_tree(outside / "back")
    assert os.listdir("/proc/self/fd") == before
    os.close(fd)


def test_what_is_in_a_directory_is_copied_without_it(inside: Path, outside: Path) -> None:
    make_tree(outside)
    (inside / "tmp").chmod(0o1777)
    trees.copy_in(str(inside), f"{outside}/a/.", "/tmp")
    assert stat.S_IMODE((inside / "tmp").stat().st_mode) == 0o1777
    assert (inside / "tmp" / "file").read_text() == "contents"
    trees.copy_out(str(inside), "/etc/.", str(outside))
    assert (outside / "hosts").read_text() == "127.0.0.1"
    trees.copy_out(str(inside), "/", str(outside))
    assert (outside / "etc" / "hosts").exists()


def test_copying_twice_replaces_files_and_links_and_keeps_the_rest(
    inside: Path, outside: Path
) -> None:
    make_tree(outside)
    for _ in range(2):
        trees.copy_in(str(inside), f"{outside}/a", "/tmp")
    check_tree(inside / "tmp" / "a")
    (inside / "tmp" / "a" / "more").touch()
    (inside / "tmp" / "a" / "file").unlink()
    os.symlink("../../../canary", inside / "tmp" / "a" / "file")
    trees.copy_in(str(inside), f"{outside}/a", "/tmp")
    assert (inside / "tmp" / "a" / "file").read_text() == "contents"
    assert (inside / "tmp" / "a" / "more").exists()
    assert (inside.parent / "canary").read_text() == "host"


@pytest.mark.parametrize("link", ["../..", "/../..", "../../.."])
def test_links_of_a_container_are_followed_inside_it_only(
    inside: Path, outside: Path, link: str
) -> None:
    os.symlink(link, inside / "tmp" / "up")
    (inside / "canary").write_text("inside")
    trees.copy_out(str(inside), "/tmp/up/canary", f"{outside}/got")
    assert (outside / "got").read_text() == "inside"
    (outside / "new").write_text("new")
    trees.copy_in(str(inside), f"{outside}/new", "/tmp/up/canary")
    trees.copy_in(str(inside), f"{outside}/new", "/tmp/up")
    assert (inside / "canary").read_text() == "new"
    assert (inside / "new").read_text() == "new"
    assert (inside.parent / "canary").read_text() == "host"
    assert not (inside.parent / "new").exists()


def test_a_link_to_the_host_comes_out_as_a_link_and_not_as_what_it_points_to(
    inside: Path, outside: Path
) -> None:
    os.symlink(inside.parent / "canary", inside / "tmp" / "link")
    os.symlink(inside.parent, inside / "tmp" / "directory")
    trees.copy_out(str(inside), "/tmp/link", f"{outside}/link")
    trees.copy_out(str(inside), "/tmp/directory", f"{outside}/directory")
    assert os.readlink(outside / "link") == str(inside.parent / "canary")
    assert os.path.islink(outside / "directory")
    with pytest.raises(InvalidArgumentError, match="does not exist inside"):
        trees.copy_out(str(inside), "/tmp/directory/canary", f"{outside}/x")


def test_magic_links_of_proc_are_refused(inside: Path, outside: Path) -> None:
    with pytest.raises(OSError, match="levels of symbolic links"):
        trees.copy_out("/", "/proc/self/root/etc/hostname", f"{outside}/x")


def test_a_directory_of_the_tree_is_never_entered_through_a_link(
    inside: Path, outside: Path
) -> None:
    make_tree(outside)
    (inside / "tmp" / "a").mkdir()
    os.symlink("../../../outside", inside / "tmp" / "a" / "b")
    with pytest.raises(InvalidArgumentError, match="`b` is no directory"):
        trees.copy_in(str(inside), f"{outside}/a", "/tmp")
    assert sorted(os.listdir(outside)) == ["a"]


def test_what_is_neither_file_nor_link_nor_directory_is_refused(
    inside: Path, outside: Path
) -> None:
    os.mkfifo(inside / "tmp" / "fifo")
    with pytest.raises(InvalidArgumentError, match=r"`/tmp/fifo` is a FIFO[^\n]*\nhint: "):
        trees.copy_out(str(inside), "/tmp/fifo", f"{outside}/x")
    with pytest.raises(InvalidArgumentError, match=r"fifo` is a FIFO"):
        trees.copy_out(str(inside), "/tmp", f"{outside}/x")
    with pytest.raises(InvalidArgumentError, match="is a device"):
        trees.copy_in(str(inside), "/dev/null", "/tmp")
    assert os.listdir(outside / "x") == []


def test_set_user_id_programs_come_out_without_that_bit(inside: Path, outside: Path) -> None:
    program = inside / "tmp" / "program"
    program.touch()
    program.chmod(0o6755)
    trees.copy_out(str(inside), "/tmp/program", str(outside))
    assert stat.S_IMODE((outside / "program").stat().st_mode) == 0o755
    program.rename(outside / "back")
    trees.copy_in(str(inside), f"{outside}/back", "/tmp")
    assert stat.S_IMODE((inside / "tmp" / "back").stat().st_mode) == 0o6755


def test_holes_stay_holes(inside: Path, outside: Path) -> None:
    size = 1 << 30
    with open(inside / "tmp" / "sparse", "wb") as file:
        file.write(b"begin")
        file.seek(size // 2)
        file.write(b"middle")
        file.truncate(size)
    trees.copy_out(str(inside), "/tmp/sparse", str(outside))
    got = (outside / "sparse").stat()
    assert got.st_size == size
    assert got.st_blocks * 512 < 1 << 20
    with open(outside / "sparse", "rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(size // 2)
        assert file.read(7) == b"middle\0"


def test_large_files_are_copied_to_the_last_byte(inside: Path, outside: Path) -> None:
    data = os.urandom(3 * (1 << 20) + 17)
    (outside / "large").write_bytes(data)
    trees.copy_in(str(inside), f"{outside}/large", "/tmp")
    assert (inside / "tmp" / "large").read_bytes() == data


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("missing", "/tmp", "`.*missing` does not exist on the host"),
        ("missing/x", "/tmp", "the directory `.*missing` does not exist on the host"),
        ("a", "/missing/x", "the directory `/missing` does not exist inside"),
        ("a/file", "/missing/", "the directory `/missing/` does not exist inside"),
        ("a/file/.", "/tmp", "does not exist on the host"),
        ("a", "/etc/hosts", "`hosts` is no directory"),
        ("a/file", "", "not a path"),
    ],
)
def test_what_cannot_be_copied_is_said(
    inside: Path, outside: Path, source: str, target: str, why: str
) -> None:
    make_tree(outside)
    with pytest.raises(InvalidArgumentError, match=why):
        trees.copy_in(str(inside), f"{outside}/{source}", target)


def test_a_file_does_not_replace_a_directory(inside: Path, outside: Path) -> None:
    make_tree(outside)
    (inside / "tmp" / "file").mkdir()
    with pytest.raises(InvalidArgumentError, match="can't replace the directory `file`"):
        trees.copy_in(str(inside), f"{outside}/a/file", "/tmp")
    assert os.listdir(inside / "tmp") == ["file"]


def test_a_tree_is_not_copied_into_itself(inside: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="into itself"):
        trees.copy_in(str(inside), str(inside.parent), "/tmp")
    with pytest.raises(InvalidArgumentError, match="into itself"):
        trees.copy_in(str(inside), f"{inside}/.", "/")


def test_a_bottomless_tree_is_refused(inside: Path, outside: Path) -> None:
    path = inside / "tmp"
    for _ in range(250):
        path = path / "d"
    os.makedirs(path)
    with pytest.raises(InvalidArgumentError, match="more than 200 levels"):
        trees.copy_out(str(inside), "/tmp", str(outside))
