"""Real containers under a real conmon."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from harness.bare import BareContainer, When, kill_hard
from harness.polling import eventually
from podcore.deadlines import Deadline
from podcore.errors import MonitorError, OCIRuntimeError, OCIRuntimeTimeoutError
from podcore.kernel import process
from podcore.kernel.cgroup import Hierarchies
from podcore.monitor.conmon import Conmon
from podcore.monitor.logs import read_logs


def test_a_created_container_waits_for_its_start(box: BareContainer) -> None:
    launched = box.create(["sh", "-c", "echo out; echo err >&2; exit 7"])
    state = box.runtime.state(box.id, log=box.log)

    assert process.alive(launched.monitor)
    assert process.alive(launched.init)
    assert state is not None
    assert (state.status, state.pid) == ("created", launched.init.pid)
    assert box.exit() is None

    box.start()
    found = box.wait()

    assert (found.code, found.reason, found.oom) == (7, "", False)
    entries = {(entry.stream, entry.text) for entry in read_logs(f"{box.base}/log")}
    assert entries == {("stdout", "out"), ("stderr", "err")}
    assert abs(found.time - time.time()) < 60


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("false", 1), ("exit 255", 255)])
def test_exit_codes_arrive_unchanged(box: BareContainer, command: str, code: int) -> None:
    box.create(["sh", "-c", command])
    box.start()

    assert box.wait().code == code


def test_a_signal_ends_as_128_and_its_number(box: BareContainer) -> None:
    launched = box.create(["sleep", "1000"])
    box.start()

    assert process.send(launched.init, signal.SIGKILL)
    assert box.wait().code == 128 + signal.SIGKILL


def test_a_missing_program_is_named(box: BareContainer) -> None:
    with pytest.raises(OCIRuntimeError) as caught:
        box.create(["/bin/nothere"])

    expected = "executable `/bin/nothere` not found in the rootfs of container `box`"
    assert str(caught.value) == expected
    assert "/bin/nothere" in caught.value.message
    assert "create" in caught.value.argv
    eventually(lambda: not box.processes())


def test_a_program_without_execute_permission_is_named(box: BareContainer) -> None:
    with pytest.raises(OCIRuntimeError, match="in the rootfs of container `box` is not executable"):
        box.create(["/etc/passwd"])


def test_a_broken_bundle_is_the_runtimes_failure(box: BareContainer) -> None:
    (Path(box.base) / "bundle" / "config.json").write_text('{"ociVersion":')

    with pytest.raises(OCIRuntimeError, match="could not create container `box`: "):
        Conmon.find().launch(box.launch(), Deadline.after(60))


def test_an_out_of_memory_kill_is_recorded_in_the_persistent_directory(box: BareContainer) -> None:
    limits = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    box.create(["tail", "/dev/zero"], resources=limits)
    box.start()

    assert box.wait().code == 137
    # conmon hears of both events at once and may write the exit file first.
    eventually(lambda: (found := box.exit()) is not None and found.oom, what="the oom file")


def test_a_deep_bundle_directory_is_no_obstacle(box: BareContainer) -> None:
    box.configure(["true"])
    deep = f"{box.base}/{'d' * 200}"
    os.rename(f"{box.base}/bundle", deep)

    Conmon.find().launch(box.launch(bundle=deep), Deadline.after(60))
    assert os.path.exists(f"{deep}/attach")

    box.start()
    assert box.wait().code == 0


def test_the_monitor_is_placed_before_it_does_anything(box: BareContainer) -> None:
    seen = []

    def place(pid: int) -> None:
        seen.append((process.identify(pid) is None, os.path.exists(launch.monitor_pid_file)))

    box.configure(["true"])
    launch = box.launch(place=place)
    Conmon.find().launch(launch, Deadline.after(60))

    assert seen == [(False, False)]


def test_the_monitor_stays_where_it_was_placed_and_the_container_is_elsewhere(
    box: BareContainer,
) -> None:
    monitors = Hierarchies.detect().cgroup(f"{box.parent}/monitors")
    monitors.create()
    box.configure(["sleep", "1000"])
    launched = Conmon.find().launch(box.launch(place=monitors.add), Deadline.after(60))

    assert monitors.procs() == [launched.monitor.pid]
    assert process.in_cgroup(launched.init.pid, box.cgroup)
    assert not process.in_cgroup(launched.init.pid, monitors.path)

    kill_hard(launched.init.pid)
    assert process.wait_gone([launched.monitor], 30) == []


def test_a_failure_to_place_the_monitor_creates_nothing(box: BareContainer) -> None:
    def fail(pid: int) -> None:
        raise PermissionError("no")

    box.configure(["true"])

    with pytest.raises(PermissionError, match="no"):
        Conmon.find().launch(box.launch(place=fail), Deadline.after(60))
    assert box.runtime.state(box.id, log=box.log) is None
    eventually(lambda: not box.processes(), what="the end of all processes")


def test_nothing_of_the_caller_reaches_monitor_and_container(
    box: BareContainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("LD_PRELOAD", "LISTEN_FDS", "NOTIFY_SOCKET", "_OCI_ATTACHPIPE", "PODCORE_SECRET"):
        monkeypatch.setenv(name, "7")
    leaked = [os.open("/", os.O_RDONLY) for _ in range(50)]
    for fd in leaked:
        os.set_inheritable(fd, True)
    try:
        launched = box.create(["sh", "-c", "ls /proc/self/fd; env"])
    finally:
        for fd in leaked:
            os.close(fd)
    proc = Path(f"/proc/{launched.monitor.pid}")
    names = {entry.split(b"=")[0] for entry in (proc / "environ").read_bytes().split(b"\0")}
    opened = {os.readlink(fd) for fd in (proc / "fd").iterdir()}

    assert names <= {b"PATH", b"LC_ALL", b"_OCI_SYNCPIPE", b"_OCI_STARTPIPE", b""}
    assert "/" not in opened

    box.start()
    box.wait()
    output = [entry.text for entry in read_logs(f"{box.base}/log")]
    # 3 is the directory that `ls` itself reads.
    assert [entry for entry in output if entry.isdigit()] == ["0", "1", "2", "3"]
    assert not any("PODCORE" in entry or "_OCI" in entry for entry in output)


def test_ten_containers_are_created_at_once(runtime: str, rootfs: str) -> None:
    boxes = [BareContainer(runtime, rootfs) for _ in range(10)]
    failures: list[BaseException] = []

    def live(box: BareContainer, code: int) -> None:
        try:
            box.create(["sh", "-c", f"exit {code}"])
            box.start()
            assert box.wait().code == code
        except BaseException as error:
            failures.append(error)
            raise

    try:
        threads = [threading.Thread(target=live, args=(b, n)) for n, b in enumerate(boxes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)

        assert failures == []
    finally:
        for box in boxes:
            box.close()


def test_the_deadline_ends_monitor_runtime_and_hook(box: BareContainer) -> None:
    # A hook that hangs makes the runtime hang.
    config = Path(box.base) / "bundle" / "config.json"
    hook = f"{box.base}/hook"
    Path(hook).write_text(f"#!/bin/sh\n: >{box.base}/hooked\nsleep 1000\n")
    os.chmod(hook, 0o755)
    box.configure(["true"])
    hooks = f'"hooks": {{"createRuntime": [{{"path": "{hook}"}}]}}'
    config.write_text(config.read_text()[:-1] + f", {hooks}}}")

    hanging = When.true(lambda: os.path.exists(f"{box.base}/hooked"))
    with pytest.raises(OCIRuntimeTimeoutError, match="creating container `box` took too long"):
        Conmon.find().launch(box.launch(), hanging)
    eventually(lambda: not box.processes(), what="the end of all processes")


def test_without_the_directory_of_its_attempt_a_monitor_makes_nothing(box: BareContainer) -> None:
    # So one that begins late, when its caller is dead and has been cleaned up after, does no harm.
    gone = f"{box.base}/gone"
    box.configure(["true"])
    launch = box.launch(
        pid_file=f"{gone}/pid",
        monitor_pid_file=f"{gone}/conmon.pid",
        exit_dir=gone,
        runtime_log=f"{gone}/runtime.log",
        runtime_arguments=box.runtime.arguments(f"{gone}/runtime.log"),
    )

    with pytest.raises((MonitorError, OCIRuntimeError)):
        Conmon.find().launch(launch, Deadline.after(60))

    eventually(lambda: not box.processes(), what="the end of all processes")
    assert not os.path.lexists(box.runtime.state_directory(box.id))


def test_a_killed_monitor_leaves_the_container_alive_and_no_exit_file(box: BareContainer) -> None:
    launched = box.create(["sleep", "1000"])
    box.start()
    kill_hard(launched.monitor.pid)

    assert process.alive(launched.init)
    kill_hard(launched.init.pid)
    assert box.exit() is None


def test_the_exit_directory_is_not_needed(box: BareContainer) -> None:
    box.create(["sh", "-c", "exit 5"])
    os.rmdir(f"{box.base}/exits")
    box.start()

    assert box.wait().code == 5


def test_log_that_reaches_its_size_begins_anew_without_a_loss_at_the_end(
    box: BareContainer,
) -> None:
    box.configure(["sh", "-c", "for i in $(seq 1 200); do echo line $i; done"])
    Conmon.find().launch(box.launch(log_size_max=4096), Deadline.after(60))
    box.start()
    box.wait()

    lines = [entry.text for entry in read_logs(f"{box.base}/log")]
    assert os.path.getsize(f"{box.base}/log") <= 4096
    assert lines[-1] == "line 200"


def test_terminal_and_stdin_reach_the_container(box: BareContainer) -> None:
    box.configure(["sh", "-c", "test -t 1 && echo terminal"])
    config = Path(box.base) / "bundle" / "config.json"
    config.write_text(config.read_text().replace('"cwd"', '"terminal": true, "cwd"'))
    Conmon.find().launch(box.launch(terminal=True, stdin=True), Deadline.after(60))
    box.start()
    box.wait()

    assert [entry.text.rstrip("\r") for entry in read_logs(f"{box.base}/log")] == ["terminal"]


def test_a_monitor_that_can_not_write_its_log_says_so(box: BareContainer) -> None:
    box.configure(["true"])

    with pytest.raises(MonitorError, match=r"gave up: .*log"):
        Conmon.find().launch(box.launch(log_path=f"{box.base}/none/log"), Deadline.after(60))
    eventually(lambda: not box.processes(), what="the end of all processes")
