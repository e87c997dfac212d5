"""What competing processes do, apart from pytest so that they start quickly."""

from multiprocessing.synchronize import Barrier

from podcore import LockTable


def count_up(directory: str, path: str, barrier: Barrier, rounds: int) -> None:
    """Adds to the number in a file, which only mutual exclusion keeps right."""
    session = LockTable(directory).session("count")
    barrier.wait()
    for _ in range(rounds):
        with (
            session.acquire("container", 1, timeout=60),
            open(path, "r+", encoding="utf-8") as file,
        ):
            number = int(file.read())
            file.seek(0)
            file.write(f"{number + 1:9}")
