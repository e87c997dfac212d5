"""Measures this tree against another revision, in turns: ``make bench-compare BASE=<revision>``.

Both are built on this machine, each in a virtual environment and a target directory of its own, and
their benchmarks run alternately, so that what else the machine does hits both alike.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ratios import duration, table

# benchmark id -> medians in seconds, one for each run
Medians = dict[str, list[float]]


@contextmanager
def checked_out(revision: str) -> Iterator[str]:
    """Gives a directory with ``revision`` checked out; it is removed on exit."""
    with tempfile.TemporaryDirectory(prefix="podcore-base-") as parent:
        path = f"{parent}/tree"
        subprocess.run(["git", "worktree", "add", "--detach", path, revision], check=True)
        try:
            yield path
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", path], check=True)


def build(tree: str) -> None:
    """Builds a tree with its own set-up program."""
    parts = ["venv=build,test,bench", "extension"]
    subprocess.run([f"{tree}/scripts/set-up", *parts], cwd=tree, check=True)


def measure(tree: str, select: str, into: Medians) -> None:
    """Runs the benchmarks of a tree once and adds their medians to ``into``."""
    as_root = os.path.abspath("scripts/as-root")
    with tempfile.TemporaryDirectory() as directory:
        result = f"{directory}/result.json"
        argv = [as_root, f"{tree}/.venv/bin/python", "-m", "pytest", "benches", "-q"]
        argv += ["-p", "no:cacheprovider", "--timeout=1800", "--benchmark-only"]
        argv.append(f"--benchmark-json={result}")
        if select:
            argv += ["-k", select]
        subprocess.run(argv, cwd=tree, check=True, stdout=sys.stderr)
        with open(result, encoding="utf-8") as file:
            found = json.load(file)
    for benchmark in found["benchmarks"]:
        # A peer is the same on both sides.
        if benchmark["extra_info"].get("subject", "podcore") == "podcore":
            into.setdefault(benchmark["fullname"], []).append(benchmark["stats"]["median"])


def lines(base: Medians, head: Medians) -> Iterator[Sequence[str]]:
    """Yields a line for each benchmark of either side, in the order in which they ran."""
    for name in [*head, *(name for name in base if name not in head)]:
        before, after = (statistics.median(side.get(name, [float("nan")])) for side in (base, head))
        ratio = f"{before / after:.3f}" if name in base and name in head else ""
        yield name.removeprefix("benches/"), duration(before), duration(after), ratio


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("base", help="the revision to compare with")
    parser.add_argument("select", nargs="?", default="", help="an expression for pytest -k")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side")
    options = parser.parse_args(arguments)
    head_tree = os.getcwd()
    base: Medians = {}
    head: Medians = {}
    with checked_out(options.base) as base_tree:
        build(base_tree)
        for _ in range(options.rounds):
            measure(base_tree, options.select, base)
            measure(head_tree, options.select, head)
    header = ("benchmark", options.base, "this tree", "times faster")
    print(table(header, lines(base, head)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
