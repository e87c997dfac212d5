"""The verbs that are swept: what comes before each, the verb, and what must be true in the end."""

from collections.abc import Callable
from dataclasses import dataclass

from chaos.ground import LIFE
from podcore import ContainerSpec, ContainerStatus, Engine, errors

_ROOTFS: list[str] = []


def use_rootfs(path: str) -> None:
    """Says which root file system containers get."""
    _ROOTFS[:] = [path]


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb.

    Attributes:
        prepare: makes what it works on.
        act: the verb; doing it twice must end like doing it once.
        reached: whether its goal is reached.
        done: the errors by which a second call says that the first one did it.
        worker: the system calls are those of the worker thread, not of the calling one.
    """

    prepare: Callable[[Engine], object]
    act: Callable[[Engine], object]
    reached: Callable[[Engine], bool]
    done: tuple[type[Exception], ...] = ()
    worker: bool = False


def _specs() -> list[ContainerSpec]:
    return [
        ContainerSpec(name="a", rootfs=_rootfs(), rootfs_mode="ro", command=LIFE),
        ContainerSpec(name="b", rootfs=_rootfs(), rootfs_mode="ro", command=LIFE, depends_on=["a"]),
    ]


def _rootfs() -> str:
    return _ROOTFS[0]


def _pod(engine: Engine) -> None:
    engine.create_pod("p")


def _containers(engine: Engine) -> None:
    engine.create_pod("p").create_containers(_specs())


def _running(engine: Engine) -> None:
    _containers(engine)
    engine.pod("p").start()


def _one_running(engine: Engine) -> None:
    _containers(engine)
    engine.container("p/a").start()


def _remove_containers(engine: Engine) -> None:
    for container in reversed(engine.pod("p").containers()):
        container.remove(force=True)


def _states(engine: Engine) -> set[ContainerStatus]:
    return set(engine.pod("p").status().values())


def _is(name: str, state: ContainerStatus) -> Callable[[Engine], bool]:
    return lambda engine: engine.container(f"p/{name}").status is state


def _all(state: ContainerStatus) -> Callable[[Engine], bool]:
    return lambda engine: _states(engine) == {state}


def _nothing(engine: Engine) -> None:
    """Nothing comes before the first opening."""


VERBS = {
    "init": Verb(
        _nothing,
        _pod,
        lambda engine: [pod.name for pod in engine.pods()] == ["p"],
        (errors.PodExistsError,),
    ),
    "create": Verb(
        _pod,
        lambda engine: engine.pod("p").create_containers(_specs()),
        lambda engine: [one.name for one in engine.pod("p").containers()] == ["a", "b"],
        (errors.ContainerExistsError,),
    ),
    "start": Verb(
        _containers,
        lambda engine: engine.container("p/a").start(),
        _is("a", ContainerStatus.RUNNING),
    ),
    "start-pod": Verb(
        _containers,
        lambda engine: engine.pod("p").start(),
        _all(ContainerStatus.RUNNING),
        worker=True,
    ),
    "start-pod-caller": Verb(
        _containers,
        lambda engine: engine.pod("p").start(),
        _all(ContainerStatus.RUNNING),
    ),
    "stop": Verb(
        _one_running,
        lambda engine: engine.container("p/a").stop(timeout=10),
        _is("a", ContainerStatus.EXITED),
    ),
    "stop-pod": Verb(
        _running,
        lambda engine: engine.pod("p").stop(timeout=10, cleanup=True),
        _all(ContainerStatus.EXITED),
        worker=True,
    ),
    "restart": Verb(
        _one_running,
        lambda engine: engine.container("p/a").restart(timeout=10),
        _is("a", ContainerStatus.RUNNING),
    ),
    "restart-pod": Verb(
        _running,
        lambda engine: engine.pod("p").restart(timeout=10),
        _all(ContainerStatus.RUNNING),
        worker=True,
    ),
    "remove": Verb(
        _one_running,
        _remove_containers,
        lambda engine: engine.pod("p").containers() == [],
        (errors.NoSuchContainerError, errors.ContainerRemovedError),
    ),
    "remove-pod": Verb(
        _one_running,
        lambda engine: engine.pod("p").remove(force=True),
        lambda engine: engine.pods() == [],
        (errors.NoSuchPodError, errors.PodRemovedError),
    ),
}
