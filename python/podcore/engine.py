"""The engine: where pods are made and found."""

from __future__ import annotations

import os
import threading

from podcore import defaults
from podcore.errors import InvalidArgumentError, StoreError, UnsupportedError

TYPE_CHECKING = False  # that of `typing`, whose import takes longer than all of this module's
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, Self

    from podcore.backend import Host
    from podcore.container import Container
    from podcore.model import ContainerInspect, ContainerSummary, Finding, PodInspect
    from podcore.pod import Pod
    from podcore.records import PodRecord
    from podcore.volumes import Volumes

_CGROUP = r"[a-zA-Z0-9][a-zA-Z0-9_.:@-]*(?:/[a-zA-Z0-9][a-zA-Z0-9_.:@-]*)*"
_MOST_WORKERS = 256


class Engine:
    """The pods of one state directory, shared with every other engine and process on it.

    Making one touches nothing; what it needs is opened when it is first used. It is safe to share
    between threads. Closing it, or leaving its ``with``, stops nothing: containers run on, and any
    other engine on the same directories finds them. After a fork the child needs one of its own
    (``UseAfterForkError``).

    Args:
        root: the state directory, which survives a reboot; default: ``PODCORE_ROOT``, else
            ``/var/lib/podcore``. Made, with mode 0700, when it is missing.
        run_root: the run directory; default: ``PODCORE_RUNROOT``, else ``/run/podcore``. All
            engines on one state directory must use the same one, as the locks are there; another
            one is refused until the next boot, or until the first is gone.
        oci_runtime: name or path of the OCI runtime of new containers; default:
            ``PODCORE_RUNTIME``, else the first of crun and runc that can run on this host.
        max_workers: container transitions at once, 1 to 256; default: two for each CPU, at least 4.
        cgroup_parent: the cgroup that holds those of all pods, below the root of each hierarchy;
            default: ``PODCORE_CGROUP_PARENT``, else ``podcore``.
        conmon: path of the monitor program; default: found in PATH and the usual directories.

    Raises:
        InvalidArgumentError: an argument is not acceptable. That a runtime is unknown or a
            directory can't be used shows when it is first needed.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        run_root: str | os.PathLike[str] | None = None,
        oci_runtime: str | None = None,
        max_workers: int | None = None,
        cgroup_parent: str | None = None,
        conmon: str | os.PathLike[str] | None = None,
    ) -> None:
        from podcore.places import Places

        self._places = Places(
            root=_directory(root, "root", "PODCORE_ROOT", "/var/lib/podcore"),
            run_root=_real(_directory(run_root, "run_root", "PODCORE_RUNROOT", "/run/podcore")),
            cgroup_parent=_cgroup(cgroup_parent),
        )
        self._max_workers = _workers(max_workers)
        self._oci_runtime = _program(oci_runtime, "oci_runtime", "PODCORE_RUNTIME")
        self._conmon = _program(conmon, "conmon", None)
        self._opening = threading.Lock()
        self._host: Host | None = None
        self._closed = False

    @property
    def root(self) -> str:
        """The state directory, absolute."""
        return self._places.root

    @property
    def run_root(self) -> str:
        """The run directory, absolute and by its real path: all who use it know it by one name."""
        return self._places.run_root

    @property
    def cgroup_parent(self) -> str:
        """The cgroup of all pods, without a leading slash."""
        return self._places.cgroup_parent

    @property
    def host(self) -> Host:
        """What the verbs stand on; for podcore's own parts.

        Raises:
            UnsupportedError: the caller is not root.
            StoreError: the engine is closed.
        """
        host = self._host
        if host is not None:
            return host
        from podcore.backend import Host

        with self._opening:
            if self._closed:
                raise StoreError("this engine is closed\nhint: make a new `Engine`")
            if self._host is None:
                if os.geteuid() != 0:
                    raise UnsupportedError(
                        "podcore does not run without root yet\nhint: run it as root, or with sudo"
                    )
                self._host = Host(
                    self._places,
                    max_workers=self._max_workers,
                    oci_runtime=self._oci_runtime,
                    conmon=self._conmon,
                )
            return self._host

    @property
    def volumes(self) -> Volumes:
        """The named volumes."""
        from podcore.volumes import Volumes

        return Volumes(self)

    # `Any`: the fields of `Limits`, of several types, checked there.
    def create_pod(
        self,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        share: Iterable[str] = defaults.SHARE,
        hostname: str | None = None,
        infra: bool = True,  # noqa: FBT001, FBT002 -- podman's word, given by name
        **limits: Any,
    ) -> Pod:
        """Makes a pod without containers.

        Args:
            name: unique in the engine, 1 to 128 of ``a-zA-Z0-9_.-``; generated when None.
            labels: for users and filters.
            share: namespaces that its containers share: of ``ipc``, ``net``, ``uts``, ``pid`` and
                ``cgroup``; ``()`` for none.
            hostname: of all containers that share ``uts``; default: the name.
            infra: a process holds the shared namespaces; False pins them by bind mounts, which is
                cheaper, but can't hold ``pid`` and ``cgroup``.
            limits: the fields of ``Limits``, for all its containers together: ``memory=`` and
                others. Or ``limits=``, a ``Limits``.

        Raises:
            InvalidArgumentError: something is not acceptable; nothing was touched.
            PodExistsError: the name is taken.
            UnsupportedError: this host can't do that.
        """
        from podcore.model import PodSpec
        from podcore.operations.create import create_pod
        from podcore.operations.keywords import limits_of
        from podcore.pod import Pod

        spec = PodSpec(
            name=name,
            labels={} if labels is None else labels,
            share=_several(share, "share"),
            hostname=hostname,
            infra=infra,
            limits=limits_of(limits, "create_pod"),
        )
        return Pod(self, create_pod(self.host, spec))

    def pods(self) -> list[Pod]:
        """Returns all pods in order of creation; takes no lock."""
        from podcore.pod import Pod

        with self.host.store.read() as view:
            return [Pod(self, record) for record in view.pods()]

    def pod(self, reference: str) -> Pod:
        """Returns a pod; takes no lock.

        Args:
            reference: its name, its id, or the beginning of its id that no other has.

        Raises:
            InvalidNameError: it is malformed.
            NoSuchPodError: nothing answers to it.
            AmbiguousReferenceError: more than one pod does.
        """
        from podcore.operations.find import pod
        from podcore.pod import Pod

        return Pod(self, pod(self.host, reference))

    def containers(self) -> list[Container]:
        """Returns the containers of all pods, infra containers apart; takes no lock.

        Returns:
            Of one snapshot, pod by pod, both in order of creation.
        """
        from podcore.container import Container
        from podcore.operations.snapshot import snapshots

        return [
            Container(self, taken.pod, record)
            for taken in snapshots(self.host)
            for record in taken.members
        ]

    def container(self, reference: str) -> Container:
        """Returns a container of any pod; takes no lock.

        An infra container answers to its id alone.

        Args:
            reference: its id, the beginning of its id that no other has, ``POD/NAME``, or a name
                that is unique in the engine.

        Raises:
            InvalidNameError: it is malformed.
            NoSuchPodError, NoSuchContainerError: nothing answers to it.
            AmbiguousReferenceError: more than one does.
        """
        from podcore.container import Container
        from podcore.operations.find import container

        return Container(self, *container(self.host, reference))

    def inspect_pods(self) -> list[PodInspect]:
        """Returns what ``Pod.inspect`` does for all pods, of one snapshot; takes no lock."""
        from podcore.operations.status import inspect_pods

        return inspect_pods(self.host)

    def inspect_containers(
        self,
        pod: str | None = None,
        infra: bool = False,  # noqa: FBT001, FBT002 -- podman's word, given by name
    ) -> list[ContainerInspect]:
        """Returns what ``Container.inspect`` does for many at once, and quicker; takes no lock.

        Args:
            pod: name, id or prefix of the pod whose containers to look at; default: all.
            infra: infra containers too, each after those of its pod.

        Returns:
            Of one snapshot, pod by pod, both in order of creation.

        Raises:
            PodcoreError: as ``pod``.
        """
        from podcore.operations.status import inspect_containers

        return inspect_containers(self.host, self._chosen(pod), infra=infra)

    def list_containers(
        self,
        pod: str | None = None,
        infra: bool = False,  # noqa: FBT001, FBT002 -- podman's word, given by name
        *,
        alive: bool = False,
    ) -> list[ContainerSummary]:
        """Returns what is most asked of containers, in a fourth of ``inspect_containers``' time.

        Args:
            pod: name, id or prefix of the pod whose containers to list; default: all.
            infra: infra containers too, each after those of its pod.
            alive: only those that run, are paused or being stopped: quick, however many are not.

        Returns:
            Of one snapshot, pod by pod, both in order of creation; takes no lock.

        Raises:
            PodcoreError: as ``pod``.
        """
        from podcore.operations.listing import list_containers

        return list_containers(self.host, self._chosen(pod), infra=infra, alive=alive)

    def container_ids(
        self,
        pod: str | None = None,
        infra: bool = False,  # noqa: FBT001, FBT002 -- podman's word, given by name
    ) -> list[str]:
        """Returns the ids of containers, the oldest first, and reads nothing else of them.

        Args:
            pod: name, id or prefix of the pod whose containers to list; default: all.
            infra: infra containers too.

        Returns:
            Of one snapshot; takes no lock.

        Raises:
            PodcoreError: as ``pod``.
        """
        from podcore.operations.listing import container_ids

        return container_ids(self.host, self._chosen(pod), infra=infra)

    def _chosen(self, pod: str | None) -> PodRecord | None:
        if pod is None:
            return None
        from podcore.operations.find import pod as find

        return find(self.host, pod)

    def check(self, repair: bool = False) -> list[Finding]:  # noqa: FBT001, FBT002 -- given by name
        """Looks for damage in the state and for what dead workers left behind.

        Args:
            repair: put right what can be: finish what dead workers began, remove what belongs to
                nothing, rebuild a damaged or lost database from what is on the host. The damaged
                one is kept beside it as ``state.db.corrupt-<time>``.

        Returns:
            What was found, in a fixed order; with ``repair``, each says whether it is right now.

        Raises:
            StoreError: the database is in another program's hands, too new, or read-only.
        """
        from podcore.operations.system import check

        return check(self.host, repair=repair)

    def close(self) -> None:
        """Closes what it has open. Stops nothing. Idempotent."""
        with self._opening:
            self._closed = True
            host, self._host = self._host, None
        if host is not None:
            host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Engine(root={self.root!r}, run_root={self.run_root!r})"


def _directory(given: object, what: str, variable: str, otherwise: str) -> str:
    path = os.environ.get(variable) or otherwise if given is None else _text(given, what)
    return os.path.abspath(path)


def _real(path: str) -> str:
    """Returns a path without symbolic links, but for what it names: such a directory is refused."""
    parent, name = os.path.split(path)
    return os.path.join(os.path.realpath(parent), name)


def _program(given: object, what: str, variable: str | None) -> str | None:
    if given is None:
        return (os.environ.get(variable) or None) if variable else None
    return _text(given, what)


def _text(given: object, what: str) -> str:
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidArgumentError(f"{what}: `{given!r}` is no path")
    return text


def _cgroup(given: object) -> str:
    import re

    path = os.environ.get("PODCORE_CGROUP_PARENT") or "podcore" if given is None else given
    if not isinstance(path, str) or re.fullmatch(_CGROUP, path.strip("/")) is None:
        raise InvalidArgumentError(
            f"cgroup_parent: `{path!r}` is no cgroup\n"
            "hint: a path below the root of the hierarchies, such as `podcore` or `ci/podcore`"
        )
    return path.strip("/")


def _workers(given: object) -> int:
    if given is None:
        return max(4, 2 * (os.cpu_count() or 1))
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _MOST_WORKERS:
        raise InvalidArgumentError(f"max_workers: `{given!r}` is not from 1 to {_MOST_WORKERS}")
    return given


def _several(given: Iterable[str], what: str) -> tuple[str, ...]:
    if isinstance(given, str):
        raise InvalidArgumentError(f"{what}: `{given!r}` must be a list of strings")
    return tuple(given)
