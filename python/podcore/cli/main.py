"""The entry point: finds the verb, reads its arguments, runs it, and turns errors into exit codes.

Only the module of the verb that was asked for is imported.
"""

import gc
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

from podcore.cli import output
from podcore.cli.arguments import TEMPLATE, Parser, Verb, add_global_options, split
from podcore.cli.context import Context
from podcore.cli.selection import FAILED, UsageError
from podcore.errors import PodcoreError

USAGE = 2
INTERRUPTED = 130
SIGNALLED = 128
BROKEN_PIPE = 141

NOUNS = {
    "pod": ("podcore.cli.pod", "manage pods"),
    "container": ("podcore.cli.container", "manage containers"),
    "volume": ("podcore.cli.volume", "manage named volumes"),
    "bundle": ("podcore.cli.bundle", "look at OCI bundles"),
    "system": ("podcore.cli.system", "look after podcore's own state"),
}
_GARBAGE = 100_000  # new objects between two looks for cycles among them
_ALIASES = {"ctr": "container"}
# These work without the noun, as in podman.
SHORTCUTS = (
    "create run ps start stop restart attach kill pause unpause logs exec inspect rm wait cp stats top "
    "update"
).split()
PROGRAM = {
    "info": "podcore.cli.system",
    "version": "podcore.cli.system",
    "doctor": "podcore.cli.doctor",
    "demo": "podcore.cli.demo",
    "completion": "podcore.cli.completion",
}


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, SIGHUP or SIGQUIT; ends what a Ctrl-C would end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run() -> NoReturn:
    """Runs the program: the entry point of the command ``podcore``."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one of them for us
            signal.signal(number, _interrupt)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the caller closed it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 # for as long as the process lives
        else:
            # A name from the host may be no UTF-8; better shown as an escape than not at all.
            stream.reconfigure(errors="backslashreplace")
    code = main(sys.argv[1:])
    # All that is left goes with the process: no use in a last look for what could be freed.
    gc.freeze()
    try:
        sys.stdout.flush()
    except OSError as problem:
        # What argparse prints by itself gets here unnoticed.
        output.abandon()
        if isinstance(problem, BrokenPipeError):
            code = BROKEN_PIPE
        else:
            output.error(str(output.unwritten(problem)))
            code = code or FAILED
    try:
        sys.stderr.flush()
    except OSError:
        output.abandon(sys.stderr)
    sys.exit(code)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # The first one ends the verb in an orderly way; the next one ends the process at once, and
    # whoever runs podcore next puts things right.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if signal.getsignal(signal.SIGQUIT) is _interrupt:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is _interrupt:
        signal.signal(signal.SIGHUP, _hung_up)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise TerminatedError(number)


def _hung_up(_number: int, _frame: FrameType | None) -> None:
    """Does nothing: with a terminal that closes, a shell and the kernel each send one.

    SIG_IGN would be passed on to whatever is started from now on.
    """


def main(argv: Sequence[str]) -> int:
    """Runs one command line and returns its exit code.

    0: all is well. 1: ``exists`` says no, an object of ``rm`` is missing, a check found something.
    2: the command line can't be read. 125: everything else. ``run`` and ``exec`` return the
    command's code, 126 or 127 where it could not be run.
    """
    # What is made of thousands of rows is needed to the end: no use to look through it again and
    # again for what could be freed.
    gc.set_threshold(_GARBAGE)
    try:
        return _dispatch(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else FAILED
    except PodcoreError as problem:
        output.failure(problem)
        return FAILED
    except output.ClosedOutputError:
        output.abandon()
        return BROKEN_PIPE
    except output.UnwritableOutputError as problem:
        # What is left in its buffer can't be written either.
        output.abandon()
        output.error(str(problem))
        return FAILED
    except TerminatedError as ending:
        return SIGNALLED + ending.number
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as problem:
        output.error(str(problem))
        return FAILED
    except Exception as problem:  # noqa: BLE001 # a bug must end as 125 too, and say where it is
        import traceback

        traceback.print_exception(problem)
        output.error(
            f"{type(problem).__name__}: {problem}\nhint: this is a bug of podcore, please report it"
        )
        return FAILED


def _dispatch(argv: Sequence[str]) -> int:
    parser = Parser("podcore", "A container engine for pods.", usage="podcore [OPTION…] COMMAND …")
    parser.add_argument("--version", action="store_true", help="print the version")
    add_global_options(parser)
    leading, rest = split(argv)
    if not argv or {"-h", "--help"} & set(leading) or rest[:1] == ["help"]:
        parser.epilog = _commands()
        parser.print_help(None if argv else sys.stderr)
        return 0 if argv else USAGE
    options = parser.parse_args(leading)
    if options.version:
        from podcore.cli.system import version_text

        output.line(version_text())
        return 0
    if not rest:
        parser.error("a command is missing")
    name = _ALIASES.get(rest[0], rest[0])
    if name in NOUNS:
        return _noun(name, rest[1:], options)
    module = "podcore.cli.container" if name in SHORTCUTS else PROGRAM.get(name)
    if module is None:
        parser.error(f"there is no command `{name}`")
    return _run(f"podcore {name}", _verbs(module)[name], rest[1:], options)


def _noun(noun: str, arguments: list[str], options: Namespace) -> int:
    module, summary = NOUNS[noun]
    verbs = _verbs(module)
    parser = Parser(
        f"podcore {noun}",
        f"{summary[0].upper()}{summary[1:]}.",
        epilog=_list_verbs(verbs),
        usage=f"podcore {noun} [OPTION…] COMMAND …",
    )
    add_global_options(parser, nested=True)
    leading, rest = split(arguments)
    parser.parse_args(leading, options)
    if not rest:
        parser.print_help(sys.stderr)
        return USAGE
    if rest[0] not in verbs:
        parser.error(f"there is no command `{noun} {rest[0]}`")
    return _run(f"podcore {noun} {rest[0]}", verbs[rest[0]], rest[1:], options)


def _run(prog: str, verb: Verb, arguments: list[str], options: Namespace) -> int:
    parser = Parser(prog, f"{verb.summary[0].upper()}{verb.summary[1:]}.")
    verb.configure(parser)
    add_global_options(parser, nested=True)
    parser.parse_args(arguments, options)
    chosen = options.format
    if chosen is not None and verb.formats is not TEMPLATE and chosen not in verb.formats:
        parser.error(f"`--format` takes {' or '.join(verb.formats)} here, not `{chosen}`")
    context = Context(options)
    try:
        return verb.run(context, options)
    except UsageError as problem:
        parser.error(str(problem))
    finally:
        context.close()


def _verbs(module: str) -> dict[str, Verb]:
    verbs: dict[str, Verb] = import_module(module).VERBS
    return verbs


def _commands() -> str:
    lines = ["commands:"]
    lines += [f"  {noun:<12}{summary}" for noun, (_, summary) in NOUNS.items()]
    containers = _verbs("podcore.cli.container")
    lines += [f"  {name:<12}{containers[name].summary}" for name in SHORTCUTS]
    lines += [f"  {name:<12}{_verbs(module)[name].summary}" for name, module in PROGRAM.items()]
    lines += [
        "",
        "exit codes:",
        "  0    all is well",
        "  1    `exists` says no, an object of `rm` is missing, a check found something",
        "  2    the command line can't be read",
        "  125  everything else that failed",
        "  `run` and `exec` end as their command does: 126 or 127 where it could not be run,",
        "  128 and the signal where one ended it.",
        "",
        "`podcore COMMAND --help` says more.",
    ]
    return "\n".join(lines)


def _list_verbs(verbs: dict[str, Verb]) -> str:
    return "\n".join(["commands:", *(f"  {name:<12}{v.summary}" for name, v in verbs.items())])
