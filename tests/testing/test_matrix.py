"""Every failpoint, with the process killed there: the next command puts things right."""

import contextlib
import os
import signal
from dataclasses import replace

import pytest

import podcore
from harness.polling import eventually
from podcore.kernel.cgroup import Hierarchies
from podcore.kernel.failpoints import NAMES
from podcore.lifecycle.create import create, discard_created
from podcore.lifecycle.start import start as lifecycle_start
from podcore.model import ContainerStatus
from podcore.store.change import Change
from podcore.testing import check_invariants, failpoints

UP = {ContainerStatus.RUNNING, ContainerStatus.PAUSED}

WHOLE = ("kill-pod", "pause-pod", "spread")
"""What is done to all of a pod by one write, on cgroup v2 alone."""


@pytest.fixture
def see(site):
    """Makes engines take this host's cgroups for those that a verb is about.

    Only until the site is cleaned up: runtimes put containers into v1 and v2 alike.
    """
    patch = pytest.MonkeyPatch()

    def look(room):
        found = Hierarchies.detect()
        if room not in WHOLE:
            version = "hybrid" if found.version == "v2" else found.version
            seen = replace(found, version=version)
        elif found.unified is None:
            pytest.skip("no cgroup v2 is mounted")
        else:
            tops = (found.unified,)
            controllers = found.controllers if found.version == "v2" else {}
            seen = Hierarchies("v2", controllers, tops, found.unified)
        patch.setattr(Hierarchies, "detect", classmethod(lambda cls: seen))

    yield look
    patch.undo()


def prepared(engine, site, *, started):
    """Returns a pod of two containers that depend on each other, with a shared namespace."""
    pod = engine.create_pod("web", share=("ipc",))
    sleep = ["/bin/sleep", "1000"]
    pod.create_container("db", rootfs=site.rootfs, command=sleep, stop_timeout=0.1)
    pod.create_container(
        "api", rootfs=site.rootfs, command=sleep, stop_timeout=0.1, depends_on=["db"]
    )
    if started:
        pod.start()
    return pod


def create_pod(engine, site):
    engine.create_pod("late", share=("ipc",))


def create_container(engine, site):
    engine.pod("web").create_container("late", rootfs=site.rootfs, command=["/bin/true"])


def start(engine, site):
    engine.pod("web").start()


def discard(engine, site):
    """Creates a container ahead, then takes it back."""
    host = engine.host
    with host.store.read() as view:
        pod = view.pod_by_name("web")
        infra = view.container(pod.infra_id)
        db = view.container_by_name(pod.id, "db")
    with host.session("test") as session:
        lifecycle_start(host, session, infra, pod)
        create(host, session, db, pod)
        discard_created(host, session, db)


def stop(engine, site):
    engine.pod("web").stop(timeout=0.1)


def clean_up(engine, site):
    engine.pod("web").stop(timeout=0.1, cleanup=True)


def kill(engine, site):
    engine.pod("web").kill()


def pause(engine, site):
    engine.pod("web").pause()


def unpause(engine, site):
    pod = engine.pod("web")
    pod.pause()
    pod.unpause()


def remove(engine, site):
    engine.pod("web").remove(force=True)


VERBS = {
    "create-pod": create_pod,
    "create-containers": create_container,
    "create": start,
    "discard": discard,
    "start": start,
    "stop": stop,
    "cleanup": clean_up,
    "kill": kill,
    "kill-pod": kill,
    "pause": pause,
    "pause-pod": pause,
    "spread": unpause,
    "unpause": unpause,
    "purge": remove,
    "remove": remove,
    "remove-pod": remove,
}
DOWN_BEFORE = {"create-pod", "create-containers", "create", "discard", "start"}

# What was made ahead of a row that never came: no command comes across it in passing.
LEFT_FOR_A_CHECK = {
    "create-pod.before-commit": ["ledger"],
    "create-containers.after-homes": ["home"],
    "create-containers.before-commit": ["home"],
}


def die_in(site, verb, settings):
    """Runs a verb in a process of its own and returns how that ended."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            with failpoints(settings), site.engine(max_workers=2) as engine:
                verb(engine, site)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize("name", NAMES)
def test_after_a_death_the_next_command_puts_things_right(site, see, name):
    room = name.partition(".")[0]
    see(room)
    with site.engine() as engine:
        prepared(engine, site, started=room not in DOWN_BEFORE)

    assert die_in(site, VERBS[room], {name: "kill"}) == -signal.SIGKILL

    engine = site.engine()
    if "web" in [pod.name for pod in engine.pods()]:
        pod = engine.pod("web")
        if room in ("purge", "remove", "remove-pod"):
            # Without force: that it was begun with it is remembered.
            pod.remove()
        else:
            with contextlib.suppress(podcore.PartialFailureError):
                pod.start()
            members = {one.name: one for one in pod.containers()}
            assert members["db"].status in UP
            assert members["api"].status in UP
    eventually(
        lambda: [one.kind for one in engine.check()] == LEFT_FOR_A_CHECK.get(name, []),
        timeout=20,
        what="all else being right without a repair",
    )
    mended = engine.check(repair=True)
    assert all(one.repaired for one in mended), mended
    eventually(lambda: not check_invariants(engine) or None, timeout=20, what="all invariants")
    names = {pod.name for pod in engine.pods()}
    assert names == (set() if room in ("purge", "remove", "remove-pod") else {"web"}) | (
        {"late"} if name == "create-pod.after-commit" else set()
    )


def create_two(engine, site):
    names = ("one", "two")
    spec = podcore.ContainerSpec(rootfs=site.rootfs, command=["/bin/sleep", "1000"])
    return engine.pod("web").create_containers([replace(spec, name=name) for name in names])


def die_before_the_second_row(engine, site):
    add = Change.add_container

    def dies(change, record):
        if record.name == "two":
            os.kill(os.getpid(), signal.SIGKILL)
        return add(change, record)

    # Of this process only, which was forked for it.
    Change.add_container = dies
    create_two(engine, site)


@pytest.mark.runtimes("runc")
def test_of_several_containers_a_death_leaves_all_or_none(site):
    with site.engine() as engine:
        engine.create_pod("web", share=())

    assert die_in(site, die_before_the_second_row, {}) == -signal.SIGKILL

    engine = site.engine()
    assert engine.pod("web").containers() == []
    assert [one.kind for one in engine.check(repair=True)] == ["home", "home"]
    assert engine.check() == []
    assert [one.name for one in create_two(engine, site)] == ["one", "two"]
    assert engine.pod("web").start().ok
    assert check_invariants(engine) == []


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize(
    "name",
    [
        "create.after-launch",
        "start.after-start",
        "stop.after-signal",
        "pause-pod.after-intents",
        "pause-pod.before-commit",
        "spread.after-freeze",
    ],
)
def test_a_check_alone_puts_it_right_too(site, see, name):
    room = name.partition(".")[0]
    see(room)
    with site.engine() as engine:
        prepared(engine, site, started=room not in DOWN_BEFORE)
    assert die_in(site, VERBS[room], {name: "kill"}) == -signal.SIGKILL
    engine = site.engine()

    assert "intent" in [one.kind for one in engine.check()]
    assert all(one.repaired for one in engine.check(repair=True))

    assert engine.check() == []
    eventually(lambda: not check_invariants(engine) or None, timeout=20, what="all invariants")


FAILING = [
    "create-containers.before-commit",
    "create.before-intent",
    "create.after-intent",
    "create.after-bundle",
    "create.after-launch",
    "create.after-commit",
    "discard.after-intent",
    "start.before-start",
    "start.after-start",
    "stop.after-intent",
    "kill.after-signal",
    "kill-pod.before-kill",
    "kill-pod.after-kill",
    "pause.before-commit",
    "pause-pod.after-intents",
    "pause-pod.before-commit",
    "spread.after-freeze",
    "spread.after-thaw",
    "unpause.before-commit",
    "purge.after-runtime",
    "remove.before-commit",
    "remove-pod.before-commit",
]


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize("name", FAILING)
def test_after_a_failure_the_same_process_goes_on(site, see, name):
    """The disk is full between any two steps: the verb fails with a type, the next one works."""
    room = name.partition(".")[0]
    see(room)
    engine = site.engine(max_workers=2)
    prepared(engine, site, started=room not in DOWN_BEFORE)

    with failpoints({name: "raise=ENOSPC"}), pytest.raises((OSError, podcore.PodcoreError)):
        VERBS[room](engine, site)

    assert all(one.repaired for one in engine.check(repair=True))
    assert engine.check() == []
    eventually(lambda: not check_invariants(engine) or None, timeout=20, what="all invariants")
    if engine.pods():  # a removal has been finished by the repair
        VERBS[room](engine, site)
    assert check_invariants(engine) == []
