"""The system calls of ``_core``: opening paths safely, mounts, the subreaper."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from podcore import _core

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")

PR_GET_CHILD_SUBREAPER = 37


@contextmanager
def directory_fd(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def refused(number: int, path: object = None) -> Iterator[None]:
    """Expects an ``OSError`` of that errno, and about that path when one is given."""
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        yield
    assert caught.value.errno == number
    if path is not None:
        assert caught.value.filename == str(path)


def read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root directory with links in it, and a secret beside it."""
    (tmp_path / "secret").write_text("host")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "file").write_text("inside")
    (root / "secret").write_text("inside too")
    (root / "absolute").symlink_to("/etc/file")
    (root / "up").symlink_to("../../../secret")
    (root / "etc" / "near").symlink_to("file")
    return root


# Opening


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/file", b"inside"),
        ("/etc/file", b"inside"),
        ("absolute", b"inside"),
        ("etc/near", b"inside"),
        ("up", b"inside too"),
        ("../../secret", b"inside too"),
    ],
)
def test_links_and_dots_stay_inside_the_root(root: Path, path: str, content: bytes) -> None:
    with directory_fd(root) as descriptor:
        assert read(_core.open_in_root(descriptor, path, os.O_RDONLY)) == content


def test_magic_links_are_refused_in_a_root() -> None:
    with directory_fd(Path("/")) as descriptor, refused(errno.ELOOP):
        _core.open_in_root(descriptor, "proc/self/root/etc", os.O_RDONLY)


def test_file_is_created_with_its_mode_and_never_inherited(root: Path) -> None:
    with directory_fd(root) as descriptor:
        made = _core.open_in_root(descriptor, "/new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
    assert os.fstat(made).st_mode & 0o777 == 0o640 & ~current_umask()
    assert not os.get_inheritable(made)
    os.close(made)
    assert (root / "new").exists()


def current_umask() -> int:
    value = os.umask(0o077)
    os.umask(value)
    return value


def test_path_below_opens_plain_paths(root: Path) -> None:
    with directory_fd(root) as descriptor:
        assert read(_core.open_beneath(descriptor, "etc/file", os.O_RDONLY)) == b"inside"
        assert read(_core.open_beneath(descriptor, "etc/../secret", os.O_RDONLY)) == b"inside too"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("../secret", errno.EXDEV),
        ("/etc/file", errno.EXDEV),
        ("absolute", errno.ELOOP),
        ("up", errno.ELOOP),
        ("etc/near", errno.ELOOP),
        ("etc/missing", errno.ENOENT),
    ],
)
def test_path_below_refuses_every_way_out_and_every_link(
    root: Path, path: str, number: int
) -> None:
    with directory_fd(root) as descriptor, refused(number, path):
        _core.open_beneath(descriptor, path, os.O_RDONLY)


def test_missing_file_is_the_builtin_exception(root: Path) -> None:
    with directory_fd(root) as descriptor, pytest.raises(FileNotFoundError):
        _core.open_in_root(descriptor, "nothing", os.O_RDONLY)


def test_descriptor_that_is_not_open_is_a_bad_one() -> None:
    for number in (-1, 10_000_000):
        with refused(errno.EBADF):
            _core.open_in_root(number, "etc", os.O_RDONLY)


def test_descriptor_of_a_file_is_no_directory(root: Path) -> None:
    with open(root / "secret", "rb") as file, pytest.raises(NotADirectoryError):
        _core.open_beneath(file.fileno(), "etc", os.O_RDONLY)


# Mounts


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "target"
    path.mkdir()
    yield path
    # Not `ismount`: it does not see a bind within one filesystem.
    while f" {path} " in Path("/proc/self/mountinfo").read_text():
        _core.unmount(path, detach=True)


def layer(parent: Path, name: str, **files: str) -> Path:
    path = parent / name
    path.mkdir(parents=True)
    for file, text in files.items():
        (path / file).write_text(text)
    return path


NAMES = ["plain", "with:colon", "with,comma", "with space", "back\\slash", "ü", "x" * 200]


@needs_root
@pytest.mark.parametrize("name", NAMES)
def test_overlay_takes_any_path(tmp_path: Path, target: Path, name: str) -> None:
    parent = tmp_path / name
    low, high = layer(parent, "low", a="low", b="low"), layer(parent, "high", b="high")
    upper, work = layer(parent, "upper"), layer(parent, "work")
    _core.mount_overlay([high, str(low)], target, upper=upper, work=work)

    assert (target / "a").read_text() == "low"
    assert (target / "b").read_text() == "high"
    (target / "a").write_text("new")
    assert (upper / "a").read_text() == "new"
    assert (low / "a").read_text() == "low"


@needs_root
def test_overlay_takes_paths_longer_than_the_kernels_strings(tmp_path: Path, target: Path) -> None:
    parent = tmp_path / ("x" * 200) / ("y" * 200)
    low, upper, work = layer(parent, "low", a="low"), layer(parent, "upper"), layer(parent, "work")
    _core.mount_overlay([low], target, upper=upper, work=work)
    assert (target / "a").read_text() == "low"


@needs_root
def test_overlay_without_upper_is_read_only(tmp_path: Path, target: Path) -> None:
    layers = [layer(tmp_path, "one", a="1"), layer(tmp_path, "two", b="2")]
    _core.mount_overlay(layers, target)
    assert sorted(os.listdir(target)) == ["a", "b"]
    with refused(errno.EROFS):
        (target / "c").write_text("")


@needs_root
def test_overlay_of_a_missing_directory_names_the_target(tmp_path: Path, target: Path) -> None:
    missing = [tmp_path / "missing", tmp_path / "missing2"]
    with pytest.raises(FileNotFoundError) as caught:
        _core.mount_overlay(missing, target)
    assert caught.value.filename == str(target)
    assert not os.path.ismount(target)


def test_overlay_needs_both_upper_and_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="together"):
        _core.mount_overlay([tmp_path], tmp_path, upper=tmp_path)


@needs_root
def test_tmpfs_has_its_size_and_mode(target: Path) -> None:
    _core.mount_tmpfs(target, size=1 << 20, mode=0o1777)
    assert os.stat(target).st_mode & 0o7777 == 0o1777
    room = os.statvfs(target)
    assert room.f_blocks * room.f_frsize == 1 << 20
    assert room.f_flag & os.ST_NOSUID
    assert room.f_flag & os.ST_NODEV


@needs_root
def test_bind_shows_the_same_files(tmp_path: Path, target: Path) -> None:
    source = layer(tmp_path, "source", a="1")
    _core.mount_bind(source, target)
    (target / "a").write_text("2")
    assert (source / "a").read_text() == "2"


@needs_root
def test_read_only_bind_keeps_the_flags_of_the_source(tmp_path: Path, target: Path) -> None:
    source = layer(tmp_path, "source")
    _core.mount_tmpfs(source)
    try:
        _core.mount_bind(source, target, readonly=True)
        flags = os.statvfs(target).f_flag
        assert flags & os.ST_RDONLY
        assert flags & os.ST_NOSUID
        assert not os.statvfs(source).f_flag & os.ST_RDONLY
        with refused(errno.EROFS):
            (target / "a").write_text("")
        (source / "a").write_text("")
    finally:
        _core.unmount(target)
        _core.unmount(source)


@needs_root
def test_mounts_below_come_along_only_when_asked(tmp_path: Path, target: Path) -> None:
    source = layer(tmp_path, "source")
    (source / "below").mkdir()
    _core.mount_tmpfs(source / "below")
    (source / "below" / "a").write_text("")
    try:
        _core.mount_bind(source, target, recursive=False)
        assert os.listdir(target / "below") == []
        _core.unmount(target)
        _core.mount_bind(source, target)
        assert os.listdir(target / "below") == ["a"]
    finally:
        _core.unmount(target, detach=True)
        _core.unmount(source / "below")


@needs_root
def test_private_mount_has_no_peers(target: Path) -> None:
    _core.mount_tmpfs(target)
    _core.mount_private(target)
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    [fields] = [line.split() for line in lines if f" {target} " in line]
    assert not [field for field in fields if field.startswith("shared:")]


@needs_root
def test_unmounting_what_is_busy_needs_detach(target: Path) -> None:
    _core.mount_tmpfs(target)
    with open(target / "open", "w", encoding="utf-8"):
        with refused(errno.EBUSY):
            _core.unmount(target)
        _core.unmount(target, detach=True)
    assert not os.path.ismount(target)


@needs_root
def test_unmounting_nothing_is_an_error_with_the_path(target: Path) -> None:
    with refused(errno.EINVAL, target):
        _core.unmount(target)


@needs_root
def test_unmounting_never_follows_a_link(tmp_path: Path, target: Path) -> None:
    _core.mount_tmpfs(target)
    (tmp_path / "link").symlink_to(target)
    with refused(errno.EINVAL):
        _core.unmount(tmp_path / "link")
    assert os.path.ismount(target)


# Processes


def is_subreaper() -> bool:
    answer = ctypes.c_int()
    assert ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0) == 0
    return bool(answer.value)


def test_subreaper_is_switched_on_and_off() -> None:
    before = is_subreaper()
    try:
        _core.set_child_subreaper(True)
        assert is_subreaper()
        _core.set_child_subreaper(False)
        assert not is_subreaper()
    finally:
        _core.set_child_subreaper(before)
