"""Runs a plan with a few worker threads, while the calling thread watches processes and Ctrl-C.

A plan says what to do next and is told how it went; it is only ever called under the crew's lock.
Each job gets a lock session of its own, since a session belongs to one thread; those that a worker
takes in one go share one, and their commits.
"""

import errno
import math
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from podcore._core import LockSession
from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.kernel import exhaustion
from podcore.kernel.process import milliseconds
from podcore.lifecycle.course import Part, together
from podcore.lifecycle.step import Step

_STARTS = 1.0
"""Seconds in which a thread begins, if it has been started."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work on one container.

    Attributes:
        container_id: of the container.
        kind: told back to the plan.
        work: what a worker calls with its lock session; or a part in what it does together.
    """

    container_id: str
    kind: str
    work: Callable[[LockSession], object] | Part


@dataclass(frozen=True, slots=True)
class Watch:
    """A process whose end, or a moment, that a plan waits for.

    Attributes:
        container_id: told back to the plan.
        pidfd: readable once the process is dead; None for one that is dead already.
        until: monotonic seconds.
    """

    container_id: str
    pidfd: int | None
    until: float


class Plan(Protocol):
    """What a crew works off."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do and nothing is under way."""

    def take(self) -> Job | None:
        """Returns the next job, or None when there is none at the moment."""

    def succeeded(self, job: Job, result: object) -> None:
        """Is told that a job's work returned."""

    def failed(self, job: Job, error: Exception) -> None:
        """Is told that a job's work raised."""

    def watched(self) -> Sequence[Watch]:
        """Returns what the calling thread is to wait for, besides the workers."""

    def due(self, watch: Watch) -> None:
        """Is told that a watched process is dead or its moment has come."""


def run(host: Host, plan: Plan, operation: str, at_once: int = 1) -> None:
    """Works off a plan; returns when it is finished.

    An exception of the calling thread (Ctrl-C) stops handing out jobs, lets those under way finish
    and is raised again.

    Args:
        host: of the engine.
        plan: what there is to do.
        operation: shown to those who wait for a lock.
        at_once: how many jobs a worker takes in one go, if they are parts.
    """
    _Crew(host, plan, operation, at_once).run()


def outcome(result: object) -> Step:
    """Returns the result of a job that must be a step."""
    assert isinstance(result, Step), f"a job returned {result!r}"
    return result


class _Worker:
    """A thread of a crew: what it is to do next, and what it waits on when that is nothing."""

    __slots__ = ("called", "jobs")

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.called = threading.Semaphore(0)


class _Crew:
    """Hands jobs to threads, which are started when there is something for them to do.

    Whoever has told the plan something gives out what can be done now: to itself first, then to
    those that wait, so that nobody is woken for nothing.
    """

    def __init__(self, host: Host, plan: Plan, operation: str, at_once: int) -> None:
        self._host = host
        self._plan = plan
        self._operation = operation
        self._at_once = at_once
        self._lock = threading.Lock()
        self._most = host.max_workers
        self._threads: list[threading.Thread] = []
        self._waiting: list[_Worker] = []
        self._left: list[Sequence[Job]] = []  # taken, but without a thread
        self._stopping = False
        self._bug: BaseException | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def run(self) -> None:
        try:
            with self._lock:
                self._hand_out()
            self._watch()
        except BaseException:
            self._stop()
            raise
        finally:
            self._dismiss()
            for thread in self._threads:
                _join(thread)
            os.close(self._wake)
        if self._bug is not None:
            raise self._bug

    @property
    def _over(self) -> bool:
        """Whether no more jobs are given out, for good."""
        return self._stopping or self._plan.finished

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True

    def _dismiss(self) -> None:
        """Lets those that wait go, when no more jobs are given out."""
        with self._lock:
            for worker in self._waiting:
                worker.called.release()
            self._waiting.clear()

    def _work(self, worker: _Worker) -> None:
        try:
            while worker.jobs:
                if self._do(worker):
                    worker.called.acquire()
        except BaseException as bug:  # noqa: BLE001 - raised by the calling thread
            self._bug = bug
            self._stop()
            os.eventfd_write(self._wake, 1)

    def _do(self, worker: _Worker) -> bool:
        """Does a worker's jobs and gives it others; returns whether it must wait to be called."""
        jobs = worker.jobs
        results: Sequence[object]
        try:
            with self._host.session(self._operation) as session:
                results = _results(self._host, session, jobs)
        except Exception as raised:  # noqa: BLE001 - it is those containers' error in the report
            results = [raised] * len(jobs)
        with self._lock:
            for job, result in zip(jobs, results, strict=True):
                if isinstance(result, Exception):
                    self._plan.failed(job, result)
                else:
                    self._plan.succeeded(job, result)
            worker.jobs = self._next()
            self._hand_out()
            waits = not worker.jobs and not self._over
            if waits:
                self._waiting.append(worker)
            wake = self._plan.finished or bool(self._plan.watched())
        if wake:
            os.eventfd_write(self._wake, 1)
        return waits

    def _next(self) -> Sequence[Job]:
        """Returns what a worker is to do now; nothing when there is nothing at the moment."""
        if self._over:
            return ()
        if self._left:
            return self._left.pop(0)
        jobs: list[Job] = []
        while len(jobs) < self._at_once and (job := self._plan.take()) is not None:
            jobs.append(job)
        return jobs

    def _hand_out(self) -> None:
        """Gives what can be done now to workers that wait, and to new ones."""
        while (self._waiting or len(self._threads) < self._most) and (jobs := self._next()):
            if self._waiting:
                worker = self._waiting.pop()
                worker.jobs = jobs
                worker.called.release()
            else:
                self._hire(jobs)

    def _hire(self, jobs: Sequence[Job]) -> None:
        """Starts a thread; when the host has no more of them, those that are there do it all.

        Raises:
            ResourceExhaustedError: not even one could be started.
        """
        thread = threading.Thread(
            target=self._work,
            args=(_Worker(jobs),),
            name=f"podcore-{len(self._threads)}",
            daemon=True,
        )
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError as error:  # Python's "can't start new thread"
            self._threads.pop()
            self._most = len(self._threads)
            if not self._threads:
                refused = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                raise exhaustion.typed(refused, "start a thread") or error from error
            self._left.append(jobs)

    def _watch(self) -> None:
        """Waits until the plan is finished, telling it of what it watches."""
        while True:
            with self._lock:
                if self._over:
                    return
                watched = list(self._plan.watched())
            poll = select.poll()
            poll.register(self._wake, select.POLLIN)
            for watch in watched:
                if watch.pidfd is not None:
                    poll.register(watch.pidfd, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll(_milliseconds(watched))}
            if self._wake in ready:
                os.eventfd_read(self._wake)
            now = time.monotonic()
            with self._lock:
                for watch in watched:
                    if watch.pidfd is None or watch.pidfd in ready or watch.until <= now:
                        self._plan.due(watch)
                self._hand_out()


def _join(thread: threading.Thread) -> None:
    """Waits for the end of a thread, also of one in whose start Ctrl-C came."""
    until = time.monotonic() + _STARTS
    while True:
        try:
            thread.join()
        except RuntimeError:  # it has not begun; after a while it can be said that it won't
            if time.monotonic() > until:
                return
            time.sleep(0.001)
        else:
            return


def _results(host: Host, session: LockSession, jobs: Sequence[Job]) -> list[object]:
    """Does some jobs; returns what each returned or the exception that it raised."""
    parts = [job.work for job in jobs if isinstance(job.work, Part)]
    if parts:
        assert len(parts) == len(jobs), "a plan gives out parts, or work for one"
        return together(host, session, parts)
    return [job.work(session) for job in jobs if not isinstance(job.work, Part)]


def _milliseconds(watched: Sequence[Watch]) -> float | None:
    if any(watch.pidfd is None for watch in watched):
        return 0
    return milliseconds(Deadline(min((watch.until for watch in watched), default=math.inf)))
