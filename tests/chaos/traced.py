"""A program that forks one child for each verb and lets a tracer take hold of it first.

Everything is imported before the fork, so a point costs no start of an interpreter. It reads JSON
lines of ``{"verb", "settings", "rootfs", "worker"}``, answers each with the pid of the child, stopped, and
then with how it ended.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import sys
import threading
import traceback
from typing import Any

import podcore
import podcore._core
import podcore.lifecycle.copy
import podcore.lifecycle.exec
import podcore.monitor.conmon
import podcore.monitor.exits
import podcore.oci.crun
import podcore.oci.discovery
import podcore.oci.runc
import podcore.operations.create
import podcore.operations.remove
import podcore.operations.restart
import podcore.operations.single
import podcore.operations.start
import podcore.operations.stop
import podcore.store
from chaos import verbs
from podcore.operations import crew

_WORDS = 1 << 16


def _stop_in_worker() -> None:
    """Makes the one worker thread, not the main thread, the one that is traced.

    It says its thread's id by stopping the whole process; the tracer takes that thread only.
    """
    work = crew._Crew._work
    first = threading.Lock()

    def traced(self: crew._Crew, worker: crew._Worker) -> None:
        if first.acquire(blocking=False):
            _hold()
        work(self, worker)

    crew._Crew._work = traced  # type: ignore[method-assign] # the point of it


_told: mmap.mmap


def _hold() -> None:
    _told[:8] = threading.get_native_id().to_bytes(8, "little")
    os.kill(os.getpid(), signal.SIGSTOP)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def _child(order: dict[str, Any]) -> None:
    said, code = "", 0
    verbs.use_rootfs(order["rootfs"])
    try:
        if order["worker"]:
            _stop_in_worker()
        else:
            _hold()
        with podcore.Engine(**order["settings"], max_workers=1) as engine:
            verbs.VERBS[order["verb"]].act(engine)
    except (podcore.PodcoreError, TimeoutError) as error:
        said, code = f"{type(error).__name__}: {error}", 10
    except OSError as error:
        said, code = traceback.format_exc(), 12 if error.errno == errno.EIO else 11
    except BaseException:
        said, code = traceback.format_exc(), 11
    # By shared memory, since a write could be the very call that fails.
    data = said.encode()[: _WORDS - 16]
    _told[8:16] = len(data).to_bytes(8, "little")
    _told[16 : 16 + len(data)] = data
    os._exit(code)


def main() -> None:
    """Serves until its stdin ends."""
    global _told  # noqa: PLW0603 - one child at a time, shared with it by memory
    _end_with_parent()
    for line in sys.stdin:
        _told = mmap.mmap(-1, _WORDS)
        pid = os.fork()
        if pid == 0:
            null = os.open("/dev/null", os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.close(null)
            _end_with_parent()
            _child(json.loads(line))
        _, status = os.waitpid(pid, os.WUNTRACED)
        thread = int.from_bytes(_told[:8], "little")
        if os.WIFSTOPPED(status):
            print(json.dumps({"pid": pid, "thread": thread}), flush=True)
            while True:
                _, status = os.waitpid(pid, 0)
                if not os.WIFSTOPPED(status):
                    break
        else:
            print(json.dumps({"pid": 0, "thread": 0}), flush=True)
        length = int.from_bytes(_told[8:16], "little")
        said = _told[16 : 16 + length].decode(errors="replace")
        print(
            json.dumps({"code": os.waitstatus_to_exitcode(status), "said": said}),
            flush=True,
        )
        _told.close()


if __name__ == "__main__":
    main()
