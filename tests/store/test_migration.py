import os
import shutil
import subprocess
import sys

import apsw
import pytest

from podcore.errors import StoreCorruptError
from podcore.store import Store, creation, schema
from store.builders import new_pod


@pytest.fixture
def old(directory, locks):
    """The path of a closed database of version 1 with a pod in it."""
    store = Store.open(directory, locks)
    with locks.session() as session, store.write(session) as change:
        change.add_pod(new_pod())
    store.close()
    return store.path


def ask(path, statement):
    database = apsw.Connection(path)
    try:
        return database.execute(statement).fetchall()
    finally:
        database.close()


def test_an_older_database_is_brought_up_to_date_after_a_copy(old, directory, locks, monkeypatch):
    scripts = ("ALTER TABLE pod ADD COLUMN mood TEXT", "UPDATE pod SET mood = 'fine'")
    monkeypatch.setattr(schema, "MIGRATIONS", scripts)
    Store.open(directory, locks).close()
    assert ask(old, "SELECT name, mood FROM pod") == [("web", "fine")]
    assert ask(old, "PRAGMA user_version") == [(3,)]
    copy = f"{old}.bak-v1"
    assert ask(copy, "PRAGMA user_version") == [(1,)]
    assert ask(copy, "SELECT name FROM pod") == [("web",)]
    assert os.stat(copy).st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE pod SET name = 'changed'; SELECT * FROM absent",
        "UPDATE pod SET name = 'changed'; INSERT INTO edge VALUES ('x', 1, 'y', 'running', 1.0)",
    ],
    ids=["a script that fails", "a script that leaves a row without its parent"],
)
def test_a_migration_that_fails_changes_nothing(old, directory, locks, monkeypatch, script):
    monkeypatch.setattr(schema, "MIGRATIONS", (script,))
    with pytest.raises(StoreCorruptError):
        Store.open(directory, locks)
    assert ask(old, "SELECT name FROM pod") == [("web",)]
    assert ask(old, "PRAGMA user_version") == [(1,)]
    monkeypatch.undo()
    Store.open(directory, locks).close()


def test_versions_before_the_one_that_fails_are_kept(old, directory, locks, monkeypatch):
    monkeypatch.setattr(
        schema, "MIGRATIONS", ("UPDATE pod SET name = 'two'", "SELECT * FROM absent")
    )
    with pytest.raises(StoreCorruptError):
        Store.open(directory, locks)
    assert ask(old, "SELECT name FROM pod") == [("two",)]
    assert ask(old, "PRAGMA user_version") == [(2,)]


def test_who_waited_for_another_ones_migration_has_nothing_left_to_do(
    old, directory, locks, monkeypatch
):
    monkeypatch.setattr(schema, "MIGRATIONS", ("ALTER TABLE pod ADD COLUMN mood TEXT",))
    creation.migrate(old, locks)
    creation.migrate(old, locks)
    assert ask(old, "PRAGMA user_version") == [(2,)]


MIGRATIONS = ("ALTER TABLE pod ADD COLUMN mood TEXT", "UPDATE pod SET mood = 'fine'")

MIGRATE = """
import os, signal, sys
import apsw
from podcore._core import LockTable
from podcore.store import Store, schema

directory, locks, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
schema.MIGRATIONS = tuple(sys.argv[4:])


def step(cursor, statement, bindings):
    # Before each statement from the copy on.
    global left
    begun.extend([True] * statement.startswith("VACUUM"))
    left -= bool(begun)
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return True


begun = []
apsw.connection_hooks.append(lambda connection: connection.set_exec_trace(step))
Store.open(directory, LockTable(locks)).close()
"""


def test_a_migration_that_is_killed_at_any_statement_is_finished_by_the_next_one(
    old, directory, locks, tmp_path, monkeypatch
):
    ask(old, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(directory, tmp_path / "before")
    seen = []
    for left in range(100):
        shutil.rmtree(directory)
        shutil.copytree(tmp_path / "before", directory)
        places = [directory, str(tmp_path / "its-locks")]
        again = [sys.executable, "-c", MIGRATE, *places, str(left), *MIGRATIONS]
        died = subprocess.run(again, capture_output=True, text=True, timeout=60, check=False)
        assert died.returncode in (0, -9), died.stderr
        assert ask(old, "SELECT name FROM pod") == [("web",)]
        (version,) = ask(old, "PRAGMA user_version")[0]
        columns = [name for _, name, *_ in ask(old, "PRAGMA table_info(pod)")]
        assert ("mood" in columns) == (version > 1), "a version is whole or not there"
        seen.append(version)
        if died.returncode == 0:
            break

        monkeypatch.setattr(schema, "MIGRATIONS", MIGRATIONS)
        Store.open(directory, locks).close()

        assert ask(old, "SELECT name, mood FROM pod") == [("web", "fine")]
        assert ask(old, "PRAGMA user_version") == [(3,)]
        assert ask(f"{old}.bak-v1", "PRAGMA user_version") == [(1,)]
        monkeypatch.undo()

    # The copy, two settings, and of both versions: BEGIN, script, check, number, COMMIT.
    assert len(seen) > 12
    assert seen == sorted(seen)
    assert set(seen) == {1, 2, 3}
