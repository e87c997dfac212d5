"""A conmon that misbehaves, played by scripts: each answer has its typed failure."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bare import When
from harness.polling import eventually
from podcore.deadlines import Deadline
from podcore.errors import (
    MonitorError,
    MonitorProtocolError,
    OCIRuntimeError,
    OCIRuntimeTimeoutError,
)
from podcore.kernel import process
from podcore.monitor import conmon as conmon_module
from podcore.monitor.conmon import Conmon, Launch

# Reads its options as conmon does, waits for the start, forks, and lets a line of the test's run
# in the monitor. `sync` is the sync pipe, `me` its own pid.
SCRIPT = """#!{python} -IS
import json, os, sys, time
options = dict(zip(sys.argv, sys.argv[1:]))
sync, start = int(os.environ["_OCI_SYNCPIPE"]), int(os.environ["_OCI_STARTPIPE"])
{before}
os.read(start, 1)
me = os.fork()
if me:
    with open(options["-P"] + ".tmp", "w") as file:
        file.write(str(me))
    os.rename(options["-P"] + ".tmp", options["-P"])
    os._exit(0)
os.setsid()
me = os.getpid()
{body}
"""


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    for name in ("persist", "exits", "bundle"):
        (tmp_path / name).mkdir()
    return launch_in(tmp_path)


def launch_in(tmp_path: Path) -> Launch:
    return Launch(
        container_id="e" * 64,
        name="box",
        bundle=f"{tmp_path}/bundle",
        runtime="/usr/sbin/no-runtime",
        runtime_arguments=["--root", f"{tmp_path}/runtime"],
        pid_file=f"{tmp_path}/pid",
        monitor_pid_file=f"{tmp_path}/monitor.pid",
        exit_dir=f"{tmp_path}/exits",
        persist_dir=f"{tmp_path}/persist",
        log_path=f"{tmp_path}/log",
        place=lambda _pid: None,
        runtime_log=f"{tmp_path}/runtime.log",
        cgroup_path="none",
    )


Fake = Callable[..., Conmon]


@pytest.fixture
def fake(tmp_path: Path, launch: Launch) -> Iterator[Fake]:
    """Makes a conmon that runs ``body`` as the monitor; none of it may be left in the end."""

    def make(body: str, before: str = "") -> Conmon:
        path = tmp_path / "conmon"
        path.write_text(SCRIPT.format(python=sys.executable, body=body, before=before))
        path.chmod(0o755)
        return Conmon.find(str(path))

    yield make
    name = os.fsencode(launch.monitor_pid_file)
    eventually(lambda: not process.find(lambda argv: name in argv), what="the end of the fakes")


def answering(data: str) -> str:
    """Code that writes an answer and goes on as a monitor does."""
    return f"os.write(sync, {data}); os.close(sync); time.sleep(1000)"


def failing(data: str) -> str:
    """Code that writes an answer and ends as a monitor does when a create has failed."""
    return f"os.write(sync, {data})"


def test_an_answer_in_pieces_is_put_together(fake: Fake, launch: Launch) -> None:
    conmon = fake(
        "data = json.dumps({'data': me}).encode() + b'\\n'\n"
        "for byte in data: os.write(sync, bytes([byte])); time.sleep(0.001)\n"
        "time.sleep(1000)"
    )

    launched = conmon.launch(launch, Deadline.after(30))
    try:
        assert launched.monitor == launched.init == process.identify(launched.monitor.pid)
    finally:
        process.send(launched.monitor, 9)


@pytest.mark.parametrize(
    "data",
    [
        "b'hello\\n'",
        "b'\\n'",
        "b'[]\\n'",
        "b'{}\\n'",
        "b'\\xff\\xfe\\n'",
        "b'{\"data\": 0}\\n'",
        "b'{\"data\": -5}\\n'",
        "b'{\"data\": 1099511627776}\\n'",
        "b'{\"data\": true}\\n'",
        "b'{\"data\": 1.5}\\n'",
        "b'{\"data\": -1.0}\\n'",
        'b\'{"data": "17"}\\n\'',
        "b'[' * 60000 + b'\\n'",
        "b'{\"data\": ' + b'9' * 6000 + b'}\\n'",
    ],
)
def test_an_unintelligible_answer_is_a_protocol_error(
    fake: Fake, launch: Launch, data: str
) -> None:
    with pytest.raises(MonitorProtocolError, match="the monitor of container `box` answered `"):
        fake(answering(data)).launch(launch, Deadline.after(30))


@given(line=st.one_of(st.binary(), st.from_regex(rb"\\{\"data\": ?-?[0-9.e]{1,20}[,}].*")))
def test_whatever_it_answers_gives_a_pid_or_a_typed_failure(line: bytes) -> None:
    with open("/dev/null", "rb") as nothing:
        try:
            pid = conmon_module._parse(
                launch_in(Path("/nonexistent")), line + b"\n", nothing.fileno()
            )
        except (MonitorProtocolError, OCIRuntimeError):
            return
        assert 0 < pid <= 4194304


def test_an_end_without_an_answer_is_a_protocol_error(fake: Fake, launch: Launch) -> None:
    with pytest.raises(MonitorProtocolError, match="ended without saying"):
        fake("pass").launch(launch, Deadline.after(30))


def test_half_a_line_is_a_protocol_error(fake: Fake, launch: Launch) -> None:
    with pytest.raises(MonitorProtocolError, match=r'broke off after `{"data": 1`'):
        fake("os.write(sync, b'{\"data\": 1')").launch(launch, Deadline.after(30))


def test_an_endless_answer_is_cut_off(fake: Fake, launch: Launch) -> None:
    with pytest.raises(MonitorProtocolError, match="more than 65536 bytes"):
        # Some 13 MB, and only then the end of the line.
        fake("for n in range(200): os.write(sync, b'x' * 65536)\nos.write(sync, b'\\n')").launch(
            launch, Deadline.after(30)
        )


def test_silence_ends_at_the_deadline(fake: Fake, launch: Launch) -> None:
    with pytest.raises(OCIRuntimeTimeoutError, match="container `box` took too long"):
        fake("time.sleep(30)").launch(launch, Deadline.after(0.5))


def test_a_monitor_without_a_runtime_need_not_be_waited_for_that_long(
    fake: Fake, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conmon_module, "_SILENCE", 1.0)

    with pytest.raises(MonitorError, match="container `box` did not answer, although") as raised:
        fake("time.sleep(1000)").launch(launch, Deadline.after(300))
    assert type(raised.value) is MonitorError


def test_a_runtime_that_works_may_take_as_long_as_the_deadline(
    fake: Fake, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conmon_module, "_SILENCE", 0.0)
    runtime = "if not os.fork(): time.sleep(3); os.write(sync, b'late\\n'); os._exit(0)\n"

    with pytest.raises(MonitorProtocolError, match="answered `late`"):
        fake(runtime + "time.sleep(1000)").launch(launch, Deadline.after(300))


def test_half_a_line_and_silence_end_at_the_deadline(fake: Fake, launch: Launch) -> None:
    with pytest.raises(OCIRuntimeTimeoutError):
        fake("os.write(sync, b'{'); time.sleep(1000)").launch(launch, Deadline.after(0.5))


def test_a_front_that_never_forks_ends_at_the_deadline(fake: Fake, launch: Launch) -> None:
    with pytest.raises(OCIRuntimeTimeoutError):
        fake("pass", before="time.sleep(1000)").launch(launch, Deadline.after(0.5))


def test_what_hangs_below_the_monitor_is_killed_with_it(
    fake: Fake, launch: Launch, tmp_path: Path
) -> None:
    below = tmp_path / "below"
    body = (
        "if os.fork() == 0:\n"
        f"    with open('{below}.tmp', 'w') as file: file.write(str(os.getpid()))\n"
        f"    os.rename('{below}.tmp', '{below}')\n"
        "    os.execv('/bin/sleep', ['sleep', '1000'])\n"
        "time.sleep(1000)"
    )
    with pytest.raises(OCIRuntimeTimeoutError):
        fake(body).launch(launch, When.true(below.exists))

    assert process.identify(int(below.read_text())) is None


def test_the_message_of_a_failed_create_comes_from_the_runtimes_log(
    fake: Fake, launch: Launch
) -> None:
    Path(launch.runtime_log).write_text(
        '{"level": "warning", "msg": "early"}\n'
        '{"level": "error", "msg": "runc create failed: no luck"}\n'
        "not json\n"
    )

    with pytest.raises(OCIRuntimeError) as caught:
        fake(answering('b\'{"data": -1, "message": "other"}\\n\'')).launch(
            launch, Deadline.after(30)
        )
    assert str(caught.value) == "could not create container `box`: no luck"
    assert caught.value.message == "runc create failed: no luck"


def test_without_a_log_the_monitors_message_is_quoted(fake: Fake, launch: Launch) -> None:
    with pytest.raises(OCIRuntimeError, match="could not create container `box`: no luck"):
        fake(failing('b\'{"data": -1, "message": "no luck\\\\n"}\\n\'')).launch(
            launch, Deadline.after(30)
        )


def test_a_failed_create_without_any_message_is_still_one(fake: Fake, launch: Launch) -> None:
    with pytest.raises(OCIRuntimeError, match="the OCI runtime gave no reason"):
        fake(failing("b'{\"data\": -1}\\n'")).launch(launch, Deadline.after(30))


def test_a_pid_without_a_process_is_a_failed_create(fake: Fake, launch: Launch) -> None:
    with pytest.raises(OCIRuntimeError, match=r"\(pid 4194304\) died as it was created"):
        fake(answering("b'{\"data\": 4194304}\\n'")).launch(launch, Deadline.after(30))


def test_a_monitor_that_dies_before_its_answer_is_read_is_a_failure(
    fake: Fake, launch: Launch
) -> None:
    # A child answers when the monitor is dead.
    body = (
        "if os.fork(): os._exit(1)\n"
        "while os.getppid() == me: time.sleep(0.01)\n"
        f"os.write(sync, b'{{\"data\": {os.getpid()}}}\\n')"
    )
    with pytest.raises(MonitorError, match="died as it was created"):
        fake(body).launch(launch, Deadline.after(30))


@pytest.mark.parametrize("text", ["", "abc", "-1", "0", "9" * 40])
def test_a_damaged_pid_file_is_a_failure(fake: Fake, launch: Launch, text: str) -> None:
    body = (
        "while not os.path.exists(options['-P']): time.sleep(0.01)\n"
        f"with open(options['-P'], 'w') as file: file.write({text!r})\n"
    )
    with pytest.raises(MonitorError, match="died as it was created"):
        fake(body + answering(f"b'{{\"data\": {os.getpid()}}}\\n'")).launch(
            launch, Deadline.after(30)
        )


def test_what_it_writes_to_stderr_before_it_gives_up_is_quoted(fake: Fake, launch: Launch) -> None:
    before = "sys.stderr.write('unknown option\\x1b[31m\\n'); sys.exit(1)"

    with pytest.raises(MonitorError, match=r"gave up: `unknown option\\x1b\[31m`"):
        fake("", before=before).launch(launch, Deadline.after(30))


def test_one_that_has_given_up_before_it_was_let_go_is_quoted(fake: Fake, launch: Launch) -> None:
    def place(pid: int) -> None:
        # A zombie then, whose end of the start pipe is closed.
        eventually(lambda: process.identify(pid) is None)

    before = "sys.stderr.write('no disk\\n'); sys.exit(1)"
    with pytest.raises(MonitorError, match="gave up: `no disk`"):
        fake("", before=before).launch(replace(launch, place=place), Deadline.after(30))


def test_a_program_that_can_not_be_executed_is_named(tmp_path: Path, launch: Launch) -> None:
    path = tmp_path / "conmon"
    path.write_text("#!/nonexistent/interpreter\n")
    path.chmod(0o755)

    with pytest.raises(MonitorError, match="can't be run"):
        Conmon.find(str(path)).launch(launch, Deadline.after(30))


def test_no_descriptor_is_leaked_by_any_failure(fake: Fake, launch: Launch) -> None:
    conmon = fake("os.write(sync, b'hello\\n')")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(MonitorProtocolError):
            conmon.launch(launch, Deadline.after(30))

    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_caller_without_stdio_can_launch(fake: Fake, launch: Launch, tmp_path: Path) -> None:
    conmon = fake("os.write(sync, b'hello\\n')")
    program = f"""
import os
for fd in (0, 1, 2): os.close(fd)
from podcore.deadlines import Deadline
from podcore.errors import MonitorProtocolError
from podcore.monitor import conmon as conmon_module
from podcore.monitor.conmon import Conmon, Launch
try:
    Conmon({conmon.path!r}).launch(Launch(
        container_id="e" * 64, name="box", bundle={launch.bundle!r}, runtime="/x",
        runtime_arguments=[], pid_file="/x", monitor_pid_file={launch.monitor_pid_file!r},
        exit_dir="/x", persist_dir={launch.persist_dir!r}, log_path="/x",
        place=lambda pid: None, runtime_log="/x", cgroup_path="none"), Deadline.after(30))
except MonitorProtocolError:
    os._exit(42)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert done.returncode == 42


class TestFinding:
    def test_a_missing_conmon_says_how_to_get_it(self, tmp_path: Path) -> None:
        with pytest.raises(MonitorError, match="hint: `apt-get install conmon`"):
            Conmon.find(str(tmp_path / "conmon"))

    def test_one_that_is_not_executable_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "conmon").write_text("")

        with pytest.raises(MonitorError, match="not executable"):
            Conmon.find(str(tmp_path / "conmon"))

    @pytest.mark.parametrize("bit", [stat.S_IWGRP, stat.S_IWOTH])
    def test_one_that_others_can_replace_is_refused(self, tmp_path: Path, bit: int) -> None:
        path = tmp_path / "conmon"
        path.write_text("")
        path.chmod(0o755 | bit)

        with pytest.raises(MonitorError, match="others than its owner can change it"):
            Conmon.find(str(path))

    def test_another_program_has_no_version(self) -> None:
        with pytest.raises(MonitorError, match="is not conmon"):
            _ = Conmon("/bin/true").version
