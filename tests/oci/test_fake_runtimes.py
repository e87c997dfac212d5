"""Runtimes that misbehave, played by scripts: each answer has its typed failure."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.polling import eventually
from podcore import runtime_log
from podcore.errors import (
    InvalidNameError,
    OCIRuntimeError,
    OCIRuntimeNotFoundError,
    OCIRuntimeProtocolError,
    OCIRuntimeTimeoutError,
)
from podcore.kernel import process
from podcore.oci.discovery import runtime_for
from podcore.oci.interface import OCIRuntime
from podcore.oci.runc import Runc

ID = "a" * 64
Fake = Callable[[str], OCIRuntime]


@pytest.fixture
def log(tmp_path: Path) -> str:
    return f"{tmp_path}/log"


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Makes a runtime of a line of shell; it knows the container ``ID``."""

    def make(body: str) -> OCIRuntime:
        path = tmp_path / "runc"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        state = tmp_path / "root" / ID
        state.mkdir(parents=True)
        (state / "state.json").touch()
        return Runc(str(path), f"{tmp_path}/root")

    return make


def state_of(json: str) -> str:
    return f"printf '%s' '{json}'"


GOOD = f'{{"ociVersion":"1.0.2","id":"{ID}","pid":17,"status":"running","bundle":"/b"}}'


def test_a_state_is_read(fake: Fake, log: str) -> None:
    state = fake(state_of(GOOD)).state(ID, log=log)

    assert state is not None
    assert (state.status, state.pid) == ("running", 17)


@pytest.mark.parametrize(
    "answer",
    [
        "true",
        state_of("{"),
        state_of("[]"),
        state_of("null"),
        state_of("{}"),
        state_of(GOOD.replace(ID, "b" * 64)),
        state_of(GOOD.replace("running", "dancing")),
        state_of(GOOD.replace('"running"', "[]")),
        state_of(GOOD.replace("17", "-1")),
        state_of(GOOD.replace("17", "true")),
        state_of(GOOD.replace("17", '"17"')),
        state_of(GOOD.replace("17", "1e3")),
        state_of(GOOD.replace("17", str(1 << 40))),
        state_of(GOOD) + "; echo more",
        r"printf '\377\376\000'",
        "head -c 3000000 /dev/zero",
        "yes '[' | head -c 3000000 | tr -d '\\n'",
    ],
)
def test_a_senseless_state_is_a_protocol_error(fake: Fake, log: str, answer: str) -> None:
    with pytest.raises(OCIRuntimeProtocolError, match=r"as the state of `aaaaaaaaaaaa`") as caught:
        fake(answer).state(ID, log=log)
    assert len(str(caught.value)) < 2000


def test_a_runtime_that_hangs_is_killed_with_its_children(
    fake: Fake, log: str, tmp_path: Path
) -> None:
    runtime = fake(f"sleep 1000 & echo $! >{tmp_path}/child; wait")

    with pytest.raises(OCIRuntimeTimeoutError, match=r"did not finish within 3 s and was killed"):
        runtime.start(ID, log=log, timeout=3)

    # SIGKILL has been sent to all of them; on a busy host the end may take its time.
    child = int((tmp_path / "child").read_text())
    eventually(lambda: process.identify(child) is None, what="the end of the child")


def test_a_child_that_keeps_the_output_open_is_not_waited_for(fake: Fake, log: str) -> None:
    fake("sleep 5 & exit 0").start(ID, log=log, timeout=60)


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "delete"])
def test_every_verb_has_a_deadline(fake: Fake, log: str, verb: str) -> None:
    with pytest.raises(OCIRuntimeTimeoutError):
        getattr(fake("sleep 30"), verb)(ID, log=log, timeout=0.1)


def test_state_has_a_deadline_too(fake: Fake, log: str) -> None:
    with pytest.raises(OCIRuntimeTimeoutError):
        fake("sleep 30").state(ID, log=log, timeout=0.1)


def test_what_only_stderr_says_is_quoted(fake: Fake, log: str) -> None:
    with pytest.raises(OCIRuntimeError) as caught:
        fake("echo no luck >&2; exit 3").start(ID, log=log)

    assert (caught.value.returncode, caught.value.message) == (3, "no luck")
    assert caught.value.argv[-3:] == ("start", "--", ID)


def test_a_container_that_goes_while_it_is_asked_for_is_unknown(
    fake: Fake, log: str, tmp_path: Path
) -> None:
    runtime = fake(f"rm -r {tmp_path}/root/{ID}; exit 1")

    assert runtime.state(ID, log=log) is None


def test_a_runtime_that_was_uninstalled_is_named(fake: Fake, log: str) -> None:
    runtime = fake("true")
    os.unlink(runtime.path)

    with pytest.raises(OCIRuntimeNotFoundError, match="is not there any more"):
        runtime.start(ID, log=log)


def test_a_runtime_that_is_no_program_is_named(fake: Fake, log: str) -> None:
    runtime = fake("true")
    Path(runtime.path).write_text("no interpreter\n")

    with pytest.raises(OCIRuntimeError, match="can't be run"):
        runtime.start(ID, log=log)


def test_another_program_under_the_same_path_is_noticed(fake: Fake) -> None:
    with pytest.raises(OCIRuntimeProtocolError, match="says that it is `crun`, not `runc`"):
        _ = fake("echo crun version 1.8.1").version


BAD_IDS = [
    "",
    ".",
    "..",
    "../..",
    "a/b",
    "-x",
    "a" * 63,
    "a" * 65,
    "A" * 64,
    "g" * 64,
    "a" * 64 + "\n",
    "\n" + "a" * 64,
    "a" * 63 + "ü",
]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_a_malformed_id_reaches_no_runtime_and_no_path(
    fake: Fake, log: str, tmp_path: Path, bad: str
) -> None:
    runtime = fake(f"touch {tmp_path}/ran")
    calls: list[Callable[[], object]] = [
        lambda: runtime.start(bad, log=log),
        lambda: runtime.state(bad, log=log),
        lambda: runtime.kill(bad, 9, log=log),
        lambda: runtime.pause(bad, log=log),
        lambda: runtime.resume(bad, log=log),
        lambda: runtime.delete(bad, force=True, log=log),
        lambda: runtime.purge(bad),
        lambda: runtime.state_directory(bad),
        lambda: runtime.exec_arguments(bad, process_file="p", pid_file="q", log=log),
    ]
    for call in calls:
        with pytest.raises(InvalidNameError):
            call()

    assert not (tmp_path / "ran").exists()
    assert (tmp_path / "root" / ID / "state.json").exists()


def test_purging_follows_no_symbolic_link(fake: Fake, tmp_path: Path) -> None:
    runtime = fake("true")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (tmp_path / "root" / ID / "link").symlink_to(precious)
    (tmp_path / "root" / ("b" * 64)).symlink_to(precious)

    runtime.purge(ID)
    runtime.purge("b" * 64)
    assert (precious / "file").exists()
    assert os.listdir(tmp_path / "root") == []


def test_an_unknown_program_name_is_asked_what_it_is(tmp_path: Path) -> None:
    program = tmp_path / "my-runtime"
    program.write_text("#!/bin/sh\necho runc version 1.2.3\n")
    program.chmod(0o755)

    runtime = runtime_for(str(program), f"{tmp_path}/root")
    assert (runtime.name, runtime.version) == ("runc", "1.2.3")


class TestMessages:
    @pytest.mark.parametrize(
        ("said", "worded"),
        [
            ("", "could not start container `db`: the OCI runtime gave no reason"),
            ("runc start failed: no", "could not start container `db`: no"),
            (
                'unable to start container process: exec: "x": executable file not found in $PATH',
                "executable `x` not found in the rootfs of container `db`",
            ),
            (
                "executable file `/bin/x y` not found in $PATH: No such file or directory",
                "executable `/bin/x y` not found in the rootfs of container `db`",
            ),
            (
                'exec: "/x": permission denied',
                "the file `/x` in the rootfs of container `db` is not executable",
            ),
        ],
    )
    def test_are_worded_for_people(self, said: str, worded: str) -> None:
        assert runtime_log.worded(said, "db", "start") == worded

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", ""),
            (b"garbage\n\xff\xfe", ""),
            (b'{"level":"error","msg":"a"}\n{"level":"error","msg":"b"}\n{"cut', "b"),
            (b'{"level":"error","msg":"a"}\n{"level":"warning","msg":"b"}\n', "a"),
            (b'[1]\n"x"\n5\n', ""),
            (b"[" * 100_000, ""),
            (b"x" * 200_000 + b'\n{"level":"error","msg":"end"}\n', "end"),
        ],
    )
    def test_are_the_last_error_of_the_log(self, log: str, data: bytes, message: str) -> None:
        Path(log).write_bytes(data)

        assert runtime_log.last_error(log) == message

    def test_a_log_that_is_no_file_has_none(self, log: str) -> None:
        os.mkfifo(log)

        assert runtime_log.last_error(log) == ""
        assert runtime_log.last_error(f"{log}/missing") == ""
