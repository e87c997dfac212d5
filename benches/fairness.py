"""Measures how evenly processes that compete for one lock are served.

    python benches/fairness.py [--processes 16] [--hold 1.0] [--seconds 3]

Every process takes the lock, holds it, releases it and asks again at once. Printed are how often
the least and the most served one had it, their ratio, and the longest wait of all.
"""

import argparse
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from podcore import LockTable


def compete(directory: str, barrier: Barrier, hold: float, seconds: float, out: Connection) -> None:
    session = LockTable(directory).session("compete")
    served, worst = 0, 0.0
    barrier.wait()
    end = time.monotonic() + seconds
    while (asked := time.monotonic()) < end:
        with session.acquire("container", 1):
            worst = max(worst, time.monotonic() - asked)
            served += 1
            time.sleep(hold)
    out.send((served, worst))


def measure(processes: int, hold: float, seconds: float) -> list[tuple[int, float]]:
    """Returns how often each process was served and how long it waited at most, in seconds."""
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(processes)
    with tempfile.TemporaryDirectory(prefix="podcore-fairness-") as parent:
        workers, results = [], []
        for _ in range(processes):
            receive, send = spawn.Pipe(duplex=False)
            arguments = (f"{parent}/locks", barrier, hold, seconds, send)
            worker = spawn.Process(target=compete, args=arguments)
            worker.start()
            workers.append(worker)
            results.append(receive)
        outcome = [result.recv() for result in results]
        for worker in workers:
            worker.join()
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--hold", type=float, default=1.0, help="milliseconds")
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    outcome = measure(asked.processes, asked.hold / 1000, asked.seconds)
    served = [count for count, _ in outcome]
    worst = max(wait for _, wait in outcome)
    least, most = min(served), max(served)
    print(f"{'served in all':<16}{sum(served):>8}")
    print(f"{'least, most':<16}{least:>8}{most:>8}")
    print(f"{'ratio':<16}{most / max(least, 1):>8.2f}")
    print(f"{'worst wait':<16}{worst * 1000:>8.1f} ms")


if __name__ == "__main__":
    main()
