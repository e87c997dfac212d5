"""The pytest plugin of this project: profiles, fixtures and what marks mean."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from harness import host, leftovers, reaper
from harness.polling import eventually
from harness.rootfs import make_rootfs

if TYPE_CHECKING:
    from harness.site import Site

hypothesis.settings.register_profile(
    "ci",
    # The same examples every time: a failure must belong to the change that it is seen on.
    derandomize=True,
    deadline=None,
    max_examples=50,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=2000,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """Gives the session a parent that reaps orphans, and a umask that tests can count on."""
    os.umask(0o022)
    config.addinivalue_line(
        "markers", "runtimes(*names): run on these OCI runtimes only, instead of on all"
    )
    if not config.option.collectonly:
        reaper.move_under_a_reaper()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that needs a runtime once on each."""
    if "runtime" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("runtimes")
        metafunc.parametrize("runtime", marker.args if marker else host.RUNTIMES, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test that needs a runtime."""
    for item in items:
        if "runtime" in getattr(item, "fixturenames", ()):
            item.add_marker("integration")


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the developer's own settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("PODCORE_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails the session when processes, mounts or cgroups of its tests outlive it."""
    groups = leftovers.groups_of_session()
    base = str(tmp_path_factory.getbasetemp())
    yield
    with contextlib.suppress(AssertionError):
        eventually(lambda: not leftovers.find_of_session(base, groups), timeout=30, interval=0.1)
    left = leftovers.find_of_session(base, groups)
    assert not left, f"left behind by the session:\n{left}"


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> str:
    """The name of an OCI runtime that works here; each test runs once on every one.

    Where this host can't, the test is skipped; under ``CI`` it fails.
    """
    name: str = request.param
    if missing := host.missing_for(name):
        message = f"containers on {name} need {missing}"
        if os.environ.get("CI"):
            pytest.fail(f"{message}, and CI must not skip them")
        pytest.skip(message)
    return name


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a busybox root file system; whoever writes to it must write under /tmp."""
    return make_rootfs(str(tmp_path_factory.mktemp("rootfs") / "busybox"))


@pytest.fixture
def site(runtime: str, rootfs: str) -> Iterator["Site"]:
    """A place of its own for this test's containers; fails the test when anything is left there."""
    # Not at the top: the tests of the lower floors run without what stands above them.
    from harness.site import Site

    place = Site(runtime, rootfs)
    yield place
    place.close()


@pytest.fixture
def popen() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes (``subprocess.Popen`` in text mode); kills those that the test left.

    For a moment after it is executed a program has no command line; that is waited for.
    """
    started: list[subprocess.Popen[str]] = []

    # `Any`: whatever Popen takes.
    def start(argv: list[str], **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(argv, text=True, **options)
        started.append(process)
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        eventually(
            lambda: (
                host.read_proc(process.pid, "cmdline") or os.waitid(os.P_PID, process.pid, ended)
            ),
            interval=0.001,
        )
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
