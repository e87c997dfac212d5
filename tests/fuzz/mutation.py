"""A small fuzzer: takes what is in the corpus and damages it."""

import hashlib
import os
import random
import time
from collections.abc import Callable

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
_ODD = (
    b"\0",
    b"\n",
    b"\xff",
    b"-1",
    b"1e999",
    b"NaN",
    b"[" * 200,
    b"9" * 40,
    b"\xed\xa0\x80",
    b'"',
)


def corpus(target: str) -> list[bytes]:
    """Returns the inputs that are kept for a target, in order of their names."""
    directory = f"{CORPUS}/{target}"
    found = []
    for name in sorted(os.listdir(directory)):
        with open(f"{directory}/{name}", "rb") as file:
            found.append(file.read())
    return found


def mutated(data: bytes, others: list[bytes], source: random.Random) -> bytes:
    """Returns an input with a few damages."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 6)):
        at = source.randint(0, len(changed))
        kind = source.randrange(6)
        if kind == 0 and changed:
            changed[at % len(changed)] ^= 1 << source.randrange(8)
        elif kind == 1:
            del changed[at : at + source.randint(1, 16)]
        elif kind == 2:
            changed[at:at] = source.choice(_ODD)
        elif kind == 3:
            changed[at:at] = changed[at : at + source.randint(1, 64)]
        elif kind == 4:
            other = source.choice(others)
            cut = source.randint(0, len(other))
            changed[at:] = other[cut:]
        else:
            changed[at:at] = source.randbytes(source.randint(1, 8))
    return bytes(changed[: 1 << 20])


def keep(target: str, data: bytes) -> str:
    """Keeps an input that broke its target, and returns where."""
    path = f"{CORPUS}/{target}/crash-{hashlib.sha256(data).hexdigest()[:16]}"
    with open(path, "wb") as file:
        file.write(data)
    return path


def run(target: str, function: Callable[[bytes], None], seconds: float, seed: int) -> int:
    """Feeds a target with damaged inputs; returns how many.

    Raises:
        AssertionError: one broke it; the message says where it is kept.
    """
    source = random.Random(seed)
    inputs = corpus(target)
    until = time.monotonic() + seconds
    count = 0
    while time.monotonic() < until:
        data = mutated(source.choice(inputs), inputs, source)
        count += 1
        try:
            function(data)
        except Exception as error:
            path = keep(target, data)
            raise AssertionError(f"seed {seed}, input {count}, kept as {path}") from error
    return count
