"""Reading an OCI config.json that somebody else wrote: bounded, strict, never believed."""

import json
import os
import re
import stat
from typing import Any, NoReturn

from podcore.errors import InvalidArgumentError
from podcore.specs import values

CONFIG = "config.json"
SIZE_MAX = 4 << 20
DEPTH_MAX = 64
# One without an end goes to the end of the text; possessive, so that no text takes long.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_TYPES: dict[str, type[object]] = {
    "ociVersion": str,
    "process": dict,
    "root": dict,
    "hostname": str,
    "domainname": str,
    "mounts": list,
    "hooks": dict,
    "annotations": dict,
    "linux": dict,
}


def read_config(path: str, cap: int = SIZE_MAX) -> tuple[bytes, dict[str, Any]]:
    """Returns the bytes of a config.json and what they say.

    Links are not followed and a FIFO does not hold it up. Runtimes read JSON in different ways
    where it is ambiguous, so duplicate keys, NaN and a byte order mark are refused.

    Args:
        path: the file.
        cap: its largest acceptable size, bytes.

    Raises:
        InvalidArgumentError: it can't be read, is no strict JSON, is too large or too deep, or
            is no OCI configuration on its first two levels.
    """
    what = f"bundle configuration `{path}`"
    data = read(path, what, cap)
    return data, parse_config(data, what)


def parse_config(data: bytes, what: str) -> dict[str, Any]:
    """Returns what the bytes of a config.json say; raises as ``read_config``."""
    config = parse_json(data, what)
    _check_shape(config, what)
    return config  # type: ignore[no-any-return]  # _check_shape has seen that it is a dict


# `Any`: JSON; the parts that podcore uses are checked where it uses them.
def parse_json(data: bytes, what: str) -> Any:
    """Returns what strict JSON says.

    Raises:
        InvalidArgumentError: it is none, or is nested too deep.
    """
    _check_depth(data, what)
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=lambda pairs: _object(pairs, what),
            parse_constant=lambda constant: _refuse_constant(constant, what),
        )
    except UnicodeDecodeError:
        raise values.refusal(what, "it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise values.refusal(what, f"it is not JSON: {error}") from None
    except ValueError as error:
        if isinstance(error, InvalidArgumentError):
            raise
        # An integer of thousands of digits (sys.set_int_max_str_digits).
        raise values.refusal(what, "it has a number that is too long") from None


def read(path: str, what: str, cap: int = SIZE_MAX) -> bytes:
    """Returns the bytes of a regular file; links are not followed and a FIFO does not hold it up.

    Raises:
        InvalidArgumentError: it can't be read, is something else, or is larger than ``cap``.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        )
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise values.refusal(what, "it is not a regular file")
            data = file.read(cap + 1)
    except OSError as error:
        raise values.refusal(what, f"it can't be read: {error.strerror}") from None
    if len(data) > cap:
        raise values.refusal(what, f"it is larger than {cap} bytes")
    return data


def _check_depth(data: bytes, what: str) -> None:
    # Before the parser, which recurses.
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for byte in _STRING.sub(b"", data).translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        if depth > DEPTH_MAX:
            raise values.refusal(what, f"it is nested more than {DEPTH_MAX} levels deep")


def _object(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise values.refusal(what, f"the key {values.shown(key)} is there twice")
            seen.add(key)
    return found


def _refuse_constant(constant: str, what: str) -> NoReturn:
    raise values.refusal(what, f"`{constant}` is not JSON")


def _check_shape(config: object, what: str) -> None:
    if not isinstance(config, dict):
        raise values.refusal(what, "it is not a JSON object")
    for key, kind in _TYPES.items():
        if config.get(key) is not None and not isinstance(config[key], kind):
            raise values.refusal(what, f"`{key}` is not of type {kind.__name__}")
    if not config.get("ociVersion"):
        raise values.refusal(what, "`ociVersion` is missing", "`runc spec` writes a complete one")
    root = config.get("root")
    if not root or not isinstance(root.get("path"), str) or not root["path"]:
        raise values.refusal(what, "`root.path` is missing")
    for mount in config.get("mounts") or ():
        if not isinstance(mount, dict) or not isinstance(mount.get("destination"), str):
            raise values.refusal(what, "an entry of `mounts` has no `destination`")
    process = config.get("process")
    if not process or not isinstance(process.get("args"), list) or not process["args"]:
        raise values.refusal(what, "`process.args` is missing", "say what to run")
    if not isinstance(process.get("terminal", False), bool):
        raise values.refusal(what, "`process.terminal` is neither true nor false")
