"""The parsers: global options, and flags that several verbs share."""

import argparse
import functools
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from podcore.cli.context import Context

TEMPLATE = ("TEMPLATE",)
JSON = ("json",)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """One is made for every argument that is added; asking shutil for the width costs more."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width() - 2)


@functools.cache
def _width() -> int:
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """A parser that says ``Error:`` as all of podcore does, and takes no abbreviations."""

    def __init__(
        self, prog: str, description: str, epilog: str | None = None, usage: str | None = None
    ) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=_Formatter,
        )

    def error(self, message: str) -> NoReturn:
        """Ends the program with 2, the code of a command line that can't be read."""
        self.exit(2, f"Error: {message}\nhint: `{self.prog} --help`\n")


class Verb(NamedTuple):
    """A verb of a noun.

    Attributes:
        summary: a sentence for the help.
        configure: adds its arguments.
        run: does it; returns the exit code.
        formats: what ``--format`` takes besides nothing; ``TEMPLATE`` is anything.
    """

    summary: str
    configure: Callable[[Parser], None]
    run: Callable[["Context", argparse.Namespace], int]
    formats: tuple[str, ...] = JSON


def lazily(
    module: str, configure: str = "configure", run: str = "run"
) -> tuple[Callable[[Parser], None], Callable[["Context", argparse.Namespace], int]]:
    """Returns the functions of a verb of a module, which is imported when one of them is called.

    Args:
        module: below ``podcore.cli``.
        configure: the name of the one that adds its arguments.
        run: the name of the one that does it.
    """

    def configured(parser: Parser) -> None:
        getattr(import_module(f"podcore.cli.{module}"), configure)(parser)

    def ran(context: "Context", options: argparse.Namespace) -> int:
        code: int = getattr(import_module(f"podcore.cli.{module}"), run)(context, options)
        return code

    return configured, ran


def add_global_options(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """Adds the options that stand before or after the verb.

    Args:
        parser: that of the program, or that of a verb.
        nested: it is that of a verb; what it does not say leaves the program's value alone.
    """
    group = parser.add_argument_group("global options")
    default = argparse.SUPPRESS if nested else None
    for flag, meta, text in (
        ("--root", "DIR", "state directory (PODCORE_ROOT)"),
        ("--runroot", "DIR", "run directory (PODCORE_RUNROOT)"),
        ("--runtime", "NAME", "OCI runtime, a name or a path (PODCORE_RUNTIME)"),
        ("--cgroup-parent", "PATH", "parent of all cgroups (PODCORE_CGROUP_PARENT)"),
        ("--format", "FORMAT", "`json`, or a template of fields where there is a list"),
    ):
        group.add_argument(flag, metavar=meta, help=text, default=default)
    group.add_argument(
        "--json",
        action="store_const",
        const="json",
        dest="format",
        default=default,
        help="the same as `--format json`",
    )


_WITH_VALUE = {"--root", "--runroot", "--runtime", "--cgroup-parent", "--format"}


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the global options at the beginning of a command line, and the rest of it.

    argparse can't: it takes a ``--`` out that belongs to the verb.
    """
    index = 0
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index] in _WITH_VALUE else 1
    return list(argv[:index]), list(argv[index:])


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that set resource limits."""
    group = parser.add_argument_group("limits")
    group.add_argument("--cpus", type=float, metavar="N", help="CPUs' worth of time")
    group.add_argument("--cpu-shares", type=int, metavar="N", help="relative weight")
    group.add_argument("--cpuset-cpus", metavar="LIST", help="CPUs to run on, such as 0-1")
    group.add_argument("--memory", "-m", metavar="SIZE", help="memory, such as 32m")
    group.add_argument("--memory-swap", metavar="SIZE", help="memory and swap; -1: no limit")
    group.add_argument("--pids-limit", type=int, metavar="N", help="processes; -1: no limit")
    group.add_argument("--blkio-weight", type=int, metavar="N", help="10 to 1000")


def limits(options: argparse.Namespace) -> dict[str, object]:
    """Returns the keywords for the limits that were given."""
    names = ("cpus", "cpu_shares", "cpuset_cpus", "memory", "memory_swap", "pids_limit")
    found = {name: getattr(options, name) for name in (*names, "blkio_weight")}
    if found["memory_swap"] == "-1":
        found["memory_swap"] = -1
    return {name: value for name, value in found.items() if value is not None}


def add_references(parser: argparse.ArgumentParser, what: str, *flags: str) -> None:
    """Adds the objects that a verb acts on, and the flags that choose them.

    Args:
        parser: the verb's.
        what: ``pod`` or ``container``.
        flags: of ``all``, ``latest``, ``ignore``, ``pod-id-file``.
    """
    parser.add_argument("references", nargs="*", metavar=what.upper(), help="name, id or prefix")
    if "all" in flags:
        parser.add_argument("-a", "--all", action="store_true", help=f"every {what}")
    if "latest" in flags:
        parser.add_argument("-l", "--latest", action="store_true", help="the one created last")
    if "ignore" in flags:
        parser.add_argument("-i", "--ignore", action="store_true", help="a missing one is no error")
    if "pod-id-file" in flags:
        parser.add_argument(
            "--pod-id-file", action="append", default=[], metavar="FILE", help="read the id there"
        )


def add_time(parser: argparse.ArgumentParser) -> None:
    """Adds ``--time``: how long a stop waits."""
    parser.add_argument(
        "-t",
        "--time",
        "--timeout",
        dest="time",
        metavar="SECONDS",
        help="until SIGKILL, such as 10 or 1m30s; 0 kills at once",
    )


def add_list_options(parser: argparse.ArgumentParser, sort: tuple[str, ...]) -> None:
    """Adds the flags of a verb that lists objects."""
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument("--no-trunc", action="store_true", help="full ids")
    parser.add_argument("-n", "--noheading", action="store_true", help="no headings")
    parser.add_argument(
        "-f", "--filter", action="append", default=[], metavar="KEY=VALUE", help="show only these"
    )
    parser.add_argument("--sort", choices=sort, default="created", help="order of the rows")


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose what of a log is shown."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on until it exits")
    parser.add_argument("--tail", type=int, metavar="N", help="the last lines only")
    parser.add_argument("--since", metavar="TIME", help="a time, or how long ago (10m)")
    parser.add_argument("--until", metavar="TIME", help="likewise")
    parser.add_argument("-t", "--timestamps", action="store_true", help="put the time in front")
    parser.add_argument("--names", action="store_true", help="put the container's name in front")
    parser.add_argument("--color", action="store_true", help="likewise, each in its own colour")
    parser.add_argument("--raw", action="store_true", help="escape nothing on a terminal")


def duration(text: str | None) -> float | None:
    """Returns a duration in seconds, None for none.

    Raises:
        InvalidArgumentError: it is none, or negative.
    """
    if text is None:
        return None
    from podcore.units import parse_duration

    return parse_duration(text)


def pairs(items: list[str], what: str, *, bare: bool = False) -> dict[str, str]:
    """Returns ``KEY=VALUE`` arguments as a mapping; the last one of a key wins.

    Args:
        items: the arguments.
        what: the flag, for the message.
        bare: a key without ``=`` stands for an empty value.

    Raises:
        InvalidArgumentError: one is malformed.
    """
    from podcore.errors import InvalidArgumentError

    found = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not key or not (separator or bare):
            raise InvalidArgumentError(f"`{item}` is no value for `{what}`\nhint: KEY=VALUE")
        found[key] = value
    return found
