"""The demo shows what it promises and leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys

import pytest

from harness import leftovers
from harness.polling import eventually

PODCORE = os.path.join(os.path.dirname(sys.executable), "podcore")


@pytest.fixture
def demo(site, popen):
    """Starts the demo in the site's directory; returns the process."""

    def start():
        environ = site.environ | {"TMPDIR": site.base}
        return popen([PODCORE, "demo"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return start


def left_by(process, site):
    """What the demo of a process left: in its directory, and as processes, mounts and cgroups."""
    found = leftovers.find(site.base, f"podcore-demo-{process.pid}")
    return [*map(str, [found] if found else []), *os.listdir(site.base)]


def test_it_shows_the_life_of_a_pod_and_removes_everything(site, demo):
    process = demo()
    out, err = process.communicate(timeout=120)

    assert (process.returncode, err) == (0, "")
    for text in (
        "a pod of 7 containers on ",
        "  1  db, cache, metrics",
        "  2  users, orders",
        "status: running",
        "  gateway: up, after: users orders",
        "stop, in reverse order:",
        "exit codes:",
        "  gateway    0",
        "the same pod, but the command of `orders` does not exist",
        "  gateway    because `orders` failed",
        "  dashboard  because `orders` failed",
        "status: degraded",
        "everything is removed",
    ):
        assert text in out
    running = [line.split()[0] for line in out.splitlines() if " running " in line]
    assert running.index("db") < running.index("users") < running.index("gateway")
    eventually(lambda: not left_by(process, site), what="an empty site")


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "a pod of"),
        (signal.SIGTERM, "start:"),
        (signal.SIGINT, "  db         running"),
        (signal.SIGTERM, "stop, in reverse order:"),
        (signal.SIGHUP, "the same pod, but"),
    ],
    ids=["INT first", "TERM at start", "INT half way", "TERM at stop", "HUP near the end"],
)
def test_an_interrupt_leaves_nothing_behind(number, moment, site, demo):
    process = demo()
    for line in process.stdout:
        if line.startswith(moment):
            break
    process.send_signal(number)
    _, err = process.communicate(timeout=120)

    # On a busy machine the show may be over before the signal is sent.
    if process.returncode != 0:
        assert (process.returncode, err) == (128 + number, "interrupted: removing everything\n")
    eventually(lambda: not left_by(process, site), what="an empty site")


@pytest.mark.runtimes("runc")
def test_a_reader_that_goes_away_leaves_nothing_behind(site, demo):
    process = demo()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 141
    eventually(lambda: not left_by(process, site), what="an empty site")
