"""What is made of the host's facts about a container, on directories and processes of the test's own."""

import os
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from podcore import observe
from podcore.kernel import process
from podcore.model import ContainerStatus as S
from podcore.places import Places
from podcore.reconcile import Exit, Process
from podcore.records import Intent, ProcessIdentity, Verb
from store.builders import new_container, new_pod

BOOT = "11111111-1111-4111-8111-111111111111"


class Cgroup:
    """What is asked of a container's cgroup."""

    def __init__(self):
        self.is_frozen = self.is_populated = False

    def frozen(self):
        return self.is_frozen

    def populated(self):
        return self.is_populated


class Host:
    """A host whose facts the test decides."""

    def __init__(self, base):
        self.places = Places(root=f"{base}/s", run_root=f"{base}/r", cgroup_parent="p")
        self.boot_id = BOOT
        self.me = process.me()
        self.group = Cgroup()
        self.state = f"{base}/runtime"
        self.stored = None
        self.store = SimpleNamespace(read=lambda: nullcontext(self))

    def container(self, key):
        """Returns what is stored by now."""
        return self.stored

    def cgroup(self, path):
        return self.group

    def runtime(self, path):
        return SimpleNamespace(state_directory=lambda key: f"{self.state}/{key}")


@pytest.fixture
def host(tmp_path):
    return Host(str(tmp_path))


@pytest.fixture
def dead(popen):
    """The identity of a process that is gone."""
    child = popen(["true"])
    identity = process.identify(child.pid) or ProcessIdentity(child.pid, 1)
    child.wait()
    return identity


def row(**changes):
    settings = {
        "state": S.RUNNING,
        "incarnation": 2,
        "boot_id": BOOT,
        "init": process.me(),
        "monitor": process.me(),
        "intent": None,
        "exit_code": None,
        "reason": "",
        "finished": None,
    }
    return new_container(new_pod(), "a").but(**(settings | changes))


def truth(host, record, **kwargs):
    """What is true of a row that nobody has changed since it was read."""
    host.stored = record
    return observe.truth(host, record, **kwargs)


def leave_exit_file(host, record, text="3", *, persistent=True):
    places = host.places
    directory = (
        places.persist(record.id, record.incarnation)
        if persistent
        else places.attempt(record.id, record.incarnation)
    )
    os.makedirs(directory)
    with open(f"{directory}/{'exit' if persistent else record.id}", "w", encoding="ascii") as file:
        file.write(text)


def test_a_living_process_is_started(host):
    seen = observe.observe(host, row())

    assert (seen.same_boot, seen.process) == (True, Process.STARTED)


def test_a_living_process_of_a_frozen_cgroup_is_frozen(host):
    host.group.is_frozen = True

    assert observe.observe(host, row()).process is Process.FROZEN
    assert truth(host, row()).state is S.PAUSED


@pytest.mark.parametrize(
    ("made", "expected"),
    [(["exec.fifo"], Process.WAITING), ([], Process.STARTED), (None, Process.WAITING)],
)
def test_a_created_container_waits_while_its_fifo_is_there(host, made, expected):
    record = row(state=S.CREATED)
    if made is not None:
        os.makedirs(f"{host.state}/{record.id}")
        for name in made:
            os.mkfifo(f"{host.state}/{record.id}/{name}")

    assert observe.observe(host, record).process is expected


def test_a_pid_that_belongs_to_another_process_now_is_gone(host):
    mine = process.me()

    seen = observe.observe(host, row(init=ProcessIdentity(mine.pid, mine.start_time + 1)))

    assert seen.process is Process.GONE


def test_after_a_reboot_no_process_counts(host):
    seen = observe.observe(host, row(boot_id="another"))

    assert (seen.same_boot, seen.process, seen.populated) == (False, Process.GONE, False)
    assert truth(host, row(boot_id="another")).reason == "Reboot"


@pytest.mark.parametrize("persistent", [True, False])
def test_an_exit_file_in_either_place_is_recorded(host, dead, persistent):
    record = row(init=dead)
    leave_exit_file(host, record, persistent=persistent)

    assert observe.observe(host, record).exit is Exit.RECORDED
    now = truth(host, record)
    assert (now.state, now.exit_code, now.reason) == (S.EXITED, 3, "")
    assert (now.init, now.monitor, now.intent) == (None, None, None)


def test_the_exit_file_of_another_incarnation_means_nothing(host, dead):
    record = row(init=dead, monitor=dead)
    leave_exit_file(host, record.but(incarnation=1))

    now = truth(host, record)

    assert (now.exit_code, now.reason) == (None, "MonitorLost")


def test_an_exit_is_pending_while_the_monitor_lives(host, dead):
    record = row(init=dead)

    assert observe.observe(host, record).exit is Exit.PENDING
    # A reader does not wait for long: the container is on its way out.
    assert truth(host, record, patience=0).state is S.STOPPING


def test_a_reader_waits_a_moment_for_an_exit_file(host, dead, monkeypatch):
    record = row(init=dead)
    monkeypatch.setattr(time, "sleep", lambda seconds: leave_exit_file(host, record))

    assert truth(host, record, patience=60).exit_code == 3


def test_an_exit_is_lost_with_the_monitor(host, dead):
    record = row(init=dead, monitor=dead)

    assert observe.observe(host, record).exit is Exit.LOST
    assert observe.observe(host, record.but(monitor=None)).exit is Exit.LOST
    now = truth(host, record)
    assert (now.state, now.exit_code, now.reason) == (S.EXITED, None, "MonitorLost")


@pytest.mark.parametrize("populated", [True, False])
def test_what_is_left_in_the_cgroup_of_a_dead_container_is_seen(host, dead, populated):
    host.group.is_populated = populated

    assert observe.observe(host, row(init=dead)).populated is populated


def test_the_intent_of_a_living_owner_is_not_abandoned(host, dead, popen):
    child = popen(["sleep", "1000"])
    alive = process.identify(child.pid)

    assert observe.abandoned(host, None) is None
    assert observe.abandoned(host, Intent(Verb.STOP, host.me, 0)) is None
    assert observe.abandoned(host, Intent(Verb.STOP, alive, 0)) is None
    assert observe.abandoned(host, Intent(Verb.STOP, dead, 0)) is Verb.STOP


def test_a_container_is_stopping_while_the_one_who_stops_it_lives(host, dead):
    stopping = row(state=S.STOPPING, intent=Intent(Verb.STOP, host.me, 0))

    assert truth(host, stopping).state is S.STOPPING
    left = stopping.but(intent=Intent(Verb.STOP, dead, 0))
    assert truth(host, left).state is S.RUNNING


@pytest.mark.parametrize("state", [S.CONFIGURED, S.EXITED])
def test_what_is_quiet_is_believed_without_a_look(host, state, monkeypatch):
    def refused(*arguments):
        raise AssertionError("looked")

    monkeypatch.setattr(observe, "observe", refused)
    record = row(state=state, init=None)

    assert truth(host, record) is record
    never = record.but(boot_id="")
    assert truth(host, never) is never


def test_an_exit_code_once_recorded_stays(host, dead):
    record = row(state=S.EXITED, exit_code=7, init=None, boot_id="another")
    leave_exit_file(host, record, "9")

    assert truth(host, record).exit_code == 7


PAUSED = {"state": S.PAUSED}
THAWING = {"state": S.REMOVING, "intent": Intent(Verb.REMOVE, process.me(), 0)}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (row(**THAWING), S.REMOVING),
        (None, S.REMOVING),
        (row(state=S.EXITED, init=None, exit_code=0), S.EXITED),
        (row(state=S.RUNNING), S.RUNNING),
        (row(**PAUSED), S.RUNNING),
        (row(**PAUSED).but(exit_code=1), S.RUNNING),
    ],
)
def test_a_look_that_contradicts_a_row_counts_only_while_the_row_is_the_last_word(
    host, now, expected
):
    """Who removes a paused container thaws it: it does not run for that."""
    host.stored = now

    assert observe.truth(host, row(**PAUSED)).state is expected


def test_a_row_that_is_behind_does_not_decide_how_a_container_ended(host, dead):
    """The exit file of an incarnation is gone once there is another one."""
    behind = row(init=dead, monitor=dead, incarnation=1)
    host.stored = row(incarnation=2)

    now = observe.truth(host, behind)

    assert (now.state, now.incarnation, now.exit_code) == (S.RUNNING, 2, None)
