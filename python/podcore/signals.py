"""Signals by name and by number."""

import re
import signal

from podcore.errors import InvalidArgumentError

_LAST = 64
_NUMBER = re.compile(r"[1-9][0-9]?", re.ASCII)
_REAL_TIME = re.compile(r"RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?", re.ASCII)
# Real-time signals are counted from either end; the C library keeps 32 and 33 for itself.
_RT_MIN, _RT_MAX = 34, 64
_BY_NAME = {
    name.removeprefix("SIG"): number.value
    for name, number in signal.Signals.__members__.items()
    if not name.startswith("SIGRT")
}


def parse_signal(value: object) -> int:
    """Returns the number of a signal, 1 to 64.

    Args:
        value: a number, or a string such as ``SIGTERM``, ``TERM``, ``term``, ``-TERM``, ``15`` or
            ``RTMIN+3`` (what podman takes).

    Raises:
        InvalidArgumentError: there is no such signal; 0, negative numbers, fractions, truth values
            and None are none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if 1 <= value <= _LAST:
            return int(value)
    elif isinstance(value, str):
        number = _parse_text(value)
        if number is not None:
            return number
    raise InvalidArgumentError(
        f"`{value!r}` is no signal\n"
        "hint: a name such as `SIGTERM`, `term` or `RTMIN+3`, or a number from 1 to 64"
    )


def signal_name(number: int) -> str:
    """Returns the canonical name of a signal: ``SIGTERM``, ``SIGRTMIN+3``.

    The two without a name (32, 33) are shown as their number; ``parse_signal`` reads all of it.
    """
    if number == _RT_MIN:
        return "SIGRTMIN"
    if _RT_MIN < number <= _RT_MAX:
        return f"SIGRTMIN+{number - _RT_MIN}"
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _parse_text(text: str) -> int | None:
    if _NUMBER.fullmatch(text) is not None:
        number = int(text)
        return number if number <= _LAST else None
    if not text.isascii():
        return None  # upper() turns some other letters into ASCII ones
    name = text.removeprefix("-").upper().removeprefix("SIG")
    known = _BY_NAME.get(name)
    if known is not None:
        return known
    match = _REAL_TIME.fullmatch(name)
    if match is None:
        return None
    end, sign, digits = match.groups()
    if sign is not None and sign != ("+" if end == "MIN" else "-"):
        return None
    offset = int(digits or 0)
    number = _RT_MIN + offset if end == "MIN" else _RT_MAX - offset
    return number if _RT_MIN <= number <= _RT_MAX else None
