"""What ``inspect`` knows in podman's field names, ready for JSON, so that jq scripts port."""

import functools
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from podcore.model import ContainerInspect, ContainerSpec, Limits, Mount, PodInspect

# What Go prints for a time that never came.
_NEVER = "0001-01-01T00:00:00Z"
_CPU_PERIOD = 100_000  # microseconds, the kernel's own default


def pod_to_dict(pod: PodInspect) -> dict[str, Any]:
    """Returns podman's ``pod inspect`` of a pod; states of pods are capitalised there."""
    return {
        "Id": pod.id,
        "Name": pod.name,
        "Created": rfc3339(pod.created),
        "State": pod.state.value.capitalize(),
        "Hostname": pod.hostname,
        "Labels": dict(pod.labels),
        "CreateCgroup": True,
        "CgroupPath": pod.cgroup_path,
        "CreateInfra": bool(pod.infra_container_id),
        "InfraContainerID": pod.infra_container_id,
        "SharedNamespaces": list(pod.share),
        "NumContainers": len(pod.containers),
        "Containers": [
            {"Id": member.id, "Name": member.name, "State": member.state.value}
            for member in pod.containers
        ],
        **_limits(pod.limits),
    }


def container_to_dict(container: ContainerInspect) -> dict[str, Any]:
    """Returns podman's ``container inspect`` of a container."""
    spec = container.spec
    return {
        "Id": container.id,
        "Name": container.name,
        "Created": rfc3339(container.created),
        "Pod": container.pod_id,
        "PodName": container.pod_name,
        "Kind": container.kind.value,
        "State": _state(container),
        "RestartCount": container.restarts,
        "Dependencies": list(container.dependencies),
        "OCIRuntime": container.oci_runtime,
        "BundlePath": container.bundle,
        "LogPath": container.log_path,
        "CgroupPath": container.cgroup_path,
        "Rootfs": spec.rootfs or "",
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "Config": _config(spec),
        "HostConfig": _host_config(spec),
    }


def rfc3339(seconds: float | None) -> str:
    """Returns a time as Go's RFC3339Nano in UTC; None is the zero time, as in podman."""
    if seconds is None:
        return _NEVER
    # A float carries microseconds; more digits of it would be made up.
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    fraction = f".{micros:06d}".rstrip("0").rstrip(".")
    return f"{_second(whole)}{fraction}Z"


@functools.lru_cache(maxsize=256)
def _second(whole: int) -> str:
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"


def _state(container: ContainerInspect) -> dict[str, Any]:
    state = container.state.value
    return {
        "Status": state,
        "Running": state in ("running", "stopping"),
        "Paused": state == "paused",
        "Restarting": False,
        "OOMKilled": container.oom_killed,
        "Dead": False,
        "Pid": container.pid or 0,
        # Never invented: null where nobody can know, and `Error` says why.
        "ExitCode": container.exit_code,
        "Error": container.reason,
        "StartedAt": rfc3339(container.started),
        "FinishedAt": rfc3339(container.finished),
    }


def _config(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "Hostname": spec.hostname or "",
        "User": spec.user or "",
        "Tty": spec.terminal,
        "OpenStdin": spec.stdin,
        "Env": [f"{key}={value}" for key, value in spec.env.items()],
        "Cmd": list(spec.command),
        "WorkingDir": spec.cwd,
        "Labels": dict(spec.labels),
        "Annotations": dict(spec.annotations),
        "StopSignal": str(spec.stop_signal),
        # JSON has no infinity; -1 is how podman's peers write "for ever".
        "StopTimeout": -1 if math.isinf(spec.stop_timeout) else spec.stop_timeout,
    }


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    return {
        **_limits(spec.limits),
        "ReadonlyRootfs": spec.read_only,
        "RootfsMode": str(spec.rootfs_mode),
        "Privileged": False,
        "Profile": str(spec.profile),
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "SecurityOpt": _security_options(spec),
        "GroupAdd": [str(group) for group in spec.group_add],
        "Devices": list(spec.devices),
        "Ulimits": [
            {"Name": name, "Soft": soft, "Hard": hard}
            for name, (soft, hard) in spec.ulimits.items()
        ],
        "Sysctls": dict(spec.sysctls),
        "Namespaces": dict(spec.namespaces),
        "Init": spec.init,
        "OomScoreAdj": spec.oom_score_adj or 0,
        "LogConfig": {
            "Type": "k8s-file",
            "Size": "" if spec.log_size_max is None else str(spec.log_size_max),
        },
    }


def _security_options(spec: ContainerSpec) -> list[str]:
    options = ["no-new-privileges"] if spec.no_new_privileges else []
    if spec.seccomp_profile is not None:
        options.append(f"seccomp={spec.seccomp_profile}")
    return options


def _limits(limits: Limits) -> dict[str, int | str]:
    """Returns podman's numbers for limits; 0 means none, in Docker's tradition."""
    return {
        "CpuShares": limits.cpu_shares or 0,
        "CpuPeriod": 0 if limits.cpus is None else _CPU_PERIOD,
        "CpuQuota": 0 if limits.cpus is None else round(limits.cpus * _CPU_PERIOD),
        "NanoCpus": 0 if limits.cpus is None else round(limits.cpus * 1e9),
        "CpusetCpus": limits.cpuset_cpus or "",
        "Memory": int(limits.memory or 0),
        "MemorySwap": int(limits.memory_swap or 0),
        "PidsLimit": limits.pids_limit or 0,
        "BlkioWeight": limits.blkio_weight or 0,
    }


def _mount(mount: Mount) -> Mapping[str, Any]:
    return {
        "Type": mount.type,
        "Name": (mount.source or "") if mount.type == "volume" else "",
        "Source": "" if mount.type == "tmpfs" else mount.source or "",
        "Destination": mount.target,
        "RW": not mount.read_only,
        "Propagation": mount.propagation if mount.type == "bind" else "",
    }
