"""What a verb says of a container is what it found, whatever others do to it right afterwards."""

import os
import shutil
import tempfile
from contextlib import contextmanager

import pytest

from podcore import errors
from podcore.kernel import failpoints
from podcore.lifecycle import course
from podcore.operations import crew, restart, single
from podcore.testing import fake_engine

pytestmark = pytest.mark.contention


@pytest.fixture
def pod():
    path = tempfile.mkdtemp(prefix="podcore-fake-", dir="/dev/shm")
    os.mkdir(f"{path}/rootfs")
    with fake_engine(path) as engine:
        made = engine.create_pod("web", share=())
        made.create_container("one", rootfs=f"{path}/rootfs", command=["/bin/one"])
        yield made
    shutil.rmtree(path)


@pytest.fixture
def meanwhile(monkeypatch):
    """Lets somebody else act right after a verb has let go of the container's lock."""

    def do(act):
        def alone(*arguments):
            result = course.alone(*arguments)
            monkeypatch.undo()  # the other one is not interrupted itself
            act()
            return result

        monkeypatch.setattr(single, "alone", alone)

    return do


def test_a_stop_of_what_does_not_run_is_fine_even_if_it_is_started_then(pod, meanwhile):
    one = pod.container("one")
    meanwhile(one.start)

    one.stop()

    assert one.status == "running"


def test_a_start_of_what_runs_is_fine_even_if_it_is_stopped_then(pod, meanwhile):
    one = pod.container("one")
    one.start()
    meanwhile(one.stop)

    one.start()

    assert one.status == "exited"


def test_a_pause_of_what_is_paused_is_fine_even_if_it_is_thawed_then(pod, meanwhile):
    one = pod.container("one")
    one.start()
    one.pause()
    meanwhile(one.unpause)

    one.pause()

    assert one.status == "running"


@pytest.mark.parametrize("verb", ["kill", "pause", "unpause"])
def test_a_refusal_names_the_state_that_it_is_because_of(pod, meanwhile, verb):
    one = pod.container("one")
    meanwhile(one.start)

    with pytest.raises(errors.ContainerStateError, match="is configured") as caught:
        getattr(one, verb)()

    assert caught.value.current == "configured"
    assert one.status == "running"


def test_a_stop_says_what_it_ignored_a_container_for_even_if_it_is_started_then(pod, monkeypatch):
    one = pod.container("one")
    one.start()
    one.stop()
    run = crew.run

    def late(*arguments):
        monkeypatch.undo()
        one.start()
        return run(*arguments)

    monkeypatch.setattr(crew, "run", late)
    report = pod.stop(cleanup=True)

    assert [(row.outcome, row.reason) for row in report.rows] == [("ignored", "is exited")]
    assert one.status == "running"


def test_what_was_created_ahead_is_not_seen_to_have_exited_when_that_is_taken_back(
    pod, monkeypatch
):
    one = pod.container("one")
    host = pod._engine.host
    with host.store.read() as view:
        row = view.container(one.id)
    single.create(host, row)
    seen = []

    def look(place):
        if place.startswith("discard"):
            seen.append((place, one.status, one.inspect().reason))

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "_armed", {})
        patched.setattr(failpoints, "_pass", look)
        single.discard(host, row)

    assert seen == [
        ("discard.after-intent", "created", ""),
        ("discard.before-commit", "created", ""),
    ]
    assert one.status == "configured"


def test_a_restart_leaves_alone_what_it_found_paused_even_if_it_is_thawed_then(pod, monkeypatch):
    one = pod.container("one")
    one.start()
    one.pause()
    restarting = restart.restarting

    @contextmanager
    def late(*arguments):
        one.unpause()
        with restarting(*arguments):
            yield

    monkeypatch.setattr(restart, "restarting", late)
    report = pod.restart()

    assert [(row.outcome, row.reason) for row in report.rows] == [("ignored", "is paused")]
    assert one.status == "running"
    assert one.inspect().restarts == 0


def test_what_is_created_again_has_no_exit_code_any_more(pod):
    one = pod.container("one")
    host = pod._engine.host
    one.start()
    one.kill()
    assert one.exit_code == 137

    with host.store.read() as view:
        single.create(host, view.container(one.id))

    assert (one.status, one.exit_code, one.inspect().reason) == ("created", None, "")
