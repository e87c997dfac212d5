"""What the loads print: what was measured, what has to hold, and whether it did."""

from collections.abc import Sequence


class Table:
    """What is printed; ``failed`` says whether anything did not hold."""

    failed = False

    def row(self, load: str, what: str, measured: float, most: float, unit: str) -> None:
        """Prints a figure that may be at most so large."""
        self._print(load, what, measured, f"<= {most:g} {unit}", unit, holds=measured <= most)

    def least(self, load: str, what: str, measured: float, least: float, unit: str) -> None:
        """Prints a figure that must be at least so large."""
        self._print(load, what, measured, f">= {least:g} {unit}", unit, holds=measured >= least)

    def _print(
        self, load: str, what: str, measured: float, bound: str, unit: str, *, holds: bool
    ) -> None:
        self.failed |= not holds
        verdict = "held" if holds else "MISSED"
        print(f"{load:<4}{what:<58}{measured:>10.2f} {unit:<6}{bound:<14}{verdict}", flush=True)


def percentile(ordered: Sequence[float], part: int) -> float:
    """Returns what that part of some sorted figures does not exceed, in per cent."""
    return ordered[min(len(ordered) - 1, len(ordered) * part // 100)]
