"""An engine whose OCI runtime, monitor, processes and cgroups are simulated inside this process.

Everything else is real: the database, the locks, the directories, the bundles, the order of
things. So a pod of ten thousand containers can be started in a test, and a test can say how its
containers behave. Simulated processes have pids beyond the largest that Linux has.
"""

# ruff: noqa: ARG002 -- methods have the signatures of those that they stand in for

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from podcore.backend import Host
from podcore.engine import Engine
from podcore.errors import OCIRuntimeError, UnsupportedError
from podcore.kernel.cgroup import Cgroup, Hierarchies
from podcore.monitor.conmon import Conmon, Launch, Launched
from podcore.oci.interface import RuntimeState
from podcore.oci.runc import Runc
from podcore.places import Places
from podcore.records import ProcessIdentity
from podcore.testing.simulation import Behaviour, FakeContainers

if TYPE_CHECKING:
    from podcore.deadlines import Deadline
    from podcore.model import Limits, Usage
    from podcore.oci.interface import OCIRuntime

__all__ = ["Behaviour", "FakeContainers", "fake_engine"]

RUNTIME = "/podcore-testing/runc"
"""The path that simulated containers are pinned to; there is no such file."""


_AT_ONCE = 64

# As in v1: each container is killed and frozen on its own.
_HIERARCHIES = Hierarchies("v1", {}, (), None)


@contextmanager
def fake_engine(
    directory: str | os.PathLike[str],
    containers: FakeContainers | None = None,
    max_workers: int | None = None,
) -> Iterator[Engine]:
    """Gives an engine whose containers are simulated; it is closed in the end.

    Several engines with the same ``containers`` and the same directory are one, as real ones are.
    Pods that share namespaces can't be simulated: their infra container needs a real process.

    Args:
        directory: for its state; an existing one.
        containers: the world they live in; default: one of their own.
        max_workers: as for ``Engine``.
    """
    base = os.path.abspath(os.fspath(directory))
    world = FakeContainers() if containers is None else containers
    with world.installed(base), _FakeEngine(base, world, max_workers) as engine:
        yield engine


class _FakeEngine(Engine):
    def __init__(self, base: str, world: FakeContainers, max_workers: int | None) -> None:
        super().__init__(
            root=f"{base}/state",
            run_root=f"{base}/run",
            max_workers=max_workers,
            cgroup_parent="podcore-testing",
        )
        self._fake = _FakeHost(self._places, world, self._max_workers, base)

    @property
    def host(self) -> Host:
        return self._fake

    def close(self) -> None:
        super().close()
        self._fake.close()


class _FakeHost(Host):
    def __init__(self, places: Places, world: FakeContainers, max_workers: int, base: str) -> None:
        super().__init__(places, max_workers=max_workers)
        self._world = world
        self._workers = max_workers
        self._adapter = _FakeRuntime(world, base)
        for name in ("created", "started"):
            os.makedirs(f"{base}/{name}", exist_ok=True)
        with open(f"{base}/created/exec.fifo", "wb"):
            pass

    @property
    def max_workers(self) -> int:
        # Where nothing takes time, more than one would only be in each other's way.
        return self._workers if self._world.slow else 1

    @max_workers.setter
    def max_workers(self, number: int) -> None:
        self._workers = number

    def at_once(self, pace: str) -> int:
        return super().at_once(pace) if self._world.slow else _AT_ONCE

    @property
    def conmon(self) -> Conmon:
        return _FakeConmon(self._world)

    @property
    def hierarchies(self) -> Hierarchies:
        return _HIERARCHIES

    def default_runtime(self) -> str:
        return RUNTIME

    def resolve_runtime(self, requested: str | None) -> str:
        return RUNTIME

    def runtime(self, path: str) -> "OCIRuntime":
        return self._adapter

    def cgroup(self, path: str) -> Cgroup:
        return _FakeCgroup(self._world, path)

    def find_processes(
        self, match: Callable[[list[bytes]], bool], among: Iterable[int] | None = None
    ) -> list[ProcessIdentity]:
        return []

    def place_monitor(self, pid: int) -> None:
        pass


class _FakeConmon(Conmon):
    def __init__(self, world: FakeContainers) -> None:
        super().__init__("/podcore-testing/conmon")
        object.__setattr__(self, "world", world)

    world: FakeContainers

    def launch(self, launch: Launch, deadline: "Deadline") -> Launched:
        return Launched(*self.world.create(launch.container_id, launch.name, launch.persist_dir))


class _FakeRuntime(Runc):
    """Knows of two directories, in place of one for each container: that is all that is looked at."""

    def __init__(self, world: FakeContainers, base: str) -> None:
        super().__init__(RUNTIME, f"{base}/run/runtime-fake")
        self._world = world
        self._base = base

    def start(self, container_id: str, *, log: str, timeout: float = 30.0) -> None:
        if not self._world.start(container_id):
            raise OCIRuntimeError(
                f"could not start container `{container_id[:12]}`: as it was told to", (), 1, ""
            )

    def state(self, container_id: str, *, log: str, timeout: float = 10.0) -> RuntimeState | None:
        return self._world.state(container_id)

    def state_directory(self, container_id: str) -> str:
        return f"{self._base}/{self._world.stage(container_id)}"

    def purge(self, container_id: str) -> None:
        self._world.forget(container_id)


class _FakeCgroup(Cgroup):
    def __init__(self, world: FakeContainers, path: str) -> None:
        super().__init__(_HIERARCHIES, path)
        object.__setattr__(self, "world", world)

    world: FakeContainers

    def exists(self) -> bool:
        return self.populated()

    def procs(self) -> list[int]:
        return self.world.processes_below(self.path)

    def populated(self) -> bool:
        return bool(self.procs())

    def remove_empty(self) -> bool:
        return not self.populated()

    def kill(self, timeout: float) -> list[int]:
        self.world.kill_below(self.path)
        return []

    def frozen(self) -> bool:
        return self.world.frozen(self.path)

    def freeze(self, timeout: float) -> None:
        self.world.freeze(self.path, frozen=True)

    def thaw(self) -> None:
        self.world.freeze(self.path, frozen=False)

    def apply(self, limits: "Limits", below: Mapping[str, str | None] | None = None) -> None:
        pass

    def usage(self) -> "Usage":
        raise UnsupportedError("simulated containers use nothing")
