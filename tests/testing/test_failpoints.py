"""Failpoints do what they are told, and are where the list says."""

import errno
import os
import re
import signal
import subprocess
import sys

import pytest

import podcore
from podcore.kernel.failpoints import NAMES, failpoint, parse
from podcore.testing import failpoints

PACKAGE = os.path.dirname(podcore.__file__)
NAME = "create.after-intent"


def python(program, **environ):
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


HIT = f"from podcore.kernel.failpoints import failpoint; failpoint({NAME!r}); print('on')"


def test_every_place_has_a_name_of_its_own_and_every_name_a_place():
    found = []
    for directory, _, files in os.walk(PACKAGE):
        for file in files:
            if file.endswith(".py") and file != "failpoints.py":
                with open(f"{directory}/{file}", encoding="utf-8") as text:
                    found += re.findall(r'\bfailpoint\("([^"]+)"\)', text.read())

    assert sorted(found) == sorted(NAMES)


def test_off_it_does_nothing():
    failpoint(NAME)


def test_an_error_is_raised_by_its_name():
    with failpoints({NAME: "raise=ENOSPC"}), pytest.raises(OSError, match=NAME) as caught:
        failpoint(NAME)

    assert caught.value.errno == errno.ENOSPC
    failpoint(NAME)


def test_a_count_picks_one_pass():
    with failpoints(f"{NAME}=2:raise=EIO"):
        failpoint(NAME)
        with pytest.raises(OSError, match=NAME):
            failpoint(NAME)
        failpoint(NAME)


def test_the_environment_kills_a_process():
    done = python(HIT, PODCORE_FAILPOINTS=f"{NAME}=kill")

    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def test_an_exit_skips_all_clean_up():
    done = python(f"try:\n    {HIT}\nfinally:\n    print('no')", PODCORE_FAILPOINTS=f"{NAME}=exit")

    assert (done.returncode, done.stdout) == (70, "")


def test_a_sleep_goes_on_afterwards():
    done = python(HIT, PODCORE_FAILPOINTS=f"{NAME}=sleep=0.01")

    assert done.stdout == "on\n"


def test_a_hang_hangs():
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-c", HIT],
            env=os.environ | {"PODCORE_FAILPOINTS": f"{NAME}=hang"},
            check=False,
            timeout=2,
        )


@pytest.mark.parametrize(
    "text", ["nowhere=kill", f"{NAME}=dance", f"{NAME}=raise=E", f"{NAME}=0:kill", NAME]
)
def test_what_is_misspelt_is_refused(text):
    with pytest.raises(ValueError, match="no "), failpoints(text):
        pass


def test_settings_are_parsed_in_order():
    assert parse(f" {NAME} = kill ;; start.before-start=exit;") == {
        NAME: "kill",
        "start.before-start": "exit",
    }
