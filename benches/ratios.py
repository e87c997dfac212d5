"""Prints what ``make bench`` measured as ratios between podcore and its peers.

A benchmark says in ``benchmark.extra_info`` what it is:

``subject``
    ``"podcore"``, or the peer that does the same work: ``"rustworkx"``, ``"podman"``, ``"floor"`` …
    Benchmarks of one ``benchmark.group`` are compared with its podcore row.
``target``
    On podcore's row: ``{peer: how many times faster podcore has to be}``. For the peer ``floor``,
    which nobody beats, it is how many times as long podcore may take.
``budget``
    On podcore's row: seconds that one round may take, where a bound is absolute.
``peers``
    On podcore's row: ``{peer: seconds}`` of peers that it measured itself, alternating with podcore.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

FLOOR = "floor"
BUDGET = "budget"
# Beside these the ratio is how many times as long podcore takes: the smaller, the better.
_BOUNDS = (FLOOR, BUDGET)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; times in seconds."""

    group: str
    peer: str
    podcore: float
    other: float
    target: float | None

    @property
    def ratio(self) -> float:
        """How many times faster podcore is; beside a floor or budget, how many times as long it takes."""
        return self.podcore / self.other if self.peer in _BOUNDS else self.other / self.podcore

    @property
    def held(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.peer in _BOUNDS else self.ratio >= self.target

    def cells(self) -> Sequence[str]:
        """Returns the texts of the line."""
        bound = "≤" if self.peer in _BOUNDS else "≥"
        target = "" if self.target is None else f"{bound} {self.target:g}"
        held = {True: "yes", False: "**no**", None: ""}[self.held]
        times = duration(self.podcore), duration(self.other)
        ratio = "" if math.isnan(self.ratio) else f"{self.ratio:.2f}"
        return self.group, self.peer, *times, ratio, target, held


HEADER = ("group", "peer", "podcore", "peer's time", "ratio", "target", "held")


def duration(seconds: float) -> str:
    """Returns a time for people: three digits and a unit."""
    if math.isnan(seconds):
        return "not run"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


# `Any`: a decoded JSON object of pytest-benchmark.
def rows(benchmarks: Iterable[dict[str, Any]], statistic: str = "median") -> Iterator[Row]:
    """Yields a row for each peer of each group, groups in the order in which they ran."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for benchmark in benchmarks:
        groups.setdefault(benchmark["group"] or benchmark["name"], []).append(benchmark)
    for group, members in groups.items():
        ours = [member for member in members if _subject(member) == "podcore"]
        for mine in ours:
            yield from _rows_of(group, mine, members, statistic, several=len(ours) > 1)


def _subject(benchmark: dict[str, Any]) -> str:
    return str(benchmark["extra_info"].get("subject", "podcore"))


def _rows_of(
    group: str,
    mine: dict[str, Any],
    members: list[dict[str, Any]],
    statistic: str,
    *,
    several: bool,
) -> Iterator[Row]:
    info = mine["extra_info"]
    podcore = mine["stats"][statistic]
    targets = dict(info.get("target", {}))
    title = f"{group} {mine['name']}" if several else group
    others = {_subject(m): m["stats"][statistic] for m in members if _subject(m) != "podcore"}
    others |= info.get("peers", {})
    if "budget" in info:
        yield Row(title, BUDGET, podcore, info["budget"], 1.0)
    for peer, time in others.items():
        yield Row(title, peer, podcore, time, targets.pop(peer, None))
    for peer in targets:
        # Not installed here, or not run: say so rather than pass over it in silence.
        yield Row(title, peer, podcore, math.nan, None)
    if not others and not targets and "budget" not in info:
        yield Row(title, "-", podcore, math.nan, None)


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table that is also readable as it stands."""
    all_lines = [header, *lines]
    widths = [max(len(line[column]) for line in all_lines) for column in range(len(header))]
    padded = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in all_lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    parser = argparse.ArgumentParser(description="Print benchmark results as ratios.")
    parser.add_argument("file", help="what --benchmark-json wrote")
    parser.add_argument("--statistic", choices=["median", "min", "mean"], default="median")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args(arguments)
    with open(options.file, encoding="utf-8") as file:
        found = list(rows(json.load(file)["benchmarks"], options.statistic))
    print(table(HEADER, [row.cells() for row in found]))
    missed = [row for row in found if row.held is False]
    held = sum(row.held is True for row in found)
    print(f"\n{held} targets held, {len(missed)} missed")
    return int(options.strict and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
