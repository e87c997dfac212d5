"""The floor of a pod's start: conmon and the OCI runtime alone, on the bundles that podcore wrote.

Nothing is locked, recorded, checked or put in order here; four threads do nothing but start
programs and wait for them. Who is faster runs these programs in another way.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from harness import host
from harness.polling import eventually
from podcore import _core

WORKERS = 4
_NAMESPACE = re.compile(r"/proc/[0-9]+/ns/")


class Floor:
    """Containers that only conmon and the runtime know.

    Args:
        directory: of its own; short, for conmon binds sockets below it.
        runtime: the name of the OCI runtime.
        configs: the path of a config.json for each container.
        lower: what the containers' overlays show; without it their roots are used in place.
        infra: the first one starts before the others, which join its namespaces.
        workers: how many threads start them.
    """

    def __init__(
        self,
        directory: str,
        runtime: str,
        configs: Sequence[str],
        *,
        lower: str | None = None,
        infra: bool = False,
        workers: int = WORKERS,
    ) -> None:
        self._directory = directory
        self._workers = workers
        self._conmon = _program("conmon")
        self._runtime = [_program(runtime), "--root", f"{directory}/root"]
        self._ids = [f"floor-{number}" for number in range(len(configs))]
        self._lower = lower
        self._infra = self._ids[0] if infra else None
        self._configs: dict[str, str] = {}
        for name, config in zip(self._ids, configs, strict=True):
            with open(config, encoding="utf-8") as file:
                document = json.load(file)
            if self._has_overlay(name):
                document["root"]["path"] = f"{directory}/{name}/rootfs"
            self._configs[name] = json.dumps(document, separators=(",", ":"))
            self._make(name)

    def _make(self, name: str) -> None:
        parts = ["bundle", "upper", "work", "rootfs"] if self._has_overlay(name) else ["bundle"]
        for part in parts:
            os.makedirs(f"{self._directory}/{name}/{part}")
        self._write_config(name)

    def renew(self) -> None:
        """Takes new containers in the place of the old ones, which have been removed."""
        for name in self._ids:
            shutil.rmtree(f"{self._directory}/{name}")
            self._make(name)

    def _has_overlay(self, name: str) -> bool:
        return self._lower is not None and name != self._infra

    def _write_config(self, name: str, infra: int | None = None) -> None:
        text = self._configs[name]
        if infra is not None:
            text = _NAMESPACE.sub(f"/proc/{infra}/ns/", text)
        with open(f"{self._directory}/{name}/bundle/config.json", "w", encoding="utf-8") as file:
            file.write(text)

    def start(self) -> float:
        """Creates and starts all containers; returns the seconds that this took."""
        with ThreadPoolExecutor(self._workers) as workers:
            list(
                workers.map(abs, range(self._workers))
            )  # the threads are there before the clock starts
            before = time.perf_counter()
            infra = None if self._infra is None else self._start(self._infra)
            members = [name for name in self._ids if name != self._infra]
            list(workers.map(lambda name: self._start(name, infra), members))
            return time.perf_counter() - before

    def _start(self, name: str, infra: int | None = None) -> int:
        mine = f"{self._directory}/{name}"
        if infra is not None:
            self._write_config(name, infra)
        if self._lower is not None and self._has_overlay(name):
            layers = {"upper": f"{mine}/upper", "work": f"{mine}/work"}
            _core.mount_overlay([self._lower], f"{mine}/rootfs", **layers)
        argv = [self._conmon, "--api-version", "1", "-c", name, "-u", name, "-n", name]
        argv += ["-r", self._runtime[0], "-b", f"{mine}/bundle", "-p", f"{mine}/pid"]
        argv += ["-P", f"{mine}/conmon-pid", "--exit-dir", mine, "--persist-dir", mine]
        argv += ["--full-attach", "-l", f"k8s-file:{mine}/log", "--log-level", "error"]
        argv += ["--no-sync-log"]
        for argument in [*self._runtime[1:], "--log", f"{mine}/create.log", "--log-format", "json"]:
            argv += ["--runtime-arg", argument]
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        try:
            environ = {"PATH": os.environ["PATH"], "_OCI_SYNCPIPE": str(writer)}
            actions = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
            conmon = os.posix_spawn(argv[0], argv, environ, file_actions=actions)
            os.waitpid(conmon, 0)
        finally:
            os.close(writer)
        with open(reader, "rb") as answers:
            answer = json.loads(answers.readline())
        assert answer["data"] > 0, f"conmon could not create {name}: {answer}"
        start = [
            *self._runtime,
            "--log",
            f"{mine}/start.log",
            "--log-format",
            "json",
            "start",
            name,
        ]
        status = os.waitpid(os.posix_spawn(start[0], start, environ, file_actions=actions), 0)[1]
        assert status == 0, f"{start} failed"
        return int(answer["data"])

    def remove(self) -> None:
        """Kills and deletes all containers and waits until their monitors are gone."""
        monitors = []
        for name in self._ids:
            with open(f"{self._directory}/{name}/conmon-pid", encoding="ascii") as file:
                monitors.append(int(file.read()))
            subprocess.run([*self._runtime, "delete", "--force", name], check=True)
            if self._has_overlay(name):
                _core.unmount(f"{self._directory}/{name}/rootfs")
            for made in ("pid", "conmon-pid", "log", "bundle/attach"):
                # A monitor removes some of them itself as it goes.
                with suppress(FileNotFoundError):
                    os.unlink(f"{self._directory}/{name}/{made}")
        eventually(
            lambda: not any("conmon" in host.read_proc(pid, "comm") for pid in monitors),
            what="the end of all monitors",
        )


def _program(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed"
    return path
