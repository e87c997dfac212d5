"""Looks at a database whose journal is missing, without making a new one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import apsw

from podcore.store.connection import opened_unchanging
from podcore.store.store import FILE


@dataclass(frozen=True, slots=True)
class Rows:
    """What a database knows by itself.

    Attributes:
        pods: their ids.
        containers: the incarnation of each one, by id.
        infra: which of those are infra containers.
    """

    pods: frozenset[str]
    containers: Mapping[str, int]
    infra: frozenset[str]


def unjournaled(directory: str) -> Rows | None:
    """Returns what is in the database of a directory if its journal is missing.

    podcore never removes a journal. Another program does, when it is the last to close the
    database, after it has moved all commits to where they belong; so all is well, or those commits
    are lost, and only what is beside the database can tell.

    Returns:
        None when there is a journal, or no database, or none that can be read: who opens it says
        what is wrong.
    """
    path = f"{os.path.realpath(directory)}/{FILE}"
    if os.path.lexists(f"{path}-wal") or not os.path.lexists(path):
        return None
    try:
        database = opened_unchanging(path)
        try:
            pods = database.execute("SELECT id FROM pod").fetchall()
            containers = database.execute(
                "SELECT id, kind, incarnation FROM container JOIN container_state USING (number)"
            ).fetchall()
        finally:
            database.close()
    except apsw.Error:
        return None
    if os.path.lexists(f"{path}-wal"):
        return None  # somebody has opened it meanwhile
    return Rows(
        frozenset(str(row[0]) for row in pods),
        {str(key): int(str(incarnation)) for key, _, incarnation in containers},
        frozenset(str(key) for key, kind, _ in containers if kind == "infra"),
    )
