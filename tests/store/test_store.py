import os
import threading
from dataclasses import replace

import pytest

from podcore.errors import (
    ContainerExistsError,
    ContainerRemovedError,
    InternalError,
    NoSuchVolumeError,
    PodExistsError,
    PodRemovedError,
    StoreError,
    UseAfterForkError,
    VolumeExistsError,
)
from podcore.model import ContainerKind, ContainerStatus, Limits
from podcore.records import Intent, ProcessIdentity, Verb, VolumeRecord
from podcore.store import Store, rows
from podcore.store import change as change_module
from store.builders import new_container, new_pod


@pytest.fixture
def pod(store, session):
    with store.write(session, durable=True) as change:
        return change.add_pod(new_pod())


@pytest.fixture
def container(store, session, pod):
    with store.write(session) as change:
        return change.add_container(new_container(pod, "db"))


def test_opening_makes_a_private_database_and_nothing_else(directory, store):
    assert sorted(name for name in os.listdir(directory) if not name.startswith("state.db-")) == [
        "state.db"
    ]
    assert all(
        os.stat(f"{directory}/{name}").st_mode & 0o077 == 0 for name in os.listdir(directory)
    )


def test_every_connection_has_the_settings_that_keep_data_safe(store, session):
    wanted = {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "mmap_size": 0,
        "wal_autocheckpoint": 1000,
        "journal_size_limit": 8 << 20,
        "page_size": 4096,
        "auto_vacuum": 2,
    }
    with store.read() as view:
        assert {name: view.rows(f"PRAGMA {name}")[0][0] for name in wanted} == wanted
    with store.write(session, durable=True) as change:
        assert change.rows("PRAGMA synchronous") == [(2,)]
    with store.write(session) as change:
        assert change.rows("PRAGMA synchronous") == [(1,)]


def test_opening_what_is_there_takes_no_lock(directory, store, locks):
    with locks.session("busy") as other:
        other.acquire("init")
        other.acquire("store")
        Store.open(directory, locks).close()


def test_opening_without_creating_refuses_an_empty_directory(directory, locks):
    with pytest.raises(StoreError, match="no state store"):
        Store.open(directory, locks, create=False)
    assert os.listdir(directory) == []


def test_a_pod_is_read_as_it_was_written(store, pod):
    with store.read() as view:
        assert view.pods() == [pod]
        assert view.pod(pod.id) == pod
        assert view.pod_by_name("web") == pod
        assert view.pod("0" * 64) is None
        assert view.pod_by_name("we%") is None
        assert view.pod_references() == [(pod.id, "web")]
    assert pod.number > 0


def test_a_container_is_read_as_it_was_written(store, session, pod):
    with store.write(session) as change:
        db = change.add_container(new_container(pod, "db"))
        api = change.add_container(
            new_container(
                pod,
                "api",
                depends_on=[db],
                state=ContainerStatus.EXITED,
                incarnation=3,
                init=ProcessIdentity(7, 8),
                monitor=ProcessIdentity(9, 10),
                boot_id="b",
                exit_code=0,
                reason="x",
                oom_killed=True,
                started=1.25,
                finished=2.5,
                restarts=2,
                intent=Intent(Verb.STOP, ProcessIdentity(11, 12), 3.5),
            )
        )
    other = Store.open(os.path.dirname(store.path), None)
    for each in (store, other):  # one remembers the spec, the other has to read it
        with each.read() as view:
            assert view.containers(pod.id) == view.containers() == [db, api]
            assert view.container(api.id) == api
            assert view.container_by_name(pod.id, "db") == db
            assert view.container("0" * 64) is None
            assert view.container_references(pod.id) == [(db.id, "db"), (api.id, "api")]
            assert view.dependents(db.id) == [api.id]
            assert view.containers("0" * 64) == []
    other.close()


def test_kinds_are_told_apart(store, session, pod):
    with store.write(session) as change:
        infra = change.add_container(new_container(pod, "infra", kind=ContainerKind.INFRA))
        db = change.add_container(new_container(pod, "db"))
    with store.read() as view:
        assert view.containers(pod.id, {ContainerKind.REGULAR}) == [db]
        assert view.container_references(kinds={ContainerKind.INFRA}) == [(infra.id, "infra")]


def test_many_are_read_as_each_alone_is(store, session, pod, directory, locks):
    """Their specs and dependencies come in a statement for all, unless they are known."""
    with store.write(session) as change:
        other = change.add_pod(new_pod("other"))
        for where in (pod, other):
            made = []
            for index in range(20):
                limits = Limits(pids_limit=index + 1)
                fresh = new_container(where, f"c{index}", depends_on=made[-3:][::-1])
                made.append(change.add_container(fresh))
                change.save_container(made[-1].but(spec=replace(made[-1].spec, limits=limits)))
    fresh = Store.open(directory, locks)  # which has read nothing yet
    with fresh.read() as view:
        for chosen in (pod.id, None):
            many = view.containers(chosen)
            assert [one.spec.limits.pids_limit for one in many][:20] == list(range(1, 21))
            with store.read() as alone:
                assert many == [alone.container(one.id) for one in many]
    fresh.close()


def test_a_saved_state_is_read_back_and_nothing_else_changes(store, session, container):
    changed = container.but(
        state=ContainerStatus.RUNNING, init=ProcessIdentity(1, 2), started=5.0, exit_code=None
    )
    with store.write(session) as change:
        change.save_container(changed)
        assert change.container(container.id) == changed
    with store.read() as view:
        assert view.container(container.id) == changed


def test_changed_limits_are_kept_and_later_saves_keep_them(store, session, container):
    with store.read() as view:
        record = view.container(container.id)
    limits = Limits(memory=1 << 20)
    updated = record.but(spec=replace(record.spec, limits=limits))
    with store.write(session) as change:
        change.save_container(updated)
    with store.read() as view:
        again = view.container(container.id)
    assert again == updated
    with store.write(session) as change:
        change.save_container(again.but(state=ContainerStatus.RUNNING))
    with store.read() as view:
        assert view.container(container.id).spec.limits == limits


def test_limits_of_a_transaction_that_was_undone_are_not_remembered(store, session, container):
    with store.read() as view:
        record = view.container(container.id)
    updated = record.but(spec=replace(record.spec, limits=Limits(memory=4096)))
    seen = []

    def undone():
        with store.write(session) as change:
            change.save_container(updated)
            seen.append(change.container(container.id))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    with store.write(session) as change:
        change.save_container(seen[0])
    with store.read() as view:
        assert view.container(container.id).spec.limits == Limits(memory=4096)


def test_a_thousand_containers_parse_their_specs_once(store, session, pod, monkeypatch):
    with store.write(session) as change:
        for index in range(1000):
            change.add_container(new_container(pod, f"c{index}"))
    with store.read() as view:
        first = view.containers(pod.id)
    monkeypatch.setattr("podcore.store.rows.config_of", None)
    with store.read() as view:
        second = view.containers(pod.id)
    assert [one.name for one in second] == [f"c{index}" for index in range(1000)]
    assert second == first


def test_an_exception_undoes_everything(store, session, pod):
    def undone():
        with store.write(session) as change:
            change.add_container(new_container(pod, "db"))
            change.save_pod(replace(pod, removing=True))
            change.event("pod", pod.id, "remove")
            raise KeyError

    with pytest.raises(KeyError):
        undone()
    with store.read() as view:
        assert view.containers() == []
        assert view.pods() == [pod]
        assert view.events() == []
    assert session.held == []


def test_a_snapshot_does_not_see_what_is_committed_meanwhile(store, session, pod):
    with store.read() as view:
        before = view.pods()
        with store.write(session) as change:
            change.add_pod(new_pod("later"))
        assert view.pods() == before == [pod]
    with store.read() as view:
        assert len(view.pods()) == 2


def test_names_are_unique_where_they_must_be(store, session, pod, container):
    with pytest.raises(PodExistsError, match="`web`"), store.write(session) as change:
        change.add_pod(new_pod())
    with pytest.raises(ContainerExistsError, match="`db`"), store.write(session) as change:
        change.add_container(new_container(pod, "db"))
    with store.write(session) as change:
        second = change.add_pod(new_pod("two"))
        change.add_container(new_container(second, "db"))
    with pytest.raises(PodExistsError), store.write(session) as change:
        change.save_pod(replace(second, name="web"))


def test_what_was_removed_can_not_be_saved(store, session, pod, container):
    with store.write(session) as change:
        change.delete_container(container.id)
        change.delete_pod(pod.id)
    for error, attempt in (
        (ContainerRemovedError, lambda change: change.save_container(container)),
        (ContainerRemovedError, lambda change: change.delete_container(container.id)),
        (PodRemovedError, lambda change: change.save_pod(pod)),
        (PodRemovedError, lambda change: change.delete_pod(pod.id)),
    ):
        with pytest.raises(error, match="has been removed"), store.write(session) as change:
            attempt(change)


def test_numbers_are_never_reused(store, session, pod, container):
    with store.write(session) as change:
        change.delete_container(container.id)
        change.delete_pod(pod.id)
    with store.write(session) as change:
        again = change.add_pod(new_pod())
        assert again.number > pod.number
        assert change.add_container(new_container(again, "db")).number > container.number


def test_a_dependency_may_be_added_after_its_dependent(store, session, pod):
    db = new_container(pod, "db")
    api = new_container(pod, "api", depends_on=[db])
    with store.write(session) as change:
        api = change.add_container(api)
        change.add_container(db)
    with store.read() as view:
        assert view.container(api.id) == api


@pytest.mark.parametrize(
    "forget",
    [
        lambda change, pod, db: change.delete_pod(pod.id),
        lambda change, pod, db: change.delete_container(db.id),
        lambda change, pod, db: change.add_container(
            new_container(pod, "x", depends_on=[new_container(pod, "absent")])
        ),
    ],
    ids=["the pod of containers", "a dependency", "to add one"],
)
def test_nothing_may_refer_to_what_is_not_there(store, session, pod, container, forget):
    with store.write(session) as change:
        change.add_container(new_container(pod, "api", depends_on=[container]))
    with pytest.raises(InternalError, match="FOREIGN KEY"), store.write(session) as change:
        forget(change, pod, container)
    with store.read() as view:
        assert len(view.containers()) == 2


def test_a_whole_pod_goes_in_one_transaction_in_any_order(store, session, pod, container):
    with store.write(session) as change:
        change.add_container(new_container(pod, "api", depends_on=[container]))
    with store.write(session) as change:
        change.delete_pod(pod.id)
        for one in change.containers(pod.id):
            change.delete_container(one.id)
    with store.read() as view:
        assert view.containers() == view.pods() == []
    assert store.integrity() == []


def test_volumes(store, session):
    wanted = VolumeRecord(name="data", number=0, created=1.5, labels={"a": "b"})
    with store.write(session) as change:
        made = change.add_volume(wanted)
    assert made == replace(wanted, number=made.number)
    with store.read() as view:
        assert view.volumes() == [made]
        assert view.volume("data") == made
        assert view.volume("none") is None
    with pytest.raises(VolumeExistsError), store.write(session) as change:
        change.add_volume(wanted)
    with store.write(session) as change:
        change.delete_volume("data")
    with pytest.raises(NoSuchVolumeError), store.write(session) as change:
        change.delete_volume("data")


def test_events_come_in_order_and_can_be_followed(store, session):
    with store.write(session) as change:
        for action in ("create", "start", "died"):
            change.event("container", "x" * 64, action, "why")
    with store.read() as view:
        events = view.events()
        assert [one.action for one in events] == ["create", "start", "died"]
        assert view.events(after=events[0].number) == events[1:]
        assert view.events(limit=1) == events[:1]
        assert view.last_event() == events[-1].number


def test_the_oldest_events_go_first(store, session, monkeypatch):
    monkeypatch.setattr(change_module, "EVENTS_KEPT", 10)
    monkeypatch.setattr(change_module, "_PRUNE_EVERY", 5)
    with store.write(session) as change:
        for index in range(33):
            change.event("pod", "x", str(index))
    with store.read() as view:
        actions = [int(one.action) for one in view.events()]
    assert actions[-1] == 32
    assert actions == list(range(actions[0], 33))
    assert 10 <= len(actions) < 15


def test_facts_about_the_whole(store, session):
    with store.write(session) as change:
        assert change.meta("boot_id") is None
        change.set_meta("boot_id", "a")
        change.set_meta("boot_id", "b")
    with store.read() as view:
        assert view.meta("boot_id") == "b"


def test_threads_share_a_store(store, locks, pod):
    barrier = threading.Barrier(4)
    failures = []

    def work(index):
        try:
            barrier.wait(20)
            with locks.session(f"thread {index}") as session:
                for step in range(20):
                    with store.write(session, timeout=30) as change:
                        change.add_container(new_container(pod, f"c{index}-{step}"))
                    with store.read() as view:
                        assert view.container_by_name(pod.id, f"c{index}-{step}") is not None
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with store.read() as view:
        assert len(view.containers(pod.id)) == 80


def test_a_closed_store_says_so(store, session):
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"), store.read():
        pass
    with pytest.raises(StoreError, match="closed"), store.write(session):
        pass


def test_a_child_of_a_fork_can_not_use_it_nor_end_the_parents_transaction(
    store, session, container
):
    with store.write(session) as change:
        change.save_container(container.but(incarnation=1))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for attempt in (change.pods, lambda: store.read().__enter__(), store.integrity):
                    with pytest.raises(UseAfterForkError):
                        attempt()
                store.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        change.save_container(container.but(incarnation=2))
    with store.read() as view:
        assert view.container(container.id).incarnation == 2


def test_nothing_is_remembered_of_what_was_removed(store, session, pod):
    """A worker that makes and removes pods for weeks does not grow."""
    for number in range(3):
        with store.write(session) as change:
            one = change.add_container(new_container(pod, f"c{number}"))
        with store.read() as view:
            assert view.containers() == [one]
        assert store._configs.get(one.id) is not None
        with store.write(session) as change:
            change.delete_container(one.id)
        assert store._configs.get(one.id) is None


def test_only_so_many_specs_are_remembered():
    configs = rows.Configs(size=3)
    for name in "abcd":
        configs.put(name, rows.UNREAD_CONFIG)
    assert [configs.get(name) is not None for name in "abcd"] == [False, True, True, True]
