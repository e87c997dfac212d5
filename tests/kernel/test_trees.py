"""Trees are copied as they are, and nothing leads out of the root file system."""

import errno
import os
import shutil
import socket
import stat
import struct
import threading
import time
from pathlib import Path

import pytest

from podcore import _core
from podcore.errors import InvalidArgumentError
from podcore.kernel import file_contents, mounts, trees

ROOTS = pytest.mark.parametrize("by", ["path", "descriptor"])

# As the kernel keeps it: version 2, effective; CAP_NET_BIND_SERVICE permitted.
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)


def attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


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


def test_a_link_at_the_end_of_the_source_is_followed_where_it_is(
    inside: Path, outside: Path
) -> None:
    """As podman does; one that leads to the host leads nowhere inside."""
    os.symlink("/etc/hosts", inside / "tmp" / "link")
    os.symlink("../etc", inside / "tmp" / "directory")
    trees.copy_out(str(inside), "/tmp/link", str(outside))
    trees.copy_out(str(inside), "/tmp/directory", str(outside))
    assert not os.path.islink(outside / "link")
    assert (outside / "link").read_text() == "127.0.0.1"
    assert (outside / "directory" / "hosts").read_text() == "127.0.0.1"
    os.symlink(outside / "link", outside / "again")
    trees.copy_in(str(inside), f"{outside}/again", "/tmp/new")
    assert (inside / "tmp" / "new").read_text() == "127.0.0.1"
    os.symlink(inside.parent / "canary", inside / "tmp" / "out")
    os.symlink(inside.parent, inside / "tmp" / "up")
    for path in ("/tmp/out", "/tmp/up", "/tmp/up/canary"):
        with pytest.raises(InvalidArgumentError, match="does not exist inside"):
            trees.copy_out(str(inside), path, f"{outside}/x")


def test_a_link_at_the_end_of_the_target_is_followed_inside_and_replaced_on_the_host(
    inside: Path, outside: Path
) -> None:
    (outside / "new").write_text("new")
    os.symlink("/etc/hosts", inside / "tmp" / "first")
    os.symlink("first", inside / "tmp" / "second")
    trees.copy_in(str(inside), f"{outside}/new", "/tmp/second")
    assert (inside / "etc" / "hosts").read_text() == "new"
    assert os.readlink(inside / "tmp" / "second") == "first"
    os.symlink(inside.parent / "canary", inside / "tmp" / "out")
    with pytest.raises(InvalidArgumentError, match="does not exist inside"):
        trees.copy_in(str(inside), f"{outside}/new", "/tmp/out")
    os.symlink("/etc/made", inside / "tmp" / "dangling")
    trees.copy_in(str(inside), f"{outside}/new", "/tmp/dangling")
    assert (inside / "etc" / "made").read_text() == "new"
    for name, link in {"one": "two", "two": "one", "itself": "itself", "up": ".."}.items():
        os.symlink(link, inside / "etc" / name)
    for name in ("one", "itself"):
        with pytest.raises(OSError, match=r"links|leads to no file"):
            trees.copy_in(str(inside), f"{outside}/new", f"/etc/{name}")
    assert (inside.parent / "canary").read_text() == "host"
    os.symlink("new", outside / "there")
    trees.copy_out(str(inside), "/etc/made", f"{outside}/there")
    assert not os.path.islink(outside / "there")


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


def test_a_fifo_is_made_anew_and_never_opened(inside: Path, outside: Path) -> None:
    os.mkfifo(inside / "tmp" / "fifo")
    (inside / "tmp" / "fifo").chmod(0o624)
    os.utime(inside / "tmp" / "fifo", (1_000_000_000, 1_100_000_000))
    trees.copy_out(str(inside), "/tmp", str(outside))
    trees.copy_out(str(inside), "/tmp/fifo", str(outside))
    for name in ("fifo", "tmp/fifo"):
        status = (outside / name).stat()
        assert stat.S_ISFIFO(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o624
        assert status.st_mtime == 1_100_000_000


def test_sockets_and_devices_are_left_out_and_named(inside: Path, outside: Path) -> None:
    make_tree(inside / "tmp")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{inside}/tmp/a/socket")
    os.mknod(inside / "tmp" / "a" / "b" / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    for way in (trees.copy_out, lambda root, path, to: trees.copy_in("/", root + path, to)):
        left = way(str(inside), "/tmp", f"{outside}/x")
        assert [line.split("`", 2)[1].removeprefix(str(inside)) for line in left] == [
            "/tmp/a/b/null",
            "/tmp/a/socket",
        ]
        assert "is a device and was left out" in left[0]
        assert sorted(os.listdir(outside / "x" / "a")) == ["absolute", "b", "file"]
        assert sorted(os.listdir(outside / "x" / "a" / "b")) == ["dangling", "empty"]
        shutil.rmtree(outside / "x")
    with pytest.raises(InvalidArgumentError, match=r"`/tmp/a/socket` is a socket[^\n]*\nhint: "):
        trees.copy_out(str(inside), "/tmp/a/socket", f"{outside}/x")
    with pytest.raises(InvalidArgumentError, match="is a device"):
        trees.copy_in(str(inside), "/dev/null", "/tmp")


def test_files_with_several_names_have_them_in_the_copy(inside: Path, outside: Path) -> None:
    (inside / "tmp" / "a" / "deep").mkdir(parents=True)
    (inside / "tmp" / "a" / "first").write_text("once")
    os.link(inside / "tmp" / "a" / "first", inside / "tmp" / "a" / "deep" / "second")
    os.link(inside / "tmp" / "a" / "first", inside / "tmp" / "third")
    os.mkfifo(inside / "tmp" / "fifo")
    os.link(inside / "tmp" / "fifo", inside / "tmp" / "a" / "pipe")
    # Twice: what is there is replaced, and no temporary name stays.
    for _ in range(2):
        trees.copy_out(str(inside), "/tmp", f"{outside}")
        top = outside / "tmp"
        names = [top / "a" / "first", top / "a" / "deep" / "second", top / "third"]
        assert len({name.stat().st_ino for name in names}) == 1
        assert names[0].stat().st_nlink == 3
        assert names[0].read_text() == "once"
        assert (top / "fifo").stat().st_ino == (top / "a" / "pipe").stat().st_ino
        assert sorted(os.listdir(top)) == ["a", "fifo", "third"]
        assert sorted(os.listdir(top / "a")) == ["deep", "first", "pipe"]
    # Files that only share a name with one outside the tree are files of their own.
    trees.copy_out(str(inside), "/tmp/third", f"{outside}/alone")
    assert (outside / "alone").stat().st_nlink == 1


@pytest.mark.parametrize("swapped_for", ["nothing", "a link out", "another file"])
def test_a_first_copy_that_somebody_swaps_is_not_linked_to(
    inside: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, swapped_for: str
) -> None:
    (inside / "tmp" / "a").write_text("mine")
    os.link(inside / "tmp" / "a", inside / "tmp" / "b")
    (outside / "other").write_text("other")
    made = outside / "tmp" / "a"
    real = _core.open_beneath

    def open_beneath(fd: int, path: str, flags: int, mode: int) -> int:
        # With luck the new file has the number of the old one.
        made.unlink()
        if swapped_for == "a link out":
            made.symlink_to(inside.parent / "canary")
        elif swapped_for == "another file":
            os.link(outside / "other", made)
        return real(fd, path, flags, mode)

    monkeypatch.setattr(_core, "open_beneath", open_beneath)
    trees.copy_out(str(inside), "/tmp", str(outside))
    assert not (outside / "tmp" / "b").is_symlink()
    assert (outside / "tmp" / "b").read_text() == "mine"
    assert sorted(name for name in os.listdir(outside / "tmp") if "." in name) == []


def test_extended_attributes_of_users_are_kept_and_those_of_the_host_are_not(
    inside: Path, outside: Path
) -> None:
    make_tree(outside)
    for name in ("a", "a/file"):
        os.setxattr(outside / name, "user.mime", name.encode())
    os.setxattr(outside / "a" / "file", "trusted.secret", b"x")
    os.setxattr(outside / "a" / "file", "security.capability", CAPABILITY)
    assert trees.copy_in(str(inside), f"{outside}/a", "/tmp") == []
    check_tree(inside / "tmp" / "a")
    assert attributes(inside / "tmp" / "a") == {"user.mime": b"a"}
    assert attributes(inside / "tmp" / "a" / "file") == {
        "user.mime": b"a/file",
        "security.capability": CAPABILITY,
    }
    # Nobody on the host gets capabilities by what someone has put into a file inside.
    trees.copy_out(str(inside), "/tmp/a", f"{outside}/back")
    assert attributes(outside / "back" / "file") == {"user.mime": b"a/file"}
    assert attributes(outside / "back") == {"user.mime": b"a"}
    assert trees.fill(str(inside), "/tmp", str(outside))
    assert "security.capability" in attributes(outside / "a" / "file")


def test_attributes_that_the_target_does_not_take_are_named(
    inside: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "file").touch()
    os.setxattr(outside / "file", "user.a", b"1")

    def refuse(fd: int, name: str, value: bytes) -> None:
        raise OSError(errno.EOPNOTSUPP, "", name)

    monkeypatch.setattr(os, "setxattr", refuse)
    left = trees.copy_in(str(inside), f"{outside}/file", "/tmp")
    assert left == [f"the target does not take `user.a` of `{outside}/file`"]
    assert (inside / "tmp" / "file").exists()


def test_copies_belong_to_whom_is_said(inside: Path, outside: Path) -> None:
    make_tree(outside)
    os.chown(outside / "a" / "file", 1000, 1001)
    os.chown(outside / "a" / "absolute", 1000, 1001, follow_symlinks=False)
    os.chmod(outside / "a" / "file", 0o4755)

    def owners(top: Path) -> set[tuple[int, int]]:
        names = ("", "file", "b", "b/empty", "absolute")
        return {os.lstat(top / name)[4:6] for name in names}

    trees.copy_in(str(inside), f"{outside}/a", "/tmp/root")
    trees.copy_in(str(inside), f"{outside}/a", "/tmp/user", owner=lambda _uid, _gid: (7, 8))
    trees.copy_in(str(inside), f"{outside}/a", "/tmp/source", owner=trees.as_source)
    assert owners(inside / "tmp" / "root") == {(0, 0)}
    assert owners(inside / "tmp" / "user") == {(7, 8)}
    assert owners(inside / "tmp" / "source") == {(0, 0), (1000, 1001)}
    assert (inside / "tmp" / "user" / "file").stat().st_mode & 0o7777 == 0o4755
    trees.copy_out(str(inside), "/tmp/source", str(outside))
    assert owners(outside / "source") == {(os.geteuid(), os.getegid())}


def test_a_file_that_something_is_mounted_on_is_not_replaced(inside: Path, outside: Path) -> None:
    (outside / "new").write_text("new")
    target = inside / "etc" / "hosts"
    mounts.bind(str(outside / "new"), str(target))
    try:
        with pytest.raises(InvalidArgumentError, match=r"`hosts`, for something is mounted"):
            trees.copy_in(str(inside), f"{outside}/new", "/etc/hosts")
    finally:
        mounts.unmount(str(target))
    assert os.listdir(inside / "etc") == ["hosts"]
    assert target.read_text() == "127.0.0.1"


def test_file_systems_of_the_kernel_are_left_out_unless_asked_for(
    inside: Path, outside: Path
) -> None:
    (inside / "proc").mkdir()
    (outside / "all").mkdir()
    mounts.tmpfs(str(inside / "proc"))
    try:
        (inside / "proc" / "file").touch()
        device = (inside / "proc").stat().st_dev
        left = trees.copy_out(str(inside), "/", f"{outside}/all", pseudo={device})
        assert left == ["`//proc` is the kernel's and was left out"]
        assert sorted(os.listdir(outside / "all")) == ["etc", "tmp"]
        assert trees.copy_out(str(inside), "/proc", f"{outside}/one", pseudo={device}) == []
        assert os.listdir(outside / "one") == ["file"]
    finally:
        mounts.unmount(str(inside / "proc"))


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
    "path",
    ["/proc/sys/kernel/ostype", "/proc/cpuinfo", "/sys/kernel/mm/transparent_hugepage/enabled"],
)
def test_files_of_the_kernel_are_copied_as_they_read(outside: Path, path: str) -> None:
    """They say that they have no byte, or a whole page."""
    if not os.path.exists(path):
        pytest.skip(f"there is no `{path}`")
    trees.copy_out("/", path, f"{outside}/got")
    if path == "/proc/sys/kernel/ostype":
        assert (outside / "got").read_text() == "Linux\n"
    copied = (outside / "got").read_bytes()
    assert copied
    assert b"\0" not in copied


def test_a_file_that_is_cut_short_meanwhile_is_not_filled_up(inside: Path, outside: Path) -> None:
    with open(inside / "tmp" / "log", "w+b") as file, open(outside / "copy", "w+b") as copy:
        file.write(b"what is left")
        file.flush()
        file_contents.copy_data(file.fileno(), copy.fileno(), 1 << 20)
    assert (outside / "copy").read_bytes() == b"what is left"


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


@pytest.mark.parametrize("way", ["in", "out"])
def test_whoever_swaps_directories_for_links_meanwhile_gets_nothing_out(
    inside: Path, outside: Path, way: str
) -> None:
    """A process in the container races the copy; the host's own files are neither read nor written."""
    secret = inside.parent / "secret"
    (secret / "deep").mkdir(parents=True)
    for name in ("file", "deep/file"):
        (secret / name).write_text("of the host")
    top = inside / "tmp" / "a"
    (top / "deep").mkdir(parents=True)
    for name in ("file", "deep/file"):
        (top / name).write_text("of the container")
    (inside / "tmp" / "link").symlink_to("../../secret")
    (outside / "a" / "deep").mkdir(parents=True)
    for name in ("file", "deep/file"):
        (outside / "a" / name).write_text("new")
    done = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        aside = inside / "tmp" / "aside"
        while not done.is_set():
            # The directory, then what is below it.
            for path, link in ((top, "../../secret"), (top / "deep", "../../../secret/deep")):
                try:
                    os.rename(path, aside)
                    os.symlink(link, path)
                    os.unlink(path)
                    os.rename(aside, path)
                    swaps += 1
                except OSError:
                    # The copy has made a directory of that name.
                    shutil.rmtree(aside, ignore_errors=True)

    swapper = threading.Thread(target=swap)
    swapper.start()
    copied = 0
    try:
        deadline = time.monotonic() + 60
        while (copied < 60 or swaps < 500) and time.monotonic() < deadline:
            try:
                if way == "in":
                    trees.copy_in(str(inside), f"{outside}/a", "/tmp")
                    trees.copy_in(str(inside), f"{outside}/a/file", "/tmp/a/deep/file")
                else:
                    trees.copy_out(str(inside), "/tmp/a", f"{outside}/got")
                    trees.copy_out(str(inside), "/tmp/a/deep/file", f"{outside}/one")
            except (InvalidArgumentError, OSError):
                pass  # what it was to copy is gone for a moment
            copied += 1
    finally:
        done.set()
        swapper.join(60)
    assert swaps > 0
    assert sorted(path.name for path in secret.rglob("*")) == ["deep", "file", "file"]
    for name in ("file", "deep/file"):
        assert (secret / name).read_text() == "of the host"
    got = [path for path in outside.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {path.read_text() for path in got} <= {"of the container", "new", ""}
