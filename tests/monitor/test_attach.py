"""Clients of a real conmon's attach socket, without an engine."""

import json
import os
import select
import signal
import time

import pytest

from harness.bare import BareContainer
from harness.polling import eventually
from podcore.deadlines import Deadline
from podcore.errors import MonitorError, ResourceExhaustedError
from podcore.kernel import process
from podcore.monitor import attach, stdin
from podcore.monitor.attach import AttachClient
from podcore.monitor.conmon import Conmon, Launched
from podcore.records import ProcessIdentity


def launch(box: BareContainer, script: str, **changes: object) -> Launched:
    box.configure(["sh", "-c", script])
    return Conmon.find().launch(box.launch(**changes), Deadline.after(60))


def connect(box: BareContainer, monitor: ProcessIdentity, directory: str = "") -> AttachClient:
    where = directory or f"{box.base}/bundle"
    return AttachClient.connect(where, "box", monitor, Deadline.after(60))


def read_to_the_end(client: AttachClient) -> dict[str, bytes]:
    found = {"stdout": b"", "stderr": b""}
    poll = select.poll()
    poll.register(client, select.POLLIN)
    while True:
        assert poll.poll(60_000), "nothing comes"
        piece = client.receive()
        if piece is None:
            return found
        found[piece[0]] += piece[1]


def test_streams_input_and_both_ends_go_through_the_socket(box: BareContainer) -> None:
    launched = launch(box, "cat; echo err >&2; exit 3", stdin=True)
    client = connect(box, launched.monitor)
    box.start()
    assert client.send(b"hello\n") == 6
    client.end_input()
    assert read_to_the_end(client) == {"stdout": b"hello\n", "stderr": b"err\n"}
    assert box.wait().code == 3
    client.close()


def test_the_path_of_the_socket_may_be_longer_than_a_socket_s_name(box: BareContainer) -> None:
    box.configure(["sh", "-c", "echo hi"])
    deep = f"{box.base}/{'d' * 200}"
    os.rename(f"{box.base}/bundle", deep)
    launched = Conmon.find().launch(box.launch(bundle=deep, stdin=True), Deadline.after(60))
    client = connect(box, launched.monitor, deep)
    box.start()
    assert read_to_the_end(client)["stdout"] == b"hi\n"
    client.close()


def test_a_piece_that_is_sent_is_never_cut_off(box: BareContainer) -> None:
    launched = launch(box, "wc -c", stdin=True)
    client = connect(box, launched.monitor)
    box.start()
    left = memoryview(b"x" * 100_000)
    poll = select.poll()
    poll.register(client, select.POLLOUT)
    while left:
        assert poll.poll(60_000)
        left = left[client.send(left) :]
    client.end_input()
    assert read_to_the_end(client)["stdout"].strip() == b"100000"
    client.close()


def test_output_is_read_although_input_was_left_unread(box: BareContainer) -> None:
    launched = launch(box, "echo hi; sleep 1000", stdin=True)
    client = connect(box, launched.monitor)
    box.start()
    eventually(lambda: os.path.getsize(f"{box.base}/log") > 0, what="the line in the log")
    os.kill(launched.monitor.pid, signal.SIGSTOP)
    client.send(b"never read")
    os.kill(launched.monitor.pid, signal.SIGKILL)
    os.kill(launched.init.pid, signal.SIGKILL)
    assert read_to_the_end(client)["stdout"] == b"hi\n"
    client.close()
    assert process.wait_gone([launched.monitor, launched.init], 60) == []


@pytest.mark.runtimes("crun")
def test_a_client_that_never_reads_is_let_go(box: BareContainer) -> None:
    launched = launch(box, "head -c 2000000 /dev/zero; exit 5", stdin=True)
    client = connect(box, launched.monitor)
    box.start()
    assert box.wait().code == 5
    # What the kernel kept for it is there, and then the end.
    assert 0 < len(read_to_the_end(client)["stdout"]) < 2_000_000
    client.close()


def cpu_ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.runtimes("crun")
def test_input_for_a_stdin_that_was_closed_keeps_no_processor_busy(box: BareContainer) -> None:
    launched = launch(box, "exec <&-; echo closed; sleep 1000", stdin=True)
    client = connect(box, launched.monitor)
    box.start()
    poll = select.poll()
    poll.register(client, select.POLLIN)
    assert poll.poll(60_000)
    assert client.receive() == ("stdout", b"closed\n")
    poll.register(client, select.POLLOUT)
    while poll.poll(100):  # as much as it takes
        client.send(b"x" * 8192)
    client.close()

    # conmon has closed the pipe, so there is nothing that it could try again and again.
    def idle() -> bool:
        before = cpu_ticks(launched.monitor.pid)
        time.sleep(0.2)
        return cpu_ticks(launched.monitor.pid) - before <= 1

    eventually(idle, what="a monitor with nothing to do")
    os.kill(launched.init.pid, signal.SIGKILL)
    assert box.wait().code == 137


@pytest.mark.runtimes("crun")
def test_where_other_processes_can_not_be_reached_one_attaches_all_the_same(
    box: BareContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pidfd: int, number: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    for module in (attach, stdin):
        monkeypatch.setattr(module, "fetch", refuse)
    launched = launch(box, "echo hi; exit 4", stdin=True)
    client = connect(box, launched.monitor)
    box.start()
    assert read_to_the_end(client)["stdout"] == b"hi\n"
    assert box.wait().code == 4
    client.close()


@pytest.mark.runtimes("crun")
def test_a_monitor_that_is_stopped_or_gone_is_an_error_within_the_deadline(
    box: BareContainer,
) -> None:
    launched = launch(box, "sleep 1000", stdin=True)
    before = len(os.listdir("/proc/self/fd"))
    os.kill(launched.monitor.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(MonitorError, match="does not answer"):
        AttachClient.connect(f"{box.base}/bundle", "box", launched.monitor, Deadline.after(0.2))
    assert time.monotonic() - began < 30

    os.kill(launched.monitor.pid, signal.SIGKILL)
    os.kill(launched.init.pid, signal.SIGKILL)
    assert process.wait_gone([launched.monitor, launched.init], 60) == []
    with pytest.raises(MonitorError, match="can be attached to"):
        connect(box, launched.monitor)
    with pytest.raises(MonitorError, match="can be attached to"):
        connect(box, launched.monitor, f"{box.base}/nowhere")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.runtimes("crun")
def test_without_descriptors_it_fails_by_its_type(
    box: BareContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = launch(box, "true", stdin=True)

    def refuse(*arguments: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr(attach.socket, "socket", refuse)
        with pytest.raises(ResourceExhaustedError):
            connect(box, launched.monitor)
    box.start()
    assert box.wait().code == 0


@pytest.mark.runtimes("crun")
def test_the_size_of_a_terminal_is_set_and_its_input_stays_open(box: BareContainer) -> None:
    script = "stty -echo; while read line; do stty size; done"
    box.configure(["sh", "-c", script])
    with open(f"{box.base}/bundle/config.json", "r+", encoding="utf-8") as file:
        config = json.load(file)
        config["process"]["terminal"] = True
        file.seek(0)
        json.dump(config, file)
    settings = box.launch(terminal=True, stdin=True)
    launched = Conmon.find().launch(settings, Deadline.after(60))
    box.start()
    sizes = ((33, 77, b"33 77"), (5000, 5000, b"1000 1000"))
    for rows, columns, shown in sizes:
        # Each one goes away after it, which is no end of input.
        client = connect(box, launched.monitor)
        client.resize(rows, columns)

        def asked(client: AttachClient = client, shown: bytes = shown) -> bool:
            client.send(b"\n")
            poll = select.poll()
            poll.register(client, select.POLLIN)
            if not poll.poll(1000):
                return False
            piece = client.receive()
            assert piece is not None
            return shown in piece[1]

        eventually(asked, what=f"a terminal of {shown!r}")
        client.close()
    os.kill(launched.init.pid, signal.SIGKILL)
    assert box.wait().code == 137
    # Nobody is there any more to be told.
    left = AttachClient(attach.socket.socket(), os.open(f"{box.base}/bundle", os.O_PATH))
    assert process.wait_gone([launched.monitor], 60) == []
    left.resize(1, 1)
    left.close()
