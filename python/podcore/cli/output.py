"""What the command line writes: lines, tables, JSON, templates and errors.

Nothing that a container wrote reaches a terminal as it is: it could move the cursor, change the
title or answer for the user. Control characters are shown as escapes there; a pipe gets the bytes.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from podcore.errors import DependencyFailedError, PartialFailureError, PodcoreError
from podcore.names import SHORT

# C0 but tab and line feed, DEL, and C1.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)
}
_CELL_CONTROLS = _CONTROLS | {9: "\\t", 10: "\\n"}


class ClosedOutputError(Exception):
    """Whoever read stdout is gone; the command ends without a word."""


class UnwritableOutputError(Exception):
    """What should be shown could not be written, to a full disk for example; says to which."""


class Column(NamedTuple):
    """A column of a table: its heading, and what it shows of a row."""

    heading: str
    cell: Callable[[Mapping[str, Any]], str]


def escape(text: str) -> str:
    """Returns a text of any number of lines in a form that does nothing to a terminal."""
    return text.translate(_CONTROLS)


def escape_bytes(data: bytes) -> str:
    """Returns what a container wrote, ready for a terminal; what is no UTF-8 is shown as escapes.

    The carriage return before a line feed, which a container's own terminal adds, is left out.
    """
    return escape(data.decode("utf-8", "backslashreplace").replace("\r\n", "\n"))


def is_terminal(stream: TextIO) -> bool:
    """Returns whether somebody looks at it."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def line(text: str = "") -> None:
    """Writes a line to stdout.

    Raises:
        ClosedOutputError: nobody reads it any more.
        UnwritableOutputError: it could not be written.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as problem:
        raise unwritten(problem) from None


def lines(texts: Iterable[str]) -> None:
    """Writes lines to stdout as they come, and flushes once.

    Raises:
        ClosedOutputError, UnwritableOutputError: as ``line``.
    """
    try:
        try:
            sys.stdout.writelines(f"{text}\n" for text in texts)
        finally:
            sys.stdout.flush()
    except OSError as problem:
        raise unwritten(problem) from None


def ids(found: Iterable[str], *, full: bool) -> None:
    """Writes ids, one on each line, cut to their beginnings unless ``full``."""
    lines(found if full else [one[:SHORT] for one in found])


def data(content: bytes, *, stream: TextIO | None = None, raw: bool = False) -> None:
    """Writes bytes that come from a container to stdout or to ``stream``.

    Args:
        content: as the container wrote it.
        stream: ``sys.stderr``, for what it wrote there.
        raw: unchanged also on a terminal.

    Raises:
        ClosedOutputError: nobody reads it any more.
        UnwritableOutputError: it could not be written.
    """
    target = sys.stdout if stream is None else stream
    try:
        if raw or not is_terminal(target):
            target.flush()
            target.buffer.write(content)
            target.buffer.flush()
        else:
            target.write(escape_bytes(content))
            target.flush()
    except OSError as problem:
        raise unwritten(problem, target) from None


def unwritten(problem: OSError, stream: TextIO | None = None) -> Exception:
    """Returns what a command ends with whose output could not be written.

    Args:
        problem: why.
        stream: to where; None for stdout.
    """
    if isinstance(problem, BrokenPipeError):
        return ClosedOutputError()
    name = "stderr" if stream is sys.stderr else "stdout"
    return UnwritableOutputError(f"{name} could not be written: {problem.strerror or problem}")


def note(text: str) -> None:
    """Writes a line to stderr: progress and warnings, never results."""
    try:
        sys.stderr.write(escape(text) + "\n")
        sys.stderr.flush()
    except OSError:
        # Nobody can be told, and the exit code must still be what it would have been.
        abandon(sys.stderr)


def error(text: str) -> None:
    """Writes an error to stderr; further lines of the text are hints and stand as they are."""
    note(f"Error: {text}")


def failure(problem: BaseException) -> None:
    """Writes an exception to stderr: one ``Error:`` for each container of a partial failure.

    Root causes come first, then what was skipped because of them.
    """
    if not isinstance(problem, PartialFailureError):
        error(str(problem) or type(problem).__name__)
        return
    report = problem.report
    names = {row.id: row.name for row in report.rows}
    skipped = []
    for container_id, cause in problem.errors.items():
        label = f"container `{report.pod_name}/{names.get(container_id, container_id)}`"
        if isinstance(cause, DependencyFailedError):
            root = names.get(cause.because, cause.because)
            skipped.append(f"{label}: skipped because `{root}` failed")
        elif isinstance(cause, PodcoreError):
            error(f"{label}: {cause}")
        else:
            error(f"{label}: {type(cause).__name__}: {cause}")
    for text in skipped:
        error(text)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, heading: bool = True) -> None:
    """Writes columns that are as wide as they must be."""
    cells = [headings, *rows] if heading else list(rows)
    if not cells:
        return
    columns = [_harmless(column) for column in zip(*cells, strict=True)]
    form = "  ".join(f"{{:<{max(map(len, column))}}}" for column in columns).format
    lines([form(*row).rstrip() for row in zip(*columns, strict=True)])


def _harmless(column: Sequence[str]) -> Sequence[str]:
    # Nothing that has to be escaped is printable, and nearly all columns are.
    if "".join(column).isprintable():
        return column
    return [cell.translate(_CELL_CONTROLS) for cell in column]


def json(value: object) -> None:
    """Writes a value as JSON, in ASCII, so that no byte of it means anything to a terminal."""
    from podcore.cli.indenting import indented

    line(indented(value))


def listing(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    fmt: str | None,
    *,
    heading: bool = True,
) -> None:
    """Writes rows as a table, as a JSON array, or each one through a template.

    Raises:
        InvalidArgumentError: the template is malformed or names an unknown field.
    """
    if fmt == "json":
        json(list(rows))
    elif fmt is None or fmt == "table":
        headings = [column.heading for column in columns]
        table(headings, [[column.cell(row) for column in columns] for row in rows], heading=heading)
    else:
        from podcore.cli.template import Template

        template = Template(fmt)
        if template.tabular and heading:
            line(template.heading())
        texts = map(template.render, rows)
        lines(map(escape, texts) if is_terminal(sys.stdout) else texts)


def objects(values: Sequence[Mapping[str, Any]], fmt: str | None) -> None:
    """Writes what ``inspect`` found: a JSON array, or each one through a template."""
    listing(values, (), "json" if fmt is None else fmt)


def confirm(warning: str) -> bool:
    """Asks on stderr whether to go on, and reads the answer from stdin; anything but yes is no."""
    sys.stderr.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def abandon(stream: TextIO | None = None) -> None:
    """Points a stream to nowhere, so that the interpreter's last flush does not complain.

    Args:
        stream: ``sys.stderr``; None for stdout.
    """
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, (sys.stdout if stream is None else stream).fileno())
    os.close(sink)
