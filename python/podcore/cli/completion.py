"""``completion``: what a shell needs in order to complete command lines, made from the parsers."""

import argparse
from argparse import Namespace
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from podcore.cli import output
from podcore.cli.arguments import Parser, Verb, add_global_options

if TYPE_CHECKING:
    from podcore.cli.context import Context

SHELLS = ("bash", "zsh", "fish")

# What an argument is, by the name that stands for it in the help; others are the user's own words.
_KINDS = {
    "POD": "pod",
    "CONTAINER": "container",
    "FILE": "file",
    "DIR": "directory",
    "DIRECTORY": "directory",
    "BUNDLE": "directory",
    "SOURCE": "copy",
    "TARGET": "copy",
}
# A directory of the container's.
_INSIDE = "--workdir"
_BY_FLAG = {"--runtime": ("crun", "runc"), "--profile": ("default", "strict")}


class Option(NamedTuple):
    """A flag of a command.

    Attributes:
        names: as they are typed.
        kind: of its value; None for a flag without one, "" for anything.
        choices: what the value may be; () for anything.
        text: of the help.
    """

    names: tuple[str, ...]
    kind: str | None
    choices: tuple[str, ...]
    text: str


class Argument(NamedTuple):
    """An argument of a command that is no flag.

    Attributes:
        kind: "" for anything.
        choices: what it may be; () for anything.
        repeats: there may be any number.
    """

    kind: str
    choices: tuple[str, ...]
    repeats: bool


class Command(NamedTuple):
    """A command, or the beginning of one.

    Attributes:
        path: its words.
        text: of the help.
        words: that may follow, each with its text.
        options: its flags.
        arguments: in order.
    """

    path: tuple[str, ...]
    text: str
    words: tuple[tuple[str, str], ...]
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]


def configure(parser: Parser) -> None:
    """Adds the arguments of ``completion``."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def run(_context: "Context", options: Namespace) -> int:
    """Prints a script that the shell is to read."""
    from podcore.cli import shells

    output.line(shells.script(options.shell, list(commands())))
    return 0


def commands() -> Iterator[Command]:
    """Yields every command, in the order of the help; the empty one first."""
    from podcore.cli import main

    program = Parser("podcore", "")
    program.add_argument("--version", action="store_true", help="print the version")
    add_global_options(program)
    shortcuts = _verbs("podcore.cli.container")
    single = [(name, shortcuts[name]) for name in main.SHORTCUTS]
    single += [(name, _verbs(module)[name]) for name, module in main.PROGRAM.items()]
    words = [(noun, text) for noun, (_, text) in main.NOUNS.items()]
    words += [(name, verb.summary) for name, verb in single]
    yield Command((), "", tuple(words), _options(program), ())
    for noun, (module, text) in main.NOUNS.items():
        nested = Parser(f"podcore {noun}", "")
        add_global_options(nested, nested=True)
        verbs = _verbs(module)
        below = tuple((name, verb.summary) for name, verb in verbs.items())
        yield Command((noun,), text, below, _options(nested), ())
        for name, verb in verbs.items():
            yield _command((noun, name), verb)
    for name, verb in single:
        yield _command((name,), verb)


def _verbs(module: str) -> dict[str, Verb]:
    found: dict[str, Verb] = import_module(module).VERBS
    return found


def _command(path: tuple[str, ...], verb: Verb) -> Command:
    parser = Parser("podcore " + " ".join(path), "")
    verb.configure(parser)
    add_global_options(parser, nested=True)
    arguments = tuple(
        Argument(_kind(action, path), _choices(action), action.nargs in ("*", "+", "..."))
        for action in _actions(parser)
        if not action.option_strings
    )
    return Command(path, verb.summary, (), _options(parser), arguments)


def _actions(parser: Parser) -> "list[argparse.Action]":
    return parser._actions  # noqa: SLF001 -- argparse has no other way to ask what was added


def _options(parser: Parser) -> tuple[Option, ...]:
    found = []
    for action in _actions(parser):
        # What stands behind an equals sign is no word of its own for a shell.
        names = tuple(name for name in action.option_strings if "=" not in name)
        if names:
            kind = None if action.nargs == 0 else _kind(action, ())
            text = "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
            found.append(Option(names, kind, _choices(action), text))
    return tuple(found)


def _kind(action: argparse.Action, path: tuple[str, ...]) -> str:
    if path[:1] == ("volume",) and path[1:] != ("create",):
        return "volume"
    if _INSIDE in action.option_strings:
        return ""
    return _KINDS.get(str(action.metavar), "")


def _choices(action: argparse.Action) -> tuple[str, ...]:
    for name in action.option_strings:
        if name in _BY_FLAG:
            return _BY_FLAG[name]
    return tuple(str(choice) for choice in action.choices or ())


VERBS: dict[str, Verb] = {
    "completion": Verb("print what a shell completes command lines by", configure, run, ()),
}
