"""Records as the engine would make them, and databases, for the tests and benches of the store."""

import time

import apsw

from podcore.model import ContainerKind, ContainerSpec, Limits, Mount
from podcore.names import new_id
from podcore.records import ContainerRecord, Dependency, PodRecord


def new_pod(name="web", **fields):
    values = {
        "id": new_id(),
        "name": name,
        "number": 0,
        "created": time.time(),
        "labels": {"tier": "front", "ключ": "значение"},
        "share": ("ipc", "uts"),
        "hostname": name,
        "infra": True,
        "limits": Limits(memory=64 << 20, cpus=1.5),
        "cgroup_path": f"podcore/{name}",
    }
    return PodRecord(**(values | fields))


def new_container(pod, name, depends_on=(), **fields):
    spec = ContainerSpec(
        name=name,
        rootfs="/srv/rootfs",
        command=("/bin/sleep", "1000"),
        env={"A": "b", "PATH": "/bin"},
        stop_signal="SIGTERM",
        mounts=(Mount(type="tmpfs", target="/tmp", size=1 << 20),),
        limits=Limits(pids_limit=10),
    )
    values = {
        "id": new_id(),
        "name": name,
        "pod_id": pod.id,
        "number": 0,
        "created": time.time(),
        "kind": ContainerKind.REGULAR,
        "spec": spec,
        "spec_hash": "",
        "dependencies": tuple(Dependency(one.id) for one in depends_on),
        "oci_runtime": "/usr/bin/crun",
        "cgroup_path": f"podcore/{pod.name}/{name}",
    }
    return ContainerRecord(**(values | fields))


def empty_the_journal(path):
    """Moves all that is in the journal of a closed database to where it belongs."""
    database = apsw.Connection(path)
    assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall() == [(0, 0, 0)]
    database.close()
