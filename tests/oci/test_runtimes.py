"""runc and crun as they are: the same calls mean the same."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.bare import BareContainer
from harness.polling import eventually
from podcore.errors import OCIRuntimeError
from podcore.kernel import process
from podcore.kernel.cgroup import Hierarchies


def status(box: BareContainer) -> str | None:
    state = box.runtime.state(box.id, log=box.log)
    return state and state.status


def test_a_life_from_created_to_forgotten(box: BareContainer) -> None:
    launched = box.create(["sleep", "1000"])
    states = [status(box)]
    box.runtime.start(box.id, log=box.log)
    states.append(status(box))
    box.runtime.pause(box.id, log=box.log)
    states.append(status(box))
    box.runtime.resume(box.id, log=box.log)
    states.append(status(box))
    box.runtime.kill(box.id, 9, log=box.log)
    box.wait()
    states.append(status(box))
    box.runtime.delete(box.id, log=box.log)
    states.append(status(box))

    assert states == ["created", "running", "paused", "running", "stopped", None]
    assert not process.alive(launched.init)
    assert not os.path.exists(box.runtime.state_directory(box.id))


def test_the_pid_is_known_while_there_is_a_process(box: BareContainer) -> None:
    launched = box.create(["sleep", "1000"])
    running = box.runtime.state(box.id, log=box.log)
    process.send(launched.init, 9)
    box.wait()
    stopped = box.runtime.state(box.id, log=box.log)

    assert running is not None
    assert running.pid == launched.init.pid
    assert stopped is not None
    assert stopped.pid is None


def test_an_unknown_id_has_no_state_and_no_other_verb(box: BareContainer) -> None:
    runtime = box.runtime

    assert runtime.state(box.id, log=box.log) is None
    for verb in (runtime.start, runtime.pause, runtime.resume, runtime.delete):
        with pytest.raises(OCIRuntimeError) as caught:
            verb(box.id, log=box.log)
        assert f"container `{box.id[:12]}`: " in str(caught.value)
        assert caught.value.returncode == 1
        assert caught.value.message
    runtime.delete(box.id, force=True, log=box.log)


def test_a_message_is_that_of_the_call_and_not_of_an_earlier_one(box: BareContainer) -> None:
    Path(box.log).write_text('{"level": "error", "msg": "an older story"}\n')

    with pytest.raises(OCIRuntimeError) as caught:
        box.runtime.start(box.id, log=box.log)
    assert "older" not in caught.value.message


def test_starting_twice_fails_and_changes_nothing(box: BareContainer) -> None:
    box.create(["sleep", "1000"])
    box.start()

    with pytest.raises(OCIRuntimeError):
        box.start()
    assert status(box) == "running"


def test_a_container_that_ends_at_once_is_started_and_stopped(box: BareContainer) -> None:
    box.create(["true"])
    box.start()

    assert box.wait().code == 0
    eventually(lambda: status(box) == "stopped")


def test_a_running_container_is_only_deleted_by_force(box: BareContainer) -> None:
    launched = box.create(["sleep", "1000"])
    box.start()

    with pytest.raises(OCIRuntimeError):
        box.runtime.delete(box.id, log=box.log)
    assert process.alive(launched.init)

    box.runtime.delete(box.id, force=True, log=box.log)
    assert status(box) is None


def exec_in(
    box: BareContainer, tmp_path: Path, script: str, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs a script in the container; its pid is in ``tmp_path/pid`` then."""
    described = {
        "args": ["sh", "-c", script],
        "cwd": "/",
        "env": ["PATH=/bin", "GREETING=hello"],
        "user": {"uid": 0, "gid": 0},
    }
    (tmp_path / "process.json").write_text(json.dumps(described))
    argv = box.runtime.exec_arguments(
        box.id,
        process_file=f"{tmp_path}/process.json",
        pid_file=f"{tmp_path}/pid",
        log=box.log,
        **options,
    )
    # To a file: a detached process keeps a pipe open.
    with (tmp_path / "output").open("w+") as output:
        done = subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, stdout=output, text=True, timeout=60
        )
        output.seek(0)
        done.stdout = output.read()
    return done


def test_a_process_is_executed_with_its_own_exit_code(box: BareContainer, tmp_path: Path) -> None:
    box.create(["sleep", "1000"])
    box.start()

    done = exec_in(box, tmp_path, "echo $GREETING; exit 9")
    assert (done.returncode, done.stdout) == (9, "hello\n")
    assert int((tmp_path / "pid").read_text()) > 0


def test_a_detached_process_goes_on_in_the_containers_cgroup(
    box: BareContainer, tmp_path: Path
) -> None:
    box.create(["sleep", "1000"])
    box.start()

    assert exec_in(box, tmp_path, "exec sleep 999", detach=True).returncode == 0
    identity = process.identify(int((tmp_path / "pid").read_text()))
    assert identity is not None
    assert process.in_cgroup(identity.pid, box.cgroup)


def test_a_process_is_executed_in_a_cgroup_below_the_containers(
    box: BareContainer, tmp_path: Path
) -> None:
    box.create(["sleep", "1000"])
    box.start()
    below = Hierarchies.detect().cgroup(f"{box.cgroup}/sub")
    below.create()

    done = exec_in(box, tmp_path, "exec sleep 999", detach=True, cgroup="sub")
    assert done.returncode == 0
    assert below.procs() == [int((tmp_path / "pid").read_text())]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"id": 1}'])
def test_a_damaged_state_file_is_an_error_that_purging_ends(
    box: BareContainer, damage: bytes
) -> None:
    launched = box.create(["sleep", "1000"])
    directory = box.runtime.state_directory(box.id)
    Path(directory, box.runtime.state_file).write_bytes(damage)

    with pytest.raises(OCIRuntimeError):
        box.runtime.state(box.id, log=box.log)

    process.send(launched.init, 9)
    box.wait()
    box.runtime.purge(box.id)
    assert status(box) is None
    box.runtime.purge(box.id)


def test_the_leftover_of_an_interrupted_create_is_unknown_and_can_be_purged(
    box: BareContainer,
) -> None:
    directory = box.runtime.state_directory(box.id)
    os.makedirs(directory)
    os.mkfifo(f"{directory}/exec.fifo")

    assert status(box) is None
    box.runtime.purge(box.id)
    assert box.create(["sleep", "1000"])


def test_the_version_is_that_of_the_program(box: BareContainer) -> None:
    printed = subprocess.run(
        [box.runtime.path, "--version"], check=True, capture_output=True, text=True, timeout=60
    )
    assert printed.stdout.startswith(f"{box.runtime.name} version {box.runtime.version}\n")
