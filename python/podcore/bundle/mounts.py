"""``mounts`` of config.json: the kernel's file systems, podcore's files, the user's mounts."""

import os
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from podcore.bundle.request import BundleRequest
from podcore.bundle.text import encode, extended
from podcore.errors import InvalidArgumentError, UnsupportedError
from podcore.model import Mount
from podcore.specs import values

# On /dev, which is always the container's own tmpfs: a mount point can be made there however
# read-only the root file system is.
INIT_TARGET = "/dev/podcore-init"
_INIT_PROGRAMS = (
    "/usr/libexec/podman/catatonit",
    "/usr/lib/podman/catatonit",
    "/usr/bin/catatonit",
)
_SHM = "/dev/shm"  # noqa: S108 - no temporary file, a mount point
_SHM_SIZE = 65536 * 1024
_SAFE = ["nosuid", "noexec", "nodev"]


def render_mounts(request: BundleRequest) -> str:
    """Returns all mounts in the order in which the runtime makes them, as text.

    Raises:
        InvalidArgumentError: a volume is not known.
        UnsupportedError: ``init`` is asked for and catatonit is not installed.
    """
    own = [_user_mount(mount, request) for mount in request.spec.mounts]
    # Parents first, or a mount would hide the one below it.
    own.sort(key=lambda mount: mount["destination"].count("/"))
    targets = [mount["destination"] for mount in own]
    texts = [text for target, text in _system(_shm_source(request)) if target not in targets]
    if request.spec.init:
        texts.append(encode(_bind(init_program(), INIT_TARGET, ["nosuid", "nodev", "ro"])))
    texts += [
        extended(_file(target, request.readonly), source=encode(source))
        for source, target in request.extra_mounts
        if not values.within(target, *targets)
    ]
    texts += map(encode, own)
    return f"[{','.join(texts)}]"


def propagation(mounts: Sequence[Mount]) -> str | None:
    """Returns ``linux.rootfsPropagation``, which must let through what a mount asks for."""
    wanted = {mount.propagation.removeprefix("r") for mount in mounts}
    if "shared" in wanted:
        return "rshared"
    return "rslave" if "slave" in wanted else None


@cache
def init_program() -> str:
    """Returns the path of catatonit.

    Raises:
        UnsupportedError: it is not installed.
    """
    for path in _INIT_PROGRAMS:
        if os.access(path, os.X_OK):
            return path
    raise UnsupportedError("`catatonit` is not installed\nhint: apt-get install catatonit")


@lru_cache(maxsize=64)
def _system(shm: str | None) -> list[tuple[str, str]]:
    """Returns the kernel's file systems, by target; they are the same for most containers."""
    pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    mounts = [
        _mount("proc", "proc", "/proc", _SAFE),
        _mount(
            "tmpfs", "tmpfs", "/dev", ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]
        ),
        _mount("devpts", "devpts", "/dev/pts", pts),
        _shm(shm),
        _mount("mqueue", "mqueue", "/dev/mqueue", _SAFE),
        _mount("sysfs", "sysfs", "/sys", [*_SAFE, "ro"]),
        _mount("cgroup", "cgroup", "/sys/fs/cgroup", [*_SAFE, "relatime", "ro"]),
    ]
    return [(mount["destination"], encode(mount)) for mount in mounts]


def _shm_source(request: BundleRequest) -> str | None:
    if request.shm_path is None and "ipc" not in request.namespaces:
        return _SHM  # the host's, which goes with its ipc namespace
    return request.shm_path


def _shm(source: str | None) -> dict[str, Any]:
    if source is not None:
        return _bind(source, _SHM, _SAFE)
    options = [*_SAFE, "mode=1777", f"size={_SHM_SIZE}"]
    return _mount("tmpfs", "shm", _SHM, options)


def _user_mount(mount: Mount, request: BundleRequest) -> dict[str, Any]:
    if mount.type == "tmpfs":
        options = ["nosuid", "nodev", f"mode={mount.mode:o}"]
        if mount.size is not None:
            options.append(f"size={mount.size}")
        if mount.read_only:
            options.append("ro")
        return _mount("tmpfs", "tmpfs", mount.target, options)
    source = mount.source or ""
    if mount.type == "volume":
        if source not in request.volumes:
            raise InvalidArgumentError(f"container `{request.name}`: no volume `{source}`")
        source = request.volumes[source]
    # Nothing is mounted below a file, and crun 1.8.1 takes what is recursive for a directory.
    recursive = os.path.isdir(source)
    options = ["rbind" if recursive else "bind", mount.propagation, "nosuid", "nodev"]
    if mount.read_only:
        options.append("ro")
        if recursive and _recursive_read_only():
            options.append("rro")
    return {"destination": mount.target, "type": "bind", "source": source, "options": options}


@cache
def _recursive_read_only() -> bool:
    # mount_setattr(2) of Linux 5.12: without it what is mounted below stays writable.
    match = re.match(r"([0-9]+)\.([0-9]+)", os.uname().release)
    return match is not None and (int(match[1]), int(match[2])) >= (5, 12)


@lru_cache(maxsize=64)
def _file(target: str, read_only: bool) -> str:  # noqa: FBT001 - private
    """Returns the mount of a file of podcore's but for its source."""
    options = ["bind", "rprivate", "nosuid", "nodev", *(["ro"] if read_only else [])]
    return encode({"destination": target, "type": "bind", "options": options})


def _bind(source: str, target: str, options: list[str]) -> dict[str, Any]:
    return _mount("bind", source, target, ["bind", "rprivate", *options])


def _mount(kind: str, source: str, target: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}
