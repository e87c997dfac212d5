r"""The part of Go's templates that is of use in ``--format``: fields, nested fields and JSON.

``{{.Name}}``, ``{{.State.Pid}}``, ``{{json .}}`` and ``{{json .Labels}}``; ``table`` in front adds
headings. ``\t`` and ``\n`` stand for tab and line feed, as podman reads them.
"""

import re
from collections.abc import Mapping
from typing import Any

from podcore.errors import InvalidArgumentError

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_FIELD = re.compile(r"(json\s+)?(\.|(?:\.[A-Za-z_][A-Za-z0-9_]*)+)")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")


class Template:
    """A parsed template.

    Attributes:
        tabular: it began with ``table``.
    """

    def __init__(self, text: str) -> None:
        """Parses it.

        Raises:
            InvalidArgumentError: it uses something else than fields and ``json``, or no field.
        """
        self.tabular = text.startswith("table ")
        body = text.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n")
        # Literal, field path, literal, …: what re.split leaves with one group.
        self._parts: list[tuple[str, bool, tuple[str, ...]]] = []
        position = 0
        for match in _ACTION.finditer(body):
            field = _FIELD.fullmatch(match[1])
            if field is None:
                raise InvalidArgumentError(
                    f"`{match[0]}` is not supported in `--format`\n"
                    "hint: `json`, or a template of fields such as `{{.Name}} {{json .Labels}}`"
                )
            path = tuple(name for name in field[2].split(".") if name)
            as_json = field[1] is not None or not path
            self._parts.append((body[position : match.start()], as_json, path))
            position = match.end()
        self._tail = body[position:]
        if not self._parts:
            raise InvalidArgumentError(
                f"`{text}` is no format\nhint: `json`, or a template such as `{{{{.Name}}}}`"
            )

    def render(self, row: Mapping[str, Any]) -> str:
        """Returns the text for one object.

        Raises:
            InvalidArgumentError: it has no such field.
        """
        pieces = []
        for literal, as_json, path in self._parts:
            value = _lookup(row, path)
            pieces.append(literal)
            pieces.append(_json(value) if as_json else _text(value))
        return "".join(pieces) + self._tail

    def heading(self) -> str:
        """Returns the headings that ``table`` asks for: the field names in capitals."""
        pieces = []
        for literal, _, path in self._parts:
            words = _WORD.findall(path[-1]) if path else []
            pieces.append(literal + " ".join(words).upper())
        return "".join(pieces) + self._tail


def _lookup(row: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: object = row
    for name in path:
        fields = value if isinstance(value, Mapping) else {}
        found = name if name in fields else _any_case(name, fields)
        if found is None:
            known = ", ".join(f".{field}" for field in fields) or "none"
            raise InvalidArgumentError(f"there is no field `.{'.'.join(path)}`\nhint: {known}")
        value = fields[found]
    return value


def _any_case(name: str, fields: Mapping[str, Any]) -> str | None:
    # podman says .ID in one list and .Id in another.
    return next((field for field in fields if field.lower() == name.lower()), None)


def _json(value: object) -> str:
    from json import dumps

    return dumps(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return _json(value)
