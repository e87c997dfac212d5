"""Sizes, durations and points in time, as people write them."""

import math
import re
from typing import NoReturn

from podcore.errors import InvalidArgumentError

_SIZE = re.compile(
    r"([0-9]{1,19})(?:\.([0-9]{1,19}))? ?(b|[kmgt](?:i?b?)?)?", re.ASCII | re.IGNORECASE
)
_POWER = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LARGEST = (1 << 63) - 1  # what the kernel's counters take

_SECONDS = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}", re.ASCII)
_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNIT = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?)?",
    re.ASCII,
)


def parse_size(value: object, what: str) -> int:
    """Returns a size in bytes.

    Args:
        value: bytes, or a string such as ``32m``, ``1g``, ``1.5 GiB``, ``64Ki``; all units are
            powers of 1024, in either case, as docker and podman read them.
        what: what has that size, for the message.

    Raises:
        InvalidArgumentError: it is none, negative, or more than 2^63 - 1.
    """
    size = -1
    if isinstance(value, int) and not isinstance(value, bool):
        size = int(value)
    elif isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is not None:
            whole, fraction, unit = match.groups()
            factor = 1 << (10 * _POWER[(unit or "b")[0].lower()])
            size = int(whole) * factor
            if fraction is not None:
                size += int(fraction) * factor // 10 ** len(fraction)
    if not 0 <= size <= _LARGEST:
        raise InvalidArgumentError(
            f"{what}: `{value!r}` is no size\n"
            "hint: bytes, or a string such as `512k`, `32m` or `1.5g`"
        )
    return size


def parse_duration(text: str) -> float:
    """Returns a duration in seconds.

    Args:
        text: seconds (``10``, ``0.5``), Go's way (``300ms``, ``1h30m``), or ``inf`` for for ever.

    Raises:
        InvalidArgumentError: it is none, or negative.
    """
    seconds = _duration(text)
    if seconds is None:
        _refuse_duration(text)
    return seconds


def parse_time(text: str, now: float) -> float:
    """Returns a point in time in seconds since the epoch.

    Args:
        text: RFC 3339 (``2026-01-02T15:04:05.123Z``), a date, seconds since the epoch, or how long
            ago in Go's way (``10m``); without a zone it is local time, as podman reads it.
        now: what *ago* is counted from, seconds since the epoch.

    Raises:
        InvalidArgumentError: it is none of them.
    """
    if _SECONDS.fullmatch(text) is not None:
        return float(text)
    match = _TIME.fullmatch(text)
    if match is not None:
        return _calendar(text, match)
    ago = _duration(text)
    if ago is None or math.isinf(ago):
        _refuse_time(text)
    return now - ago


def _duration(text: str) -> float | None:
    if text == "inf":
        return math.inf
    if _SECONDS.fullmatch(text) is not None:
        return float(text)
    seconds, position = 0.0, 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            return None
        seconds += float(part[1]) * _UNIT[part[2]]
        position = part.end()
    return seconds if position else None


def _calendar(text: str, match: re.Match[str]) -> float:
    from datetime import datetime

    date, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in {"Z", "z"} else zone or ""
    try:
        moment = datetime.fromisoformat(f"{date}T{clock or '00:00'}{offset}")
        return moment.timestamp() + float(fraction or 0)
    except (ValueError, OverflowError):
        _refuse_time(text)


def _refuse_duration(text: str) -> NoReturn:
    raise InvalidArgumentError(
        f"`{text!r}` is no duration\nhint: seconds such as `10`, or `300ms`, `1h30m`"
    )


def _refuse_time(text: str) -> NoReturn:
    raise InvalidArgumentError(
        f"`{text!r}` is no point in time\n"
        "hint: `2026-01-02T15:04:05Z`, `2026-01-02`, seconds since the epoch, or `10m` ago"
    )
