"""``--filter KEY=VALUE``: values of one key are alternatives, keys and labels narrow down."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from podcore.errors import InvalidArgumentError
from podcore.model import ContainerStatus, PodStatus

Row = Mapping[str, Any]
Test = Callable[[Row, str], bool]


def _label(row: Row, value: str) -> bool:
    key, separator, wanted = value.partition("=")
    labels = row["Labels"]
    return key in labels and (not separator or labels[key] == wanted)


def _not_label(row: Row, value: str) -> bool:
    return not _label(row, value)


def _id(row: Row, value: str) -> bool:
    return bool(row["Id"].startswith(value))


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


_EVERY = {"label", "label!"}  # all of them must hold, where values of other keys are alternatives
_COMMON: dict[str, Test] = {"id": _id, "label": _label, "label!": _not_label}

POD: dict[str, Test] = _COMMON | {
    "name": lambda row, value: _matches(value, row["Name"]),
    "status": lambda row, value: bool(row["Status"].lower() == value.lower()),
    "ctr-ids": lambda row, value: any(c["Id"].startswith(value) for c in row["Containers"]),
    "ctr-names": lambda row, value: any(_matches(value, c["Names"]) for c in row["Containers"]),
    "ctr-number": lambda row, value: str(len(row["Containers"])) == value,
    "ctr-status": lambda row, value: any(c["Status"] == value.lower() for c in row["Containers"]),
}
CONTAINER: dict[str, Test] = _COMMON | {
    "name": lambda row, value: any(_matches(value, name) for name in row["Names"]),
    "status": lambda row, value: bool(row["State"] == value.lower()),
    "pod": lambda row, value: row["PodName"] == value or bool(row["Pod"].startswith(value)),
    "exited": lambda row, value: row["State"] == "exited" and str(row["ExitCode"]) == value,
}
VOLUME: dict[str, Test] = {
    "name": lambda row, value: _matches(value, row["Name"]),
    "label": _label,
    "label!": _not_label,
}

_PATTERNS = {"name", "ctr-names"}
_NUMBERS = {"ctr-number", "exited"}


def parse(arguments: Sequence[str], tests: Mapping[str, Test]) -> Callable[[Row], bool]:
    """Returns a predicate on the rows that ``--json`` would print.

    Args:
        arguments: of ``--filter``.
        tests: the keys that there are.

    Raises:
        InvalidArgumentError: one is malformed, has an unknown key, or a value that no row can have.
    """
    groups: dict[str, list[str]] = {}
    for argument in arguments:
        # `label!=x` is the key `label!`.
        key, separator, value = argument.partition("=")
        if not separator or key not in tests:
            raise InvalidArgumentError(
                f"`{argument}` is no filter\nhint: KEY=VALUE, where KEY is one of "
                + ", ".join(tests)
            )
        if wrong := _objection(key, value, tests):
            raise InvalidArgumentError(f"`--filter {argument}`: {wrong}")
        groups.setdefault(key, []).append(value)

    def keep(row: Row) -> bool:
        for key, values in groups.items():
            results = (tests[key](row, value) for value in values)
            if not (all(results) if key in _EVERY else any(results)):
                return False
        return True

    return keep


def _objection(key: str, value: str, tests: Mapping[str, Test]) -> str:
    """Says what is wrong with a value, which a list without rows would not show; "" when nothing."""
    if key in _PATTERNS:
        try:
            re.compile(value)
        except re.error as error:
            return f"`{value}` is no pattern: {error}"
    elif key in _NUMBERS and not value.isdecimal():
        return f"`{value}` is no number"
    elif key in {"status", "ctr-status"}:
        states = PodStatus if tests is POD and key == "status" else ContainerStatus
        if value.lower() not in tuple(states):
            return f"there is no state `{value}`\nhint: one of {', '.join(states)}"
    return ""
