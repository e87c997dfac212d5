"""Names and ids: what one looks like, and how new ones are made."""

import os
import re
from collections.abc import Container

from podcore.errors import InvalidNameError

SHORT = 12
"""Digits of an id that are shown to people, as podman and docker do."""

# libpod's NameRegex with an end that no newline slips past, and a length that fits a file name.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_ID_DIGITS = 64
_ID_PREFIX = re.compile(r"[0-9a-f]{1,64}")

_ADJECTIVES = (
    "able agile amber ample azure bold brave bright brisk calm candid clear clever cosmic crisp "
    "curious daring deft eager early earnest easy exact fair fast fine firm fleet fond frank free "
    "fresh gentle glad golden grand great happy hardy honest humble jolly keen kind lively loyal "
    "lucid lucky mellow merry mighty modest neat nimble noble patient placid plain polite proud "
    "prudent quick quiet rapid ready serene sharp silent smart smooth solid sound spry steady "
    "still sunny swift tidy tranquil trusty upbeat vivid warm wise witty zesty"
)
_SURNAMES = (
    "agnesi allen archimedes babbage backus banach bartik bell bernoulli bohr boole borg bose "
    "cantor cerf church clarke codd cohen conway curie darwin dijkstra dirac einstein elion "
    "engelbart erdos euclid euler faraday fermat fermi feynman franklin galileo galois gauss "
    "germain goldberg goodall hamilton hamming hardy hawking heisenberg hellman hertz hilbert "
    "hodgkin hoover hopper hypatia johnson joliot kalman kepler khayyam kilby knuth kovalevskaya "
    "lamport leavitt liskov lovelace mayer mccarthy meitner mendel milner mirzakhani morse moser "
    "newton nobel noether noyce pascal pasteur perlman pike planck poincare ptolemy raman ramanujan "
    "ride ritchie rubin shannon tesla thompson torvalds turing villani wescoff wiles wing wozniak"
)


def check_name(name: object, what: str) -> str:
    """Returns a name that is acceptable, as it is.

    Args:
        name: 1 to 128 characters of ``a-zA-Z0-9_.-``, the first one a letter or a digit.
        what: what is named, for the message: ``pod``, ``container``, ``volume``.

    Raises:
        InvalidNameError: it is not; nothing was touched.
    """
    if isinstance(name, str) and _NAME.fullmatch(name) is not None:
        return name
    shown = repr(name)
    if len(shown) > 80:
        shown = f"{shown[:77]}…"
    raise InvalidNameError(
        f"`{shown}` is no name of a {what}\n"
        "hint: 1 to 128 letters, digits, `_`, `.` and `-`, the first one a letter or a digit"
    )


def new_id() -> str:
    """Returns a new id: 64 hexadecimal digits of 32 random bytes."""
    return os.urandom(32).hex()


def short(identifier: str) -> str:
    """Returns the first digits of an id, for people."""
    return identifier[:SHORT]


def is_id_prefix(text: str) -> bool:
    """Returns whether an id could begin with that; the whole of an id counts."""
    return _ID_PREFIX.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Returns whether that looks like a whole id."""
    return len(text) == _ID_DIGITS and is_id_prefix(text)


def generate_name(taken: Container[str]) -> str:
    """Returns a name, ``adjective_surname``, that is not among those taken.

    Falls back on a number behind it when luck fails, so it always ends.
    """
    name = _random_name()
    for _ in range(8):
        if name not in taken:
            return name
        name = _random_name()
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def _random_name() -> str:
    number = int.from_bytes(os.urandom(4), "little")
    adjectives, surnames = _ADJECTIVES.split(), _SURNAMES.split()
    number, adjective = divmod(number, len(adjectives))
    return f"{adjectives[adjective]}_{surnames[number % len(surnames)]}"
