"""The limits of a container as its cgroup can take them, given what its pod has."""

from dataclasses import replace

from podcore.backend import Host
from podcore.kernel.cpusets import within
from podcore.model import Limits
from podcore.records import ContainerRecord, PodRecord


def of_container(host: Host, record: ContainerRecord, pod: PodRecord) -> Limits:
    """Returns a container's limits; on cgroup v1 its CPUs are those that its pod has too.

    There the kernel refuses any others. In v2 it takes what is asked for, and finds what both have.
    """
    limits = record.spec.limits
    outer = pod.limits.cpuset_cpus
    if limits.cpuset_cpus is None or outer is None or not host.hierarchies.cpuset_is_strict:
        return limits
    return replace(limits, cpuset_cpus=within(limits.cpuset_cpus, outer))
