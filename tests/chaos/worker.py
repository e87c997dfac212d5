"""One worker of the chaos: calls random verbs on pods that it shares with the others."""

import os
import random
import time
from collections.abc import Sequence
from typing import Any

from chaos.ground import LIFE
from podcore import Container, Engine, Pod, errors
from podcore.observe import truth
from podcore.report import Report
from podcore.testing.agreement import disagreements
from podcore.testing.history import Recorder, seen_of
from podcore.testing.parts import about

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

# `Any`: whatever the verb takes.
ONE: dict[str, dict[str, Any]] = {
    "start": {},
    "stop": {"timeout": STOP},
    "restart": {"timeout": STOP},
    "kill": {},
    "pause": {},
    "unpause": {},
    "wait": {"timeout": 0.3},
    "inspect": {},
    "remove": {"force": True},
}
"""What is called of a single container, each as often as the others."""

DEADLINES = dict.fromkeys(VERBS, 30.0) | {"status": 0.25, "inspect": 0.25}
"""Seconds by which a call must return, those apart that it can't help. As long as a verb waits for
one lock: where each holder does its work, nobody ever waits for as long as that, however many are
in front of it. Those that read wait for nobody.
"""


class Worker:
    """Calls verbs until its time is up or it is killed; belongs to one thread.

    Args:
        engine: may be shared with others.
        rootfs: of the containers that it creates.
        recorder: gets all calls.
        seed: of what it chooses.
        pods: the names of the pods that it works on.
    """

    def __init__(
        self,
        engine: Engine,
        rootfs: str,
        recorder: Recorder,
        seed: int,
        pods: Sequence[str] = PODS,
    ) -> None:
        self._pods = pods
        self._engine = engine
        self._rootfs = rootfs
        self._recorder = recorder
        self._random = random.Random(seed)
        self._call = 0

    def run(self, until: float) -> None:
        """Works until a moment of the monotonic clock."""
        while time.monotonic() < until:
            verb = self._random.choices(list(VERBS), list(VERBS.values()))[0]
            self.call(verb, self._random.choice(self._pods))

    def call(self, verb: str, pod: str) -> None:
        """Calls one verb and records how it went."""
        self._call = call = self._recorder.invoke(verb, pod)
        try:
            found = getattr(self, f"_{verb}")(pod)
        except Exception as error:
            self._recorder.fail(call, error)
        else:
            report = isinstance(found, Report)
            wrong = list(disagreements(found, None, raised=False)) if report else []
            seen = found if isinstance(found, list) else None
            self._recorder.ok(call, seen, wrong, found)

    # `Any`: whatever the verb takes and returns.
    def _do(self, verb: str, target: Pod | Container, **kwargs: Any) -> Any:
        """Calls a verb, with a note of what it is about to do to whom: its caller may die of it."""
        self._recorder.about(self._call, about(verb, target, kwargs=kwargs))
        return getattr(target, verb)(**kwargs)

    def _start(self, pod: str) -> object:
        return self._do("start", self._engine.pod(pod))

    def _stop(self, pod: str) -> object:
        cleanup = self._random.random() < 0.3
        return self._do("stop", self._engine.pod(pod), timeout=STOP, cleanup=cleanup)

    def _restart(self, pod: str) -> object:
        return self._do("restart", self._engine.pod(pod), timeout=STOP)

    def _kill(self, pod: str) -> object:
        signal = self._random.choice(["KILL", "TERM", "USR1"])
        return self._do("kill", self._engine.pod(pod), signal=signal)

    def _pause(self, pod: str) -> object:
        return self._do("pause", self._engine.pod(pod))

    def _unpause(self, pod: str) -> object:
        return self._do("unpause", self._engine.pod(pod))

    def _inspect(self, pod: str) -> object:
        return self._do("inspect", self._engine.pod(pod))

    def _exec(self, pod: str) -> None:
        self._engine.container(f"{pod}/a").exec(["true"], timeout=20)

    def _one(self, pod: str) -> object:
        """Calls a verb of a single container."""
        container = self._engine.container(f"{pod}/{self._random.choice('abc')}")
        verb = self._random.choice(list(ONE))
        return self._do(verb, container, **ONE[verb])

    def _remove(self, pod: str) -> object:
        return self._do("remove", self._engine.pod(pod), force=True)

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
        return [seen_of(truth(host, row)) for row in rows]


def work(
    settings: dict[str, Any],
    rootfs: str,
    history: str,
    slot: int,
    until: float,
    pods: Sequence[str] = PODS,
) -> None:
    """Is a worker process: opens an engine of its own and works."""
    recorder = Recorder(f"{history}/{slot}.jsonl", slot)
    with Engine(**settings, max_workers=4) as engine:
        Worker(engine, rootfs, recorder, os.getpid() * 1000 + slot, pods).run(until)
