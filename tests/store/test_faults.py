import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
import time

import apsw
import pytest

from podcore.errors import (
    PodcoreError,
    ReadOnlyStoreError,
    ResourceExhaustedError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreTooNewError,
)
from podcore.store import Store, faults, schema
from podcore.store.connection import Connection
from store.builders import empty_the_journal, new_container, new_pod


@pytest.fixture
def path(directory, locks):
    """A closed database with a pod of twenty containers, all of it in the main file."""
    store = Store.open(directory, locks)
    with locks.session() as session, store.write(session) as change:
        pod = change.add_pod(new_pod())
        for index in range(20):
            change.add_container(new_container(pod, f"c{index}"))
    store.close()
    empty_the_journal(store.path)
    return store.path


def alter(path, script):
    database = apsw.Connection(path)
    database.execute(script).fetchall()
    database.close()


def read_all(path, locks):
    store = Store.open(os.path.dirname(path), locks)
    try:
        with store.read() as view:
            view.summaries(infra=True)
            return view.pods(), view.containers(), view.volumes(), view.events()
    finally:
        store.close()


def test_a_newer_database_is_refused_and_left_alone(path, locks):
    alter(path, f"PRAGMA user_version = {schema.version() + 1}")
    with pytest.raises(StoreTooNewError, match="\nhint: upgrade podcore"):
        read_all(path, locks)


@pytest.mark.parametrize("pragma", ["application_id = 1", "user_version = 0"])
def test_somebody_elses_database_is_refused(path, locks, pragma):
    alter(path, f"PRAGMA {pragma}")
    with pytest.raises(StoreCorruptError, match="no database of podcore"):
        read_all(path, locks)


def damage_nothing_left(path):
    os.truncate(path, 0)


def damage_cut_short(path):
    os.truncate(path, os.path.getsize(path) // 2)


def damage_not_a_database(path):
    with open(path, "wb") as file:
        file.write(b"root:x:0:0:root:/root:/bin/sh\n" * 1000)


def damage_header(path):
    with open(path, "r+b") as file:
        file.write(b"\xff" * 100)


def damage_schema_page(path):
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)


def damage_every_page_but_the_first(path):
    with open(path, "r+b") as file:
        for offset in range(4096, os.path.getsize(path), 4096):
            file.seek(offset)
            file.write(b"\xa5" * 64)


def damage_lost_table(path):
    alter(path, "DROP TABLE container_state")


def damage_changed_spec(path):
    alter(path, """UPDATE container SET spec = replace(spec, 'sleep', 'sloop')""")


def damage_broken_labels(path):
    alter(path, "UPDATE pod SET labels = '{'")


def damage_unknown_verb(path):
    alter(
        path,
        "UPDATE container_state SET intent_verb = 'dance', intent_pid = 1, intent_start = 1,"
        " intent_since = 1",
    )


def damage_directory(path):
    os.unlink(path)
    os.mkdir(path)


DAMAGES = [value for name, value in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[7:])
def test_damage_is_noticed_and_typed(path, locks, damage):
    damage(path)
    expected = StoreError if damage is damage_directory else StoreCorruptError
    with pytest.raises(expected) as caught:
        read_all(path, locks)
    assert path in str(caught.value)
    if expected is StoreCorruptError:
        assert "\nhint: `podcore system check --repair`" in str(caught.value)


def test_an_empty_database_is_damaged_for_all_who_open_it_at_once(path, locks):
    for _ in range(100):
        os.truncate(path, 0)
        with open(f"{path}-wal", "wb") as journal:
            journal.write(b"x" * 100)
        ready, raised = threading.Barrier(4), []

        def open_it(ready=ready, raised=raised):
            ready.wait()
            try:
                read_all(path, locks)
            except StoreError as error:
                raised.append(type(error))

        threads = [threading.Thread(target=open_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert raised == [StoreCorruptError] * 4


def test_a_database_that_a_repair_replaces_while_it_is_opened_is_opened_again(
    path, locks, monkeypatch
):
    before = read_all(path, locks)
    attempts = []

    def replacing(which):
        attempts.append(which)
        if len(attempts) == 1:
            for suffix in ("", "-wal", "-shm"):
                shutil.copyfile(path + suffix, f"{path}{suffix}.new")
                os.rename(f"{path}{suffix}.new", path + suffix)
            raise StoreError("it was moved away")
        return Connection(which)

    monkeypatch.setattr("podcore.store.store.Connection", replacing)
    assert read_all(path, locks) == before
    assert len(attempts) == 2


@pytest.mark.parametrize("seed", range(25))
def test_bytes_changed_at_random_never_give_anything_but_podcores_errors(path, locks, seed):
    import random

    chance = random.Random(seed)
    with open(path, "r+b") as file:
        for _ in range(chance.choice([1, 10, 100])):
            file.seek(chance.randrange(os.path.getsize(path)))
            file.write(bytes([chance.randrange(256)]))
    try:
        read_all(path, locks)
        store = Store.open(os.path.dirname(path), locks)
        store.integrity()
        store.close()
    except PodcoreError:
        pass


def test_integrity_names_what_a_read_in_passing_does_not_see(path, locks):
    alter(path, "PRAGMA foreign_keys = OFF; DELETE FROM container_state WHERE number = 3")
    alter(path, "PRAGMA foreign_keys = OFF; UPDATE container SET pod_id = 'x' WHERE number = 4")
    store = Store.open(os.path.dirname(path), locks)
    found = store.integrity()
    store.close()
    assert len(found) == 2
    assert "refers to a row of pod" in found[0]
    assert "container `c2`" in found[1]
    assert "no state" in found[1]


def test_the_journal_of_a_lost_database_is_not_taken_for_a_new_ones(path, locks):
    shutil.copy(path, f"{path}-wal")
    os.unlink(path)
    with pytest.raises(StoreCorruptError, match="-wal"):
        read_all(path, locks)
    assert not os.path.exists(path)


def test_a_creation_that_was_cut_off_is_begun_again(directory, locks):
    for suffix in ("", "-wal", "-journal"):
        with open(f"{directory}/state.db.new{suffix}", "wb") as file:
            file.write(b"half")
    assert read_all(f"{directory}/state.db", locks) == ([], [], [], [])
    assert not [name for name in os.listdir(directory) if "new" in name]


def test_a_symlink_is_not_followed(path, locks):
    os.rename(path, f"{path}.real")
    os.symlink(f"{path}.real", path)
    with pytest.raises(StoreError):
        read_all(path, locks)


def test_the_directory_may_be_reached_through_a_symlink(path, locks, tmp_path):
    os.symlink(os.path.dirname(path), tmp_path / "link")
    assert len(read_all(str(tmp_path / "link" / "state.db"), locks)[1]) == 20


def test_a_database_that_was_deleted_under_us_is_noticed(store, session):
    for suffix in ("", "-wal", "-shm"):
        os.unlink(f"{store.path}{suffix}")
    with pytest.raises(StoreCorruptError, match="went away"), store.write(session):
        pass
    with pytest.raises(StoreCorruptError, match="went away"), store.read():
        pass


def test_a_database_that_was_replaced_under_us_is_the_one_that_is_used(store, session, path):
    # `path` is the same file: make another one beside it and put it in its place.
    with store.read() as view:
        assert len(view.pods()) == 1
    alter(path, f"VACUUM INTO '{path}.other'")
    alter(f"{path}.other", "PRAGMA journal_mode = WAL; UPDATE pod SET name = 'restored'")
    for suffix in ("-wal", "-shm"):
        os.unlink(f"{path}{suffix}")
    os.rename(f"{path}.other", path)
    with store.write(session) as change:
        assert change.pods()[0].name == "restored"
    with store.read() as view:
        assert view.pods()[0].name == "restored"


HOLDER = """
import apsw, sys
database = apsw.Connection(sys.argv[1])
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_another_programs_transaction_is_an_error_at_the_deadline_and_readers_go_on(
    store, session, popen
):
    holder = popen(
        [sys.executable, "-c", HOLDER, store.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == "held\n"
    with store.read() as view:
        assert view.pods() == []
    begun = time.monotonic()
    with (
        pytest.raises(StoreBusyError, match="\nhint: "),
        store.write(session, timeout=0.5) as change,
    ):
        change.add_pod(new_pod())
    # Less than what a connection is patient for unless it is told.
    assert time.monotonic() - begun < 8
    assert session.held == []
    holder.communicate("")
    with store.write(session, timeout=30) as change:
        change.add_pod(new_pod())


@pytest.mark.parametrize(
    ("error", "number", "expected"),
    [
        (apsw.FullError("x"), 0, ResourceExhaustedError),
        (apsw.NoMemError("x"), 0, ResourceExhaustedError),
        (apsw.IOError("x"), errno.ENOSPC, ResourceExhaustedError),
        (apsw.IOError("x"), errno.EDQUOT, ResourceExhaustedError),
        (apsw.CantOpenError("x"), errno.EMFILE, ResourceExhaustedError),
        (apsw.CantOpenError("x"), errno.EACCES, ReadOnlyStoreError),
        (apsw.IOError("x"), errno.EIO, StoreError),
        (apsw.BusyError("x"), 0, StoreBusyError),
        (apsw.LockedError("x"), 0, StoreBusyError),
        (apsw.ReadOnlyError("x"), 0, ReadOnlyStoreError),
        (apsw.NotADBError("x"), 0, StoreCorruptError),
        (apsw.SQLError("no such table: pod"), 0, StoreCorruptError),
    ],
    ids=repr,
)
def test_what_sqlite_says_becomes_a_type(error, number, expected):
    assert type(faults.typed(error, "/x/state.db", number)) is expected


def test_the_files_stay_private(store, session):
    with store.write(session) as change:
        change.set_meta("a", "b")
    for suffix in ("", "-wal", "-shm"):
        assert stat.S_IMODE(os.stat(f"{store.path}{suffix}").st_mode) == 0o600


def test_closing_does_not_checkpoint(store, session):
    with store.write(session) as change:
        change.add_pod(new_pod())
    size = os.path.getsize(f"{store.path}-wal")
    store.close()
    assert os.path.getsize(f"{store.path}-wal") == size > 0
