"""The capabilities of Linux (capabilities(7)) and those that a container has by default."""

from podcore.specs import values

# In the order of their numbers; the order of every list that is made of them.
_ALL_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP"
    " LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER"
    " SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE"
    " SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP"
    " MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF"
    " CHECKPOINT_RESTORE"
)
NAMES = tuple("CAP_" + name for name in _ALL_NAMES.split())
_NUMBERS = {name: number for number, name in enumerate(NAMES)}

# podman's eleven (containers.conf, default_capabilities).
_DEFAULT_NAMES = (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID"
    " SYS_CHROOT"
)
DEFAULT = frozenset("CAP_" + name for name in _DEFAULT_NAMES.split())

ALL = "all"


def check(value: object, what: str) -> tuple[str, ...]:
    """Returns a list of capabilities by full name, sorted by number; or ``("all",)``.

    Raises:
        InvalidArgumentError: one of them is unknown.
    """
    names = set()
    for item in values.texts(value, what):
        if item.lower() == ALL:
            return (ALL,)
        upper = item.upper()
        name = upper if upper.startswith("CAP_") else "CAP_" + upper
        if name not in _NUMBERS:
            raise values.refusal(
                what, f"{values.shown(item)} is not a capability", "such as `NET_RAW`, or `all`"
            )
        names.add(name)
    return in_order(names)


def in_order(names: frozenset[str] | set[str]) -> tuple[str, ...]:
    """Returns capabilities sorted by their number."""
    return tuple(sorted(names, key=_NUMBERS.__getitem__))


def effective(base: frozenset[str], add: tuple[str, ...], drop: tuple[str, ...]) -> tuple[str, ...]:
    """Returns what a container gets: dropping all comes first, then what is added, then the rest.

    The same rules as podman's (``capabilities.MergeCapabilities``): with ``cap_drop=["all"]`` only
    what is added is left, with ``cap_add=["all"]`` everything but what is dropped.
    """
    if ALL in drop:
        return NAMES if ALL in add else in_order(set(add))
    wanted = set(NAMES) if ALL in add else set(base).union(add)
    return in_order(wanted.difference(drop))


def numbered(name: str) -> int:
    """Returns the number of a capability, its bit in /proc/PID/status."""
    return _NUMBERS[name]
