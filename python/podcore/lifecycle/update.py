"""Changes the limits of a container or a pod, and reads what they use."""

from dataclasses import fields, replace

from podcore._core import LockSession
from podcore.backend import Host
from podcore.bundle.hardening import PIDS_LIMIT
from podcore.lifecycle import ledger
from podcore.lifecycle.effective import of_container
from podcore.lifecycle.held import hold
from podcore.model import ContainerStatus, Limits, Usage
from podcore.records import ContainerRecord, PodRecord
from podcore.specs import check_limits

_UP = frozenset({ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.PAUSED})


def merged(old: Limits, new: Limits) -> Limits:
    """Returns the old limits with those of the new ones that are set."""
    given = {
        field.name: value
        for field in fields(new)
        if (value := getattr(new, field.name)) is not None
    }
    return replace(old, **given)


def update_container(
    host: Host, session: LockSession, which: ContainerRecord, limits: Limits
) -> Limits:
    """Changes a container's limits, at once where it is up; call with the pod lock held.

    Holds the container's lock. What is None stays as it is. The new limits are committed after the
    kernel has taken them.

    Returns:
        The limits that hold now.

    Raises:
        InvalidArgumentError: a value is not acceptable.
        UnsupportedError: this host has no such controller.
        ContainerStateError: the container uses more than that already.
    """
    checked = check_limits(limits, f"container `{which.name}`")
    with hold(host, session, which) as held:
        record = held.record
        total = check_limits(merged(record.spec.limits, checked), f"container `{which.name}`")
        changed = record.but(spec=replace(record.spec, limits=total))
        if record.state in _UP:
            with host.store.read() as view:
                pod = view.pod(record.pod_id)
            assert pod is not None, "a container goes before its pod"
            limits = of_container(host, changed, pod)
            host.cgroup(record.cgroup_path).apply(_with_default(changed, limits))
        held.commit(changed, "update", durable=True)
        with host.store.read() as view:
            ledger.write_containers(host.places, [changed], ledger.store_id(view))
        return total


def _with_default(record: ContainerRecord, limits: Limits) -> Limits:
    """Returns the limits with those that config.json has although nobody asked for them."""
    if record.spec.bundle is not None or limits.pids_limit is not None:
        return limits
    return replace(limits, pids_limit=PIDS_LIMIT)


def update_pod(host: Host, session: LockSession, pod: PodRecord, limits: Limits) -> PodRecord:
    """Changes the limits of a pod as a whole; call with the pod lock held exclusively.

    Where a container's CPUs must be its pod's too (cgroup v1), those of all that run are changed
    with them: each has of what it asks for what the pod has, or all of that where there is none.

    Raises:
        As ``update_container``.
    """
    checked = check_limits(limits, f"pod `{pod.name}`")
    changed = replace(pod, limits=check_limits(merged(pod.limits, checked), f"pod `{pod.name}`"))
    cgroup = host.cgroup(pod.cgroup_path)
    cgroup.create()
    with host.store.read() as view:
        rows = view.containers(pod.id)
    cgroup.apply(changed.limits, {row.cgroup_path: row.spec.limits.cpuset_cpus for row in rows})
    with host.store.write(session, durable=True) as change:
        change.save_pod(changed)
        change.event("pod", pod.id, "update", pod.name)
        infra = None if pod.infra_id is None else change.container(pod.infra_id)
        ledger.write_pod(host.places, changed, ledger.store_id(change), infra)
    return changed


def apply_pod_limits(host: Host, pod: PodRecord) -> None:
    """Makes the pod's cgroup with its limits before a container goes into it.

    A pod without limits needs none of that: the OCI runtime makes the directory on its way.
    """
    if pod.limits == Limits():
        return
    cgroup = host.cgroup(pod.cgroup_path)
    if not cgroup.exists():
        cgroup.create()
        cgroup.apply(pod.limits)


def usage(host: Host, cgroup_path: str) -> Usage:
    """Returns what the processes below a cgroup use now."""
    return host.cgroup(cgroup_path).usage()
