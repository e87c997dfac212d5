"""JSON with an indentation of two: what ``json.dumps`` writes, in half its time.

With an indentation the standard library works in Python, token by token.
"""

from json import dumps
from json.encoder import encode_basestring_ascii as quoted
from math import isfinite


def indented(value: object) -> str:
    """Returns ``json.dumps(value, indent=2)`` of a value whose keys are strings.

    Raises:
        TypeError: something in it is nothing that JSON knows, or a key is no string.
    """
    return _written(value, "\n")


def _written(value: object, edge: str) -> str:
    """Returns a value whose last line begins with ``edge``, a line feed and spaces."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        if not value:
            return "{}"
        inner = f"{edge}  "
        items = [
            f"{quoted(key)}: {quoted(item) if type(item) is str else _written(item, inner)}"
            for key, item in value.items()
        ]
        return f"{{{inner}{f',{inner}'.join(items)}{edge}}}"
    if isinstance(value, list | tuple):
        if not value:
            return "[]"
        inner = f"{edge}  "
        return f"[{inner}{f',{inner}'.join([_written(item, inner) for item in value])}{edge}]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)
    return dumps(value)
