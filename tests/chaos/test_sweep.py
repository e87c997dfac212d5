"""A part of the sweep: a verb is killed at, or suffers, some of its system calls."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from chaos.sweep import Sweeper, sample
from harness import host

RUNTIME = "crun"


@pytest.fixture(scope="module")
def sweeper(rootfs) -> Iterator[Sweeper]:
    if missing := _missing():
        if os.environ.get("CI"):
            pytest.fail(f"{missing}, and CI must not skip the sweep")
        pytest.skip(missing)
    # Not what set-up could mend, so skipped in CI too.
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode:
        pytest.skip("`strace` may not trace here")
    sweeper = Sweeper(RUNTIME, rootfs)
    yield sweeper
    sweeper.close()


def _missing() -> str:
    if missing := host.missing_for(RUNTIME):
        return f"containers on {RUNTIME} need {missing}"
    if shutil.which("strace") is None:
        return "`strace` is not installed"
    return ""


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize(
    "verb", ["init", "create", "start", "start-pod", "stop", "restart", "remove", "remove-pod"]
)
def test_a_verb_that_is_killed_at_a_system_call_can_be_repeated(sweeper, verb):
    outcome = sweeper.sweep(sample(sweeper.points(verb), 4))

    assert not outcome.failures, str(outcome)
    assert outcome.swept >= 3, str(outcome)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("verb", ["create", "start", "remove"])
def test_a_verb_whose_system_call_fails_can_be_repeated(sweeper, verb):
    points = sweeper.points(verb, ["ENOSPC", "EIO", "EMFILE", "EINTR"])

    outcome = sweeper.sweep(sample(points, 4))

    assert not outcome.failures, str(outcome)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("verb", ["create", "remove"])
def test_no_call_fails_for_an_interrupt(sweeper, verb):
    outcome = sweeper.sweep(sweeper.points(verb, ["EINTR"]))

    assert not outcome.failures, str(outcome)
    assert outcome.swept >= 3, str(outcome)
