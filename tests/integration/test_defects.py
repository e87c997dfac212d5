"""The defects of libpod's pod verbs that must not come back, by the numbers of the contract."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

import podcore
from harness.bare import kill_hard
from harness.polling import eventually
from integration.builders import (
    POLITE,
    add,
    await_ready,
    diamond,
    new_pod,
    outcomes,
    states,
)
from podcore.testing import check_invariants

pytestmark = pytest.mark.runtimes("crun")


def test_defect_1_kill_leaves_no_lock(site):
    """Defect 1: `Kill` leaks the container lock on success."""
    pod = new_pod(site)
    container = add(site, pod, "a", command=POLITE)
    pod.start()

    pod.kill("WINCH")
    pod.kill("WINCH")
    container.kill("WINCH")

    # Invariant 1: nobody holds a lock.
    assert check_invariants(pod._engine) == []
    # Another engine, with descriptors of its own, gets every lock at once.
    other = site.engine().pod("web")
    assert other.kill().ok
    assert other.remove().ok


def test_defect_2_kill_and_stop_record_what_happened(site):
    """Defect 2: `Kill` and `Stop` do not record what happened."""
    pod = new_pod(site)
    killed, stopped = add(site, pod, "killed"), add(site, pod, "stopped")
    pod.start()

    killed.kill()
    pod.stop(timeout=0)

    # What is in the database, without a look at the host.
    with pod._engine.host.store.read() as view:
        rows = [view.container(container.id) for container in (killed, stopped)]
    assert [(str(row.state), row.exit_code) for row in rows] == [("exited", 137)] * 2
    assert all(row.finished is not None for row in rows)
    assert all(row.intent is None for row in rows)


def test_defect_3_stop_is_parallel_and_ordered(site):
    """Defect 3: `Stop` serial and unordered, N times the timeout."""
    pod = new_pod(site)
    level = [add(site, pod, f"c{number}", stop_timeout=5).name for number in range(8)]
    add(site, pod, "top", *level, stop_timeout=0)
    pod.start()

    pod.stop()

    with pod._engine.host.store.read() as view:
        names = {row.id: row.name for row in view.containers()}
        happened = [(e.action, names.get(e.id)) for e in view.events()]
    happened = [one for one in happened if one[0] in ("stop", "died")]
    assert happened[:2] == [("stop", "top"), ("died", "top")]
    # All of a level are told to stop before the time of the first one is up.
    assert [action for action, _ in happened[2:]] == ["stop"] * 8 + ["died"] * 8


def test_defect_4_start_and_restart_are_parallel(site, monkeypatch):
    """Defect 4: `Start` and `Restart` serial."""
    from podcore.lifecycle import start as lifecycle_start

    pod = new_pod(site, engine=site.engine(max_workers=4))
    for number in range(4):
        add(site, pod, f"c{number}")
    meeting = threading.Barrier(4)
    starting = lifecycle_start.starting

    def met(*rest):
        def start(held):
            # Passed only when four are at work at the same time.
            meeting.wait(60)
            return (yield from starting(*rest)(held))

        return start

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle_start, "starting", met)
        assert pod.start().ok
        assert pod.restart(timeout=0).ok

    assert meeting.n_waiting == 0
    assert not meeting.broken


def test_defect_5_restart_stops_dependents_before_their_dependencies(site):
    """Defect 5: `Restart` walks forward under running dependents."""
    pod = new_pod(site)
    containers = diamond(site, pod)
    pod.start()
    await_ready(*containers.values())

    pod.restart(timeout=60)

    with pod._engine.host.store.read() as view:
        happened = [(e.action, e.id) for e in view.events() if e.action in ("stop", "start")]
    names = {container.id: name for name, container in containers.items()}
    order = [(action, names[key]) for action, key in happened if key in names][4:]
    assert [action for action, _ in order] == ["stop"] * 4 + ["start"] * 4
    assert (order[0][1], order[3][1]) == ("top", "base")
    assert (order[4][1], order[7][1]) == ("base", "top")


def test_defect_6_a_paused_container_is_ignored_by_start(site):
    """Defect 6: paused container makes `Start` fail although documented as ignored."""
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    pod.pause()

    assert outcomes(pod.start()) == {"a": "ignored"}
    assert container.status == "paused"


def test_defect_7_a_running_container_is_fine_while_its_dependency_is_paused(site):
    """Defect 7: running container fails because its dependency is paused."""
    pod = new_pod(site)
    base = add(site, pod, "base")
    add(site, pod, "top", "base")
    pod.start()
    base.pause()

    assert outcomes(pod.start()) == {"base": "ignored", "top": "ignored"}
    assert states(pod) == {"base": "paused", "top": "running"}


def test_defect_8_partial_failure_has_a_type_of_its_own(site):
    """Defect 8: partial failure as `ErrCtrExists`."""
    pod = new_pod(site)
    bad = add(site, pod, "bad", command=["/bin/does-not-exist"])
    add(site, pod, "good")

    with pytest.raises(podcore.PartialFailureError) as caught:
        pod.start()

    assert not isinstance(caught.value, podcore.AlreadyExistsError)
    assert isinstance(caught.value, ExceptionGroup)
    assert list(caught.value.errors) == [bad.id]
    assert outcomes(caught.value.report) == {"bad": "failed", "good": "done"}


def test_defect_9_status_takes_no_lock_and_one_bad_container_fails_nothing(site, monkeypatch):
    """Defect 9: `Status` takes all locks unsorted and one bad container fails the whole call."""
    from podcore.operations import status as operation

    pod = new_pod(site)
    bad, good = add(site, pod, "bad"), add(site, pod, "good")
    pod.start()
    host, truth = pod._engine.host, operation.truth

    def failing(host, record, patience):
        if record.id == bad.id:
            raise OSError("unreadable")
        return truth(host, record, patience)

    monkeypatch.setattr(operation, "truth", failing)
    with host.store.read() as view:
        record, rows = view.pod(pod.id), view.containers(pod.id)
    with host.session("a verb that goes on") as session:
        session.acquire("pod", record.number, timeout=30)
        for row in rows:
            session.acquire("container", row.number, timeout=30)

        assert pod.status() == {bad.id: "unknown", good.id: "running"}


def test_defect_10_inspect_tells_errors_and_hands_out_copies_in_order(site):
    """Defect 10: `Inspect` swallows errors, aliases the config, unordered."""
    pod = new_pod(site, labels={"a": "1"})
    container = add(site, pod, "a", env={"X": "y"})
    for number in range(5):
        add(site, pod, f"c{number}")

    pod.inspect().labels["a"] = "changed"
    container.inspect().spec.env["X"] = "changed"

    seen = pod.inspect()
    assert seen.labels == {"a": "1"}
    assert container.inspect().spec.env == {"X": "y"}
    ids = [member.id for member in seen.containers]
    assert ids == sorted(ids)
    pod.remove()
    with pytest.raises(podcore.PodRemovedError):
        pod.inspect()


def test_defect_11_a_cycle_names_its_members_and_a_self_edge_is_one(site):
    """Defect 11: cycle error without members; self-edge unseen."""
    pod = new_pod(site)

    def spec(name, *needs):
        return podcore.ContainerSpec(
            name=name, rootfs=site.rootfs, command=["true"], depends_on=needs
        )

    with pytest.raises(podcore.DependencyCycleError, match="a → b → a") as caught:
        pod.create_containers([spec("a", "b"), spec("b", "a"), spec("c", "a")])
    assert caught.value.cycle == ("a", "b", "a")
    with pytest.raises(podcore.DependencyCycleError) as caught:
        add(site, pod, "self", "self")
    assert caught.value.cycle == ("self", "self")
    assert pod.containers() == []


def test_defect_12_order_is_that_of_creation(site):
    """Defect 12: order follows hash-map iteration."""
    pod = new_pod(site)
    names = [f"c{number}" for number in (7, 3, 9, 1, 5, 8, 2)]
    ids = [add(site, pod, name).id for name in names]

    assert [container.name for container in pod.containers()] == names
    assert list(pod.status()) == ids
    for report in (pod.start(), pod.pause(), pod.unpause(), pod.kill(), pod.stop()):
        assert [row.id for row in report.rows] == ids


def test_defect_13_a_wait_follows_the_process_and_not_its_pid(site, monkeypatch):
    """Defect 13: polling a raw pid every 100 ms (pid reuse)."""
    from podcore.kernel import process

    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    with pod._engine.host.store.read() as view:
        row = view.container(container.id)
    kill_hard(container.pid)
    eventually(lambda: container.exit_code == 137)
    # As if its pid belonged to another process by now: to this one, which must not be hit.
    mine = process.me()
    reused = row.but(init=podcore.records.ProcessIdentity(mine.pid, mine.start_time - 1))
    with (
        pod._engine.host.session("test") as session,
        pod._engine.host.store.write(session) as change,
    ):
        change.save_container(reused)

    assert container.status == "exited"
    assert container.wait(timeout=30) == 137
    assert outcomes(pod.kill()) == {"a": "ignored"}
    assert outcomes(pod.stop(timeout=0)) == {"a": "ignored"}


def test_defect_14_a_verb_has_a_deadline_and_can_be_cancelled(site, popen):
    """Defect 14: no cancellation and no deadline."""
    pod = new_pod(site)
    container = add(site, pod, "a", stop_timeout=600)
    pod.start()
    with pytest.raises(TimeoutError):
        container.wait(timeout=0.05)
    # Where the tests run in the background, SIGINT is ignored from birth.
    call = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    call += "import podcore; podcore.Engine().pod('web').stop()"
    stopper = popen([sys.executable, "-c", call], env=site.environ, stderr=subprocess.PIPE)
    eventually(lambda: container.status == "stopping")

    stopper.send_signal(signal.SIGINT)

    _, errors = stopper.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert container.status == "running"
    assert pod.stop(timeout=0.1).seconds < 60
    assert container.exit_code == 137


def test_defect_15_a_half_removed_pod_is_removed_by_the_next_remove(site, popen):
    """Defect 15: a half-removed pod that can never be removed."""
    pod = new_pod(site)
    add(site, pod, "base")
    add(site, pod, "top", "base")
    pod.start()
    call = "import podcore; podcore.Engine().pod('web').remove(force=True)"
    environ = site.environ | {"PODCORE_FAILPOINTS": "remove.after-purge=kill"}
    remover = popen([sys.executable, "-c", call], env=environ)
    assert remover.wait(60) == -9
    assert pod.state == "error"

    assert pod.remove().ok

    assert pod._engine.pods() == []
    assert check_invariants(pod._engine) == []


def test_defect_16_reads_and_other_verbs_do_not_wait_for_a_stop(site):
    """Defect 16: pod lock held for the whole stop so that `ps` blocks."""
    pod = new_pod(site)
    slow, other = add(site, pod, "slow"), add(site, pod, "other")
    other.start()
    slow.start()
    stopper = threading.Thread(target=slow.stop, kwargs={"timeout": 600})
    stopper.start()
    eventually(lambda: slow.status == "stopping")

    began = time.monotonic()
    assert json.loads(site.cli("ps", "--format", "json").stdout)
    other.pause()
    other.unpause()
    other.restart(timeout=0)
    assert pod.kill().ok
    stopper.join(60)

    assert not stopper.is_alive()
    assert time.monotonic() - began < 120
    assert (slow.exit_code, other.exit_code) == (137, 137)
