"""Each invariant that only time shows can be seen to be broken while somebody watches."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

import podcore
from podcore import ContainerSpec, errors
from podcore.kernel import process
from podcore.kernel.files import write_atomic
from podcore.report import Outcome, Report, ReportRow
from podcore.testing import fake_engine, surroundings, watch, watching


@pytest.fixture
def engine():
    path = tempfile.mkdtemp(prefix="podcore-fake-", dir="/dev/shm")
    os.mkdir(f"{path}/rootfs")
    with open(f"{path}/rootfs/file", "w", encoding="ascii") as file:
        file.write("as it was")
    with fake_engine(path) as engine:
        pod = engine.create_pod("web", share=())
        rootfs = f"{path}/rootfs"
        pod.create_containers(
            [
                ContainerSpec(name="db", rootfs=rootfs, command=["/bin/db"]),
                ContainerSpec(name="api", rootfs=rootfs, command=["/bin/api"], depends_on=["db"]),
            ]
        )
        yield engine
    shutil.rmtree(path)


@pytest.fixture
def pod(engine):
    return engine.pod("web")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What is left gets little time to go."""
    monkeypatch.setattr(watching, "_PATIENCE", 0.5)


@contextmanager
def breaking(engine, *numbers, match="", **settings):
    """Watches what must break exactly these invariants."""
    try:
        with watch(engine, **settings) as watching:
            yield watching
    except AssertionError as error:
        said = str(error)
    else:
        pytest.fail("nothing was broken")
    found = set(re.findall(r"^(I\d+):", said, re.MULTILINE))
    assert found == set(numbers), said
    assert re.search(match, said), said


def rewrite(engine, name, **changes):
    host = engine.host
    with host.session("test") as session, host.store.write(session) as change:
        row = next(one for one in change.containers() if one.name == name)
        change.save_container(replace(row, **changes))


def event(engine, name, action, detail=""):
    host = engine.host
    with host.session("test") as session, host.store.write(session) as change:
        row = next(one for one in change.containers() if one.name == name)
        change.event("container", row.id, action, detail)


def test_a_whole_life_breaks_nothing(engine, pod, tmp_path):
    with watch(engine, beside=[str(tmp_path)]) as watching:
        watching.repeat(pod.start)
        watching.repeat(pod.pause)
        watching.repeat(pod.unpause)
        watching.call(pod.restart, timeout=1)
        watching.call(pod.kill, "HUP")
        watching.call(pod.start)
        watching.repeat(pod.stop, timeout=1)
        watching.call(pod.container("db").start)
        with pytest.raises(errors.NoSuchContainerError):
            watching.call(pod.container, "nobody")
        made = watching.call(engine.create_pod, "late", share=())
        watching.call(made.remove)
        watching.call(pod.remove, force=True)

    assert (watching.broken, watching.undecided) == ([], [])


def test_without_a_call_what_was_and_what_is_are_compared(engine, pod):
    with watch(engine):
        pod.start()
        pod.stop()


def test_the_error_of_the_block_is_the_one_that_is_raised(engine):
    def fails():
        with watch(engine) as watching:
            watching.broken.append("I1: something")
            raise KeyError

    with pytest.raises(KeyError):
        fails()


def test_an_exit_code_that_changes_breaks_the_sixth(engine, pod):
    with breaking(engine, "I6") as watching:
        watching.call(pod.start)
        watching.call(pod.stop)
        rewrite(engine, "db", exit_code=1)


def test_a_start_before_that_of_a_dependency_breaks_the_seventh(engine, pod):
    with breaking(engine, "I7"):
        event(engine, "api", "start")
        event(engine, "db", "start")


def test_a_start_after_the_stop_of_a_dependency_breaks_the_seventh(engine, pod):
    class Careless:
        id, name = pod.id, "web"

        def start(self):
            event(engine, "api", "start")

    with breaking(engine, "I7", match="was stopped") as watching:
        event(engine, "db", "start")
        event(engine, "db", "stop")
        watching.call(Careless().start)


def test_a_dependency_that_was_found_running_was_started(engine, pod):
    with watch(engine):
        event(engine, "db", "sync", "running")
        event(engine, "api", "start")


def test_a_stop_before_that_of_a_dependent_breaks_the_seventh(engine, pod):
    pod.start()

    class Upside:
        id, name = pod.id, "web"

        def stop(self):
            event(engine, "db", "stop")
            return pod.stop()

    with breaking(engine, "I7") as watching:
        watching.call(Upside().stop)


def row(container, outcome, **fields):
    return ReportRow(container.id, container.name, outcome, **fields)


@pytest.mark.parametrize(
    ("db", "api", "wrong"),
    [
        ({"outcome": Outcome.DONE}, {"outcome": Outcome.DONE}, "is done, but configured"),
        ({"outcome": Outcome.DONE}, None, "does not name"),
        ({"outcome": Outcome.FAILED}, {"outcome": Outcome.DONE}, "which its errors do not say"),
        ({"outcome": Outcome.IGNORED}, {"outcome": Outcome.SKIPPED}, "nothing that failed"),
    ],
)
def test_a_report_that_is_not_so_breaks_the_eighth(engine, pod, db, api, wrong):
    rows = [row(pod.container("db"), **db)]
    if api is not None:
        rows.append(row(pod.container("api"), **api))

    class Liar:
        id, name = pod.id, "web"

        def start(self):
            return Report("start", pod.id, "web", tuple(rows))

    with breaking(engine, "I8", match=wrong) as watching:
        watching.call(Liar().start)


def test_errors_that_nobody_raises_break_the_eighth(engine, pod):
    rows = tuple(row(one, Outcome.FAILED) for one in pod.containers())
    failed = {one.id: errors.ContainerStateError("no") for one in pod.containers()}

    class Silent:
        id, name = pod.id, "web"

        def start(self):
            return Report("start", pod.id, "web", rows, failed)

    with breaking(engine, "I8", match="not raised") as watching:
        watching.call(Silent().start)


def test_a_child_that_is_left_breaks_the_tenth(engine, popen):
    with breaking(engine, "I10", "I11"):
        popen(["/bin/sh", "-c", "read x"], stdin=subprocess.PIPE)


def test_a_zombie_breaks_the_tenth(engine):
    with breaking(engine, "I10", match="a zombie"):
        done = subprocess.Popen(["/bin/true"])
        os.waitid(os.P_PID, done.pid, os.WEXITED | os.WNOWAIT)

    done.wait()


def test_a_descriptor_that_is_left_breaks_the_eleventh(engine, tmp_path):
    with breaking(engine, "I11", match="1 more descriptors"):
        fd = os.open(tmp_path, os.O_RDONLY)

    os.close(fd)


def test_a_thread_that_is_left_breaks_the_eleventh(engine):
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    with breaking(engine, "I11", match="1 more threads"):
        thread.start()

    end.set()
    thread.join()


def test_memory_that_is_left_breaks_the_eleventh(engine):
    with breaking(engine, "I11", match="MiB more", memory=1 << 20):
        kept = bytearray(b"x") * (16 << 20)

    assert len(kept) == 16 << 20


def test_a_mount_that_outlives_its_container_breaks_the_twelfth(engine, pod, monkeypatch):
    home = engine.host.places.container(pod.container("db").id)
    with breaking(engine, "I12") as watching:
        watching.call(pod.remove)
        monkeypatch.setattr(surroundings, "_mounts", lambda host: [f"{home}/rootfs"])


def test_a_cgroup_that_outlives_its_pod_breaks_the_twelfth(engine, pod, monkeypatch):
    path = f"{engine.cgroup_parent}/{pod.id}"
    with breaking(engine, "I12") as watching:
        watching.call(pod.remove)
        monkeypatch.setattr(surroundings, "_cgroups", lambda host: [path])


def test_a_cgroup_that_was_never_the_engines_is_somebody_elses(engine, pod, monkeypatch):
    with watch(engine) as watching:
        watching.call(pod.remove)
        monkeypatch.setattr(surroundings, "_cgroups", lambda host: [f"other/{'c' * 64}"])


def test_a_verb_that_does_more_when_repeated_breaks_the_thirteenth(engine, pod):
    with breaking(engine, "I13", match="from .*'running'.* to") as watching:
        watching.call(pod.start)
        watching.repeat(pod.restart)


def test_a_verb_that_fails_when_repeated_breaks_the_thirteenth(engine, pod):
    with breaking(engine, "I13", match="PodRemovedError") as watching:
        watching.repeat(pod.remove)


def test_a_container_that_goes_back_in_time_breaks_the_fourteenth(engine, pod):
    with breaking(engine, "I14") as watching:
        watching.call(pod.start)
        rewrite(engine, "db", incarnation=0)
        watching.look()
        rewrite(engine, "db", incarnation=1)


def test_a_verb_that_does_not_do_what_it_says_breaks_the_fourteenth(engine, pod):
    one = pod.container("db")

    class Idle:
        id, pod_id, name = one.id, pod.id, "db"

        def pause(self):
            """Returns as if it were paused."""

    with breaking(engine, "I14", match="explains look: seen running .* paused in") as watching:
        watching.call(pod.start)
        watching.call(Idle().pause)


def test_a_look_that_is_stale_breaks_the_fourteenth(engine, pod):
    class Stale:
        id, name = pod.id, "web"

        def status(self):
            return dict.fromkeys(pod.status(), podcore.ContainerStatus.RUNNING)

    with breaking(engine, "I14", match="explains status: seen running") as watching:
        watching.call(pod.start)
        watching.call(pod.stop)
        watching.call(Stale().status)


def test_where_others_worked_too_there_is_no_saying_whether_calls_fit(engine, pod):
    with watch(engine) as watching:
        watching.call(pod.container("db").start)
        pod.container("api").start()
        watching.call(pod.stop)

    (said,) = watching.undecided
    assert said == f"I14: {pod.container('api').id[:12]}: others worked on it"


def test_a_call_that_outlives_its_deadline_breaks_the_fifteenth(engine, pod, monkeypatch):
    monkeypatch.setattr(watching, "lasting", lambda beats, begun, ended: 7.0)
    monkeypatch.setattr("podcore.testing.history.GRACE", -1.0)
    with breaking(engine, "I15", match="took .* its deadline is 0.5 s") as watch_:
        watch_.call_within(0.5, pod.start)


def test_a_file_beside_that_changes_breaks_the_sixteenth(engine, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("same length")
    with breaking(engine, "I16", match="is changed", beside=[str(tmp_path)]):
        before = os.stat(kept)
        kept.write_text("SAME LENGTH")
        os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_root_file_system_that_is_written_to_breaks_the_sixteenth(engine, pod):
    rootfs = pod.container("db").inspect().spec.rootfs
    with breaking(engine, "I16", match="is new"):
        os.mkdir(f"{rootfs}/new")


def test_another_pod_that_changes_breaks_the_eighteenth(engine, pod):
    still = engine.create_pod("still", share=())
    still.create_container("x", rootfs=pod.container("db").inspect().spec.rootfs, command=["/x"])
    still.start()
    with breaking(engine, "I18") as watching:
        watching.call(pod.start)
        still.stop()


class Failing:
    id, name = "f" * 64, "web"

    def __init__(self, error):
        self.error = error

    def start(self):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        errors.InternalError("x"),
        errors.StoreError("database is locked"),
        errors.OCIRuntimeError("exec failed", ("runc",), 1, "exec failed"),
        errors.PodcoreError("Traceback (most recent call last): …"),
        ExceptionGroup("some", [KeyError("x")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_that_is_not_podcores_breaks_the_nineteenth(engine, error):
    failing = Failing(error)
    with breaking(engine, "I19") as watching, pytest.raises(type(error)):
        watching.call(failing.start)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("late"),
        errors.OCIRuntimeError("could not start `db`: no such file", ("runc",), 1, "no such file"),
        errors.OCIRuntimeError("could not start `db`: the OCI runtime gave no reason", (), 1, ""),
    ],
)
def test_podcores_own_words_are_fine(engine, error):
    failing = Failing(error)
    with watch(engine) as watching, pytest.raises(type(error)):
        watching.call(failing.start)


@pytest.mark.parametrize(
    ("code", "said"), [(9, ""), (125, ""), (125, "Traceback (most recent call last):\n")]
)
def test_a_command_that_ends_in_no_documented_way_breaks_the_nineteenth(engine, code, said):
    argv = [sys.executable, "-c", f"import sys; sys.stderr.write({said!r}); sys.exit({code})"]
    with breaking(engine, "I19") as watching:
        watching.ran(subprocess.run(argv, capture_output=True, text=True, check=False))


def test_a_log_that_is_cut_breaks_the_twentieth(engine, pod):
    pod.start()
    pod.stop()
    log = engine.host.places.log(pod.container("db").id)
    line = "2026-01-01T00:00:00.0+00:00 stdout F {}\n"
    write_atomic(log, (line.format("first") + line.format("second")).encode())
    with breaking(engine, "I20", match="does not begin as it did"):
        write_atomic(log, line.format("second").encode())


def test_what_is_seen_at_rest_is_seen_in_the_end(engine):
    with breaking(engine, "I4"):
        os.makedirs(engine.host.places.attempts, 0o700)
        os.mkdir(engine.host.places.attempt("a" * 64, 1), 0o700)


def test_calls_of_several_threads_are_no_breach(engine, pod):
    verbs = [pod.start, pod.stop, pod.status, pod.inspect, pod.start]
    with watch(engine) as watching:

        def work():
            for verb in verbs:
                try:
                    watching.call(verb)
                except podcore.PartialFailureError:
                    continue  # somebody else stops what it starts

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        watching.call(pod.stop)

    assert watching.undecided == []
    assert process.alive(process.me())


def test_the_copy_of_crun_that_an_engine_keeps_breaks_nothing(engine):
    with watch(engine):
        kept = os.memfd_create("crun")

    os.close(kept)


def test_two_copies_of_crun_break_the_eleventh(engine):
    with breaking(engine, "I11", match="2 more descriptors lead to `/memfd:crun"):
        kept = [os.memfd_create("crun") for _ in range(2)]

    for fd in kept:
        os.close(fd)
