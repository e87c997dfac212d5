"""What SQLite says went wrong, as podcore's own errors."""

import errno
import os

import apsw

from podcore.errors import (
    InternalError,
    PodcoreError,
    ReadOnlyStoreError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
)
from podcore.kernel.exhaustion import typed as exhausted

_REPAIR = "hint: `podcore system check --repair` rebuilds it from what is on the host"

# What to do when the call that failed left no number of its own behind.
_ERRNO = {apsw.FullError: errno.ENOSPC, apsw.NoMemError: errno.ENOMEM}


def corrupt(path: str, what: str) -> StoreCorruptError:
    """Returns the error that says that a database is damaged, and how to go on."""
    return StoreCorruptError(f"the state store `{path}` is damaged: {what}\n{_REPAIR}")


def journal_gone(path: str) -> StoreCorruptError:
    """Returns the error that says that somebody removed a journal, and commits with it."""
    return corrupt(path, "its journal (-wal or -shm) is gone, and what was in it is missing")


def read_only(path: str) -> ReadOnlyStoreError:
    """Returns the error that says that a database can only be read."""
    return ReadOnlyStoreError(
        f"the state store `{path}` can't be written\n"
        "hint: is its filesystem mounted read-only, or does it belong to somebody else?"
    )


def extended(error: apsw.Error) -> int:
    """Returns SQLite's extended result code; 0 for an error of apsw's own."""
    return int(getattr(error, "extendedresult", 0))


def typed(error: apsw.Error, path: str, number: int = 0) -> PodcoreError:
    """Returns what an error of SQLite means for the user.

    Args:
        error: what apsw raised.
        path: of the database.
        number: ``errno`` of the system call that failed, 0 where that isn't known.
    """
    code = number or _ERRNO.get(type(error), 0) or _out_of_descriptors(error)
    starved = exhausted(OSError(code, os.strerror(code)), f"use the state store `{path}`")
    result: PodcoreError
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        result = StoreBusyError(
            f"another program holds the write lock of the state store `{path}`\n"
            f"hint: podcore's own commands never do; `fuser {path}` names who has it open"
        )
    elif extended(error) == apsw.SQLITE_IOERR_DELETE_NOENT:
        # Whoever opens an empty database removes its journal; of two at once, one finds it gone.
        result = corrupt(path, "it is empty")
    elif isinstance(error, apsw.IOError) and code == errno.ENOENT:
        # Only a journal is opened that late.
        result = journal_gone(path)
    elif isinstance(error, apsw.FullError | apsw.NoMemError | apsw.IOError | apsw.CantOpenError):
        result = starved or _unusable(error, path, code)
    elif isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError):
        result = read_only(path)
    elif isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.SQLError):
        # Our statements are fixed: one that doesn't fit says that the tables are not ours.
        result = corrupt(path, str(error))
    else:
        result = InternalError(f"the state store `{path}`: {type(error).__name__}: {error}")
    return result


def _unusable(error: apsw.Error, path: str, code: int) -> PodcoreError:
    reason = f" ({os.strerror(code)})" if code else ""
    if code in (errno.EROFS, errno.EACCES, errno.EPERM):
        return read_only(path)
    return StoreError(f"the state store `{path}` can't be used: {error}{reason}")


def _out_of_descriptors(error: apsw.Error) -> int:
    """Returns EMFILE or ENFILE where that is why a file could not be opened, else 0.

    SQLite doesn't hand the number on when there is no connection yet.
    """
    if isinstance(error, apsw.CantOpenError):
        try:
            os.close(os.open("/", os.O_PATH | os.O_CLOEXEC))
        except OSError as failure:
            return failure.errno or 0
    return 0
