"""What rows say is held against the host, and put right where that is possible."""

import errno
import json
import os
import shutil
import signal
from dataclasses import replace

import pytest

from harness.bare import kill_hard
from harness.polling import eventually
from podcore.kernel import host as kernel_host
from podcore.kernel.files import remove_tree
from podcore.lifecycle import rootfs
from podcore.model import ContainerStatus
from podcore.records import Intent, ProcessIdentity, Verb
from podcore.testing import check_invariants

pytestmark = pytest.mark.runtimes("runc")


@pytest.fixture
def rewrite(engine):
    """Changes a container's row behind podcore's back."""

    def change_row(container, **changes):
        host = engine.host
        with host.session("test") as session, host.store.write(session) as change:
            change.save_container(change.container(container.id).but(**changes))

    return change_row


def dead(pid):
    return ProcessIdentity(pid, 1)


def test_a_sound_engine_has_no_findings(site, engine, pod):
    pod.container("db").stop()
    pod.create_container("new", rootfs=site.rootfs, command=["/x"])
    engine.volumes.create("data")

    assert engine.check() == []
    assert engine.check(repair=True) == []
    assert check_invariants(engine) == []


def test_the_intent_of_a_dead_worker_is_cleared(engine, pod, rewrite, dead_pid):
    db = pod.container("db")
    for verb in (Verb.START, Verb.STOP, Verb.PAUSE, Verb.CREATE):
        rewrite(db, intent=Intent(verb, dead(dead_pid), 1.0))

        (found,) = engine.check()
        assert (found.kind, found.object, found.repaired) == ("intent", db.id, None)
        assert verb.value in found.text
        (mended,) = engine.check(repair=True)
        assert mended.repaired

        assert engine.check() == []
        assert check_invariants(engine) == []
    assert db.status is ContainerStatus.CONFIGURED, "nobody knows what a create got to"


def test_a_stop_that_is_under_way_is_left_alone(engine, pod, rewrite):
    rewrite(pod.container("db"), intent=Intent(Verb.STOP, engine.host.me, 1.0))

    assert engine.check(repair=True) == []

    rewrite(pod.container("db"), intent=None)


def test_an_intent_is_left_alone_while_its_lock_is_held(engine, pod, rewrite):
    db = pod.container("db")
    rewrite(db, intent=Intent(Verb.PAUSE, engine.host.me, 1.0))
    with engine.host.store.read() as view:
        number = view.container(db.id).number
    with engine.host.session("at work") as session:
        session.acquire("container", number)

        assert engine.check() == []

    (found,) = engine.check(repair=True)
    assert (found.kind, found.object, found.repaired) == ("intent", db.id, True)
    assert engine.check() == []


def test_a_half_removed_container_is_removed(engine, pod, rewrite, dead_pid):
    intent = Intent(Verb.REMOVE, dead(dead_pid), 1.0)
    rewrite(pod.container("db"), intent=intent, state=ContainerStatus.REMOVING)

    assert [one.repaired for one in engine.check(repair=True)] == [True]

    assert [one.name for one in pod.containers()] == ["api"]
    assert engine.check() == []


def test_a_half_removed_pod_that_can_not_be_removed_says_what_fails(engine, pod, monkeypatch):
    host = engine.host
    with host.session("test") as session, host.store.write(session) as change:
        change.save_pod(replace(change.pod(pod.id), removing=True))
    db = pod.container("db").id
    discard = rootfs.discard

    def discard_all_but_one(places, container_id):
        if container_id == db:
            raise OSError(errno.EROFS, "Read-only file system", places.container(db))
        discard(places, container_id)

    with monkeypatch.context() as patched:
        patched.setattr(rootfs, "discard", discard_all_but_one)
        (found,) = engine.check(repair=True)

    assert (found.kind, found.object, found.repaired) == ("pod", pod.id, False)
    assert "container `web/db`: " in str(found)
    assert "Read-only file system" in str(found)
    assert [one.repaired for one in engine.check(repair=True)] == [True]
    assert engine.check() == []


def test_a_half_removed_pod_is_removed(engine, pod):
    host = engine.host
    with host.session("test") as session, host.store.write(session) as change:
        change.save_pod(replace(change.pod(pod.id), removing=True))

    (found,) = engine.check()
    assert (found.kind, found.object) == ("pod", pod.id)
    assert found.hint
    assert [one.repaired for one in engine.check(repair=True)] == [True]

    assert engine.pods() == []
    assert engine.check() == []


def test_a_home_that_is_gone_is_made_again(engine, pod):
    db = pod.container("db")
    db.stop()
    pod.stop(cleanup=True)
    home = engine.host.places.container(db.id)
    shutil.rmtree(home)

    (found,) = engine.check(repair=True)

    assert (found.kind, found.object, found.repaired) == ("home", home, True)
    assert engine.check() == []
    db.start()


def test_a_ledger_that_is_gone_is_written_again(engine, pod):
    places = engine.host.places
    os.unlink(f"{places.pods}/{pod.id}.json")
    os.unlink(f"{places.container(pod.container('db').id)}/podcore.json")

    found = engine.check(repair=True)

    assert [(one.kind, one.repaired) for one in found] == [("ledger", True)] * 2
    assert engine.check() == []


def test_a_volume_directory_that_is_gone_is_made_again(engine, pod):
    path = engine.volumes.create("data").path
    shutil.rmtree(os.path.dirname(path))

    (found,) = engine.check(repair=True)

    assert (found.kind, found.repaired) == ("volume", True)
    assert os.path.isdir(path)
    assert engine.check() == []


def test_a_lost_monitor_is_told_but_nothing_is_killed(engine, pod):
    db = pod.container("db")
    pid = db.pid
    with engine.host.store.read() as view:
        kill_hard(view.container(db.id).monitor.pid)

    (found,) = engine.check(repair=True)

    assert (found.kind, found.object, found.repaired) == ("monitor", db.id, False)
    assert "restart" in found.hint
    assert db.pid == pid


def test_runtime_state_that_is_lost_is_told_but_nothing_is_killed(site, engine, pod):
    db = pod.container("db")
    remove_tree(f"{site.run_root}/runtime-runc/{db.id}")

    (found,) = engine.check(repair=True)

    assert (found.kind, found.object, found.repaired) == ("runtime-state", db.id, False)
    assert db.status is ContainerStatus.RUNNING


def test_what_is_left_of_a_container_that_is_not_created_is_purged(engine, pod, rewrite):
    db = pod.container("db")
    pid = db.pid
    rewrite(db, state=ContainerStatus.CONFIGURED, init=None, monitor=None)

    (found,) = engine.check(repair=True)

    assert (found.kind, found.object, found.repaired) == ("leftover", db.id, True)
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), what="the end of the process")
    assert engine.check() == []
    assert check_invariants(engine) == []


def test_after_a_reboot_rows_are_brought_up_to_date(engine, pod, monkeypatch):
    monkeypatch.setattr(kernel_host, "boot_id", lambda: "another-boot")

    found = engine.check(repair=True)

    assert [(one.kind, one.repaired) for one in found] == [("boot", True)] * 3
    assert pod.container("db").status is ContainerStatus.EXITED
    assert engine.check() == []


def test_the_exit_file_of_an_earlier_incarnation_is_removed(engine, pod):
    db = pod.container("db")
    stale = engine.host.places.persist(db.id, 0)
    os.mkdir(stale)

    (found,) = engine.check(repair=True)

    assert (found.kind, found.object, found.repaired) == ("exit-file", stale, True)
    assert db.status is ContainerStatus.RUNNING
    assert engine.check() == []


def test_modes_are_narrowed(site, engine, pod):
    places = engine.host.places
    for path in (places.root, places.run_root, places.locks, places.containers):
        os.chmod(path, 0o755)
        fresh = site.engine()

        (found,) = fresh.check()
        assert (found.kind, found.object) == ("mode", path)
        assert [one.repaired for one in fresh.check(repair=True)] == [True]

        assert os.stat(path).st_mode & 0o777 == 0o700
        assert fresh.check() == []


def test_lock_files_are_private_files(site, engine, pod):
    locks = engine.host.places.locks
    os.chmod(f"{locks}/store", 0o666)
    engine.close()
    os.rename(f"{locks}/pod.00", f"{locks}/moved")
    os.mkfifo(f"{locks}/pod.00")
    os.unlink(f"{locks}/moved")

    fresh = site.engine()
    found = fresh.check(repair=True)

    assert [(one.kind, one.repaired) for one in found] == [("lock", True)] * 2
    assert fresh.check() == []
    fresh.pod("web").stop()


def test_every_lock_file_is_looked_at(site, engine, pod):
    pod.start()
    locks = engine.host.places.locks
    files = [f"{locks}/{name}" for name in sorted(os.listdir(locks))]
    for path in files:
        os.chmod(path, 0o644)

    found = engine.check(repair=True)

    assert f"{locks}/namespaces" in files
    assert [(one.kind, one.object, one.repaired) for one in found] == [
        ("lock", path, True) for path in files
    ]
    assert engine.check() == []


def test_the_command_says_what_it_found_and_whether_it_is_right_now(site, engine, pod):
    db = pod.container("db")
    os.mkdir(f"{site.run_root}/containers/{db.id}.7", 0o700)

    said = site.cli("system", "check", check=False)
    assert (said.returncode, "attempt" in said.stdout) == (1, True)
    (listed,) = json.loads(site.cli("system", "check", "--json", "--repair").stdout)
    assert (listed["Kind"], listed["Repaired"]) == ("attempt", True)
    assert site.cli("system", "check").stdout == ""


def test_the_command_fails_on_what_it_can_not_mend(site, engine, pod):
    with engine.host.store.read() as view:
        monitor = view.container(pod.container("db").id).monitor
    os.kill(monitor.pid, signal.SIGKILL)
    eventually(engine.check, what="a finding")

    said = site.cli("system", "check", "--repair", check=False)

    assert said.returncode == 1
    assert "hint: " in said.stdout
