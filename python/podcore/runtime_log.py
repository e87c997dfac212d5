"""What an OCI runtime wrote to its ``--log`` in ``--log-format json``, put into words.

The texts are for people: nothing is ever decided by them, for they differ between the runtimes and
between versions of one.
"""

import json
import os
import re

# Enough for every message; a runtime that logs more than that is only quoted from its end.
_TAIL = 65536

# runc: `exec: "/bin/x": stat /bin/x: no such file or directory`, `exec: "x": executable file not
# found in $PATH`; crun: "executable file `/bin/x` not found in $PATH: No such file or directory".
_NOT_FOUND = re.compile(
    r'exec: "(?P<runc>[^"]+)": (?:executable file not found|stat [^:]+: no such file)'
    r"|executable file `(?P<crun>[^`]+)` not found",
)
_NOT_EXECUTABLE = re.compile(
    r'exec: "(?P<runc>[^"]+)": permission denied|open executable: (?:Permission denied|Operation not permitted)'
)
# runc says which of its commands failed before it says what is wrong.
_PREFIX = re.compile(r"\A(?:runc \w+ failed: )?(?:unable to start container process: )?")


def size(path: str) -> int:
    """Returns the length of a log so far, 0 when there is none; for ``last_error(after=)``."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def last_error(path: str, after: int = 0) -> str:
    """Returns the last message of a runtime's log; empty when there is none.

    Args:
        path: the file that ``--log`` named; it may be missing.
        after: bytes to pass over, which an earlier call of the runtime has written.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        data = os.pread(fd, _TAIL, max(after, os.fstat(fd).st_size - _TAIL))
    except OSError:
        return ""
    finally:
        os.close(fd)
    for line in reversed(data.splitlines()):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal", None):
            return _fit(str(entry.get("msg", "")).strip())
    return ""


def worded(message: str, container: str, verb: str) -> str:
    """Returns a runtime's message as a user would want to read it, fit for a terminal.

    Args:
        message: what the runtime said; it may be empty.
        container: the container's name, or its id where no name is known.
        verb: what could not be done to it.
    """
    message = _fit(message)
    if missing := _NOT_FOUND.search(message):
        program = missing["runc"] or missing["crun"]
        return f"executable `{program}` not found in the rootfs of container `{container}`"
    if denied := _NOT_EXECUTABLE.search(message):
        program = f"`{denied['runc']}`" if denied["runc"] else "that it should run"
        return f"the file {program} in the rootfs of container `{container}` is not executable"
    said = _PREFIX.sub("", message, count=1).strip() or "the OCI runtime gave no reason"
    return f"could not {verb} container `{container}`: {said}"


def _fit(text: str) -> str:
    """Returns a text that any terminal and any encoder can take.

    A container can bring its runtime to quote it: escape sequences, halves of surrogate pairs.
    """
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
