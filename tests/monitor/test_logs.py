"""The k8s-file log: parsed exactly, whatever the container printed, in bounded memory."""

import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.polling import eventually
from podcore.errors import InvalidArgumentError, MonitorError
from podcore.model import LogEntry
from podcore.monitor import logs
from podcore.monitor.logs import read_logs

Record = tuple[str, bool, bytes]

FAKE_HEADER = b"2026-01-01T00:00:00.000000001+00:00 stderr F forged"
contents = st.one_of(
    st.binary(max_size=80).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from([b"", b" ", b"\0\0", b"\r", FAKE_HEADER, b"P", b"\xff\xfe", b"x" * 70_000]),
)
records = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.booleans(), contents))
# Small blocks make every record lie across the end of one.
blocks = st.sampled_from([1, 7, 64, 65, 4096, 65536])


def line(number: int, stream: str, data: bytes, *, partial: bool = False) -> bytes:
    second = f"2026-11-27T00:{number // 60 % 60:02}:{number % 60:02}"
    return f"{second}.125000000+00:00 {stream} {'P' if partial else 'F'} ".encode() + data + b"\n"


def written(entries: list[Record]) -> bytes:
    return b"".join(
        line(number, stream, data, partial=partial)
        for number, (stream, partial, data) in enumerate(entries)
    )


def plain(entries: Iterator[LogEntry]) -> list[Record]:
    return [(entry.stream, entry.partial, entry.data) for entry in entries]


def slow_tail(entries: list[Record], lines: int) -> list[Record]:
    """The reference: all records first, then what follows the last end of line but ``lines``."""
    ends = []
    for place, (stream, partial, _) in enumerate(entries):
        if not partial or all(later[0] != stream for later in entries[place + 1 :]):
            ends.append(place)
    if lines >= len(ends):
        return entries
    return entries[ends[len(ends) - lines - 1] + 1 :]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@given(entries=records, block=blocks)
def test_what_was_written_is_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Record], block: int
) -> None:
    log = tmp_path_factory.getbasetemp() / "exact"
    log.write_bytes(written(entries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_BLOCK", max(block, 64) if len(log.read_bytes()) > 70_000 else block)

        assert plain(read_logs(str(log))) == entries


@given(entries=records, lines=st.integers(0, 12), block=blocks, torn=st.booleans())
def test_tail_is_what_a_slow_reference_says(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[Record],
    lines: int,
    block: int,
    torn: bool,
) -> None:
    log = tmp_path_factory.getbasetemp() / "tail"
    log.write_bytes(
        written(entries) + (b"2026-11-27T00:59:59.5+00:00 stdout F cut" if torn else b"")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_BLOCK", max(block, 64) if len(log.read_bytes()) > 70_000 else block)

        assert plain(read_logs(str(log), tail=lines)) == slow_tail(entries, lines)


def test_time_stream_and_text_of_an_entry(log: Path) -> None:
    log.write_bytes(b"2026-11-27T01:30:00.123456789+01:00 stderr P caf\xc3\xa9 \xff\n")

    (entry,) = read_logs(str(log))
    assert entry.time == pytest.approx(1795739400.123456789, abs=1e-6)
    assert (entry.stream, entry.partial, entry.text) == ("stderr", True, "café \ufffd")


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"hello",
        b"2026-11-27T00:00:00Z stdin F x",
        b"2026-13-27T00:00:00Z stdout F x",
        b"2026-11-27T00:00:00Z stdout X x",
        b"2026-11-27T00:00:00 stdout F no offset",
        b"2026-11-27T00:00:00Z stdout F",
        b"\xff\0" * 1000,
    ],
)
def test_a_malformed_record_is_passed_over_and_counts_for_no_tail(log: Path, junk: bytes) -> None:
    log.write_bytes(line(0, "stdout", b"a") + junk + b"\n" + line(1, "stdout", b"b"))

    assert [entry.data for entry in read_logs(str(log))] == [b"a", b"b"]
    assert [entry.data for entry in read_logs(str(log), tail=2)] == [b"a", b"b"]


def test_a_record_without_its_newline_is_not_handed_out_yet(log: Path) -> None:
    log.write_bytes(line(0, "stdout", b"a") + line(1, "stdout", b"half")[:-3])

    assert [entry.data for entry in read_logs(str(log))] == [b"a"]


def test_a_line_of_a_megabyte_is_one_entry(log: Path) -> None:
    log.write_bytes(line(0, "stdout", b"m" * 1_000_000) + line(1, "stdout", b"next"))

    assert [len(entry.data) for entry in read_logs(str(log))] == [1_000_000, 4]
    assert [len(entry.data) for entry in read_logs(str(log), tail=1)] == [4]


@pytest.mark.parametrize("good", [True, False])
def test_memory_is_bounded_for_a_record_without_an_end(log: Path, good: bool) -> None:
    with log.open("wb") as file:
        file.write(line(0, "stdout", b"")[:-1] if good else b"junk")
        for _ in range(40):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + line(1, "stdout", b"after"))

    tracemalloc.start()
    total = 0
    for entry in read_logs(str(log)):
        last = entry
        total += len(entry.data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 12_000_000
    assert last.data == b"after"
    assert total == (40_000_005 if good else 5)


def test_since_and_until_bound_the_entries(log: Path) -> None:
    log.write_bytes(b"".join(line(n, "stdout", b"%d" % n) for n in range(5)))
    moments = [entry.time for entry in read_logs(str(log))]

    found = read_logs(str(log), since=moments[1], until=moments[3])
    assert [entry.data for entry in found] == [b"1", b"2", b"3"]


def test_a_missing_log_is_empty(log: Path) -> None:
    assert list(read_logs(str(log))) == []


def test_a_negative_tail_is_refused_at_once(log: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="-1"):
        read_logs(str(log), tail=-1)


@pytest.mark.parametrize("kind", ["fifo", "directory", "symlink"])
def test_what_is_no_regular_file_is_refused_without_hanging(log: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(log)
    elif kind == "directory":
        log.mkdir()
    else:
        log.symlink_to("/etc/passwd")

    with pytest.raises(MonitorError, match="can't be read"):
        list(read_logs(str(log)))


class Follower:
    """Follows a log in a thread."""

    def __init__(self, log: Path, **options: int | None) -> None:
        self.seen: list[bytes] = []
        self._stop = threading.Event()
        self._options = options
        self._looked = 0
        # A daemon: a test that fails leaves it behind, and the session must end all the same.
        self._thread = threading.Thread(target=self._run, args=(log,), daemon=True)
        self._thread.start()
        # At the second question the first look is over.
        eventually(lambda: self._looked >= 2, what="the first look at the log")

    def _run(self, log: Path) -> None:
        entries = read_logs(str(log), follow=True, tail=self._options.get("tail"), stop=self._asked)
        for entry in entries:
            self.seen.append(entry.data)

    def _asked(self) -> bool:
        self._looked += 1
        return self._stop.is_set()

    def wait_for(self, data: bytes) -> None:
        eventually(lambda: data in self.seen, what=f"{data!r} in the followed log")

    def stop(self) -> list[bytes]:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.seen


def append(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)


@pytest.fixture
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_POLL", 0.005)


@pytest.mark.usefixtures("fast_polls")
class TestFollowing:
    def test_a_log_that_appears_later_is_read_from_its_beginning(self, log: Path) -> None:
        follower = Follower(log, tail=0)
        append(log, line(0, "stdout", b"first"))
        follower.wait_for(b"first")

        assert follower.stop() == [b"first"]

    def test_what_was_written_before_the_stop_is_handed_out(self, log: Path) -> None:
        append(log, line(0, "stdout", b"a"))
        follower = Follower(log)
        follower.wait_for(b"a")
        append(log, line(1, "stdout", b"last words"))

        assert follower.stop() == [b"a", b"last words"]

    def test_a_record_that_is_written_in_two_parts_is_one(self, log: Path) -> None:
        whole = line(0, "stdout", b"whole")
        append(log, line(0, "stdout", b"a") + whole[:40])
        follower = Follower(log)
        follower.wait_for(b"a")
        append(log, whole[40:])
        follower.wait_for(b"whole")

        assert follower.stop() == [b"a", b"whole"]

    def test_a_replaced_log_is_read_to_its_end_then_the_new_one(self, log: Path) -> None:
        append(log, line(0, "stdout", b"old"))
        follower = Follower(log)
        follower.wait_for(b"old")
        append(log, line(1, "stdout", b"end of old"))
        fresh = log.with_name("log.tmp")
        fresh.write_bytes(line(2, "stdout", b"new"))
        fresh.rename(log)
        follower.wait_for(b"new")

        assert follower.stop() == [b"old", b"end of old", b"new"]

    def test_a_truncated_log_is_read_from_its_beginning(self, log: Path) -> None:
        append(log, line(0, "stdout", b"long " * 100))
        follower = Follower(log)
        follower.wait_for(b"long " * 100)
        log.write_bytes(line(1, "stdout", b"short"))
        follower.wait_for(b"short")

        assert follower.stop()[-1] == b"short"

    def test_tail_begins_with_the_last_lines(self, log: Path) -> None:
        append(log, b"".join(line(n, "stdout", b"%d" % n) for n in range(5)))
        follower = Follower(log, tail=2)
        append(log, line(5, "stdout", b"5"))
        follower.wait_for(b"5")

        assert follower.stop()[-2:] == [b"4", b"5"]

    def test_following_ends_by_itself_when_until_has_passed(self, log: Path) -> None:
        append(log, line(0, "stdout", b"a"))

        assert [e.data for e in read_logs(str(log), follow=True, until=1)] == []
