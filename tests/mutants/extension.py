"""The Rust core with a mutant in it."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator

from mutants.mutant import Mutant

# What only costs time when the result runs for a few seconds; and rebuild no more than changed.
_QUICK = {
    "CARGO_INCREMENTAL": "1",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    # As maturin sets it: do not link against libpython.
    "PYO3_BUILD_EXTENSION_MODULE": "1",
}


class BuildError(Exception):
    """The core does not compile with the mutant; the message is the compiler's."""


def build(checkout: str, mutant: Mutant, into: str) -> None:
    """Builds the core with ``mutant`` in it.

    The copy of the sources and the target directory stay in ``target/mutants`` for the next time;
    one process at a time uses them.

    Args:
        checkout: the project's directory; its sources are not changed.
        mutant: one of a Rust file.
        into: the file that becomes the extension; one that is there is replaced, not written over.

    Raises:
        BuildError: it does not compile.
        MisplacedError: what it replaces is not once in its file.
    """
    place = f"{checkout}/target/mutants"
    with _alone_in(place):
        for path in _sources(checkout):
            with open(f"{checkout}/{path}", encoding="utf-8") as file:
                text = file.read()
            _write_if_different(
                f"{place}/{path}", mutant.applied(text) if path == mutant.file else text
            )
        done = subprocess.run(
            ["cargo", "build", "--release", "--lib", "--quiet", f"--target-dir={place}/built"],
            cwd=place,
            env=os.environ | _QUICK,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BuildError(done.stderr)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(into)
        shutil.copy2(f"{place}/built/release/lib_core.so", into)


@contextlib.contextmanager
def _alone_in(place: str) -> Iterator[None]:
    os.makedirs(place, exist_ok=True)
    with open(f"{place}/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sources(checkout: str) -> Iterator[str]:
    # Cargo wants all targets that its manifest names to be there, built or not.
    yield from ("Cargo.toml", "Cargo.lock", "tests/core.rs")
    for directory, _, names in os.walk(f"{checkout}/rust"):
        for name in names:
            yield os.path.relpath(f"{directory}/{name}", checkout)


def _write_if_different(path: str, text: str) -> None:
    # Cargo goes by the time of the last change.
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        if file.read() == text:
            return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
