"""The calls of ``_core`` that make namespaces without a process, and look into those of others."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from podcore import _core

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

KINDS = ("ipc", "net", "uts")


def own() -> dict[str, int]:
    return {kind: os.stat(f"/proc/thread-self/ns/{kind}").st_ino for kind in (*KINDS, "mnt")}


@pytest.fixture
def files(tmp_path: Path) -> Iterator[dict[str, Path]]:
    found = {kind: tmp_path / kind for kind in KINDS}
    for path in found.values():
        path.touch()
    yield found
    for path in found.values():
        if os.path.ismount(path):
            _core.unmount(path, detach=True)


def inside(files: dict[str, Path], *command: str) -> str:
    options = [f"--{kind}={path}" for kind, path in files.items()]
    done = subprocess.run(
        ["nsenter", *options, *command], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def test_pinned_namespaces_are_new_ready_and_not_the_callers(files: dict[str, Path]) -> None:
    before = own()
    ping = "/proc/sys/net/ipv4/ping_group_range"
    _core.pin_namespaces(list(files.items()), hostname="pinned", sysctls=[(ping, "0 7")])
    assert own() == before
    assert {kind: files[kind].stat().st_ino for kind in KINDS}.items().isdisjoint(before.items())
    assert inside(files, "hostname").strip() == "pinned"
    assert "UP" in inside(files, "busybox", "ip", "link", "show", "lo").split("\n", 1)[0]
    assert inside(files, "cat", ping).split() == ["0", "7"]
    with open(ping, encoding="ascii") as file:
        assert file.read().split() != ["0", "7"]


def test_one_kind_alone_leaves_the_others_the_callers(files: dict[str, Path]) -> None:
    _core.pin_namespaces([("uts", files["uts"])])
    assert inside({"uts": files["uts"]}, "hostname").strip() == os.uname().nodename
    assert not os.path.ismount(files["net"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught:
        _core.pin_namespaces([("net", missing)])
    assert caught.value.filename == str(missing)


def test_a_kind_that_needs_a_process_is_refused(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="pid"):
        _core.pin_namespaces([("net", files["net"]), ("pid", files["ipc"])])
    assert not os.path.ismount(files["net"])
    _core.pin_namespaces([])


def test_a_directory_of_another_mount_namespace_is_shown_here(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    script = f"mount -t tmpfs none {there} && echo seen > {there}/file && echo ready && cat"
    before = own()
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"ready\n"
            _core.mount_from(f"/proc/{other.pid}/ns/mnt", there, here)
        finally:
            other.kill()
    try:
        # It outlives the namespace that it came from.
        assert (here / "file").read_text() == "seen\n"
        assert list(there.iterdir()) == []
        assert own() == before
    finally:
        _core.unmount(here, detach=True)


def test_a_namespace_that_is_gone_is_an_error_about_the_target(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        _core.mount_from("/proc/self/ns/nothing", "/dev/shm", tmp_path)
    assert caught.value.filename == str(tmp_path)
