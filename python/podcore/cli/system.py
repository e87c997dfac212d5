"""``podcore system``, ``podcore info`` and ``podcore version``: podcore itself."""

from argparse import Namespace
from typing import TYPE_CHECKING

from podcore.cli import output
from podcore.cli.arguments import TEMPLATE, Parser, Verb

if TYPE_CHECKING:
    from podcore.cli.context import Context


def version_text() -> str:
    """Returns what ``--version`` prints."""
    from podcore import __version__

    return f"podcore version {__version__}"


def _no_arguments(_parser: Parser) -> None:
    """Adds nothing."""


def _version(context: "Context", _options: Namespace) -> int:
    from podcore import __version__

    if context.format is None:
        output.line(version_text())
    else:
        output.listing([{"Version": __version__}], (), context.format)
    return 0


def _configure_check(parser: Parser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--repair", action="store_true", help="put right what can be")
    what.add_argument(
        "--invariants",
        action="store_true",
        help="say of each of the twenty invariants whether it holds, as far as that is seen while "
        "nobody is at work (docs/reliability.md); puts nothing right",
    )


def _check(context: "Context", options: Namespace) -> int:
    if options.invariants:
        return _invariants(context)
    found = context.engine.check(repair=options.repair)
    if context.json:
        output.json(
            [
                {
                    "Kind": one.kind,
                    "Object": one.object,
                    "Text": one.text,
                    "Repaired": one.repaired,
                    "Hint": one.hint,
                }
                for one in found
            ]
        )
    else:
        for one in found:
            output.line(output.escape(str(one)))
        if found and not options.repair:
            output.note("hint: `podcore system check --repair` puts right what can be")
    return 0 if all(one.repaired for one in found) else 1


_SEEN = {"all": "at rest", "part": "at rest in part", "none": "over time only"}


def _invariants(context: "Context") -> int:
    from podcore.operations.system.invariants import INVARIANTS, breaches

    broken: dict[str, list[str]] = {one.number: [] for one in INVARIANTS}
    for breach in breaches(context.engine.host):
        broken[breach.number].append(breach.text)
    # None: nobody can know without watching.
    holds = {
        one.number: None if one.at_rest == "none" else not broken[one.number] for one in INVARIANTS
    }
    if context.json:
        output.json(
            [
                {
                    "Invariant": one.number,
                    "Text": one.text,
                    "Seen": _SEEN[one.at_rest],
                    "Holds": holds[one.number],
                    "Broken": broken[one.number],
                }
                for one in INVARIANTS
            ]
        )
    else:
        words = {True: "holds", False: "broken", None: "-"}
        for one in INVARIANTS:
            part = " (in part)" if one.at_rest == "part" else ""
            output.line(f"{one.number:4} {words[holds[one.number]]:7} {one.text}{part}")
            for text in broken[one.number]:
                output.line(output.escape(f"{'':12} {text}"))
        output.note("note: `-` is seen over time only: tests see it with `podcore.testing.watch`")
    return 1 if any(broken.values()) else 0


def _info(context: "Context", _options: Namespace) -> int:
    from podcore.cli.doctor import survey

    checks = survey(context.options)
    pods = context.engine.inspect_pods()
    states: dict[str, int] = {}
    for pod in pods:
        for member in pod.containers:
            states[member.state.value] = states.get(member.state.value, 0) + 1
    facts = {
        "Version": version_text().rpartition(" ")[2],
        "Pods": len(pods),
        "Containers": sum(states.values()),
        "States": states,
        "Host": {check.name: check.detail for check in checks},
    }
    if context.format is not None:
        output.objects([facts], context.format)
        return 0
    output.line(f"podcore: {facts['Version']}")
    output.line(f"pods: {len(pods)}")
    described = ", ".join(f"{count} {state}" for state, count in states.items())
    output.line(f"containers: {facts['Containers']}" + (f" ({described})" if described else ""))
    for check in checks:
        output.line(f"{check.name}: {check.detail}")
    return 0


VERBS: dict[str, Verb] = {
    "check": Verb("look for damage in the state, and repair it", _configure_check, _check),
    "info": Verb("show what there is on this host", _no_arguments, _info, TEMPLATE),
    "version": Verb("show the version", _no_arguments, _version, TEMPLATE),
}
