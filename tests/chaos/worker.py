"""One worker of the chaos: calls random verbs on pods that it shares with the others."""

import os
import random
import time
from typing import Any

from chaos.ground import LIFE
from podcore import Engine, errors
from podcore.observe import truth
from podcore.records import Verb
from podcore.report import Report
from podcore.testing.agreement import disagreements
from podcore.testing.history import Recorder, seen_of

PODS = ("p0", "p1", "p2")
STOP = 1.0
"""Seconds that a stop gives."""

VERBS = {
    "start": 20,
    "stop": 12,
    "restart": 8,
    "kill": 8,
    "pause": 8,
    "unpause": 12,
    "status": 20,
    "inspect": 6,
    "one": 12,
    "exec": 4,
    "remove": 3,
    "create": 6,
}
"""How often each is called."""

DEADLINES = dict.fromkeys(VERBS, 30.0) | {"status": 0.25, "inspect": 0.25}
"""Seconds by which a call must return, those apart that it can't help. As long as a verb waits for
one lock: where each holder does its work, nobody ever waits for as long as that, however many are
in front of it. Those that read wait for nobody.
"""


class Worker:
    """Calls verbs until its time is up or it is killed."""

    def __init__(self, engine: Engine, rootfs: str, recorder: Recorder, seed: int) -> None:
        self._engine = engine
        self._rootfs = rootfs
        self._recorder = recorder
        self._random = random.Random(seed)

    def run(self, until: float) -> None:
        """Works until a moment of the monotonic clock."""
        while time.monotonic() < until:
            verb = self._random.choices(list(VERBS), list(VERBS.values()))[0]
            self.call(verb, self._random.choice(PODS))

    def call(self, verb: str, pod: str) -> None:
        """Calls one verb and records how it went."""
        call = self._recorder.invoke(verb, pod)
        try:
            found = getattr(self, f"_{verb}")(pod)
        except Exception as error:
            self._recorder.fail(call, error)
        else:
            report = isinstance(found, Report)
            wrong = list(disagreements(found, None, raised=False)) if report else []
            self._recorder.ok(call, None if report else found, wrong)

    def _start(self, pod: str) -> Report:
        return self._engine.pod(pod).start()

    def _stop(self, pod: str) -> Report:
        return self._engine.pod(pod).stop(timeout=STOP, cleanup=self._random.random() < 0.3)

    def _restart(self, pod: str) -> Report:
        return self._engine.pod(pod).restart(timeout=STOP)

    def _kill(self, pod: str) -> Report:
        return self._engine.pod(pod).kill(self._random.choice(["KILL", "TERM", "USR1"]))

    def _pause(self, pod: str) -> Report:
        return self._engine.pod(pod).pause()

    def _unpause(self, pod: str) -> Report:
        return self._engine.pod(pod).unpause()

    def _inspect(self, pod: str) -> None:
        self._engine.pod(pod).inspect()

    def _exec(self, pod: str) -> None:
        self._engine.container(f"{pod}/a").exec(["true"], timeout=20)

    def _one(self, pod: str) -> None:
        """Calls a verb of a single container."""
        container = self._engine.container(f"{pod}/{self._random.choice('abc')}")
        verb = self._random.choice(["start", "stop", "kill", "pause", "unpause", "remove"])
        if verb == "stop":
            container.stop(timeout=STOP)
        elif verb == "remove":
            container.remove(force=True)
        else:
            getattr(container, verb)()

    def _remove(self, pod: str) -> Report:
        return self._engine.pod(pod).remove(force=True)

    def _create(self, pod: str) -> None:
        try:
            made = self._engine.create_pod(pod)
        except errors.PodExistsError:
            made = self._engine.pod(pod)
        there = {container.name for container in made.containers()}
        for name, needs in (("a", ()), ("b", ("a",)), ("c", ())):
            if name not in there:
                made.create_container(
                    name,
                    rootfs=self._rootfs,
                    rootfs_mode="overlay" if name == "c" else "ro",
                    command=LIFE,
                    depends_on=needs,
                )

    def _status(self, pod: str) -> list[dict[str, Any]]:
        """Reads rows and host as ``status`` does, and returns what the model wants to know."""
        host = self._engine.host
        found = self._engine.pod(pod)
        with host.store.read() as view:
            rows = view.containers(found.id)
        return [
            seen_of(truth(host, row))
            for row in rows
            # While a create is under way the row is that of two incarnations.
            if row.intent is None or row.intent.verb is not Verb.CREATE
        ]


def work(settings: dict[str, Any], rootfs: str, history: str, slot: int, until: float) -> None:
    """Is a worker process: opens an engine of its own and works."""
    recorder = Recorder(f"{history}/{slot}.jsonl", slot)
    with Engine(**settings, max_workers=4) as engine:
        Worker(engine, rootfs, recorder, os.getpid() * 1000 + slot).run(until)
