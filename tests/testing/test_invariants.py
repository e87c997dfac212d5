"""Each invariant that can be seen can also be seen to be broken."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import replace

import pytest

from podcore.kernel import mounts, process
from podcore.model import ContainerStatus, PodStatus
from podcore.names import new_id
from podcore.operations.system import invariants, sights
from podcore.records import Intent, Verb
from podcore.testing import check_invariants, fake_engine


@pytest.fixture
def engine():
    path = tempfile.mkdtemp(prefix="podcore-fake-", dir="/dev/shm")
    os.mkdir(f"{path}/rootfs")
    with fake_engine(path) as engine:
        pod = engine.create_pod("web", share=())
        pod.create_container("db", rootfs=f"{path}/rootfs", command=["/bin/server"])
        pod.start()
        yield engine
    shutil.rmtree(path)


def rewrite(engine, **changes):
    host = engine.host
    with host.session("test") as session, host.store.write(session) as change:
        (record,) = change.containers()
        change.save_container(replace(record, **changes))


def broken(engine):
    return sorted({one.partition(":")[0] for one in check_invariants(engine)})


def test_all_hold_as_a_rule(engine):
    assert check_invariants(engine) == []


def test_a_held_lock_breaks_the_first(engine):
    with engine.host.session("held") as session:
        session.acquire("pod", 1)
        assert broken(engine) == ["I1"]


def test_a_row_without_a_state_breaks_the_second(engine):
    host = engine.host
    with host.session("test") as session, host.store.write(session) as change:
        change.rows("DELETE FROM container_state")

    assert "I2" in broken(engine)


def test_a_row_that_says_something_else_than_the_host_breaks_the_third(engine):
    rewrite(engine, state=ContainerStatus.PAUSED)

    assert broken(engine) == ["I3"]


def test_a_dead_exit_without_a_code_or_a_reason_breaks_the_sixth(engine):
    engine.pod("web").stop()
    rewrite(engine, exit_code=None, reason="")

    assert broken(engine) == ["I6"]


def test_an_exit_code_that_is_not_the_file_s_breaks_the_sixth(engine):
    engine.pod("web").stop()
    rewrite(engine, exit_code=1)

    assert broken(engine) == ["I6"]


def test_an_exited_container_with_processes_breaks_the_third(engine):
    rewrite(engine, state=ContainerStatus.EXITED, exit_code=0)

    assert "I3" in broken(engine)


def test_an_intent_breaks_the_fifth(engine):
    rewrite(engine, intent=Intent(Verb.START, engine.host.me, 1.0))

    assert broken(engine) == ["I5"]


def test_what_belongs_to_nothing_breaks_the_fourth(engine):
    os.mkdir(engine.host.places.attempt("a" * 64, 1), 0o700)

    assert broken(engine) == ["I4"]


def test_what_others_can_read_breaks_the_seventeenth(engine):
    os.chmod(engine.host.places.containers, 0o755)

    assert broken(engine) == ["I17"]


def test_a_descriptor_that_children_inherit_breaks_the_seventeenth(engine):
    fd = os.open(engine.host.places.locks + "/store", os.O_RDONLY)
    os.set_inheritable(fd, True)
    found = broken(engine)
    os.close(fd)

    assert found == ["I17"]


@pytest.fixture
def impatient(monkeypatch):
    """What is on its way out gets no time."""
    monkeypatch.setattr(sights, "_PATIENCE", 0.1)


def test_a_process_without_a_row_breaks_the_fourth(engine, popen, impatient):
    key = new_id()
    argv = ["/bin/sh", "-c", "read x", "sh", key, f"{engine.run_root}/containers/{key}.1/pid"]
    popen(argv, stdin=subprocess.PIPE)

    assert broken(engine) == ["I4"]


def test_a_process_of_a_container_that_is_down_breaks_the_fourth(engine, popen, impatient):
    db = engine.container("web/db")
    engine.pod("web").stop()
    popen(["/bin/sh", "-c", "read x", "sh", db.id, f"{engine.run_root}/pid"], stdin=subprocess.PIPE)

    assert broken(engine) == ["I4"]


def test_a_pod_whose_status_is_not_that_of_its_containers_breaks_the_ninth(engine, monkeypatch):
    told = replace(engine.pod("web").inspect(), state=PodStatus.PAUSED)
    monkeypatch.setattr(invariants, "inspect_pod", lambda host, pod: told)

    assert broken(engine) == ["I9"]


def test_a_monitor_that_nobody_waits_for_breaks_the_tenth(engine, tmp_path, impatient):
    shutil.copy("/bin/true", tmp_path / "conmon")
    monitor = subprocess.Popen([tmp_path / "conmon"])
    os.waitid(os.P_PID, monitor.pid, os.WEXITED | os.WNOWAIT)

    assert broken(engine) == ["I10"]

    monitor.wait()
    assert broken(engine) == []


@pytest.mark.integration
def test_a_mount_of_nothing_breaks_the_twelfth(engine, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    home = engine.host.places.container(new_id())
    os.mkdir(home, 0o700)
    os.mkdir(f"{home}/rootfs")
    mounts.bind(str(tmp_path), f"{home}/rootfs")

    found = broken(engine)

    # The engine's own way is simulated.
    subprocess.run(["umount", f"{home}/rootfs"], check=True)
    assert found == ["I12", "I4"]


def test_a_file_that_others_can_read_breaks_the_seventeenth(engine):
    os.chmod(engine.host.places.ledger(engine.container("web/db").id), 0o644)

    assert broken(engine) == ["I17"]


def test_a_monitor_that_has_the_database_open_breaks_the_seventeenth(engine):
    rewrite(engine, monitor=process.me())

    assert broken(engine) == ["I17"]


@pytest.mark.parametrize(
    "data",
    [b"2026-01-01T00:00:00.0+00:00 stdout F whole\n2026-01-01T00:00:00.0+0", b"no record\n"],
)
def test_a_log_that_is_cut_off_or_none_breaks_the_twentieth(engine, data):
    engine.pod("web").stop()
    with open(engine.host.places.log(engine.container("web/db").id), "wb") as file:
        file.write(data)
    os.chmod(file.name, 0o600)

    assert broken(engine) == ["I20"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_stands_in_the_place_of_a_log_is_not_waited_for(engine, make):
    engine.pod("web").stop()
    make(engine.host.places.log(engine.container("web/db").id))
    os.chmod(engine.host.places.container(engine.container("web/db").id), 0o700)

    assert broken(engine) == []


def test_what_a_lost_monitor_did_not_write_is_documented(engine):
    engine.pod("web").stop()
    with open(engine.host.places.log(engine.container("web/db").id), "wb") as file:
        file.write(b"2026-01-01T00:00:00.0+00:00 stdo")
    os.chmod(file.name, 0o600)
    shutil.rmtree(engine.host.places.persist(engine.container("web/db").id, 1))
    rewrite(engine, exit_code=None, reason="MonitorLost")

    assert broken(engine) == []


def test_each_of_the_twenty_is_named_once():
    numbers = [one.number for one in invariants.INVARIANTS]

    assert numbers == [f"I{number}" for number in range(1, 21)]
    assert {one.at_rest for one in invariants.INVARIANTS} == {"all", "part", "none"}
