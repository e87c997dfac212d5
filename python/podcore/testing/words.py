"""What a failure may say (I19): podcore's own words, not a traceback and not only another's."""

from collections.abc import Iterator

from podcore.errors import InternalError, LockOrderError, OCIRuntimeError, PodcoreError

CONTRACT = (PodcoreError, TimeoutError)
"""What podcore's verbs may raise."""

EXIT_CODES = frozenset({0, 1, 2, 125, 126, 127, 130, 141, 143})
"""What the command line ends with, the exit codes of commands that it runs or waits for apart."""

_BUGS = (InternalError, LockOrderError)
_RAW = ("Traceback (most recent call last)", "database is locked", "panicked at")


def complaints(error: BaseException) -> Iterator[str]:
    """Returns what is wrong with an error that a call raised; of a group, with each one in it."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from complaints(one)
    said = f"{type(error).__name__}: {str(error)[:2000]}"
    if not isinstance(error, CONTRACT):
        yield f"{said}, which is no error of podcore's"
    elif isinstance(error, _BUGS):
        yield f"{said}, which is a bug"
    yield from (f"{said}, with `{raw}` in it" for raw in _RAW if raw in str(error))
    # Where the runtime said nothing these are podcore's own words, which name what they are about.
    alone = isinstance(error, OCIRuntimeError) and str(error).strip() == error.message.strip()
    if alone and "`" not in str(error):
        yield f"{said}, which are the OCI runtime's words alone"


def complaints_of_command(returncode: int, stderr: str) -> Iterator[str]:
    """Returns what is wrong with how the command line ended.

    Args:
        returncode: as ``subprocess`` has it.
        stderr: what it wrote there.
    """
    if returncode not in EXIT_CODES:
        yield f"the exit code {returncode} is none of podcore's"
    yield from (f"`{raw}` on stderr" for raw in _RAW if raw in stderr)
    if returncode not in (0, 1) and not stderr.strip():
        yield f"exit code {returncode} without a word"
