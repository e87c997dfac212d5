"""``top``: the processes of a container or a pod, in the columns that are asked for."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from podcore.cli import output
from podcore.cli.arguments import Parser

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.model import ProcessInfo


def _percent(info: "ProcessInfo") -> float:
    return round(info.cpu_seconds / info.elapsed * 100, 3) if info.elapsed > 0 else 0.0


def _clock(seconds: float) -> str:
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


# podman's names for columns (containers/psgo), as far as they are about more than security labels:
# heading, and what is shown.
_DESCRIPTORS: "dict[str, tuple[str, Callable[[ProcessInfo], str]]]" = {
    "args": ("COMMAND", lambda info: " ".join(info.command) or f"[{info.name}]"),
    "comm": ("COMMAND", lambda info: info.name),
    "container": ("CONTAINER", lambda info: info.container),
    "etime": ("ELAPSED", lambda info: _clock(info.elapsed)),
    "group": ("GROUP", lambda info: info.group),
    "hgroup": ("HGROUP", lambda info: str(info.host_gid)),
    "hpid": ("HPID", lambda info: str(info.host_pid)),
    "huser": ("HUSER", lambda info: str(info.host_uid)),
    "nice": ("NI", lambda info: str(info.nice)),
    "nlwp": ("NLWP", lambda info: str(info.threads)),
    "pcpu": ("%CPU", lambda info: f"{_percent(info):.3f}"),
    "pid": ("PID", lambda info: "?" if info.pid is None else str(info.pid)),
    "ppid": ("PPID", lambda info: str(info.parent)),
    "rss": ("RSS", lambda info: str(info.memory // 1024)),
    "state": ("STATE", lambda info: info.state),
    "time": ("TIME", lambda info: _clock(info.cpu_seconds)),
    "tty": ("TTY", lambda info: info.terminal or "?"),
    "user": ("USER", lambda info: info.user),
    "vsz": ("VSZ", lambda info: str(info.size // 1024)),
}
# ps(1) has other names for some.
_SAME = {"%cpu": "pcpu", "cmd": "args", "command": "args", "ni": "nice", "s": "state"}
_DEFAULT = ("user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args")


def configure(parser: Parser, what: str = "container") -> None:
    """Adds the arguments of ``top``."""
    parser.add_argument("reference", metavar=what.upper(), help="name, id or prefix")
    parser.add_argument(
        "descriptors",
        nargs="*",
        metavar="COLUMN",
        help=f"of {', '.join(_DESCRIPTORS)}; default: {' '.join(_DEFAULT)}",
    )
    # `ps -eo LIST`, as people type it.
    parser.add_argument("-o", dest="columns", action="append", default=[], metavar="LIST")
    parser.add_argument("-e", "-A", action="store_true", help="every process, as always")
    parser.add_argument("-f", action="store_true", help="the default columns, as always")


def configure_pod(parser: Parser) -> None:
    """Adds the arguments of ``pod top``."""
    configure(parser, "pod")


def run(context: "Context", options: Namespace) -> int:
    """Shows the processes of a container."""
    columns = _columns(options)
    return _show(context, context.engine.container(options.reference).top(), columns)


def run_pod(context: "Context", options: Namespace) -> int:
    """Shows the processes of a pod."""
    columns = _columns(options)
    return _show(context, context.engine.pod(options.reference).top(), columns)


def _columns(options: Namespace) -> list[str]:
    from podcore.errors import InvalidArgumentError

    asked = [name for item in (*options.descriptors, *options.columns) for name in item.split(",")]
    columns = [_SAME.get(name.lower(), name.lower()) for name in asked if name] or list(_DEFAULT)
    for name in columns:
        if name not in _DESCRIPTORS:
            raise InvalidArgumentError(
                f"there is no column `{name}`\nhint: one of {', '.join(_DESCRIPTORS)}"
            )
    return columns


def _show(context: "Context", found: "Sequence[ProcessInfo]", columns: Sequence[str]) -> int:
    if context.format is not None:
        output.listing([_row(info) for info in found], (), context.format)
        return 0
    shown = [_DESCRIPTORS[name] for name in columns]
    output.table(
        [heading for heading, _ in shown], [[text(info) for _, text in shown] for info in found]
    )
    return 0


def _row(info: "ProcessInfo") -> dict[str, Any]:
    """Returns what ``--format json`` and templates know of a process."""
    return {
        "Container": info.container,
        "Pid": info.pid,
        "PPid": info.parent,
        "HostPid": info.host_pid,
        "User": info.user,
        "Group": info.group,
        "HostUid": info.host_uid,
        "HostGid": info.host_gid,
        "State": info.state,
        "Threads": info.threads,
        "CPUSeconds": info.cpu_seconds,
        "CPUPercent": _percent(info),
        "Elapsed": info.elapsed,
        "Rss": info.memory,
        "Vsz": info.size,
        "Tty": info.terminal,
        "Nice": info.nice,
        "Comm": info.name,
        "Command": list(info.command),
    }
