"""Makes pods and containers: rows, in one transaction, after everything has been checked."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from podcore._core import DependencyGraph
from podcore.backend import Host
from podcore.errors import (
    ContainerExistsError,
    InvalidArgumentError,
    NoSuchContainerError,
    PodExistsError,
)
from podcore.kernel.failpoints import failpoint
from podcore.kernel.files import remove_tree
from podcore.lifecycle import brought, home, infra, ledger
from podcore.lifecycle.config import write_etc_files
from podcore.lifecycle.namespaces import hostname_of, on_network
from podcore.model import ContainerKind, ContainerSpec, PodSpec
from podcore.names import generate_name, is_id, new_id, short
from podcore.operations import copy_up
from podcore.operations.snapshot import check_whole, pod_lock, removed
from podcore.operations.volumes import make_directories
from podcore.places import Places
from podcore.records import ContainerRecord, Dependency, PodRecord, VolumeRecord
from podcore.references import resolve
from podcore.specs import check_container, check_pod
from podcore.specs.namespaces import CONTAINER
from podcore.store import Change, View


def create_pod(host: Host, spec: PodSpec) -> PodRecord:
    """Makes a pod, and the infra container of one that shares namespaces.

    Raises:
        InvalidArgumentError, InvalidNameError: nothing was touched.
        PodExistsError: the name is taken.
        OCIRuntimeNotFoundError, UnsupportedError: an infra container can't be made here.
    """
    checked = check_pod(spec)
    host.store.check_writable()
    pod_id = new_id()
    if checked.name is not None:
        with host.store.read() as view:
            _check_free(view, checked.name)  # before the infra container's root is made
    machinery = infra.prepare(host, checked) if checked.share and checked.infra else None
    with (
        host.session(f"create pod {checked.name or short(pod_id)}") as session,
        host.store.write(session, adds=True, durable=True) as change,
    ):
        name = checked.name
        if name is None:
            name = generate_name({known for _, known in change.pod_references()})
        else:
            _check_free(change, name)
        pod = change.add_pod(
            PodRecord(
                id=pod_id,
                name=name,
                number=0,
                created=time.time(),
                labels=checked.labels,
                share=tuple(checked.share),
                hostname=checked.hostname or name[:63],
                infra=checked.infra,
                limits=checked.limits,
                cgroup_path=host.places.pod_cgroup(pod_id),
                infra_id=None,
            )
        )
        row = None
        if machinery is not None:
            row = change.add_container(infra.row(host, pod, machinery))
            pod = _with_infra(change, pod, row)
        change.event("pod", pod.id, "create", pod.name)
        ledger.write_pod(host.places, pod, ledger.name_store(change), row)
        failpoint("create-pod.before-commit")
    failpoint("create-pod.after-commit")
    return pod


def _check_free(view: View, name: str) -> None:
    if view.pod_by_name(name) is not None:
        message = f"a pod `{name}` exists\nhint: choose another name, or remove that one"
        raise PodExistsError(message)
    if is_id(name) and view.pod(name) is not None:
        # Names win over ids: that one could no longer be reached by its own.
        raise PodExistsError(f"a pod has the id `{name}`\nhint: choose another name")


def _with_infra(change: Change, pod: PodRecord, row: ContainerRecord) -> PodRecord:
    changed = replace(pod, infra_id=row.id)
    change.save_pod(changed)
    return changed


def create_containers(
    host: Host, pod: PodRecord, specs: Sequence[ContainerSpec]
) -> list[ContainerRecord]:
    """Makes containers in a pod, all of them or none; they may depend on each other in any order.

    Holds the pod lock exclusively.

    Raises:
        InvalidArgumentError, InvalidNameError, OCIRuntimeNotFoundError: nothing was touched.
        ContainerExistsError: a name is taken, in the pod or twice in ``specs``, or is the id of
            a container.
        GraphError: with all defects; nothing was touched.
        PodRemovedError: the pod is gone.
    """
    checked = [check_container(spec) for spec in specs]
    host.store.check_writable()
    runtimes = [
        host.default_runtime()
        if spec.oci_runtime is None
        else host.resolve_runtime(spec.oci_runtime)
        for spec in checked
    ]
    with pod_lock(host, pod, "create container in", exclusive=True) as session:
        with host.store.read() as view:
            found = view.pod(pod.id)
            known = view.container_references(pod.id) if found is not None else []
            for spec in checked:
                _check_no_id(view, spec.name)
        if found is None:
            raise removed(pod)
        check_whole(found)
        members = [pair for pair in known if pair[0] != found.infra_id]
        named = _named(found, members, checked)
        everything = [*members, *((key, spec.name or "") for key, spec in named)]
        edges = _edges(found, named, everything)
        _check_graph(host, found, named, everything, edges)
        rows = [
            _row(found, key, _joining(found, spec, everything), runtime, edges[key])
            for (key, spec), runtime in zip(named, runtimes, strict=True)
        ]
        with (
            copy_up.prepared(host, rows) as contents,
            _homes(host.places, found, rows),
            host.store.write(session, adds=True, durable=True) as change,
        ):
            _add_volumes(change, host, rows)
            for name, directory in contents.items():
                copy_up.put(host.places, name, directory)
            rows = [change.add_container(row) for row in rows]
            for row in rows:
                change.event("container", row.id, "create", row.name)
            ledger.write_containers(host.places, rows, ledger.name_store(change))
            failpoint("create-containers.before-commit")
        failpoint("create-containers.after-commit")
    return rows


def _check_no_id(view: View, name: str | None) -> None:
    """Checks that no container has the name as its id: it could no longer be reached by that.

    Raises:
        ContainerExistsError: one has.
    """
    if name is not None and is_id(name) and view.container(name) is not None:
        raise ContainerExistsError(f"a container has the id `{name}`\nhint: choose another name")


def _named(
    pod: PodRecord, members: Sequence[tuple[str, str]], specs: Sequence[ContainerSpec]
) -> list[tuple[str, ContainerSpec]]:
    """Returns each spec with a new id and with the name it will have.

    Raises:
        ContainerExistsError: a name is taken.
    """
    taken = {name for _, name in members} | {spec.name for spec in specs if spec.name}
    seen = {name for _, name in members}
    named = []
    for spec in specs:
        name = spec.name
        if name is None:
            name = generate_name(taken)
            taken.add(name)
        if name in seen:
            message = (
                f"pod `{pod.name}` has a container `{name}`\nhint: names are unique in their pod"
            )
            raise ContainerExistsError(message)
        seen.add(name)
        named.append((new_id(), spec if spec.name == name else replace(spec, name=name)))
    return named


def _edges(
    pod: PodRecord,
    named: Sequence[tuple[str, ContainerSpec]],
    everything: Sequence[tuple[str, str]],
) -> dict[str, list[str]]:
    """Returns the ids that each new container depends on; what is unknown stays as it was given."""
    edges: dict[str, list[str]] = {}
    # A name wins over all else that a reference may be; `resolve` looks at every container.
    by_name = {name: key for key, name in everything}
    for key, spec in named:
        wanted = list(spec.depends_on)
        wanted += [
            origin.removeprefix(CONTAINER)
            for origin in spec.namespaces.values()
            if origin.startswith(CONTAINER)
        ]
        found: dict[str, None] = {}
        for reference in wanted:
            if reference in by_name:
                found[by_name[reference]] = None
                continue
            try:
                found[resolve(reference, everything, "container", f"pod `{pod.name}`")] = None
            except NoSuchContainerError:
                found[reference] = None
        edges[key] = list(found)
    return edges


def _joining(
    pod: PodRecord, spec: ContainerSpec, everything: Sequence[tuple[str, str]]
) -> ContainerSpec:
    """Returns a spec that says by id whose namespaces it joins; call when the graph is checked.

    Raises:
        InvalidArgumentError: it names a host, but does not get a UTS namespace of its own.
    """
    where = f"pod `{pod.name}`"
    joined = {
        kind: CONTAINER + resolve(mode.removeprefix(CONTAINER), everything, "container", where)
        if mode.startswith(CONTAINER)
        else mode
        for kind, mode in spec.namespaces.items()
    }
    shares_name = joined.get("uts", "pod") != "private" and (
        "uts" in pod.share or joined.get("uts", "pod") != "pod"
    )
    if spec.hostname is not None and shares_name and spec.bundle is None:
        message = (
            f"container `{spec.name}`, `hostname`: it shares the host name of others\n"
            'hint: give the pod a `hostname`, or the container `namespaces={"uts": "private"}`'
        )
        raise InvalidArgumentError(message)
    return replace(spec, namespaces=joined) if joined != spec.namespaces else spec


def _check_graph(
    host: Host,
    pod: PodRecord,
    named: Sequence[tuple[str, ContainerSpec]],
    everything: Sequence[tuple[str, str]],
    edges: dict[str, list[str]],
) -> None:
    """Checks the pod's graph as it will be, under the names that its user knows.

    Raises:
        GraphError: with all defects.
    """
    if not any(edges.values()):
        return
    names = dict(everything)
    with host.store.read() as view:
        rows = view.containers(pod.id)
    mapping = {
        row.name: [names.get(edge.id, edge.id) for edge in row.dependencies]
        for row in rows
        if row.id != pod.infra_id
    }
    for key, spec in named:
        mapping[spec.name or key] = [names.get(other, other) for other in edges[key]]
    DependencyGraph(mapping)


def _row(
    pod: PodRecord, key: str, spec: ContainerSpec, runtime: str, edges: Sequence[str]
) -> ContainerRecord:
    return ContainerRecord(
        id=key,
        name=spec.name or short(key),
        pod_id=pod.id,
        number=0,
        created=time.time(),
        kind=ContainerKind.REGULAR,
        spec=spec,
        spec_hash="",  # the store makes it from what it writes, as it gives the number
        dependencies=tuple(Dependency(edge) for edge in edges),
        oci_runtime=runtime,
        cgroup_path=pod.container_cgroup(key),
    )


@contextmanager
def _homes(places: Places, pod: PodRecord, rows: Sequence[ContainerRecord]) -> Iterator[None]:
    """Makes the directories of new containers, and removes them where the rows are not committed.

    A crash in between leaves directories without rows, which `system check` finds.
    """
    try:
        for row in rows:
            home.make(places, row)
            if row.spec.bundle is not None:
                brought.keep(places, row)
            elif row.spec.rootfs is not None and not on_network([row], pod):
                # Ahead of the first start, which only looks whether they are right. On the pod's
                # network they name all its containers, and there may be more by then.
                hostname = hostname_of(row, pod, lambda _: None)
                write_etc_files(places, row, hostname, row.spec.rootfs, new=True)
        failpoint("create-containers.after-homes")
        yield
    except BaseException:
        for row in rows:
            remove_tree(places.container(row.id))
        raise


def _add_volumes(change: Change, host: Host, rows: Sequence[ContainerRecord]) -> None:
    """Makes the named volumes that do not exist yet, as podman does."""
    for row in rows:
        for mount in row.spec.mounts:
            if mount.type != "volume" or mount.source is None:
                continue
            if change.volume(mount.source) is None:
                volume = change.add_volume(VolumeRecord(mount.source, 0, time.time(), {}))
                make_directories(host.places, mount.source)
                ledger.write_volume(host.places, volume, ledger.name_store(change))
