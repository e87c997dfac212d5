"""What ``status``, ``state`` and the handles of containers say about real containers."""

import contextlib
import os
import signal
import threading

import pytest

import podcore
from harness.bare import kill_hard
from harness.polling import eventually
from integration.builders import POLITE, add, await_ready, new_pod, states
from podcore.kernel import command


@contextlib.contextmanager
def no_programs():
    """Nothing can be run any more."""

    def refused(argv, *args, **options):
        raise AssertionError(f"ran {argv}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "run", refused)
        patch.setattr(command, "spawn", refused)
        patch.setattr("subprocess.Popen.__init__", refused)
        patch.setattr("os.posix_spawn", refused)
        patch.setattr("_posixsubprocess.fork_exec", refused)
        yield


@pytest.mark.runtimes("crun")
def test_status_inspect_and_the_rest_that_only_look_run_no_program(site):
    pod = new_pod(site, share=("ipc", "net", "uts"))
    run, paused, gone = (add(site, pod, name) for name in ("run", "paused", "gone"))
    pod.start()
    paused.pause()
    os.kill(gone.pid, signal.SIGKILL)
    eventually(lambda: gone.exit_code == 137)
    add(site, pod, "new")

    with no_programs():
        assert [str(state) for state in pod.status().values()] == [
            "running",
            "paused",
            "exited",
            "configured",
        ]
        assert pod.state == "degraded"
        assert len(pod.inspect().containers) == 4
        assert run.inspect().pid == run.pid
        assert gone.exit_code == 137
        assert gone.wait() == 137
        assert list(run.logs()) == []
        assert pod.stats()
        assert len(pod._engine.pods()) == 1
        with pytest.raises(AssertionError, match="ran"):
            run.exec(["true"])


@pytest.mark.runtimes("runc")
def test_a_batch_that_only_signals_runs_no_program(site):
    pod = new_pod(site)
    container = add(site, pod, "a", command=POLITE)
    pod.start()
    await_ready(container)

    with no_programs():
        pod.pause()
        pod.unpause()
        pod.kill("WINCH")
        pod.stop(timeout=60)

    assert container.exit_code == 0


def test_a_process_killed_from_outside_is_seen_at_once_with_its_exit_code(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    other = add(site, pod, "b")
    pod.start()

    kill_hard(container.pid)

    # Its monitor may need a moment to write how it ended; until then it is `stopping`.
    assert container.status in ("exited", "stopping")
    eventually(lambda: container.status == "exited")
    assert container.exit_code == 137
    assert other.status == "running"
    assert pod.state == "degraded"
    assert container.pid is None


@pytest.mark.runtimes("crun")
def test_a_container_that_ends_by_itself_has_its_own_exit_code(site):
    pod = new_pod(site)
    codes = {f"c{code}": code for code in (0, 1, 42, 125, 127, 255)}
    containers = [
        add(site, pod, name, command=["sh", "-c", f"exit {code}"]) for name, code in codes.items()
    ]
    pod.start()

    assert [container.wait(timeout=30) for container in containers] == list(codes.values())
    assert [container.exit_code for container in containers] == list(codes.values())
    assert set(states(pod).values()) == {"exited"}
    assert {container.inspect().reason for container in containers} == {""}


@pytest.mark.runtimes("crun")
def test_the_status_of_a_pod_follows_its_containers(site):
    pod = new_pod(site)
    assert pod.state == "created"
    a, b = add(site, pod, "a"), add(site, pod, "b")
    assert pod.state == "created"
    a.start()
    assert pod.state == "degraded"
    b.start()
    assert pod.state == "running"
    pod.pause()
    assert pod.state == "paused"
    pod.unpause()
    a.kill()
    assert pod.state == "degraded"
    b.kill()
    assert pod.state == "exited"
    add(site, pod, "c")
    assert pod.state == "stopped"


@pytest.mark.runtimes("crun")
def test_one_unreadable_container_is_unknown_and_the_others_are_not(site, monkeypatch):
    from podcore.operations import status as operation

    pod = new_pod(site)
    bad, good = add(site, pod, "bad"), add(site, pod, "good")
    pod.start()
    truth = operation.truth

    def failing(host, record, patience):
        if record.id == bad.id:
            raise PermissionError("no")
        return truth(host, record, patience)

    with monkeypatch.context() as patch:
        patch.setattr(operation, "truth", failing)

        assert pod.status() == {bad.id: "unknown", good.id: "running"}
        assert pod.state == "error"
        assert {m.name: str(m.state) for m in pod.inspect().containers} == {
            "bad": "unknown",
            "good": "running",
        }
        assert bad.status == "unknown"
        assert bad.inspect().reason == "no"


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("damage", ["fifo", "directory", "link", "garbage", "huge"])
def test_a_damaged_exit_file_makes_an_unknown_code_with_a_reason(site, damage):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    container.kill()
    with pod._engine.host.store.read() as view:
        row = view.container(container.id)
    places = pod._engine.host.places
    path = f"{places.persist(row.id, row.incarnation)}/exit"
    # The one that the monitor hands over is the second choice, and the second that it writes.
    handed_over = f"{places.attempt(row.id, row.incarnation)}/{row.id}"
    eventually(lambda: os.path.exists(handed_over), what="the exit file handed over")
    os.unlink(path)
    os.unlink(handed_over)
    if damage == "fifo":
        os.mkfifo(path)
    elif damage == "directory":
        os.mkdir(path)
    elif damage == "link":
        os.symlink("/etc/passwd", path)
    else:
        with open(path, "w", encoding="ascii") as file:
            file.write("x" if damage == "garbage" else "1" * 100_000)
    # As if nobody had recorded the exit yet.
    with (
        pod._engine.host.session("test") as session,
        pod._engine.host.store.write(session) as change,
    ):
        change.save_container(row.but(state=podcore.ContainerStatus.RUNNING, exit_code=None))

    assert container.status == "exited"
    assert container.exit_code is None
    assert container.inspect().reason.startswith("ExitUnknown")
    assert pod.start().ok


@pytest.mark.runtimes("crun")
def test_waiting_ends_with_the_container_or_with_its_time(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    with pytest.raises(TimeoutError, match="still configured"):
        container.wait(timeout=0)
    pod.start()
    with pytest.raises(TimeoutError, match="still running"):
        container.wait(timeout=0.05)
    container.kill()

    assert container.wait(timeout=0) == 137
    assert container.wait() == 137
    assert container.wait(timeout=1e12) == 137


@pytest.mark.runtimes("crun")
def test_the_snapshot_is_consistent_while_a_restart_goes_on(site):
    pod = new_pod(site)
    container = add(site, pod, "a", stop_timeout=0)
    pod.start()
    seen, over = set(), threading.Event()

    def look():
        while not over.is_set():
            seen.add(str(container.status))

    looker = threading.Thread(target=look)
    looker.start()
    for _ in range(5):
        pod.restart()
    over.set()
    looker.join(30)

    assert "running" in seen
    assert seen <= {"running", "stopping", "exited", "created"}
