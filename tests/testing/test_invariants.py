"""Each invariant that can be seen can also be seen to be broken."""

import os
import shutil
import tempfile
from dataclasses import replace

import pytest

from podcore.model import ContainerStatus
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
