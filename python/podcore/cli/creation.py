"""The flags of ``create`` and ``run``, and the container that they describe."""

import os
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from podcore.cli.arguments import Parser, add_limits, duration, limits, pairs
from podcore.cli.mounts import parse_mount, parse_tmpfs, parse_volume
from podcore.cli.selection import UsageError
from podcore.errors import InvalidArgumentError

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.container import Container
    from podcore.model import Mount

_NAMESPACES = {"network": "net", "ipc": "ipc", "pid": "pid", "uts": "uts", "cgroupns": "cgroup"}
# Flags whose value goes to the keyword of the same name as it is.
_PLAIN = ("rootfs", "rootfs_mode", "bundle", "user", "cwd", "hostname", "profile", "oom_score_adj")
_LISTS = ("cap_add", "cap_drop", "group_add", "seccomp_architectures")
_SWITCHES = ("read_only", "init", "terminal", "stdin")


def configure(parser: Parser) -> None:
    """Adds the flags that ``create`` and ``run`` have in common, and the command."""
    parser.add_argument("--pod", required=True, metavar="POD", help="or new:NAME to create one")
    parser.add_argument("--name", metavar="NAME", help="generated when omitted")
    _add_root(parser)
    _add_process(parser)
    _add_security(parser)
    _add_namespaces(parser)
    add_limits(parser)
    # REMAINDER: what follows the first word belongs to the command.
    parser.add_argument("command", nargs="...", metavar="COMMAND", help="and its arguments")


def _repeated(parser: Any, *flags: str, metavar: str, text: str) -> None:
    # `Any`: a parser or one of its groups, which share no public class.
    parser.add_argument(*flags, action="append", default=[], metavar=metavar, help=text)


def _add_root(parser: Parser) -> None:
    group = parser.add_argument_group("root file system")
    group.add_argument("--rootfs", metavar="DIR", help="a directory on this host")
    group.add_argument("--rootfs-mode", choices=("overlay", "direct", "ro"), help="how it is used")
    group.add_argument("--bundle", metavar="DIR", help="an OCI bundle, taken as it is")
    group.add_argument("--read-only", action="store_true", help="nothing can be written to it")
    _repeated(group, "-v", "--volume", metavar="SOURCE:TARGET", text="a path or a named volume")
    _repeated(group, "--mount", metavar="type=…,…", text="bind, volume or tmpfs")
    _repeated(group, "--tmpfs", metavar="TARGET[:OPTIONS]", text="size=, mode=, ro")
    _repeated(group, "--device", metavar="PATH", text="a device node of this host")


def _add_process(parser: Parser) -> None:
    group = parser.add_argument_group("process")
    group.add_argument(
        "--requires", action="append", default=[], metavar="NAMES", help="must run before it"
    )
    _repeated(group, "-e", "--env", metavar="KEY[=VALUE]", text="without a value: yours")
    _repeated(group, "--env-file", metavar="FILE", text="lines of KEY=VALUE")
    group.add_argument("-u", "--user", metavar="USER[:GROUP]", help="names or numbers")
    _repeated(group, "--group-add", metavar="GROUP", text="supplementary groups")
    group.add_argument("-w", "--workdir", dest="cwd", metavar="DIR", help="working directory")
    group.add_argument("-i", "--interactive", dest="stdin", action="store_true", help="keep stdin")
    group.add_argument("-t", "--tty", dest="terminal", action="store_true", help="a terminal")
    group.add_argument("--init", action="store_true", help="an init process reaps zombies")
    group.add_argument("--stop-signal", metavar="SIGNAL", help="what stop sends first (TERM)")
    group.add_argument("--stop-timeout", metavar="SECONDS", help="until SIGKILL (10)")
    group.add_argument("--oom-score-adj", type=int, metavar="N", help="-1000 to 1000")
    _repeated(group, "--ulimit", metavar="NAME=SOFT[:HARD]", text="such as nofile=1024:2048")
    _repeated(group, "-l", "--label", metavar="KEY=VALUE", text="for filters")
    _repeated(group, "--annotation", metavar="KEY=VALUE", text="for the OCI runtime")
    group.add_argument("--log-size-max", metavar="SIZE", help="rotate the log file then")


def _add_security(parser: Parser) -> None:
    group = parser.add_argument_group("security")
    group.add_argument("--profile", choices=("default", "strict"), help="what it may do")
    _repeated(group, "--cap-add", metavar="CAP", text="add a capability")
    _repeated(group, "--cap-drop", metavar="CAP", text="drop a capability, or all")
    _repeated(
        group,
        "--security-opt",
        metavar="OPTION",
        text="no-new-privileges[=false], seccomp=PROFILE or unconfined",
    )
    _repeated(group, "--seccomp-architecture", metavar="ARCH", text="a foreign one, SCMP_ARCH_X86")
    _repeated(group, "--sysctl", metavar="KEY=VALUE", text="of its own namespaces")


def _add_namespaces(parser: Parser) -> None:
    group = parser.add_argument_group("namespaces", "pod, private, host or container:NAME")
    group.add_argument("--hostname", metavar="NAME", help="its own host name")
    group.add_argument("--network", "--net", metavar="MODE", help="none is the same as private")
    for name in ("ipc", "pid", "uts", "cgroupns"):
        group.add_argument(f"--{name}", metavar="MODE")


def create(context: "Context", options: Namespace) -> "Container":
    """Creates the container that the flags describe, and its pod for ``--pod new:NAME``.

    Raises:
        UsageError: flags contradict each other.
        PodcoreError: it was refused; nothing was created.
    """
    if options.bundle is None and options.rootfs is None:
        raise UsageError("one of `--rootfs` and `--bundle` is required")
    keywords = _keywords(options)
    is_new = options.pod.startswith("new:")
    new_name = options.pod.removeprefix("new:") or None
    pod = context.engine.create_pod(new_name) if is_new else context.engine.pod(options.pod)
    try:
        return pod.create_container(options.name, **keywords)
    except BaseException:
        if is_new:
            pod.remove(force=True)
        raise


# `Any`: the keywords of create_container, of many types.
def _keywords(options: Namespace) -> dict[str, Any]:
    found: dict[str, Any] = limits(options)
    found |= {key: getattr(options, key) for key in _PLAIN if getattr(options, key) is not None}
    options.seccomp_architectures = options.seccomp_architecture
    found |= {key: getattr(options, key) for key in _LISTS if getattr(options, key)}
    found |= {key: True for key in _SWITCHES if getattr(options, key)}
    optional = {
        "command": command(options),
        "depends_on": [name for item in options.requires for name in item.split(",") if name],
        "env": environment(options.env),
        "env_files": options.env_file,
        "labels": pairs(options.label, "--label", bare=True),
        "annotations": pairs(options.annotation, "--annotation"),
        "sysctls": pairs(options.sysctl, "--sysctl"),
        "ulimits": dict(_ulimit(item) for item in options.ulimit),
        "devices": options.device,
        "mounts": _mounts(options),
        "namespaces": _namespaces(options),
    }
    found |= {key: value for key, value in optional.items() if value}
    found |= _security(options.security_opt)
    if options.stop_signal is not None:
        found["stop_signal"] = options.stop_signal
    if options.stop_timeout is not None:
        found["stop_timeout"] = duration(options.stop_timeout)
    if options.log_size_max is not None:
        from podcore.units import parse_size

        found["log_size_max"] = parse_size(options.log_size_max, "--log-size-max")
    return found


def command(options: Namespace) -> list[str]:
    """Returns the command of the command line, without the ``--`` that may stand before it."""
    words = list(options.command)
    return words[1:] if words[:1] == ["--"] else words


def environment(items: list[str]) -> dict[str, str]:
    """Returns environment variables; one without a value is taken from this process, if it has it.

    Raises:
        InvalidArgumentError: one has no name.
    """
    found = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not key:
            raise InvalidArgumentError(f"`{item}` is no value for `--env`\nhint: KEY=VALUE")
        if separator:
            found[key] = value
        elif key in os.environ:
            found[key] = os.environ[key]
    return found


def _namespaces(options: Namespace) -> dict[str, str]:
    found = {}
    for flag, name in _NAMESPACES.items():
        mode = getattr(options, flag)
        if mode is not None:
            found[name] = "private" if mode == "none" and name == "net" else mode
    return found


def _mounts(options: Namespace) -> "list[Mount]":
    return [
        *(parse_volume(item) for item in options.volume),
        *(parse_mount(item) for item in options.mount),
        *(parse_tmpfs(item) for item in options.tmpfs),
    ]


def _ulimit(text: str) -> tuple[str, tuple[int, int]]:
    name, separator, values = text.partition("=")
    soft, _, hard = values.partition(":")
    try:
        if not separator:
            raise ValueError
        return name, (int(soft), int(hard or soft))
    except ValueError:
        raise InvalidArgumentError(
            f"`{text}` is no value for `--ulimit`\nhint: NAME=SOFT[:HARD], such as nofile=1024:2048"
        ) from None


def _security(items: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        # docker's older way writes a colon.
        key, _, value = item.replace(":", "=", 1).partition("=")
        if key == "no-new-privileges" and value in {"", "true", "false"}:
            found["no_new_privileges"] = value != "false"
        elif key == "seccomp" and value:
            found["seccomp_profile"] = value
        else:
            raise InvalidArgumentError(
                f"`--security-opt {item}` is not known\n"
                "hint: no-new-privileges, no-new-privileges=false, seccomp=PROFILE, "
                "seccomp=unconfined"
            )
    return found
