"""The table of mounts is read right, and what is mounted comes off again."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.errors import ResourceExhaustedError, UnsupportedError
from podcore.kernel import mountinfo, mounts

name = st.text(
    st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8
) | st.sampled_from(["a b", "a\tb", "a\nb", "a\\b", "\\040", " - ", "#x", "ü"])
path = st.lists(name, max_size=4).map(lambda parts: "/" + "/".join(parts))


def escape(text: str) -> str:
    """Escapes as the kernel does (mangle() with " \\t\\n\\\\#")."""
    return "".join(f"\\{ord(c):03o}" if c in " \t\n\\#" else c for c in text)


@given(st.lists(st.tuples(path, path), max_size=5), st.integers(0, 3))
def test_paths_with_any_character_are_read_back(pairs: list[tuple[str, str]], tags: int) -> None:
    lines = [
        f"{number} 1 0:{number} {escape(root)} {escape(target)} rw,nosuid"
        + " shared:1" * tags
        + " - ext4 /dev/x rw,data=a\n"
        for number, (root, target) in enumerate(pairs)
    ]
    found = mountinfo.parse("".join(lines).encode())
    assert [(mount.root, mount.target) for mount in found] == pairs
    assert [mount.id for mount in found] == list(range(len(pairs)))
    assert all(mount.fstype == "ext4" for mount in found)
    assert all(mount.options == ("rw", "nosuid", "rw", "data=a") for mount in found)


@given(st.binary(max_size=300))
def test_garbage_in_the_table_is_no_error(data: bytes) -> None:
    mountinfo.parse(data)


def test_this_hosts_table_has_a_root_and_proc() -> None:
    targets = {mount.target: mount.fstype for mount in mounts.mounts()}
    assert targets["/proc"] == "proc"
    assert mounts.mounted("/proc")
    assert not mounts.mounted("/nonexistent")
    assert "/proc" in mounts.below("/proc")


def test_mounts_below_a_path_come_deepest_and_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    table = "".join(
        f"{number} 1 0:1 / {target} rw - tmpfs t rw\n"
        for number, target in enumerate(["/", "/a", "/a/b", "/ab", "/a/c", "/a/b/d", "/a/b"])
    )
    monkeypatch.setattr(mountinfo, "_table", table.encode)
    assert mountinfo.below("/a") == ["/a/b/d", "/a/b", "/a/c", "/a/b", "/a"]
    assert mountinfo.below("/a/") == mountinfo.below("/a")
    assert mountinfo.below("/x") == []


@pytest.fixture
def layers(root: None, tmp_path: Path) -> Iterator[Path]:
    """Directories for an overlay; on a tmpfs, since /tmp may be on an overlay itself."""
    mounts.tmpfs(str(tmp_path), size=8 << 20)
    top = tmp_path / "top"
    for directory in ("lower", "upper", "work", "target", "other"):
        (top / directory).mkdir(parents=True)
    (top / "lower" / "file").write_text("below")
    yield top
    mounts.unmount(str(tmp_path))


@pytest.mark.integration
def test_an_overlay_takes_writes_and_comes_off_even_when_busy(layers: Path) -> None:
    target = f"{layers}/target"
    lower, upper, work = (f"{layers}/{name}" for name in ("lower", "upper", "work"))
    mounts.overlay(lower, upper, work, target)
    try:
        assert mounts.mounted(target)
        (layers / "target" / "file").write_text("above")
        assert (layers / "lower" / "file").read_text() == "below"
        assert (layers / "upper" / "file").read_text() == "above"
        busy = os.open(f"{target}/file", os.O_RDONLY)
        mounts.unmount(target)
        os.close(busy)
        assert not mounts.mounted(target)
        assert os.listdir(target) == []
    finally:
        mounts.unmount(target)


@pytest.mark.integration
def test_binds_show_a_directory_read_only_and_stacked_ones_all_come_off(layers: Path) -> None:
    target = f"{layers}/target"
    mounts.bind(f"{layers}/other", target)
    try:
        mounts.bind(f"{layers}/lower", target, read_only=True)
        assert os.listdir(target) == ["file"]
        with pytest.raises(OSError, match="Read-only"):
            (layers / "target" / "new").touch()
        assert mounts.below(str(layers)) == [target, target]
    finally:
        mounts.unmount(target)
    assert mounts.below(str(layers)) == []
    mounts.tmpfs(target, size=1 << 20, mode=0o750)
    try:
        assert os.stat(target).st_mode & 0o777 == 0o750
        with pytest.raises(OSError, match="No space"):
            (layers / "target" / "big").write_bytes(bytes(2 << 20))
    finally:
        mounts.unmount(target)
    assert not mounts.mounted(target)


@pytest.mark.integration
def test_unmounting_what_is_not_mounted_or_not_there_is_fine(layers: Path) -> None:
    mounts.unmount(f"{layers}/target")
    mounts.unmount(f"{layers}/missing")


@pytest.mark.integration
def test_unmounting_follows_no_link(layers: Path) -> None:
    os.symlink("target", f"{layers}/link")
    mounts.bind(f"{layers}/lower", f"{layers}/target")
    try:
        mounts.unmount(f"{layers}/link")
        assert mounts.mounted(f"{layers}/target")
    finally:
        mounts.unmount(f"{layers}/target")


@pytest.mark.parametrize(
    ("number", "error"),
    [(1, UnsupportedError), (19, UnsupportedError), (28, ResourceExhaustedError), (2, OSError)],
)
def test_what_the_kernel_says_to_a_mount_is_typed(
    monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number), "/target")

    monkeypatch.setattr(mounts._core, "mount_overlay", refuse)
    monkeypatch.setattr(mounts._core, "mount_bind", refuse)
    with pytest.raises(error, match="/target"):
        mounts.overlay("/lower", "/upper", "/work", "/target")
    with pytest.raises(error, match="/target"):
        mounts.bind("/source", "/target")
