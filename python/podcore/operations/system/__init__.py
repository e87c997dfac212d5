"""Finds, and mends, what crashes and other programs did to an engine's state.

In this order, since each step stands on the ones before: directories and lock files, the database,
rows that were lost with an earlier database, what the rows say against what is on the host, and at
last what is on the host without a row. Nothing is touched that podcore did not make: only what is
below its own directories and its own cgroup, and processes whose command line names both the run
directory and the 64 digits of an id.

What live processes are at work on is never taken for a leftover. What a verb makes for a
container has a row before, and keeps it longer; so things are listed first, the rows are read
after that, and what has no row is looked at once more. For the few things that are made ahead of
their rows, the locks under which that happens are waited for.
"""

from podcore.operations.system.checking import check

__all__ = ["check"]
