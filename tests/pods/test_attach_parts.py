"""The parts of attaching that need no container: the keys, the spool, where things go."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.errors import InvalidArgumentError
from podcore.lifecycle.pump import Keys
from podcore.lifecycle.spool import Spool
from podcore.operations.attach import Sink, descriptor
from podcore.operations.keys import DEFAULT, parse_keys


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (DEFAULT, b"\x10\x11"),
        ("", b""),
        ("a", b"a"),
        ("ctrl-a,b,CTRL-Z", b"\x01b\x1a"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
    ],
)
def test_keys_are_written_as_podman_writes_them(text, wanted):
    assert parse_keys(text) == wanted


@pytest.mark.parametrize(
    "text", ["ctrl-", "ab", "ctrl-1", "a,,b", ",", "é", "\n", None, 5], ids=repr
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(InvalidArgumentError, match="detach keys"):
        parse_keys(text)


few = st.lists(st.sampled_from([b"a", b"b"]), max_size=12).map(b"".join)


@given(sequence=few.filter(len), pieces=st.lists(few, max_size=6))
def test_the_keys_are_found_however_they_come_and_nothing_else_is_lost(sequence, pieces):
    keys = Keys(sequence)
    typed = b"".join(pieces)
    passed = b""
    for piece in pieces:
        data, found = keys.feed(piece)
        passed += data
        if found:
            break
    else:
        passed += keys.rest()

    at = typed.find(sequence)
    assert passed == (typed if at < 0 else typed[:at])


@given(data=st.binary())
def test_without_keys_everything_passes(data):
    assert Keys(b"").feed(data) == (data, False)


def test_a_spool_keeps_order_and_streams_beyond_the_memory(tmp_path):
    spool = Spool(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    pieces = [("stderr" if n % 3 else "stdout", b"%d" % n * 5000) for n in range(200)]
    found = []
    for number, piece in enumerate(pieces):
        spool.put(*piece)
        if number in (20, 150):
            found += spool.take()
    assert len(os.listdir("/proc/self/fd")) == before + 1, "the file"
    while taken := spool.take():
        found += taken

    assert found == pieces
    # Once it has been read, it is memory again, and the file takes no room.
    spool.put("stdout", b"x")
    assert spool.take() == [("stdout", b"x")]
    assert os.listdir(tmp_path) == []
    spool.close()
    spool.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_spool_is_filled_and_emptied_at_once(tmp_path):
    spool = Spool(str(tmp_path))
    pieces = [("stdout", bytes([n % 251]) * 20_000) for n in range(400)]
    filler = threading.Thread(target=lambda: [spool.put(*piece) for piece in pieces])
    filler.start()
    found = []
    while len(found) < len(pieces):
        found += spool.take()
    filler.join()
    spool.close()

    assert found == pieces


def test_output_goes_where_it_is_wanted(tmp_path):
    with open(tmp_path / "out", "wb") as out:
        sink = Sink(out, None, None)
        sink.write("stdout", b"to the file")
        sink.write("stderr", b"to the result")
        done = sink.result(3, detached=False)

    assert (tmp_path / "out").read_bytes() == b"to the file"
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"", b"to the result")


def test_what_is_no_open_file_is_refused(tmp_path):
    with open(tmp_path / "f", "wb") as file:
        assert descriptor("stdin", file) == file.fileno()
    for wrong in (file, 1 << 20, -1, "f", object()):
        with pytest.raises(InvalidArgumentError, match="stdin"):
            descriptor("stdin", wrong)
    assert descriptor("stdin", None) is None
