"""Checks of single values: each returns the value in its one form or says what is wrong with it."""

import os
import posixpath
import re
from collections.abc import Iterable, Mapping

from podcore.errors import InvalidArgumentError

TEXT_MAX = 128 * 1024  # MAX_ARG_STRLEN of Linux: no single argument or variable may be longer
LABELS_MAX = 256 * 1024  # of all labels or annotations of one object together, as Kubernetes has it
_KEY = re.compile(r"[A-Za-z0-9_./-]{1,253}", re.ASCII)


def refusal(what: str, problem: str, hint: str = "") -> InvalidArgumentError:
    """Returns the error for a value that is not acceptable.

    Args:
        what: the object, such as "`command` of container `db`".
        problem: what is wrong with it.
        hint: what to do about it.
    """
    return InvalidArgumentError(f"{what}: {problem}" + (f"\nhint: {hint}" if hint else ""))


def text(value: object, what: str, *, empty: bool = False, longest: int = TEXT_MAX) -> str:
    """Returns a string that can be an argument of a program.

    Raises:
        InvalidArgumentError: it is none, is empty, too long, has a NUL, or is no valid Unicode.
    """
    if not isinstance(value, str):
        raise refusal(what, f"{shown(value)} is not a string")
    if not value and not empty:
        raise refusal(what, "it is empty")
    if "\0" in value:
        raise refusal(what, f"{shown(value)} has a NUL character")
    try:
        size = len(os.fsencode(value))
        value.encode()
    except UnicodeEncodeError:
        raise refusal(what, f"{shown(value)} is not valid Unicode") from None
    if size > longest:
        raise refusal(what, f"{shown(value)} has {size} bytes", f"at most {longest} are possible")
    return value


def flag(value: object, what: str) -> bool:
    """Returns a boolean; numbers and strings are none.

    Raises:
        InvalidArgumentError: it is none.
    """
    if not isinstance(value, bool):
        raise refusal(what, f"{shown(value)} is neither True nor False")
    return value


def integer(value: object, what: str, lowest: int, highest: int) -> int:
    """Returns an integer within bounds, both included.

    Raises:
        InvalidArgumentError: it is none, or out of bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise refusal(what, f"{shown(value)} is not an integer")
    if not lowest <= value <= highest:
        raise refusal(what, f"`{value}` is out of bounds", f"from {lowest} to {highest}")
    return value


def items(value: object, what: str) -> tuple[object, ...]:
    """Returns the elements of a list or tuple; a single string is taken for the mistake it is.

    Raises:
        InvalidArgumentError: it is neither.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise refusal(what, f"{shown(value)} is not a list", 'write ["a", "b"], not "a b"')
    return tuple(value)


def texts(value: object, what: str, *, empty: bool = False) -> tuple[str, ...]:
    """Returns a list of strings as a tuple.

    Raises:
        InvalidArgumentError: it is none, or one of them is not acceptable to ``text``.
    """
    return tuple(text(item, what, empty=empty) for item in items(value, what))


def pairs(value: object, what: str) -> dict[object, object]:
    """Returns a copy of a mapping.

    Raises:
        InvalidArgumentError: it is none.
    """
    if not isinstance(value, Mapping):
        raise refusal(what, f"{shown(value)} is not a mapping", 'write {"key": "value"}')
    return dict(value)


def labels(value: object, what: str) -> dict[str, str]:
    """Returns labels or annotations: keys of letters, digits and ``_ . / -``, values any text.

    Raises:
        InvalidArgumentError: a key or a value is malformed, or all together are too long.
    """
    checked: dict[str, str] = {}
    total = 0
    for key, item in pairs(value, what).items():
        name = text(key, f"a key of {what}")
        if _KEY.fullmatch(name) is None:
            raise refusal(
                what,
                f"{shown(name)} is not a key",
                "1 to 253 letters, digits, `_`, `.`, `/` and `-`",
            )
        checked[name] = text(item, f"{what}, `{name}`", empty=True)
        total += len(name) + len(checked[name].encode())
    if total > LABELS_MAX:
        raise refusal(what, f"they have {total} bytes", f"at most {LABELS_MAX} together")
    return checked


def host_path(value: object, what: str) -> str:
    """Returns a path of the host, made absolute; links in it stay.

    Raises:
        InvalidArgumentError: it is no path.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return os.path.abspath(text(value, what, longest=4095))


def inner_path(value: object, what: str) -> str:
    """Returns an absolute path inside the container, without ``.``, ``..`` and doubled slashes.

    Raises:
        InvalidArgumentError: it is not absolute.
    """
    path = text(value, what, longest=4095)
    if not path.startswith("/"):
        raise refusal(what, f"{shown(path)} is not absolute", "begin it with `/`")
    return "/" + posixpath.normpath(path).lstrip("/")


def within(path: str, *directories: str) -> bool:
    """Returns whether a normalised path is one of these directories or lies in one."""
    return any(path == top or path.startswith(top + "/") for top in directories)


def shown(value: object) -> str:
    """Returns a value for a message: quoted, escaped, and short however long it is."""
    quoted = repr(value)
    return f"`{quoted if len(quoted) <= 80 else quoted[:77] + '...'}`"
