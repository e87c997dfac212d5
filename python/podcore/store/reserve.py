"""Space that is kept back, so that on a full disk what runs can still be stopped and removed.

Each commit needs space in the journal, and now and then in the database. Whatever adds rows makes
sure that the reserve is there; everything else gives it up once the disk is all but full.
"""

import contextlib
import os

import apsw

from podcore.kernel.files import write_atomic
from podcore.store.connection import Connection

_SIZE = 64 << 10
# More than the largest of the transactions that add nothing writes to the journal.
_LOW = 256 << 10


def keep(path: str) -> None:
    """Makes the reserve of a database unless it is there.

    Raises:
        ResourceExhaustedError: there is no space for it.
        OSError: it can't be written.
    """
    reserve = _path(path)
    try:
        if os.lstat(reserve).st_size == _SIZE:
            return
    except FileNotFoundError:
        pass
    write_atomic(reserve, bytes(_SIZE))


def spend(path: str, connection: Connection) -> None:
    """Makes room for a transaction where the disk is all but full; else only looks.

    Call with the ``store`` lock held and no transaction open.

    Raises:
        apsw.Error: the database can't be read or written.
    """
    found = os.statvfs(path)
    free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    if free * found.f_frsize >= _LOW:
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(path))
    # What is in the journal goes to its place in the database, so that the journal begins anew and
    # is written over. If even that finds no space, the transaction will say so.
    with contextlib.suppress(apsw.FullError):
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _path(path: str) -> str:
    return f"{path}-reserve"
