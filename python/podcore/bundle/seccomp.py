"""Which system calls a container may make: the profile of containers-common, resolved.

That profile (``/usr/share/containers/seccomp.json``) is not what a runtime takes: its rules depend
on the architecture, on capabilities and on the kernel. Resolved as containers-common does it
(``setupSeccomp`` in pkg/seccomp), and then made as small as says the same, because compiling the
filter is a large part of a container's start.
"""

import errno
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from podcore.bundle.syscalls import absent
from podcore.errors import InvalidArgumentError, UnsupportedError
from podcore.specs import documents, values

SYSTEM_PROFILE = "/usr/share/containers/seccomp.json"
BUILT_IN_PROFILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seccomp.json")

# uname's machine: the name in profiles (Go's), libseccomp's name.
_MACHINES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "i686": ("x86", "SCMP_ARCH_X86"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
}
_PROFILE_NAMES = {
    "SCMP_ARCH_X86": "x86",
    "SCMP_ARCH_X86_64": "amd64",
    "SCMP_ARCH_X32": "x32",
    "SCMP_ARCH_ARM": "arm",
    "SCMP_ARCH_AARCH64": "arm64",
    "SCMP_ARCH_PPC64LE": "ppc64le",
    "SCMP_ARCH_RISCV64": "riscv64",
    "SCMP_ARCH_S390": "s390",
    "SCMP_ARCH_S390X": "s390x",
}
_KERNEL = re.compile(r"([0-9]+)\.([0-9]+)")

# `Any` here and below: JSON.
Rule = dict[str, Any]
_Identity = tuple[str, int, int, int]
_resolved: dict[tuple[_Identity, tuple[str, ...], tuple[str, ...]], str] = {}
_CACHE_MAX = 64


def fragment(profile: str | None, foreign: Sequence[str], capabilities: tuple[str, ...]) -> str:
    """Returns ``linux.seccomp`` as JSON text; made once for equal arguments and an equal file.

    A profile that is replaced (an upgrade of containers-common) has another inode, size or
    modification time, and is read again.

    Args:
        profile: path of a profile; None for the system's, or podcore's own where there is none.
        foreign: libseccomp's names of architectures besides the native one.
        capabilities: what the container has; sorted.

    Raises:
        InvalidArgumentError: the profile can't be read or is malformed.
        UnsupportedError: nothing is known of this machine's architecture.
    """
    path, status = _find(profile)
    architectures = tuple(dict.fromkeys((native()[1], *foreign)))
    key = (
        (path, status.st_ino, status.st_size, status.st_mtime_ns),
        architectures,
        capabilities,
    )
    text = _resolved.get(key)
    if text is None:
        resolved = resolve(
            load(os.path.realpath(path)), architectures, frozenset(capabilities), _kernel_version()
        )
        text = json.dumps(resolved, separators=(",", ":"))
        if len(_resolved) >= _CACHE_MAX:
            _resolved.clear()
        _resolved[key] = text
    return text


def native() -> tuple[str, str]:
    """Returns this machine's architecture as profiles and as libseccomp name it.

    Raises:
        UnsupportedError: it is none that podcore knows.
    """
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise UnsupportedError(
            f"no system calls are known for the architecture `{machine}`\n"
            'hint: `seccomp_profile="unconfined"` runs without a filter'
        )
    return _MACHINES[machine]


def load(path: str) -> dict[str, Any]:
    """Returns a profile.

    Raises:
        InvalidArgumentError: it can't be read, or is none.
    """
    what = f"seccomp profile `{path}`"
    profile = documents.parse_json(documents.read(path, what), what)
    if not isinstance(profile, dict) or not isinstance(profile.get("defaultAction"), str):
        raise values.refusal(what, "`defaultAction` is missing")
    rules = profile.get("syscalls")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise values.refusal(what, "`syscalls` is not a list of rules")
    for rule in rules:
        if not isinstance(rule.get("action"), str) or not _names(rule):
            raise values.refusal(what, "a rule has no `action` or no `names`")
    return profile


def resolve(
    profile: Mapping[str, Any],
    architectures: Sequence[str],
    capabilities: frozenset[str],
    kernel: tuple[int, int],
) -> dict[str, Any]:
    """Returns ``linux.seccomp`` for a profile: what applies here, in as few rules as possible.

    Args:
        profile: as ``load`` returns it.
        architectures: libseccomp's names; the first one is native.
        capabilities: what the container has.
        kernel: major and minor version.

    Raises:
        InvalidArgumentError: a rule names an unknown errno.
    """
    names = [_PROFILE_NAMES.get(name, name) for name in architectures]
    default = (profile["defaultAction"], _errno(profile, "defaultErrnoRet", "defaultErrno"))
    applying = [rule for rule in profile["syscalls"] if _applies(rule, names, capabilities, kernel)]
    resolved: dict[str, Any] = {"defaultAction": default[0]}
    if default[1] is not None:
        resolved["defaultErrnoRet"] = default[1]
    resolved["architectures"] = list(architectures)
    resolved["syscalls"] = _compact(applying, default, absent(list(architectures)))
    return resolved


def _find(profile: str | None) -> tuple[str, os.stat_result]:
    candidates = (SYSTEM_PROFILE, BUILT_IN_PROFILE) if profile is None else (profile,)
    for path in candidates:
        try:
            return path, os.stat(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            problem = f"it can't be read: {error.strerror}"
            raise values.refusal(f"seccomp profile `{path}`", problem) from None
    raise values.refusal(f"seccomp profile `{candidates[-1]}`", "it does not exist")


def _kernel_version() -> tuple[int, int]:
    match = _KERNEL.match(os.uname().release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _applies(
    rule: Rule, names: list[str], capabilities: frozenset[str], kernel: tuple[int, int]
) -> bool:
    includes = rule.get("includes") or {}
    excludes = rule.get("excludes") or {}
    arches = includes.get("arches")
    if arches and not any(name in arches for name in names):
        return False
    # Excluding is for the native one: a foreign one must not take calls away from it.
    if names[0] in (excludes.get("arches") or ()):
        return False
    if any(name in capabilities for name in excludes.get("caps") or ()):
        return False
    if any(name not in capabilities for name in includes.get("caps") or ()):
        return False
    least, below = includes.get("minKernel"), excludes.get("minKernel")
    if least and kernel < _version(least):
        return False
    return not (below and kernel >= _version(below))


def _version(text: str) -> tuple[int, int]:
    match = _KERNEL.match(text)
    if match is None:
        raise InvalidArgumentError(f"seccomp profile: `{text}` is no version of a kernel")
    return int(match[1]), int(match[2])


def _compact(
    rules: Iterable[Rule], default: tuple[str, int | None], without: frozenset[str]
) -> list[Rule]:
    plain: dict[tuple[str, int | None], dict[str, None]] = {}
    conditional: list[tuple[str, tuple[str, int | None], list[dict[str, Any]]]] = []
    for rule in rules:
        verdict = (rule["action"], _errno(rule, "errnoRet", "errno"))
        # A runtime refuses or ignores a rule that says what the default says.
        if verdict == default:
            continue
        arguments = rule.get("args") or []
        for name in _names(rule):
            if name in without:
                continue
            if not arguments:
                plain.setdefault(verdict, {})[name] = None
            elif (entry := (name, verdict, arguments)) not in conditional:
                conditional.append(entry)
    compacted = [
        _rule(sorted(names), verdict, [])
        for verdict, names in sorted(plain.items(), key=lambda item: (item[0][0], item[0][1] or 0))
    ]
    # What holds unconditionally needs no condition beside it.
    compacted += [
        _rule([name], verdict, arguments)
        for name, verdict, arguments in conditional
        if name not in plain.get(verdict, ())
    ]
    return compacted


def _rule(names: list[str], verdict: tuple[str, int | None], arguments: list[Any]) -> Rule:
    rule: Rule = {"names": names, "action": verdict[0]}
    if verdict[1] is not None:
        rule["errnoRet"] = verdict[1]
    if arguments:
        rule["args"] = arguments
    return rule


def _names(rule: Rule) -> list[str]:
    names = rule.get("names") or ([rule["name"]] if rule.get("name") else [])
    return names if isinstance(names, list) else []


def _errno(holder: Mapping[str, Any], number: str, name: str) -> int | None:
    value = holder.get(number)
    if isinstance(value, int):
        return value
    symbol = holder.get(name)
    if not symbol:
        return None
    found = getattr(errno, str(symbol), None)
    if found is None:
        raise InvalidArgumentError(f"seccomp profile: `{symbol}` is no errno")
    return int(found)
