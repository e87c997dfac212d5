"""Mounting and unmounting, with errors that say what to do; what is mounted says ``mountinfo``."""

import errno
from collections.abc import Sequence

from podcore import _core
from podcore.errors import PodcoreError, UnsupportedError
from podcore.kernel import exhaustion
from podcore.kernel.mountinfo import MountEntry, below, mounted, mounts

__all__ = [
    "MountEntry",
    "below",
    "bind",
    "from_namespace",
    "mounted",
    "mounts",
    "overlay",
    "pin_namespaces",
    "tmpfs",
    "unmount",
]

_HINTS = {
    errno.EPERM: "run as root, with the capability CAP_SYS_ADMIN",
    errno.EACCES: "run as root, with the capability CAP_SYS_ADMIN",
    errno.ENODEV: "the kernel lacks overlayfs: `modprobe overlay`, or `rootfs_mode=direct`",
    errno.EINVAL: "the state directory must be on a file system that overlayfs can write to, so not "
    "on another overlay (`root=`), or use `rootfs_mode=direct`",
}


def overlay(lower: str, upper: str, work: str, target: str) -> None:
    """Mounts a directory that shows ``lower`` and takes writes into ``upper``.

    Args:
        lower: never written to.
        upper: where changes go; on the same file system as ``work``.
        work: an empty directory for the kernel's own use.
        target: an existing directory.

    Raises:
        UnsupportedError: not permitted, or not on this kernel or file system.
        ResourceExhaustedError: too many mounts, or out of memory.
        OSError: anything else, a missing directory included.
    """
    try:
        _core.mount_overlay([lower], target, upper=upper, work=work)
    except OSError as error:
        raise _typed(error, f"mount an overlay of `{lower}` at `{target}`") or error from error


def bind(source: str, target: str, *, read_only: bool = False) -> None:
    """Shows a file or a directory, with what is mounted below it, at a second place.

    Args:
        source: what to show.
        target: an existing file or directory.
        read_only: nothing is written through it; what is mounted below it is not affected.

    Raises:
        UnsupportedError: not permitted.
        ResourceExhaustedError: too many mounts, or out of memory.
        OSError: anything else.
    """
    try:
        _core.mount_bind(source, target, readonly=read_only)
    except OSError as error:
        raise _typed(error, f"bind `{source}` to `{target}`") or error from error


def tmpfs(target: str, *, size: int | None = None, mode: int = 0o755) -> None:
    """Mounts a file system in memory, without devices and setuid programs.

    Args:
        target: an existing directory.
        size: bytes; None is half of the memory.
        mode: permission bits of its root.

    Raises:
        UnsupportedError: not permitted.
        ResourceExhaustedError: too many mounts, or out of memory.
        OSError: anything else.
    """
    try:
        _core.mount_tmpfs(target, size=size, mode=mode)
    except OSError as error:
        raise _typed(error, f"mount a tmpfs at `{target}`") or error from error


def pin_namespaces(
    pins: Sequence[tuple[str, str]],
    *,
    hostname: str,
    sysctls: Sequence[tuple[str, str]] = (),
) -> None:
    """Makes namespaces that no process lives in, each kept by a mount onto a file.

    Args:
        pins: ``ipc``, ``net`` or ``uts``, and an existing file for each.
        hostname: of a new UTS namespace.
        sysctls: files of /proc/sys that belong to the new namespaces, and their contents.

    Raises:
        UnsupportedError: not permitted.
        ResourceExhaustedError: too many namespaces or mounts, or out of memory.
        OSError: anything else.
    """
    try:
        _core.pin_namespaces(pins, hostname=hostname, sysctls=sysctls)
    except OSError as error:
        kinds = ", ".join(kind for kind, _ in pins)
        raise _typed(error, f"pin namespaces ({kinds})") or error from error


def from_namespace(namespace: str, source: str, target: str) -> None:
    """Shows a directory of another mount namespace, as its processes see it, at a place of ours.

    Args:
        namespace: such as ``/proc/PID/ns/mnt``.
        source: a path there, whose last part is no link.
        target: an existing directory here.

    Raises:
        UnsupportedError: not permitted.
        ResourceExhaustedError: too many mounts, or out of memory.
        OSError: anything else, a namespace that is gone included.
    """
    try:
        _core.mount_from(namespace, source, target)
    except OSError as error:
        raise _typed(error, f"mount `{source}` of `{namespace}` at `{target}`") or error from error


def unmount(target: str) -> None:
    """Takes away all that is mounted at a path, busy or not; nothing mounted or no path is fine.

    A busy mount disappears from the tree at once and from the kernel with its last user. A
    symbolic link is not followed.

    Raises:
        UnsupportedError: not permitted.
        OSError: anything else.
    """
    try:
        # What a killed process mounted twice comes off twice. EINVAL ends it: no mount point.
        while True:
            _core.unmount(target, detach=True)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise _typed(error, f"unmount `{target}`") or error from error


def _typed(error: OSError, doing: str) -> PodcoreError | None:
    if known := exhaustion.typed(error, doing):
        return known
    hint = _HINTS.get(error.errno or 0)
    if hint is None:
        return None
    return UnsupportedError(f"could not {doing}: {error.strerror}\nhint: {hint}")
