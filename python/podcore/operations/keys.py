"""The keys that detach, as podman writes them: ``ctrl-p,ctrl-q``."""

import re

from podcore.errors import InvalidArgumentError

DEFAULT = "ctrl-p,ctrl-q"

_CONTROL = re.compile(r"(?i:ctrl)-([a-zA-Z@\[\\\]^_])")


def parse_keys(text: object) -> bytes:
    r"""Returns the bytes that a terminal sends for a sequence of keys; "" is none.

    Args:
        text: keys with commas between them: a character, or ``ctrl-`` and a letter or one of
            ``@[\]^_``.

    Raises:
        InvalidArgumentError: it is something else.
    """
    if not isinstance(text, str):
        raise InvalidArgumentError(f"detach keys: `{text!r}` is no string")
    return b"".join(_key(word) for word in text.split(",")) if text else b""


def _key(word: str) -> bytes:
    control = _CONTROL.fullmatch(word)
    if control is not None:
        return bytes([ord(control[1].upper()) & 0x1F])
    if len(word) == 1 and word.isascii() and word.isprintable():
        return word.encode()
    raise InvalidArgumentError(
        f"detach keys: `{word}` is no key\nhint: keys with commas between them, such as {DEFAULT}"
    )
