"""What ``import podcore`` gives and costs."""

import importlib.metadata
import inspect
import json
import os
import subprocess
import sys
import tomllib

import podcore
from podcore import errors

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")

# Each costs milliseconds, or is needed by one command only.
HEAVY = {
    "apsw", "argparse", "asyncio", "concurrent.futures.process", "ctypes", "email", "http",
    "importlib.metadata", "logging", "multiprocessing", "pdb", "rich", "sqlite3", "tempfile",
    "unittest", "urllib.request", "xml", "yaml",
}  # fmt: skip

PROBE = """
import json, os, sys, threading
before = set(sys.modules), set(os.listdir("/proc/self/fd"))
import podcore
after = set(sys.modules), set(os.listdir("/proc/self/fd"))
print(json.dumps({
    "modules": sorted(after[0] - before[0]),
    "descriptors": sorted(after[1] - before[1]),
    "threads": threading.active_count(),
}))
"""


def test_importing_loads_little_and_starts_nothing():
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE], capture_output=True, text=True, check=True, timeout=60
    )
    found = json.loads(done.stdout)

    assert HEAVY.intersection(found["modules"]) == set()
    assert found["descriptors"] == []
    assert found["threads"] == 1


def test_an_engine_is_at_hand_without_what_takes_longest_to_import():
    program = "import sys; import podcore; podcore.Engine; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path}; {program}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert {"dataclasses", "enum", "re", "typing"}.isdisjoint(done.stdout.split())


def test_all_public_names_are_listed_in_order_and_there():
    assert list(podcore.__all__) == sorted(set(podcore.__all__))
    assert [name for name in podcore.__all__ if not hasattr(podcore, name)] == []


def test_every_error_is_importable_from_the_package():
    tree = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.PodcoreError)
    }

    assert tree <= set(podcore.__all__)
    assert all(getattr(podcore, name) is getattr(errors, name) for name in tree)


def test_the_version_is_the_same_everywhere():
    with open(f"{ROOT}/pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]["version"]
    with open(f"{ROOT}/Cargo.toml", "rb") as file:
        crate = tomllib.load(file)["package"]["version"]

    assert podcore.__version__ == importlib.metadata.version("podcore") == project == crate
