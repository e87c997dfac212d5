"""The infra container: a process that does nothing but hold the namespaces that a pod shares."""

import os
import shutil
import time

from podcore.backend import Host
from podcore.errors import UnsupportedError
from podcore.kernel.exhaustion import naming_exhaustion
from podcore.kernel.files import make_directory
from podcore.model import ContainerKind, ContainerSpec, PodSpec
from podcore.names import new_id, short
from podcore.programs import find
from podcore.records import ContainerRecord, PodRecord
from podcore.specs import check_container

_ELSEWHERE = ("/usr/libexec/podman", "/usr/local/libexec/podman", "/usr/libexec/catatonit")


def prepare(host: Host, spec: PodSpec) -> str:
    """Makes the root that all infra containers share, and returns its path.

    It holds nothing but catatonit. Made once under a temporary name, so that it is whole or absent.

    Raises:
        UnsupportedError: catatonit is not installed.
        ResourceExhaustedError: no space, inodes or descriptors.
    """
    program = find("catatonit", os.environ.get("PATH", ""), _ELSEWHERE)
    if program is None:
        message = (
            f"pod `{spec.name or ''}` shares namespaces ({', '.join(spec.share)}), "
            "which takes `catatonit`, and that is not installed\n"
            "hint: `apt-get install catatonit`, or share nothing (`share=()`)"
        )
        raise UnsupportedError(message)
    _ = host.store  # makes the state directory, unless it is in use with another run directory
    status = os.stat(program)
    directory = host.places.infra_root(f"{status.st_size}-{status.st_mtime_ns}")
    if os.path.isdir(directory):
        return directory
    make_directory(f"{host.places.root}/infra")
    with naming_exhaustion(f"make `{directory}`"):
        _fill(directory, program)
    return directory


def _fill(directory: str, program: str) -> None:
    fresh = f"{directory}.{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        for name in ("", "/proc", "/sys", "/dev", "/etc"):
            make_directory(fresh + name, 0o755)
        shutil.copyfile(program, f"{fresh}/catatonit")
        os.chmod(f"{fresh}/catatonit", 0o755)  # noqa: S103 - a program is readable by all
        os.rename(fresh, directory)
    except OSError:
        # Where another process was first, what it made is the same.
        shutil.rmtree(fresh, ignore_errors=True)
        if not os.path.isdir(directory):
            raise


def row(host: Host, pod: PodRecord, root: str) -> ContainerRecord:
    """Returns the row of a pod's infra container."""
    key = new_id()
    spec = check_container(
        ContainerSpec(
            name=f"{short(pod.id)}-infra",
            rootfs=root,
            rootfs_mode="ro",
            command=["/catatonit", "-P"],
            hostname=pod.hostname,
            cap_drop=["all"],
            stop_timeout=0.0,
        )
    )
    return ContainerRecord(
        id=key,
        name=spec.name or "",
        pod_id=pod.id,
        number=0,
        created=time.time(),
        kind=ContainerKind.INFRA,
        spec=spec,
        spec_hash="",  # the store makes it from what it writes, as it gives the number
        dependencies=(),
        oci_runtime=host.default_runtime(),
        cgroup_path=pod.container_cgroup(key),
    )
