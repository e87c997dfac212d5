"""Which objects a verb acts on, and acting on each of them, past those that fail."""

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from podcore.cli import output
from podcore.errors import InvalidArgumentError, NotFoundError, PartialFailureError, PodcoreError

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.container import Container
    from podcore.pod import Pod

T = TypeVar("T")

FAILED = 125
MISSING = 1
_AT_ONCE = 16


class UsageError(Exception):
    """The command line does not say what to act on, or contradicts itself; exit code 2."""


class Target(NamedTuple):
    """An object that a verb was asked to act on; it is looked up when its turn comes."""

    find: Callable[[], Any]  # `Any`: a Pod or a Container, as the caller knows
    chosen_by_name: bool


class Done(NamedTuple):
    """What became of a target: what to print on success, else the exception."""

    id: str
    payload: dict[str, Any] | None
    problem: Exception | None


def pods(context: "Context", options: Namespace) -> list[Target]:
    """Returns the pods that ``--all``, ``--latest``, ``--pod-id-file`` and names choose.

    Raises:
        UsageError: none is chosen, or ``--all`` and names are.
        InvalidArgumentError: a file with an id can't be read.
    """
    names = list(options.references)
    names += [_read_id(path) for path in getattr(options, "pod_id_file", ())]
    return _choose(options, names, "pod", context.engine.pod, context.engine.pods)


def containers(context: "Context", options: Namespace) -> list[Target]:
    """Returns the containers that ``--all``, ``--latest`` and names choose.

    Raises:
        UsageError: none is chosen, or ``--all`` and names are.
    """
    return _choose(
        options,
        list(options.references),
        "container",
        context.engine.container,
        context.engine.containers,
    )


def _choose(
    options: Namespace,
    names: list[str],
    what: str,
    find: "Callable[[str], Pod | Container]",
    everything: "Callable[[], Sequence[Pod | Container]]",
) -> list[Target]:
    every = getattr(options, "all", False)
    latest = getattr(options, "latest", False)
    if names and (every or latest):
        raise UsageError(f"`--{'all' if every else 'latest'}` and names exclude each other")
    if every or latest:
        found = list(everything())
        if latest:
            found = sorted(found, key=lambda item: item.inspect().created)[-1:]
        return [Target(lambda item=item: item, chosen_by_name=False) for item in found]  # type: ignore[misc] # a lambda with a default has no inferable type
    if not names:
        raise UsageError(f"name at least one {what}")
    return [Target(lambda name=name: find(name), chosen_by_name=True) for name in names]  # type: ignore[misc] # likewise


def _read_id(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(256).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"`--pod-id-file {path}`: {error}") from None


def each(
    context: "Context",
    targets: Sequence[Target],
    act: Callable[[Any], dict[str, Any] | None],
    *,
    missing: int = FAILED,
    at_once: bool = False,
) -> int:
    """Acts on every target, prints the id of each success, and returns the exit code.

    Args:
        context: of this run.
        targets: in the order of the command line, which is that of the output.
        act: does it; returns what ``--json`` shows of it, None for the id alone.
        missing: the exit code for one that does not exist.
        at_once: several at a time, for verbs that mostly wait.
    """
    code = 0
    payloads = []
    ignore = getattr(context.options, "ignore", False)
    for target, done in zip(targets, _outcomes(targets, act, at_once=at_once), strict=True):
        if done.payload is not None:
            payloads.append(done.payload)
        if done.problem is None:
            if not context.json:
                output.line(done.id)
            continue
        absent = isinstance(done.problem, NotFoundError)
        if absent and (ignore or not target.chosen_by_name):
            continue
        output.failure(done.problem)
        code = max(code, missing if absent else FAILED)
    if context.json:
        output.json(payloads)
    return code


def _outcomes(
    targets: Sequence[Target], act: Callable[[Any], dict[str, Any] | None], *, at_once: bool
) -> Iterator[Done]:
    if not at_once or len(targets) < 2:
        for target in targets:
            yield _attempt(target, act)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(targets))) as pool:
        yield from pool.map(lambda target: _attempt(target, act), targets)


def _attempt(target: Target, act: Callable[[Any], dict[str, Any] | None]) -> Done:
    try:
        item = target.find()
        payload = act(item)
        return Done(item.id, {"Id": item.id} if payload is None else payload, None)
    except PartialFailureError as problem:
        return Done("", problem.report.to_dict(), problem)
    except (PodcoreError, TimeoutError) as problem:
        return Done("", None, problem)
