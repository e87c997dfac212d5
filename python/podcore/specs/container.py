"""What a container may be asked to be."""

import math
import os
from dataclasses import fields, replace
from typing import TypeVar

from podcore.model import ContainerSpec, Limits, Profile, RootfsMode
from podcore.names import check_name
from podcore.signals import parse_signal, signal_name
from podcore.specs import capabilities, documents, mounts, namespaces, process, values
from podcore.specs.limits import check_limits

_Choice = TypeVar("_Choice", Profile, RootfsMode)

UNCONFINED = "unconfined"
_ARCHITECTURE_NAMES = (
    "X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64"
    " PPC64LE S390 S390X PARISC PARISC64 RISCV64"
)
_ARCHITECTURES = tuple("SCMP_ARCH_" + name for name in _ARCHITECTURE_NAMES.split())
# What else may be given with `bundle`: what podcore itself does, not what config.json says.
_WITH_BUNDLE = {
    "name",
    "bundle",
    "depends_on",
    "stop_signal",
    "stop_timeout",
    "labels",
    "terminal",
    "stdin",
    "oci_runtime",
    "log_size_max",
}
# Annotations by which runtimes and podcore itself are driven (CVE-2024-3154 for systemd's).
_RESERVED = ("org.systemd.property.", "run.oci.", "io.podcore.", "org.criu.")
_LOG_SMALLEST = 4096
_DEFAULTS = {field.name: getattr(ContainerSpec(), field.name) for field in fields(ContainerSpec)}


def check_container(spec: ContainerSpec) -> ContainerSpec:
    """Returns a container's spec in its one form; checking that once more changes nothing.

    Reads the file system (the rootfs, sources of mounts, devices, env files, config.json of a
    bundle) and changes nothing there.

    Raises:
        InvalidNameError: the name, or one that it refers to, is malformed.
        InvalidArgumentError: anything else is not acceptable.
    """
    if spec.name is not None:
        check_name(spec.name, "container")
    what = f"container `{spec.name}`" if spec.name else "container"
    if spec.bundle is not None and spec.rootfs is not None:
        raise values.refusal(what, "it has both `rootfs` and `bundle`", "give one of them")
    spec = _check_common(spec, what)
    return _check_bundle(spec, what) if spec.bundle is not None else _check_rootfs(spec, what)


def _check_common(spec: ContainerSpec, what: str) -> ContainerSpec:
    runtime = spec.oci_runtime
    size = spec.log_size_max
    return replace(
        spec,
        depends_on=tuple(
            dict.fromkeys(
                check_name(name, "container")
                for name in values.items(spec.depends_on, f"{what}, `depends_on`")
            )
        ),
        stop_signal=signal_name(parse_signal(spec.stop_signal)),
        stop_timeout=check_timeout(spec.stop_timeout, f"{what}, `stop_timeout`"),
        labels=values.labels(spec.labels, f"{what}, `labels`"),
        terminal=values.flag(spec.terminal, f"{what}, `terminal`"),
        stdin=values.flag(spec.stdin, f"{what}, `stdin`"),
        oci_runtime=None if runtime is None else values.text(runtime, f"{what}, `oci_runtime`"),
        log_size_max=None
        if size is None
        else values.integer(size, f"{what}, `log_size_max`", _LOG_SMALLEST, 1 << 50),
    )


def check_timeout(value: object, what: str) -> float:
    """Returns a number of seconds; ``math.inf`` is one.

    Raises:
        InvalidArgumentError: it is negative, NaN, or no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise values.refusal(what, f"{values.shown(value)} is not a number of seconds")
    if math.isnan(value) or value < 0:
        raise values.refusal(what, f"`{value}` is not a duration", "0 or more, or math.inf")
    return float(value)


def _check_bundle(spec: ContainerSpec, what: str) -> ContainerSpec:
    # Without links: runc refuses a root file system behind one.
    directory = os.path.realpath(values.host_path(spec.bundle, f"{what}, `bundle`"))
    for name, default in _DEFAULTS.items():
        value = getattr(spec, name)
        # An empty list is an empty tuple here; anything falsy but False and 0 says nothing.
        same = value == default or (default in ((), {}) and value in ((), [], {}))
        if name not in _WITH_BUNDLE and not same:
            raise values.refusal(
                what,
                f"`{name}` can't be given with `bundle`",
                f"say it in {directory}/{documents.CONFIG}, which podcore does not change",
            )
    if not os.path.isdir(directory):
        raise values.refusal(f"{what}, `bundle`", f"`{directory}` is not a directory")
    _, config = documents.read_config(os.path.join(directory, documents.CONFIG))
    if (config.get("linux") or {}).get("cgroupsPath"):
        raise values.refusal(
            f"{what}, `bundle`",
            "its config.json has `linux.cgroupsPath`",
            "leave it out: podcore gives the container a place below its pod's cgroup",
        )
    rootfs = os.path.join(directory, config["root"]["path"])
    if not os.path.isdir(rootfs):
        raise values.refusal(f"{what}, `bundle`", f"its root `{rootfs}` is not a directory")
    return replace(
        spec,
        bundle=directory,
        # The monitor must know, and config.json decides.
        terminal=config["process"].get("terminal", False),
        command=(),
        rootfs_mode=RootfsMode.OVERLAY,
        profile=Profile.DEFAULT,
        limits=Limits(),
    )


def _check_rootfs(spec: ContainerSpec, what: str) -> ContainerSpec:
    profile = _choice(Profile, spec.profile, f"{what}, `profile`")
    joined = namespaces.check_namespaces(spec.namespaces, f"{what}, `namespaces`", spec.name)
    if profile is Profile.STRICT:
        _check_strict(spec, joined, what)
        # Said, not left to the pod: namespaces that are shared belong to another user namespace.
        joined = dict.fromkeys(namespaces.KINDS, "private")
    rootfs = check_rootfs_directory(spec.rootfs, f"{what}, `rootfs`")
    mode = _choice(RootfsMode, spec.rootfs_mode, f"{what}, `rootfs_mode`")
    mounted = mounts.check_mounts(spec.mounts, f"{what}, `mounts`")
    if profile is Profile.STRICT:
        mounts.check_reachable(rootfs, f"{what}, `rootfs`")
        # It can write nothing, so an overlay would only hide the rootfs below podcore's own private
        # directories, through which the root of its user namespace can't get.
        mode = RootfsMode.RO
    if mode is RootfsMode.RO:
        mounts.check_mount_points(rootfs, mounted, what)
    hostname = spec.hostname
    if hostname is not None and joined.get("uts") == "host":
        raise values.refusal(f"{what}, `hostname`", "the container has the host's uts namespace")
    user = spec.user
    score = spec.oom_score_adj
    return replace(
        spec,
        rootfs=rootfs,
        rootfs_mode=mode,
        command=process.check_command(spec.command, f"{what}, `command`"),
        env=process.check_environment(spec.env, f"{what}, `env`"),
        env_files=tuple(
            process.check_environment_file(path, f"{what}, `env_files`")
            for path in values.items(spec.env_files, f"{what}, `env_files`")
        ),
        cwd=process.check_cwd(spec.cwd, f"{what}, `cwd`"),
        user=None if user is None else process.check_user(user, f"{what}, `user`"),
        group_add=tuple(
            process.check_account(str(group), f"{what}, `group_add`")
            for group in values.items(spec.group_add, f"{what}, `group_add`")
        ),
        hostname=None
        if hostname is None
        else namespaces.check_hostname(hostname, f"{what}, `hostname`"),
        read_only=values.flag(spec.read_only, f"{what}, `read_only`"),
        annotations=_annotations(spec.annotations, f"{what}, `annotations`"),
        cap_add=capabilities.check(spec.cap_add, f"{what}, `cap_add`"),
        cap_drop=capabilities.check(spec.cap_drop, f"{what}, `cap_drop`"),
        profile=profile,
        no_new_privileges=values.flag(spec.no_new_privileges, f"{what}, `no_new_privileges`"),
        seccomp_profile=_seccomp_profile(spec.seccomp_profile, f"{what}, `seccomp_profile`"),
        seccomp_architectures=_architectures(
            spec.seccomp_architectures, f"{what}, `seccomp_architectures`"
        ),
        ulimits=process.check_ulimits(spec.ulimits, f"{what}, `ulimits`"),
        sysctls=namespaces.check_sysctls(spec.sysctls, f"{what}, `sysctls`", joined),
        devices=mounts.check_devices(spec.devices, f"{what}, `devices`"),
        mounts=mounted,
        init=values.flag(spec.init, f"{what}, `init`"),
        oom_score_adj=None
        if score is None
        else values.integer(score, f"{what}, `oom_score_adj`", -1000, 1000),
        limits=check_limits(spec.limits, f"{what}, `limits`"),
        namespaces=joined,
    )


def check_rootfs_directory(value: object, what: str) -> str:
    """Returns the absolute path of a directory that can be a container's root.

    Raises:
        InvalidArgumentError: there is none, it is something else, or it is the host's root.
    """
    if value is None:
        raise values.refusal(what, "it is missing", "a directory with a root file system")
    path = values.host_path(value, what)
    if not os.path.exists(path):
        raise values.refusal(what, f"`{path}` does not exist", "unpack a root file system there")
    if not os.path.isdir(path):
        raise values.refusal(what, f"`{path}` is not a directory")
    if os.path.samefile(path, "/"):
        raise values.refusal(what, f"`{path}` is the root of the host", "choose another directory")
    return path


def _check_strict(spec: ContainerSpec, joined: dict[str, str], what: str) -> None:
    for kind, mode in joined.items():
        if mode in ("host", "pod") or mode.startswith(namespaces.CONTAINER):
            raise values.refusal(
                what,
                f"with the profile `strict` it can't have `{mode}` as its {kind} namespace",
                "a user namespace of its own owns only namespaces of its own",
            )
    for name in ("cap_add", "devices"):
        if getattr(spec, name):
            raise values.refusal(
                what, f"`{name}` can't be given with the profile `strict`", "use `default`"
            )
    if spec.no_new_privileges is False or spec.seccomp_profile == UNCONFINED:
        raise values.refusal(
            what, "the profile `strict` can't be weakened", "use the profile `default`"
        )


def _annotations(value: object, what: str) -> dict[str, str]:
    checked = values.labels(value, what)
    for key in checked:
        if key.lower().startswith(_RESERVED):
            raise values.refusal(
                what,
                f"`{key}` changes what a runtime does",
                f"keys that begin with {', '.join(_RESERVED)} are refused",
            )
    return checked


def _seccomp_profile(value: object, what: str) -> str | None:
    if value is None or value == UNCONFINED:
        return UNCONFINED if value else None
    path = values.host_path(value, what)
    if not os.path.isfile(path):
        raise values.refusal(what, f"`{path}` is not a file", f"a path, or `{UNCONFINED}`")
    return path


def _architectures(value: object, what: str) -> tuple[str, ...]:
    wanted = values.texts(value, what)
    for name in wanted:
        if name not in _ARCHITECTURES:
            raise values.refusal(
                what, f"{values.shown(name)} is not an architecture", "such as `SCMP_ARCH_X86`"
            )
    return tuple(name for name in _ARCHITECTURES if name in wanted)


def _choice(kind: type[_Choice], value: object, what: str) -> _Choice:
    for member in kind:
        if member == value:
            return member
    names = ", ".join(f"`{member}`" for member in kind)
    raise values.refusal(what, f"{values.shown(value)} is unknown", f"one of {names}")
