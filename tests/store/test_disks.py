"""Disks that are full, read-only or broken under the database."""

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from podcore.errors import InvalidArgumentError, ReadOnlyStoreError, ResourceExhaustedError
from podcore.store import Claim, Store
from store.builders import empty_the_journal, new_container, new_pod

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a filesystem")

WRITE = """
import sys
from podcore._core import LockTable
from podcore.store import Claim, Store

store = Store.open(sys.argv[1], locks := LockTable(sys.argv[2]))
with locks.session() as session:
    for value in ("lost", "kept"):
        try:
            with store.write(session, durable=True) as change:
                print("reads", change.meta("key"))
                change.set_meta("key", value)
        except Exception as error:
            print(type(error).__name__, "hint" if "hint" in str(error) else error)
    with store.read() as view:
        print("reads", view.meta("key"))
"""


@pytest.mark.integration
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_a_commit_that_an_input_or_output_error_ends_is_undone_and_the_next_one_works(
    store, session, tmp_path, call
):
    if shutil.which("strace") is None:
        pytest.skip("`strace` is not installed")
    # The beginning of a journal is synchronised in any case.
    with store.write(session) as change:
        change.set_meta("other", "value")
    store.close()
    argv = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        f"{store.path}-wal",
        "-e",
        f"trace={call}",
    ]
    argv += ["-e", f"inject={call}:error=EIO:when=1", sys.executable, "-c", WRITE]
    argv += [os.path.dirname(store.path), str(tmp_path / "its-locks")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("`strace` may not trace here")

    assert done.returncode == 0, done.stderr
    begun, failed, *rest = done.stdout.splitlines()
    assert begun == "reads None"
    assert failed.startswith("StoreError the state store")
    assert "disk I/O error" in failed
    assert rest == ["reads None", "reads kept"]


@pytest.fixture
def small_filesystem(tmp_path):
    """A tmpfs of 256 KiB; returns its path and a function that remounts it read-only."""
    target = str(tmp_path / "small")
    os.mkdir(target, 0o700)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "none", target], check=True
    )
    yield target, lambda: subprocess.run(["mount", "-o", "remount,ro", target], check=True)
    subprocess.run(["umount", "-l", target], check=True)


@needs_root
@pytest.mark.integration
def test_a_full_disk_is_typed_and_nothing_is_half_written(small_filesystem, locks, session):
    directory, _ = small_filesystem
    store = Store.open(directory, locks)
    with store.write(session) as change:
        pod = change.add_pod(new_pod())
    added = []

    def fill():
        while len(added) < 10_000:
            with store.write(session) as change:
                for index in range(20):
                    change.add_container(new_container(pod, f"c{len(added)}-{index}"))
            added.append(True)

    with pytest.raises(ResourceExhaustedError) as caught:
        fill()
    assert caught.value.errno == errno.ENOSPC
    assert "\nhint: " in str(caught.value)
    with store.read() as view:
        assert len(view.containers()) == 20 * len(added)
    assert store.integrity() == []
    store.close()


def fill(path):
    """Writes until there is no more space."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


@needs_root
@pytest.mark.integration
def test_on_a_full_disk_what_adds_nothing_goes_on_and_what_adds_something_does_not(
    small_filesystem, locks, session
):
    directory, _ = small_filesystem
    store = Store.open(directory, locks)
    with store.write(session, adds=True) as change:
        pod = change.add_pod(new_pod())
        row = change.add_container(new_container(pod, "one"))
    fill(f"{directory}/ballast")

    # Far more than the journal has room for, had it to grow.
    for started in range(300):
        with store.write(session) as change:
            change.save_container(row.but(started=float(started)))
            change.event("container", row.id, "start")

    with pytest.raises(ResourceExhaustedError, match="\nhint: "), store.write(session, adds=True):
        pass
    with store.read() as view:
        assert view.container(row.id).started == 299.0
    os.unlink(f"{directory}/ballast")
    with store.write(session, adds=True) as change:
        change.add_container(new_container(pod, "two"))
    assert store.integrity() == []
    store.close()


@needs_root
@pytest.mark.integration
def test_who_fills_the_disk_while_the_database_is_opened_keeps_nobody_out(
    small_filesystem, locks, session
):
    directory, _ = small_filesystem
    store = Store.open(directory, locks)
    with store.write(session, adds=True) as change:
        pod = change.add_pod(new_pod())
        row = change.add_container(new_container(pod, "one"))
    store.close()
    fill(f"{directory}/ballast")
    # What whoever opens the database first does with the -shm, and somebody who takes the space.
    os.truncate(f"{store.path}-shm", 3)
    fill(f"{directory}/more-ballast")

    store = Store.open(directory, locks)
    with store.read() as view:
        assert view.container(row.id).name == "one"
    for started in range(300):
        with store.write(session) as change:
            change.save_container(row.but(started=float(started)))
    with store.write(session) as change:
        change.delete_container(row.id)
    with pytest.raises(ResourceExhaustedError, match="\nhint: "), store.write(session, adds=True):
        pass
    other = Store.open(directory, locks)
    with other.read() as view:
        assert view.containers() == []
    other.close()
    os.unlink(f"{directory}/ballast")
    with store.write(session, adds=True) as change:
        change.add_container(new_container(pod, "two"))
    assert store.integrity() == []
    store.close()


@needs_root
@pytest.mark.integration
def test_all_who_open_the_database_at_once_on_a_full_disk_get_their_turn(small_filesystem, locks):
    directory, _ = small_filesystem
    Store.open(directory, locks).close()
    fill(f"{directory}/ballast")
    os.truncate(f"{directory}/state.db-shm", 3)
    fill(f"{directory}/more-ballast")
    alone = []

    def look(_):
        store = Store.open(directory, locks)
        for _ in range(5):
            with store.read() as view:
                assert view.pods() == []
                alone.append(view._connection.alone)
        store.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(look, range(4)))

    assert alone == [True] * 20


@needs_root
@pytest.mark.integration
@pytest.mark.parametrize("journals", ["kept", "gone"])
def test_a_read_only_filesystem_can_be_read(small_filesystem, locks, session, journals):
    directory, make_read_only = small_filesystem
    store = Store.open(directory, locks)
    with store.write(session) as change:
        pod = change.add_pod(new_pod())
    store.close()
    if journals == "gone":
        empty_the_journal(store.path)
    make_read_only()
    store = Store.open(directory, locks)
    with store.read() as view:
        assert view.pods() == [pod]
    with pytest.raises(ReadOnlyStoreError, match="\nhint: "), store.write(session):
        pass
    assert session.held == []
    store.close()


@needs_root
@pytest.mark.integration
def test_a_read_only_filesystem_need_not_remember_who_reads_it(
    small_filesystem, locks, session, tmp_path
):
    directory, make_read_only = small_filesystem
    Store.open(directory, locks, Claim(str(tmp_path), "this-boot")).close()
    make_read_only()
    store = Store.open(directory, locks, Claim("/another", "next-boot"))
    with store.read() as view:
        assert view.pods() == []
    with pytest.raises(ReadOnlyStoreError), store.write(session):
        pass
    store.close()
    with pytest.raises(InvalidArgumentError, match=str(tmp_path)):
        Store.open(directory, locks, Claim("/another", "this-boot"))


@needs_root
@pytest.mark.integration
def test_an_empty_read_only_filesystem_is_typed(small_filesystem, locks):
    directory, make_read_only = small_filesystem
    make_read_only()
    with pytest.raises(ReadOnlyStoreError):
        Store.open(directory, locks)
