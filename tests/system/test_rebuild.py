"""A database that is damaged or gone is rebuilt, and running containers never notice."""

import os
import subprocess
import sys
import threading

import pytest

import podcore
from podcore.model import ContainerStatus
from podcore.testing import check_invariants

pytestmark = pytest.mark.runtimes("runc")

LOOK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("SELECT * FROM pod").fetchall()
database.close()
"""
"""Whoever is the last to close a database empties its journal and removes it."""


@pytest.fixture
def lived_in(site, engine, pod):
    """What a pod is known to be before its database goes: one of each kind of container."""
    engine.volumes.create("data", labels={"keep": "yes"})
    pod.container("db").update(memory="64m")
    pod.container("api").pause()
    done = pod.create_container(
        "done", rootfs=site.rootfs, command=["/bin/sh", "-c", "exit 3"], depends_on=["db"]
    )
    done.start()
    assert done.wait(30) == 3
    done.stop()  # commits its end
    pod.create_container("fresh", rootfs=site.rootfs, command=["/bin/true"], depends_on=["db"])
    return facts(engine)


def facts(engine):
    """Returns all that must be the same afterwards."""
    with engine.host.store.read() as view:
        pods = view.pods()
        rows = view.containers()
        volumes = view.volumes()
    kept = [
        (
            row.id,
            row.name,
            row.number,
            row.kind,
            row.spec,
            row.dependencies,
            row.oci_runtime,
            row.cgroup_path,
            row.incarnation,
            row.init,
            row.monitor,
        )
        for row in rows
    ]
    seen = [
        (one.id, one.status, one.pid, one.exit_code)
        for pod in engine.pods()
        for one in pod.containers()
    ]
    return pods, kept, volumes, seen


def database(site):
    return f"{site.root}/state.db"


def delete(site):
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(database(site) + suffix):
            os.unlink(database(site) + suffix)


def delete_without_journal(site):
    os.unlink(database(site))


def delete_journal(site):
    os.unlink(f"{database(site)}-wal")


def truncate(site):
    os.truncate(database(site), 0)


def overwrite(site):
    with open(database(site), "r+b") as file:
        file.write(os.urandom(os.path.getsize(database(site))))


def replace(site):
    delete(site)
    with open(database(site), "w", encoding="ascii") as file:
        file.write("no database\n" * 1000)
    os.chmod(database(site), 0o600)


@pytest.mark.parametrize(
    "damage",
    [delete, delete_without_journal, delete_journal, truncate, overwrite, replace],
)
def test_everything_is_as_before(site, engine, lived_in, damage):
    engine.close()
    damage(site)
    engine = site.engine()
    with pytest.raises(podcore.StoreCorruptError, match="--repair"):
        engine.pods()

    (found,) = engine.check()
    assert (found.kind, found.object, found.repaired) == ("database", database(site), None)
    (found,) = engine.check(repair=True)
    assert found.repaired, found

    for now, before in zip(facts(engine), lived_in, strict=True):
        assert now == before
    kept = [name for name in os.listdir(site.root) if name.startswith("state.db.corrupt-")]
    assert bool(kept) == (damage is not delete)
    assert engine.check() == []
    assert check_invariants(engine) == []
    engine.pod("web").unpause()
    engine.pod("web").restart(timeout=0)
    engine.pod("web").remove(force=True)
    assert check_invariants(engine) == []


def test_an_engine_that_is_open_goes_on_with_the_new_database(site, engine, lived_in):
    truncate(site)
    assert site.engine().check(repair=True)[0].repaired

    assert facts(engine) == lived_in


@pytest.mark.parametrize("journal", ["-wal", "-shm"])
def test_a_journal_that_goes_while_it_is_in_use_is_noticed_before_anything_is_lost(
    site, engine, lived_in, journal
):
    os.unlink(f"{database(site)}{journal}")
    if journal == "-shm":
        # Another process makes a new one, and would write where this one does.
        site.cli("pod", "create", "other", "--share", "none")

    for _ in range(2):
        with pytest.raises(podcore.StoreCorruptError, match="--repair"):
            engine.create_pod("lost", share=())
        with pytest.raises(podcore.StoreCorruptError, match="--repair"):
            engine.pods()

    assert engine.check(repair=True)[0].repaired
    (_, *now), (_, *before) = facts(engine), lived_in
    assert now == before
    engine.create_pod("kept", share=())
    others = ["other"] if journal == "-shm" else []
    assert [pod.name for pod in site.engine().pods()] == ["web", *others, "kept"]


def test_commits_outlive_the_index_of_the_journal_and_what_is_no_journal(site, engine, lived_in):
    engine.close()
    os.unlink(f"{database(site)}-shm")
    with open(f"{database(site)}-journal", "wb") as file:
        file.write(os.urandom(8192))

    assert facts(site.engine()) == lived_in
    assert site.engine().check() == []


def test_another_program_that_puts_the_journal_in_its_place_has_lost_nothing(
    site, engine, lived_in
):
    engine.close()
    subprocess.run([sys.executable, "-c", LOOK, database(site)], check=True)
    assert not os.path.exists(f"{database(site)}-wal")

    assert facts(site.engine()) == lived_in
    assert site.engine().check() == []


def test_a_database_that_is_older_than_what_is_on_the_host_is_not_believed(site, engine, pod):
    engine.close()
    subprocess.run([sys.executable, "-c", LOOK, database(site)], check=True)
    engine = site.engine()
    engine.pod("web").restart(timeout=0)
    before = facts(engine)
    engine.close()
    os.unlink(f"{database(site)}-wal")
    engine = site.engine()

    with pytest.raises(podcore.StoreCorruptError, match="journal"):
        engine.pod("web")

    assert engine.check(repair=True)[0].repaired
    assert facts(engine) == before


def test_rows_of_a_lost_database_join_those_of_the_one_that_took_its_place(site, engine, lived_in):
    engine.close()
    homes, ledgers = f"{site.root}/containers", f"{site.root}/pods"
    delete(site)
    for directory in (homes, ledgers):
        os.rename(directory, f"{directory}.aside")
    new = site.engine()
    namesake = new.create_pod("web", share=())
    for directory in (homes, ledgers):
        for name in os.listdir(f"{directory}.aside"):
            os.makedirs(directory, 0o700, exist_ok=True)
            os.rename(f"{directory}.aside/{name}", f"{directory}/{name}")
        os.rmdir(f"{directory}.aside")

    found = new.check(repair=True)

    assert {one.kind for one in found} == {"lost"}
    assert all(one.repaired for one in found)
    names = [pod.name for pod in new.pods()]
    assert names[0] == "web"
    assert names[1].startswith("web-")
    assert new.pod("web").id == namesake.id
    assert {one[0]: one[1:] for one in facts(new)[3]} == {one[0]: one[1:] for one in lived_in[3]}
    assert new.check() == []


def test_a_container_without_its_pod_gets_one(site, engine, lived_in):
    engine.close()
    delete(site)
    (ledger,) = os.listdir(f"{site.root}/pods")
    os.unlink(f"{site.root}/pods/{ledger}")
    engine = site.engine()

    engine.check(repair=True)

    (pod,) = engine.pods()
    assert pod.id == ledger.removesuffix(".json")
    assert pod.name == pod.id[:12]
    assert [one.name for one in pod.containers()] == ["db", "api", "done", "fresh"]


def test_a_container_that_was_killed_while_nobody_knew_is_exited(site, engine, pod):
    db = pod.container("db")
    host = engine.host
    with host.store.read() as view:
        record = view.container(db.id)
    engine.close()
    delete(site)
    os.kill(record.init.pid, 9)
    host.cgroup(record.cgroup_path).kill(10)
    engine = site.engine()

    engine.check(repair=True)

    db = engine.container(db.id)
    assert db.wait(30) == 137
    assert db.status is ContainerStatus.EXITED


def test_many_at_once_rebuild_it_once(site, engine, lived_in):
    engine.close()
    truncate(site)
    engines = [site.engine() for _ in range(4)]
    start = threading.Barrier(len(engines))
    found = []

    def repair(one):
        start.wait()
        found.extend(one.check(repair=True))

    threads = [threading.Thread(target=repair, args=[one]) for one in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(one.repaired for one in found)
    assert facts(site.engine()) == lived_in
    kept = [name for name in os.listdir(site.root) if name.endswith("Z")]
    assert len(kept) == 1, "it is moved aside once"
