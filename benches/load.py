"""Measures the loads of docs/reliability.md that need no kills against what each has to hold.

    python benches/load.py [L1 L5 ...] [--seconds 60] [--runtime crun] [--directory DIR]

Each line says what was measured, what has to hold, and whether it did. ``make load`` runs it. The
state is kept below ``--directory``, on the disk unless told otherwise; L7 and L8 simulate runtime
and processes, as in ``podcore.testing``, for no test machine holds so many.
"""

import argparse
import sys
import tempfile

import load_pods
import load_rows
from harness import reaper
from load_table import Table

REAL = {"L1": load_pods.one_pod, "L2": load_pods.lives}
ROWS = {
    "L5": load_rows.writers,
    "L6": load_rows.readers,
    "L7": load_rows.many_pods,
    "L8": load_rows.large_pod,
}


def main() -> int:
    """Runs what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("load", nargs="*", help=", ".join([*REAL, *ROWS]))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runtime", action="append", help="for L1 and L2; default: runc, crun")
    parser.add_argument("--directory", help="where the state is kept; default: the temporary one")
    asked = parser.parse_args()
    chosen = asked.load or [*REAL, *ROWS]
    if unknown := [name for name in chosen if name not in REAL | ROWS]:
        parser.error(f"no such load: {', '.join(unknown)}")
    reaper.move_under_a_reaper()
    table = Table()
    for name, pods in REAL.items():
        for runtime in asked.runtime or ("runc", "crun"):
            if name in chosen:
                pods(table, asked.seconds, runtime)
    for name, rows in ROWS.items():
        if name in chosen:
            rows(table, asked.directory or tempfile.gettempdir(), asked.seconds)
    return int(table.failed)


if __name__ == "__main__":
    sys.exit(main())
