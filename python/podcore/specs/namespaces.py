"""Which namespaces a container may have, and what may be set in them."""

import re
from collections.abc import Mapping

from podcore.errors import InvalidNameError
from podcore.names import check_name
from podcore.specs import values

KINDS = ("ipc", "net", "uts", "pid", "cgroup")
CONTAINER = "container:"
_MODES = ("pod", "private", "host")
_HOSTNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)
_SYSCTL = re.compile(r"[a-z0-9_]+(?:[./][A-Za-z0-9_-]+)+", re.ASCII)
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")


def check_hostname(value: object, what: str) -> str:
    """Returns a host name: at most 64 letters, digits and ``- . _`` (what the kernel holds).

    Raises:
        InvalidArgumentError: it is none.
    """
    name = values.text(value, what)
    if len(name) > 64 or _HOSTNAME.fullmatch(name) is None:
        raise values.refusal(
            what,
            f"{values.shown(name)} is not a host name",
            "at most 64 letters, digits, `-`, `.` and `_`, a letter or digit at both ends",
        )
    return name


def check_namespaces(value: object, what: str, own_name: str | None) -> dict[str, str]:
    """Returns which namespace of each kind a container has, in the order of ``KINDS``.

    Raises:
        InvalidNameError: ``container:`` is followed by a malformed name.
        InvalidArgumentError: a kind or a mode is unknown, or a container would join itself.
    """
    wanted = values.pairs(value, what)
    for kind in wanted:
        if kind not in KINDS:
            raise values.refusal(
                what, f"{values.shown(kind)} is not a namespace", f"one of {', '.join(KINDS)}"
            )
    checked = {}
    for kind in KINDS:
        if kind not in wanted:
            continue
        mode = values.text(wanted[kind], f"{what}, `{kind}`")
        if mode.startswith(CONTAINER):
            other = mode.removeprefix(CONTAINER)
            try:
                check_name(other, "container")
            except InvalidNameError as error:
                raise InvalidNameError(f"{what}, `{kind}`: {error}") from None
            if other == own_name:
                raise values.refusal(f"{what}, `{kind}`", "a container can't join itself")
        elif mode not in _MODES:
            raise values.refusal(
                f"{what}, `{kind}`",
                f"{values.shown(mode)} is not a way to have a namespace",
                "`pod`, `private`, `host` or `container:NAME`",
            )
        checked[kind] = mode
    return checked


def check_sysctls(value: object, what: str, namespaces: Mapping[str, str]) -> dict[str, str]:
    """Returns sysctls by name with dots; only such as belong to the container's own namespaces.

    Raises:
        InvalidArgumentError: one belongs to the host, or to a namespace that is the host's.
    """
    checked = {}
    for key, item in values.pairs(value, what).items():
        name = values.text(key, what)
        if _SYSCTL.fullmatch(name) is None:
            raise values.refusal(what, f"{values.shown(name)} is not the name of a sysctl")
        # As sysctl(8): slashes separate when the first separator is one.
        if "/" in name and name.index("/") < (name + ".").index("."):
            name = name.translate(str.maketrans("/.", "./"))
        setting = values.text(item, f"{what}, `{name}`", empty=True, longest=4096)
        if "\n" in setting:
            raise values.refusal(f"{what}, `{name}`", "it has more than one line")
        kind = _namespace_of(name)
        if kind is None:
            hint = "use `hostname`" if name == "kernel.hostname" else "only ipc and net can be set"
            raise values.refusal(
                f"{what}, `{name}`", "it does not belong to a namespace of the container", hint
            )
        if namespaces.get(kind) == "host":
            raise values.refusal(
                f"{what}, `{name}`",
                f"the container has the host's {kind} namespace",
                f'leave `namespaces={{"{kind}": "host"}}` out',
            )
        checked[name] = setting
    return checked


def _namespace_of(name: str) -> str | None:
    if name.startswith("net."):
        return "net"
    if name.startswith(_IPC_SYSCTLS) or name == "kernel.sem":
        return "ipc"
    return None
