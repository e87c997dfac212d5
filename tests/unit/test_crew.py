"""The workers of a batch, with plans that have no containers."""

import os
import threading
import time
from collections import deque
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from podcore.errors import ResourceExhaustedError
from podcore.operations import crew
from podcore.operations.crew import Job, Watch


class Plan:
    """Jobs by name; ``after`` says which ones come when a job has ended."""

    def __init__(self, jobs, after=None):
        self.ready = deque(jobs)
        self.after = after or {}
        self.under_way = 0
        self.done, self.errors, self.over = [], {}, []
        self.watches = {}
        self.work = {}

    @property
    def finished(self):
        return not self.ready and not self.under_way and not self.watches

    def take(self):
        if not self.ready:
            return None
        name = self.ready.popleft()
        self.under_way += 1
        return Job(name, "work", self.work.get(name, lambda session: name))

    def _end(self, job):
        self.under_way -= 1
        self.ready.extend(self.after.get(job.container_id, ()))

    def succeeded(self, job, result):
        self.done.append((job.container_id, result))
        self._end(job)

    def failed(self, job, error):
        self.errors[job.container_id] = error
        self._end(job)

    def watched(self):
        return list(self.watches.values())

    def due(self, watch):
        self.over.append(watch.container_id)
        self.watches.pop(watch.container_id, None)


def run(plan, workers=3):
    """Runs a plan on a thread of its own, so that a deadlock fails the test instead of hanging it."""
    host = SimpleNamespace(max_workers=workers, session=nullcontext)
    raised = []

    def target():
        try:
            crew.run(host, plan, "test")
        except BaseException as error:
            raised.append(error)

    runner = threading.Thread(target=target, daemon=True)
    runner.start()
    runner.join(30)
    assert not runner.is_alive(), "the crew hangs"
    if raised:
        raise raised[0]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_job_is_done_once(workers):
    plan = Plan(range(100))

    run(plan, workers)

    assert sorted(plan.done) == [(number, number) for number in range(100)]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_jobs_that_others_bring_about_are_done_too(workers):
    chain = {number: [number + 1] for number in range(50)}
    plan = Plan([0], chain)

    run(plan, workers)

    assert [name for name, _ in plan.done] == list(range(51))


def test_an_empty_plan_ends_at_once():
    run(Plan([]))


def test_as_many_jobs_run_at_once_as_there_are_workers():
    plan = Plan(range(4))
    meeting = threading.Barrier(4)
    plan.work = dict.fromkeys(range(4), lambda session: meeting.wait(20))

    run(plan, workers=4)

    assert plan.errors == {}


def test_an_error_of_a_job_is_told_to_the_plan_and_stops_nothing():
    plan = Plan(["bad", "good"])

    def fail(session):
        raise ValueError("no")

    plan.work = {"bad": fail}

    run(plan, workers=1)

    assert str(plan.errors["bad"]) == "no"
    assert plan.done == [("good", "good")]


def test_each_job_has_a_session_of_its_own():
    sessions = []
    plan = Plan(range(5))
    plan.work = dict.fromkeys(range(5), sessions.append)
    host = SimpleNamespace(max_workers=2, session=lambda operation: nullcontext(object()))

    crew.run(host, plan, "test")

    assert len({id(session) for session in sessions}) == 5


@pytest.mark.parametrize("method", ["take", "succeeded", "failed", "watched"])
def test_a_bug_of_a_plan_is_raised_and_hangs_nothing(method):
    plan = Plan(["good", "bad"])

    def fail(session):
        raise ValueError("no")

    def bug(*arguments):
        raise RuntimeError("a bug")

    plan.work = {"bad": fail}
    setattr(plan, method, bug)

    with pytest.raises(RuntimeError, match="a bug"):
        run(plan)


def test_a_base_exception_of_a_job_is_raised_by_the_caller():
    plan = Plan(["bad", "good"])

    def fail(session):
        raise SystemExit(3)

    plan.work = {"bad": fail}

    with pytest.raises(SystemExit):
        run(plan, workers=1)


def test_a_watched_process_is_told_to_be_over():
    plan = Plan([])
    reading, writing = os.pipe()
    try:
        plan.watches["a"] = Watch("a", reading, time.monotonic() + 60)
        threading.Timer(0.05, os.write, (writing, b"x")).start()

        run(plan)
    finally:
        os.close(reading)
        os.close(writing)

    assert plan.over == ["a"]


def test_a_watched_moment_is_told_to_have_come():
    plan = Plan([])
    reading, writing = os.pipe()
    try:
        plan.watches["a"] = Watch("a", reading, time.monotonic() + 0.05)
        run(plan)
    finally:
        os.close(reading)
        os.close(writing)

    assert plan.over == ["a"]


def test_a_process_that_is_gone_already_is_over_at_once():
    plan = Plan([])
    plan.watches["a"] = Watch("a", None, float("inf"))

    run(plan)

    assert plan.over == ["a"]


def test_a_watch_that_a_job_brings_about_is_noticed():
    plan = Plan(["job"])

    def begin(session):
        plan.watches["job"] = Watch("job", None, float("inf"))

    plan.work = {"job": begin}

    run(plan, workers=1)

    assert plan.over == ["job"]


def test_ctrl_c_hands_out_no_more_jobs_and_lets_those_under_way_end(monkeypatch):
    plan = Plan(["slow", "never"])
    begun, stopping, returned = threading.Event(), threading.Event(), threading.Event()
    stop = crew._Crew._stop

    def slow(session):
        begun.set()
        assert stopping.wait(20)
        # Whoever does not wait for this has come back before it is over.
        returned.wait(0.5)

    def interrupt(watched):
        assert begun.wait(20)
        raise KeyboardInterrupt

    def stop_and_say_so(self):
        stop(self)
        stopping.set()

    plan.work = {"slow": slow}
    monkeypatch.setattr(crew, "_milliseconds", interrupt)
    monkeypatch.setattr(crew._Crew, "_stop", stop_and_say_so)

    with pytest.raises(KeyboardInterrupt):
        run(plan, workers=1)
    done = list(plan.done)
    returned.set()

    assert done == [("slow", None)]
    assert list(plan.ready) == ["never"]


def test_threads_and_descriptors_are_given_back():
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))

    for _ in range(20):
        run(Plan(range(5)))

    # Less is no matter: something of another test may have been collected meanwhile.
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def starting(monkeypatch, instead):
    """Calls ``instead`` with a thread of a crew, and what starts one, where it would be started."""
    start = threading.Thread.start

    def begin(self):
        if self.name.startswith("podcore-"):
            instead(self, start)
        else:
            start(self)

    monkeypatch.setattr(threading.Thread, "start", begin)


def limited(monkeypatch, most):
    """Lets only so many threads be started by a crew; returns the names of those that were."""
    started = []

    def refusing(thread, start):
        if len(started) >= most:
            raise RuntimeError("can't start new thread")
        started.append(thread.name)
        start(thread)

    starting(monkeypatch, refusing)
    return started


def test_no_more_threads_are_started_than_there_are_jobs_at_once(monkeypatch):
    started = limited(monkeypatch, 99)

    run(Plan([0], {number: [number + 1] for number in range(20)}), workers=8)
    assert started == ["podcore-0"]

    run(Plan(range(2)), workers=8)
    assert len(started) <= 3


@pytest.mark.parametrize("most", [1, 2])
def test_with_too_few_threads_all_is_done_by_those_that_there_are(monkeypatch, most):
    started = limited(monkeypatch, most)
    plan = Plan(range(20), {number: [number + 100] for number in range(20)})

    run(plan, workers=8)

    assert len(started) == most
    assert sorted(name for name, _ in plan.done) == [*range(20), *range(100, 120)]


def test_ctrl_c_as_a_thread_begins_waits_for_it_all_the_same(monkeypatch):
    plan = Plan(["job"])

    def interrupted(thread, start):
        threading.Timer(0.05, start, (thread,)).start()
        raise KeyboardInterrupt

    starting(monkeypatch, interrupted)

    with pytest.raises(KeyboardInterrupt):
        run(plan)
    assert plan.done == [("job", "job")]


def test_ctrl_c_before_a_thread_begins_does_not_wait_for_it_for_ever(monkeypatch):
    plan = Plan(["job"])

    def interrupted(thread, start):
        raise KeyboardInterrupt

    starting(monkeypatch, interrupted)

    with pytest.raises(KeyboardInterrupt):
        run(plan)
    assert plan.done == []


def test_without_any_thread_it_says_what_the_host_is_out_of(monkeypatch):
    limited(monkeypatch, 0)

    with pytest.raises(ResourceExhaustedError, match=r"could not start a thread: .*processes"):
        run(Plan(["job"]))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_worker_is_lost_when_it_is_called_before_it_waits(monkeypatch, workers):
    write = os.eventfd_write

    def give_way(fd, value):
        write(fd, value)
        time.sleep(0.01)  # the calling thread hands out what the watch brings about meanwhile

    monkeypatch.setattr(os, "eventfd_write", give_way)
    plan = Plan([0])
    due = plan.due

    def begin(session):
        # By turns: it is called before it waits, and has to wait.
        soon = time.monotonic() + 0.05 * (len(plan.done) % 2)
        plan.watches["a"] = Watch("a", never, soon)

    def brings(watch):
        due(watch)
        if len(plan.done) < 10:
            plan.ready.append(0)

    plan.due = brings
    plan.work = {0: begin}
    never, writing = os.pipe()
    try:
        run(plan, workers)
    finally:
        os.close(never)
        os.close(writing)

    assert len(plan.done) == 10


def test_a_job_that_a_watch_brings_about_is_done():
    plan = Plan([])
    plan.watches["a"] = Watch("a", None, float("inf"))
    due = plan.due

    def brings(watch):
        due(watch)
        plan.ready.extend(range(3))

    plan.due = brings

    run(plan, workers=2)

    assert sorted(plan.done) == [(number, number) for number in range(3)]
