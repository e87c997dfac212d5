"""The Makefile's help is complete."""

import os
import re
import subprocess

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")


def test_help_says_what_every_target_does():
    with open(f"{ROOT}/Makefile", encoding="utf-8") as file:
        targets = re.findall(r"^\.PHONY: (\S+)$", file.read(), re.MULTILINE)
    done = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True)
    described = dict(re.findall(r"^  make (\S+) +(\S.*)$", done.stdout, re.MULTILINE))

    assert list(described) == targets
    assert {"demo", "test", "bench", "lint", "build", "wheel", "clean"} <= set(targets)
