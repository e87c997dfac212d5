"""Finding the programs of the host that podcore runs as root, and whether they can be trusted."""

import os
import stat
from collections.abc import Sequence

# Searched after PATH: a service's PATH often lacks the sbin directories, where Debian puts runc.
WELL_KNOWN = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def find(name: str, path: str, extra: Sequence[str] = ()) -> str | None:
    """Returns the absolute path of a program, None when there is none.

    Args:
        name: the program's name, without a slash.
        path: directories to search first, as in ``PATH``; relative ones are passed over.
        extra: directories to search last.
    """
    for directory in (*path.split(":"), *WELL_KNOWN, *extra):
        candidate = f"{directory}/{name}"
        if (
            directory.startswith("/")
            and os.path.isfile(candidate)
            and os.access(candidate, os.X_OK)
        ):
            return candidate
    return None


def objection(path: str) -> str:
    """Says why a program must not be run; empty when it may.

    It must be a regular executable file that only root or the calling user can change.

    Args:
        path: absolute; symbolic links are followed, for alternatives systems make them.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if not stat.S_ISREG(found.st_mode):
        return "not a regular file"
    if not os.access(path, os.X_OK):
        return "not executable"
    if found.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {found.st_uid}, who could replace it (`chown root {path}`)"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others than its owner can change it (`chmod go-w {path}`)"
    return ""
