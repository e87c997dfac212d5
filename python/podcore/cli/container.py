"""``podcore container``, and the shortcuts for it: the verbs of containers."""

from argparse import Namespace
from typing import TYPE_CHECKING

from podcore.cli import container_views, output
from podcore.cli.arguments import (
    TEMPLATE,
    Parser,
    Verb,
    add_limits,
    add_references,
    add_time,
    duration,
    lazily,
    limits,
)
from podcore.cli.selection import MISSING, UsageError, containers, each

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.container import Container


def _configure_create(parser: Parser) -> None:
    from podcore.cli import creation

    creation.configure(parser)


def _create(context: "Context", options: Namespace) -> int:
    from podcore.cli import creation

    container = creation.create(context, options)
    if context.json:
        output.json({"Id": container.id, "Name": container.name})
    else:
        output.line(container.id)
    return 0


def _configure_many(parser: Parser) -> None:
    add_references(parser, "container", "all", "latest")


def _configure_start(parser: Parser) -> None:
    from podcore.cli import attaching

    add_references(parser, "container", "latest")
    # Without the letter: here `-a` attaches, as in podman.
    parser.add_argument("--all", action="store_true", help="every container")
    parser.add_argument("-a", "--attach", action="store_true", help="follow the one that is named")
    parser.add_argument(
        "-i", "--interactive", action="store_true", help="attach, and pass stdin on"
    )
    attaching.add_options(parser)


def _start(context: "Context", options: Namespace) -> int:
    if options.attach or options.interactive:
        from podcore.cli import attaching

        return attaching.start(context, options)

    def start(container: "Container") -> None:
        container.start()

    # One after the other: a dependency may stand before its dependent.
    return each(context, containers(context, options), start)


def _configure_stop(parser: Parser) -> None:
    add_references(parser, "container", "all", "latest", "ignore")
    add_time(parser)


def _stop(context: "Context", options: Namespace) -> int:
    timeout = duration(options.time)

    def stop(container: "Container") -> None:
        container.stop(timeout=timeout)

    return each(context, containers(context, options), stop, at_once=True)


def _configure_restart(parser: Parser) -> None:
    add_references(parser, "container", "all", "latest")
    add_time(parser)


def _restart(context: "Context", options: Namespace) -> int:
    timeout = duration(options.time)

    def restart(container: "Container") -> None:
        container.restart(timeout=timeout)

    return each(context, containers(context, options), restart)


def _configure_kill(parser: Parser) -> None:
    add_references(parser, "container", "all", "latest")
    parser.add_argument(
        "-s", "--signal", default="KILL", metavar="SIGNAL", help="name or number (KILL)"
    )


def _kill(context: "Context", options: Namespace) -> int:
    from podcore.signals import parse_signal

    # Also where there is no container to send it to.
    number = parse_signal(options.signal)

    def kill(container: "Container") -> None:
        container.kill(number)

    return each(context, containers(context, options), kill)


def _pause(context: "Context", options: Namespace) -> int:
    def pause(container: "Container") -> None:
        container.pause()

    return each(context, containers(context, options), pause)


def _unpause(context: "Context", options: Namespace) -> int:
    def unpause(container: "Container") -> None:
        container.unpause()

    return each(context, containers(context, options), unpause)


def _configure_remove(parser: Parser) -> None:
    add_references(parser, "container", "all", "latest", "ignore")
    parser.add_argument("-f", "--force", action="store_true", help="also one that runs")
    add_time(parser)


def _remove(context: "Context", options: Namespace) -> int:
    timeout = duration(options.time)
    if timeout is not None and not options.force:
        raise UsageError("`--time` needs `--force`")

    def remove(container: "Container") -> None:
        if timeout is not None:
            container.stop(timeout=timeout)
        container.remove(force=options.force)

    return each(context, containers(context, options), remove, missing=MISSING)


def _configure_update(parser: Parser) -> None:
    add_references(parser, "container")
    add_limits(parser)


def _update(context: "Context", options: Namespace) -> int:
    changes = limits(options)
    if not changes:
        raise UsageError("name at least one limit")

    def update(container: "Container") -> None:
        container.update(**changes)

    return each(context, containers(context, options), update)


VERBS: dict[str, Verb] = {
    "create": Verb("create a container", _configure_create, _create),
    "run": Verb("create and start one, and follow it", *lazily("foreground", "configure_run")),
    "ps": Verb(
        "list containers", container_views.configure_list, container_views.run_list, TEMPLATE
    ),
    "list": Verb(
        "the same as ps", container_views.configure_list, container_views.run_list, TEMPLATE
    ),
    "ls": Verb(
        "the same as ps", container_views.configure_list, container_views.run_list, TEMPLATE
    ),
    "start": Verb("start containers", _configure_start, _start),
    "stop": Verb("stop containers", _configure_stop, _stop),
    "restart": Verb("stop and start containers", _configure_restart, _restart),
    "kill": Verb("send a signal to containers", _configure_kill, _kill),
    "attach": Verb("take part in what one shows and reads", *lazily("attaching")),
    "pause": Verb("freeze containers", _configure_many, _pause),
    "unpause": Verb("let paused containers go on", _configure_many, _unpause),
    "logs": Verb(
        "show what containers wrote", container_views.configure_logs, container_views.run_logs
    ),
    "exec": Verb(
        "run a command in a container", *lazily("foreground", "configure_exec", "run_exec")
    ),
    "inspect": Verb(
        "show all that is known of containers",
        container_views.configure_inspect,
        container_views.run_inspect,
        TEMPLATE,
    ),
    "exists": Verb(
        "say whether there is such a container",
        container_views.configure_exists,
        container_views.run_exists,
    ),
    "rm": Verb("remove containers", _configure_remove, _remove),
    "wait": Verb(
        "wait for exits, print the codes", container_views.configure_wait, container_views.run_wait
    ),
    "cp": Verb("copy files into, out of or between them", *lazily("copy")),
    "stats": Verb(
        "show what containers use",
        container_views.configure_stats,
        container_views.run_stats,
        TEMPLATE,
    ),
    "top": Verb("show the processes of a container", *lazily("top"), TEMPLATE),
    "update": Verb("change the limits of containers", _configure_update, _update),
}
