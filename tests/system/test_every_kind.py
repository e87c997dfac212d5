"""Every kind of finding: planted, reported without a change, put right, and not found again."""

import os
import re
import shutil
from dataclasses import replace

import pytest

from harness.bare import kill_hard
from harness.polling import eventually
from podcore.kernel import mounts
from podcore.model import ContainerStatus
from podcore.names import new_id
from podcore.operations import system
from podcore.records import Intent, ProcessIdentity, Verb
from podcore.testing import check_invariants

pytestmark = pytest.mark.runtimes("crun")


@pytest.fixture
def pod(site, engine):
    """A pod that does not run."""
    made = engine.create_pod("web", share=())
    made.create_container("db", rootfs=site.rootfs, command=["/bin/sleep", "1000"], stop_timeout=0)
    engine.volumes.create("data")
    return made


class Ground:
    """What is damaged, and with what."""

    def __init__(self, site, engine, pod, dead_pid, popen):
        self.site, self.engine, self.pod = site, engine, pod
        self.places = engine.host.places
        self.db = pod.container("db")
        self.dead = ProcessIdentity(dead_pid, 1)
        self.popen = popen

    def rewrite(self, **changes):
        host = self.engine.host
        with host.session("test") as session, host.store.write(session) as change:
            change.save_container(change.container(self.db.id).but(**changes))

    def row(self):
        with self.engine.host.store.read() as view:
            return view.container(self.db.id)


def database(on):
    on.engine.close()
    with open(f"{on.places.root}/state.db", "r+b") as file:
        file.truncate(5000)
    for name in ("state.db-wal", "state.db-shm"):
        os.unlink(f"{on.places.root}/{name}")


def lost(on):
    """The database is gone with its rows, and somebody has made a new one."""
    on.engine.close()
    aside = f"{on.site.base}/aside"
    os.mkdir(aside)
    for name in ("containers", "pods", "volumes"):
        os.rename(f"{on.places.root}/{name}", f"{aside}/{name}")
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        os.unlink(f"{on.places.root}/{name}")
    on.site.engine().pods()
    for name in ("containers", "pods", "volumes"):
        shutil.copytree(f"{aside}/{name}", f"{on.places.root}/{name}", dirs_exist_ok=True)
        os.chmod(f"{on.places.root}/{name}", 0o700)
    shutil.rmtree(aside)


def mode(on):
    os.chmod(on.places.containers, 0o755)


def lock(on):
    os.chmod(f"{on.places.locks}/store", 0o644)


def temporary(on):
    with open(f"{on.places.pods}/x.json.{on.dead.pid}.1.tmp", "wb"):
        pass


def half_removed_pod(on):
    host = on.engine.host
    with host.session("test") as session, host.store.write(session) as change:
        change.save_pod(replace(change.pod(on.pod.id), removing=True))


def ledger_of_a_row(on):
    os.unlink(on.places.ledger(on.db.id))


def ledger_without_a_row(on):
    with open(f"{on.places.pods}/{new_id()}.json", "wb"):
        pass


def intent(on):
    on.rewrite(intent=Intent(Verb.START, on.dead, 1.0))


def boot(on):
    on.pod.start()
    on.pod.kill()
    on.rewrite(state=ContainerStatus.RUNNING, boot_id="another-boot")


def leftover(on):
    on.pod.start()
    on.rewrite(state=ContainerStatus.CONFIGURED, init=None, monitor=None)


def home_of_a_row(on):
    shutil.rmtree(on.places.container(on.db.id))


def home_without_a_row(on):
    """With all that a container has there: its bundle and its log."""
    home = on.places.container(new_id())
    os.makedirs(f"{home}/bundle", 0o700)
    os.chmod(home, 0o700)
    for name in ("bundle/config.json", "log"):
        with open(f"{home}/{name}", "wb"):
            pass


def exit_file(on):
    os.mkdir(on.places.persist(on.db.id, 7))


def volume_of_a_row(on):
    shutil.rmtree(os.path.dirname(on.places.volume("data")))


def volume_without_a_row(on):
    os.makedirs(f"{on.places.volumes}/other/_data", 0o700)


def process(on):
    """A monitor: its command line has an id and a file of an attempt."""
    key = new_id()
    argv = [
        "/bin/sh",
        "-c",
        "read x",
        "conmon",
        "-c",
        key,
        "-p",
        f"{on.places.attempt(key, 1)}/pid",
    ]
    on.popen(argv, stdin=-1)


def cgroup(on):
    """That of a container that was removed."""
    on.pod.start()
    path = on.row().cgroup_path
    on.pod.remove(force=True)
    on.engine.host.cgroup(path).create()


def mount(on):
    home = on.places.container(new_id())
    os.makedirs(f"{home}/rootfs", 0o700)
    os.chmod(home, 0o700)
    mounts.bind(on.site.rootfs, f"{home}/rootfs")


def runtime_state(on):
    os.makedirs(f"{on.places.runtime_root('crun')}/{new_id()}", 0o700)


def attempt(on):
    """With the pid file of an attempt."""
    path = on.places.attempt(on.db.id, 7)
    os.makedirs(path, 0o700)
    os.chmod(on.places.attempts, 0o700)
    with open(f"{path}/pid", "wb"):
        pass


def pod_run(on):
    os.makedirs(on.places.pod_run(new_id()), 0o700)


PLANTED = [
    ("database", database),
    ("lost", lost),
    ("mode", mode),
    ("lock", lock),
    ("temporary", temporary),
    ("pod", half_removed_pod),
    ("ledger", ledger_of_a_row),
    ("ledger", ledger_without_a_row),
    ("intent", intent),
    ("boot", boot),
    ("leftover", leftover),
    ("home", home_of_a_row),
    ("home", home_without_a_row),
    ("exit-file", exit_file),
    ("volume", volume_of_a_row),
    ("volume", volume_without_a_row),
    ("process", process),
    ("cgroup", cgroup),
    ("mount", mount),
    ("runtime-state", runtime_state),
    ("attempt", attempt),
    ("pod-run", pod_run),
]


@pytest.mark.parametrize(("kind", "plant"), PLANTED, ids=[plant.__name__ for _, plant in PLANTED])
def test_what_is_planted_is_reported_and_put_right(site, engine, pod, dead_pid, popen, kind, plant):
    plant(Ground(site, engine, pod, dead_pid, popen))
    engine = site.engine()

    reported = engine.check()
    assert kind in {one.kind for one in reported}
    assert {one.repaired for one in reported} == {None}
    assert [str(one) for one in engine.check()] == [str(one) for one in reported], "untouched"

    mended = engine.check(repair=True)
    assert kind in {one.kind for one in mended}
    assert all(one.repaired for one in mended), [str(one) for one in mended]

    assert engine.check() == []
    eventually(lambda: not check_invariants(engine), what="all invariants")


def test_a_monitor_that_is_lost_is_told_until_its_container_is_restarted(site, engine, pod):
    pod.start()
    with engine.host.store.read() as view:
        kill_hard(view.container(pod.container("db").id).monitor.pid)

    assert [(one.kind, one.repaired) for one in engine.check(repair=True)] == [("monitor", False)]

    pod.restart(timeout=0)
    assert engine.check() == []


def test_a_directory_that_is_none_is_told_until_somebody_removes_it(site, engine, pod):
    engine.close()
    os.rename(f"{site.base}/r", f"{site.base}/aside")
    with open(f"{site.base}/r", "wb"):
        pass

    found = site.engine().check(repair=True)
    assert [(one.kind, one.repaired) for one in found] == [("directory", False)]
    assert found[0].hint

    os.unlink(f"{site.base}/r")
    os.rename(f"{site.base}/aside", f"{site.base}/r")
    assert site.engine().check() == []


def test_no_kind_is_left_out():
    """A new kind of finding needs somebody who plants it."""
    known = set()
    directory = os.path.dirname(system.__file__)
    for name in os.listdir(directory):
        if name.endswith(".py"):
            with open(f"{directory}/{name}", encoding="utf-8") as file:
                text = file.read()
            known |= set(re.findall(r'findings\.add\(\s*"([a-z-]+)"', text))
            known |= set(re.findall(r'_FILE, "([a-z-]+)"', text))
            known |= set(re.findall(r'(?:Trace|_tree)\(\s*"([a-z-]+)"', text))

    assert {kind for kind, _ in PLANTED} | {"monitor", "directory"} == known
