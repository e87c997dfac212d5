"""The floor of a pod's start: conmon and the OCI runtime alone, on the bundles that podcore wrote.

Nothing is locked, recorded, checked or put in order here; four threads do nothing but start
programs and wait for them. No engine that uses these programs can be faster.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from harness import host
from harness.polling import eventually

WORKERS = 4


class Floor:
    """Containers that only conmon and the runtime know.

    Args:
        directory: of its own; short, for conmon binds sockets below it.
        runtime: the name of the OCI runtime.
        configs: the path of a config.json for each container.
    """

    def __init__(self, directory: str, runtime: str, configs: Sequence[str]) -> None:
        self._directory = directory
        self._conmon = _program("conmon")
        self._runtime = [_program(runtime), "--root", f"{directory}/root"]
        self._ids = [f"floor-{number}" for number in range(len(configs))]
        for name, config in zip(self._ids, configs, strict=True):
            os.makedirs(f"{directory}/{name}/bundle")
            shutil.copy(config, f"{directory}/{name}/bundle/config.json")

    def start(self) -> float:
        """Creates and starts all containers; returns the seconds that this took."""
        with ThreadPoolExecutor(WORKERS) as workers:
            list(workers.map(abs, range(WORKERS)))  # the threads are there before the clock starts
            before = time.perf_counter()
            list(workers.map(self._start, self._ids))
            return time.perf_counter() - before

    def _start(self, name: str) -> None:
        mine = f"{self._directory}/{name}"
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

    def remove(self) -> None:
        """Kills and deletes all containers and waits until their monitors are gone."""
        monitors = []
        for name in self._ids:
            with open(f"{self._directory}/{name}/conmon-pid", encoding="ascii") as file:
                monitors.append(int(file.read()))
            subprocess.run([*self._runtime, "delete", "--force", name], check=True)
            for made in ("pid", "conmon-pid", "log", "bundle/attach"):
                path = f"{self._directory}/{name}/{made}"
                if os.path.lexists(path):
                    os.unlink(path)
        eventually(
            lambda: not any("conmon" in host.read_proc(pid, "comm") for pid in monitors),
            what="the end of all monitors",
        )


def _program(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed"
    return path
