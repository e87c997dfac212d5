"""``pod graph`` and ``pod plan``: how the containers of a pod depend on each other."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podcore.cli import output
from podcore.cli.arguments import Parser

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.pod import Pod

GRAPH_FORMATS = ("text", "dot", "mermaid", "json")
PLAN_FORMATS = ("text", "json")


class Shape:
    """The graph of a pod.

    Attributes:
        names: container names by id, in order of creation.
        edges: ids that each one depends on, by id.
        levels: ids; each level depends on earlier ones only.
    """

    def __init__(self, pod: "Pod") -> None:
        from podcore._core import DependencyGraph

        facts = [container.inspect() for container in pod.containers()]
        self.names = {one.id: one.name for one in facts}
        # The infra container is machinery: edges to it are not shown.
        self.edges = {
            one.id: [other for other in one.dependencies if other in self.names] for one in facts
        }
        self.levels: Sequence[Sequence[str]] = DependencyGraph(self.edges).levels()


def configure_pod(parser: Parser) -> None:
    """Adds the pod that is looked at."""
    parser.add_argument("pod", metavar="POD", help="name, id or prefix")


def configure_plan(parser: Parser) -> None:
    """Adds the arguments of ``pod plan``."""
    configure_pod(parser)
    parser.add_argument("--reverse", action="store_true", help="the order of a stop")


def run_graph(context: "Context", options: Namespace) -> int:
    """Draws the graph."""
    pod = context.engine.pod(options.pod)
    shape = Shape(pod)
    fmt = context.format or "text"
    if fmt == "json":
        output.json(_as_json(pod, shape))
    else:
        output.line({"text": _text, "dot": _dot, "mermaid": _mermaid}[fmt](pod.name, shape))
    return 0


def run_plan(context: "Context", options: Namespace) -> int:
    """Shows in which order a start goes."""
    pod = context.engine.pod(options.pod)
    shape = Shape(pod)
    levels = list(shape.levels)
    if options.reverse:
        levels.reverse()
    if context.json:
        members = [[{"Id": one, "Name": shape.names[one]} for one in level] for level in levels]
        output.json({"Pod": pod.id, "PodName": pod.name, "Levels": members})
        return 0
    for text in plan_lines(levels, shape.names):
        output.line(text)
    return 0


def plan_lines(levels: Sequence[Sequence[str]], names: Mapping[str, str]) -> list[str]:
    """Returns a line for each level: what is started together."""
    return [
        f"{number}  {', '.join(names[one] for one in level)}"
        for number, level in enumerate(levels, start=1)
    ]


def _as_json(pod: "Pod", shape: Shape) -> dict[str, Any]:
    return {
        "Pod": pod.id,
        "PodName": pod.name,
        "Nodes": [{"Id": one, "Name": name} for one, name in shape.names.items()],
        "Edges": [
            {"From": one, "To": other} for one, others in shape.edges.items() for other in others
        ],
        "Levels": [list(level) for level in shape.levels],
    }


def _text(_pod: str, shape: Shape) -> str:
    lines = []
    for number, level in enumerate(shape.levels, start=1):
        for one in level:
            needs = ", ".join(shape.names[other] for other in shape.edges[one])
            lines.append(f"{number}  {shape.names[one]}" + (f" → {needs}" if needs else ""))
    return "\n".join(lines)


def _dot(pod: str, shape: Shape) -> str:
    # Names are letters, digits and `_.-`: inside quotes nothing needs an escape.
    lines = [f'digraph "{pod}" {{', "  rankdir=LR;"]
    lines += [f'  "{name}";' for name in shape.names.values()]
    lines += [
        f'  "{shape.names[one]}" -> "{shape.names[other]}";'
        for one, others in shape.edges.items()
        for other in others
    ]
    return "\n".join([*lines, "}"])


def _mermaid(_pod: str, shape: Shape) -> str:
    keys = {one: f"n{number}" for number, one in enumerate(shape.names)}
    lines = ["flowchart LR"]
    lines += [f'  {keys[one]}["{name}"]' for one, name in shape.names.items()]
    lines += [
        f"  {keys[one]} --> {keys[other]}"
        for one, others in shape.edges.items()
        for other in others
    ]
    return "\n".join(lines)
