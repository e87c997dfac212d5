"""``podcore pod``: the verbs that change pods, and the table of all of them."""

import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from podcore.cli import graph, logs, output, pod_views, stats, top
from podcore.cli.arguments import (
    TEMPLATE,
    Parser,
    Verb,
    add_limits,
    add_references,
    add_time,
    duration,
    limits,
    pairs,
)
from podcore.cli.progress import Progress
from podcore.cli.selection import FAILED, MISSING, UsageError, each, pods
from podcore.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from podcore.cli.context import Context
    from podcore.pod import Pod


def _configure_create(parser: Parser) -> None:
    parser.add_argument("pod", nargs="?", metavar="NAME", help="generated when omitted")
    parser.add_argument("--name", metavar="NAME", help="the same")
    parser.add_argument("-l", "--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--hostname", metavar="NAME", help="of all containers that share uts")
    parser.add_argument(
        "--share", metavar="LIST", help="namespaces: ipc, net, uts, pid, cgroup; or none"
    )
    parser.add_argument(
        "--infra",
        "--infra=true",
        action="store_const",
        const=True,
        help="a process holds the shared namespaces",
    )
    parser.add_argument(
        "--no-infra",
        "--infra=false",
        action="store_const",
        const=False,
        dest="infra",
        help="bind mounts hold them",
    )
    parser.add_argument("--replace", action="store_true", help="remove a pod of that name first")
    parser.add_argument("--pod-id-file", metavar="FILE", help="write the id there")
    add_limits(parser)


def _create(context: "Context", options: Namespace) -> int:
    if options.pod is not None and options.name is not None and options.pod != options.name:
        raise UsageError("`--name` and NAME differ")
    name = options.name if options.pod is None else options.pod
    keywords: dict[str, Any] = limits(options)  # `Any`: keywords of several types
    for key in ("hostname", "infra"):
        if getattr(options, key) is not None:
            keywords[key] = getattr(options, key)
    if options.share is not None:
        keywords["share"] = _split_share(options.share)
    labels = pairs(options.label, "--label", bare=True)
    if options.replace and name is not None:
        try:
            context.engine.pod(name).remove(force=True)
        except NotFoundError:
            pass
    pod = context.engine.create_pod(name, labels=labels, **keywords)
    if options.pod_id_file is not None:
        _write_id(pod, options.pod_id_file)
    if context.json:
        output.json({"Id": pod.id, "Name": pod.name})
    else:
        output.line(pod.id)
    return 0


def _write_id(pod: "Pod", path: str) -> None:
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(pod.id)
    except OSError:
        pod.remove(force=True)
        raise


def _split_share(text: str) -> tuple[str, ...]:
    if text in {"", "none"}:
        return ()
    return tuple(text.split(","))


def _configure_start(parser: Parser) -> None:
    add_references(parser, "pod", "all", "latest", "pod-id-file")


def _start(context: "Context", options: Namespace) -> int:
    chosen = pods(context, options)
    watch = _watcher(context, len(chosen), "waiting")
    return each(context, chosen, lambda pod: pod.start(progress=watch(pod)).to_dict())


def _watcher(context: "Context", count: int, waiting: str) -> "Callable[[Pod], Progress | None]":
    """Returns what makes the progress of a pod's batch; it is shown on a terminal only.

    Args:
        context: of this run.
        count: how many pods there are; several at a time would write over each other.
        waiting: what a container is shown as before anything happens to it.
    """

    def watch(pod: "Pod") -> Progress | None:
        if context.json or count != 1 or not output.is_terminal(sys.stderr):
            return None
        names = [container.name for container in pod.containers()]
        return Progress(names, sys.stderr, waiting=waiting)

    return watch


def _configure_stop(parser: Parser) -> None:
    add_references(parser, "pod", "all", "latest", "ignore", "pod-id-file")
    add_time(parser)
    parser.add_argument("--cleanup", action="store_true", help="release mounts and runtime state")


def _stop(context: "Context", options: Namespace) -> int:
    timeout = duration(options.time)
    chosen = pods(context, options)
    watch = _watcher(context, len(chosen), "")

    def stop(pod: "Pod") -> dict[str, Any]:
        report = pod.stop(cleanup=options.cleanup, timeout=timeout, progress=watch(pod))
        return report.to_dict()

    return each(context, chosen, stop, at_once=True)


def _configure_restart(parser: Parser) -> None:
    add_references(parser, "pod", "all", "latest", "pod-id-file")
    add_time(parser)


def _restart(context: "Context", options: Namespace) -> int:
    timeout = duration(options.time)
    chosen = pods(context, options)
    watch = _watcher(context, len(chosen), "")
    return each(
        context,
        chosen,
        lambda pod: pod.restart(timeout=timeout, progress=watch(pod)).to_dict(),
        at_once=True,
    )


def _pause(context: "Context", options: Namespace) -> int:
    return each(context, pods(context, options), lambda pod: pod.pause().to_dict())


def _unpause(context: "Context", options: Namespace) -> int:
    return each(context, pods(context, options), lambda pod: pod.unpause().to_dict())


def _configure_kill(parser: Parser) -> None:
    add_references(parser, "pod", "all", "latest", "pod-id-file")
    parser.add_argument(
        "-s", "--signal", default="KILL", metavar="SIGNAL", help="name or number (KILL)"
    )


def _kill(context: "Context", options: Namespace) -> int:
    from podcore.signals import parse_signal

    # Also where there is no pod to send it to.
    number = parse_signal(options.signal)
    return each(context, pods(context, options), lambda pod: pod.kill(number).to_dict())


def _configure_remove(parser: Parser) -> None:
    add_references(parser, "pod", "all", "latest", "ignore", "pod-id-file")
    parser.add_argument("-f", "--force", action="store_true", help="also one that runs")
    add_time(parser)


def _remove(context: "Context", options: Namespace) -> int:
    timeout = duration(options.time)
    if timeout is not None and not options.force:
        raise UsageError("`--time` needs `--force`")

    def remove(pod: "Pod") -> None:
        if timeout is not None:
            pod.stop(timeout=timeout)
        pod.remove(force=options.force)

    return each(context, pods(context, options), remove, missing=MISSING)


def _configure_prune(parser: Parser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")


def _prune(context: "Context", options: Namespace) -> int:
    if not options.force and not output.confirm(
        "This removes all pods that are stopped or exited, with their containers."
    ):
        return 0
    removed, code = [], 0
    for pod in context.engine.pods():
        try:
            if pod.state not in {"stopped", "exited"}:
                continue
            pod.remove()
        except NotFoundError:
            continue
        except Exception as problem:  # noqa: BLE001 # shown, and the others are gone on with
            output.failure(problem)
            code = FAILED
            continue
        removed.append({"Id": pod.id})
        if not context.json:
            output.line(pod.id)
    if context.json:
        output.json(removed)
    return code


def _exists(context: "Context", options: Namespace) -> int:
    return pod_views.exists(lambda: context.engine.pod(options.pod))


def _configure_update(parser: Parser) -> None:
    add_references(parser, "pod")
    add_limits(parser)


def _update(context: "Context", options: Namespace) -> int:
    changes = limits(options)
    if not changes:
        raise UsageError("name at least one limit")

    def update(pod: "Pod") -> None:
        pod.update(**changes)

    return each(context, pods(context, options), update)


def _configure_wait(parser: Parser) -> None:
    add_references(parser, "pod", "all", "latest", "ignore")


def _configure_logs(parser: Parser) -> None:
    from podcore.cli.arguments import add_log_options

    graph.configure_pod(parser)
    parser.add_argument(
        "-c", "--container", action="append", default=[], metavar="NAME", help="only this one"
    )
    add_log_options(parser)


def _logs(context: "Context", options: Namespace) -> int:
    choice = logs.Choice.of(options)
    pod = context.engine.pod(options.pod)
    members = [pod.container(name) for name in options.container] or pod.containers()
    return logs.show(members, choice._replace(names=options.names or len(members) > 1))


def _configure_stats(parser: Parser) -> None:
    add_references(parser, "pod", "all")
    stats.configure(parser)


def _stats(context: "Context", options: Namespace) -> int:
    chosen = [context.engine.pod(name) for name in options.references]
    return stats.show(
        context,
        options,
        lambda: [
            stats.Source(pod.id, pod.name, "", pod.stats)
            for pod in (chosen or context.engine.pods())
        ],
    )


VERBS: dict[str, Verb] = {
    "create": Verb("create a pod", _configure_create, _create),
    "start": Verb("start pods in dependency order", _configure_start, _start),
    "stop": Verb("stop pods, dependents first", _configure_stop, _stop),
    "pause": Verb("pause all containers of pods", _configure_start, _pause),
    "unpause": Verb("let paused containers go on", _configure_start, _unpause),
    "restart": Verb("stop and start pods", _configure_restart, _restart),
    "kill": Verb("send a signal to all containers of pods", _configure_kill, _kill),
    "rm": Verb("remove pods and their containers", _configure_remove, _remove),
    "ps": Verb("list pods", pod_views.configure_list, pod_views.run_list, TEMPLATE),
    "list": Verb("the same as ps", pod_views.configure_list, pod_views.run_list, TEMPLATE),
    "ls": Verb("the same as ps", pod_views.configure_list, pod_views.run_list, TEMPLATE),
    "inspect": Verb(
        "show all that is known of pods",
        pod_views.configure_inspect,
        pod_views.run_inspect,
        TEMPLATE,
    ),
    "exists": Verb("say whether there is such a pod", graph.configure_pod, _exists),
    "status": Verb(
        "show the state of each container", graph.configure_pod, pod_views.run_status, TEMPLATE
    ),
    "graph": Verb(
        "draw the dependencies", graph.configure_pod, graph.run_graph, graph.GRAPH_FORMATS
    ),
    "plan": Verb(
        "show what starts together", graph.configure_plan, graph.run_plan, graph.PLAN_FORMATS
    ),
    "logs": Verb("show the logs of all containers", _configure_logs, _logs),
    "stats": Verb("show what pods use", _configure_stats, _stats, TEMPLATE),
    "top": Verb("show the processes of a pod", top.configure_pod, top.run_pod, TEMPLATE),
    "wait": Verb("wait until all containers have exited", _configure_wait, pod_views.run_wait),
    "update": Verb("change the limits of pods", _configure_update, _update),
    "prune": Verb("remove stopped pods", _configure_prune, _prune),
}
