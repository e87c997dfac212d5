"""What lists are made of: containers of many pods without their specs, and those to be looked at."""

import itertools
from types import SimpleNamespace

import apsw
import pytest

from podcore.errors import StoreCorruptError
from podcore.model import ContainerKind, ContainerSpec, ContainerStatus
from podcore.observe import at_rest
from podcore.records import Intent, ProcessIdentity, Verb
from store.builders import new_container, new_pod

BOOT = "11111111-1111-4111-8111-111111111111"
EARLIER = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def pods(store, session):
    with store.write(session) as change:
        return [change.add_pod(new_pod(name)) for name in ("first", "second")]


def add(store, session, pod, name, **fields):
    with store.write(session) as change:
        return change.add_container(new_container(pod, name, **fields))


@pytest.fixture
def crowd(store, session, pods):
    """Containers of two pods, made in turns, by a clock that was set back, infra ones first."""
    first, second = pods
    made = {}
    for created, (pod, name, kind) in enumerate(
        [
            (second, "infra", ContainerKind.INFRA),
            (first, "infra", ContainerKind.INFRA),
            (second, "a", ContainerKind.REGULAR),
            (first, "b", ContainerKind.INIT),
            (second, "c", ContainerKind.REGULAR),
            (first, "d", ContainerKind.REGULAR),
        ]
    ):
        key = f"{pod.name}/{name}"
        made[key] = add(store, session, pod, name, kind=kind, created=10.0 - created // 2)
    return made


def names(found):
    return [f"{one.pod_name}/{one.name}" for one in found]


def test_lists_go_pod_by_pod_in_order_of_creation_and_end_with_the_infra_container(
    store, pods, crowd
):
    with store.read() as view:
        assert names(view.summaries(infra=True)) == [
            *("first/b", "first/d", "first/infra"),
            *("second/a", "second/c", "second/infra"),
        ]
        assert names(view.summaries(infra=False)) == ["first/b", "first/d", "second/a", "second/c"]
        assert names(view.summaries(pods[1].id, infra=True)) == [
            *("second/a", "second/c", "second/infra"),
        ]
        assert view.summaries("0" * 64, infra=True) == []
        assert {pod: [name for _, name, _ in rows] for pod, rows in view.members().items()} == {
            pods[0].id: ["b", "d"],
            pods[1].id: ["a", "c"],
        }


def test_ids_come_by_the_time_of_creation_and_else_as_in_the_other_lists(store, pods, crowd):
    with store.read() as view:
        for pod_id, infra in itertools.product((None, pods[0].id), (False, True)):
            lines = view.summaries(pod_id, infra=infra)
            wanted = [line.id for line in sorted(lines, key=lambda line: line.created)]
            assert view.container_ids(pod_id, infra=infra) == wanted
        key = {one.id: name for name, one in crowd.items()}
        assert [key[one] for one in view.container_ids(infra=False)] == [
            *("first/d", "second/c"),
            *("first/b", "second/a"),
        ]


def test_a_line_has_what_the_whole_record_says(store, session, pods):
    record = add(
        store,
        session,
        pods[1],
        "a",
        spec=ContainerSpec(
            name="a", rootfs="/", command=("echo", 'ключ "x"\n'), labels={"b": "", "a": "é"}
        ),
        state=ContainerStatus.EXITED,
        init=ProcessIdentity(7, 8),
        exit_code=3,
        reason="x",
        oom_killed=True,
        started=1.25,
        finished=2.5,
        restarts=2,
    )
    bare = add(store, session, pods[1], "b", spec=ContainerSpec(name="b", rootfs="/"))
    with store.read() as view:
        line, plain = view.summaries(infra=False)
        stored = view.container(record.id)
    same = (
        *("id", "name", "pod_id", "kind", "state", "exit_code", "reason", "oom_killed"),
        *("created", "started", "finished", "restarts"),
    )

    assert {name: getattr(line, name) for name in same} == {
        name: getattr(stored, name) for name in same
    }
    assert (line.state, line.kind) == (ContainerStatus.EXITED, ContainerKind.REGULAR)
    assert isinstance(line.state, ContainerStatus)
    assert isinstance(line.oom_killed, bool)
    assert (line.pod_name, line.pid) == ("second", None)
    assert (line.command, line.labels) == (stored.spec.command, stored.spec.labels)
    assert list(line.labels) == list(stored.spec.labels)
    assert (plain.id, plain.command, plain.labels) == (bare.id, (), {})


def test_nobody_else_sees_what_a_caller_does_to_the_labels_of_a_line(store, session, pods):
    for name in ("a", "b"):
        labels = {"tier": "front"}
        add(
            store,
            session,
            pods[0],
            name,
            spec=ContainerSpec(name=name, rootfs="/", labels=labels),
        )
    with store.read() as view:
        view.summaries(infra=False)[0].labels["tier"] = "back"
        assert [line.labels for line in view.summaries(infra=False)] == [{"tier": "front"}] * 2


def test_all_but_those_at_rest_are_awake(store, session, pods):
    """The condition in SQL is the one by which nobody looks at the host for a container."""
    host = SimpleNamespace(boot_id=BOOT)
    intent = Intent(Verb.STOP, ProcessIdentity(1, 2), 3.0)
    cases = itertools.product(ContainerStatus, ("", BOOT, EARLIER), (None, intent))
    for number, (state, boot, left) in enumerate(cases):
        settings = {"state": state, "boot_id": boot, "intent": left}
        add(store, session, pods[number % 2], f"c{number}", **settings)
    with store.read() as view:
        every = view.containers()
        awake = [one for one in every if not at_rest(host, one)]

        assert 0 < len(awake) < len(every)
        assert view.containers(awake=BOOT) == awake
        for pod in pods:
            wanted = [one.id for one in awake if one.pod_id == pod.id]
            assert [one.id for one in view.containers(pod.id, awake=BOOT)] == wanted
            lines = view.summaries(pod.id, infra=False, awake=BOOT)
            assert [line.id for line in lines] == wanted
            assert [(identifier, state) for identifier, _, state in view.members()[pod.id]] == [
                (one.id, one.state) for one in every if one.pod_id == pod.id
            ]


def columns_read(view, look):
    """Returns the columns that SQLite reads for a look at a view, as ``table.column``."""
    read = set()

    def authorize(operation, table, column, _database, _trigger):
        if operation == apsw.SQLITE_READ:
            read.add(f"{table}.{column}")
        return apsw.SQLITE_OK

    database = view._connection.database
    database.authorizer = authorize  # what was prepared before is prepared anew
    try:
        look(view)
    finally:
        database.authorizer = None
    return read


def test_ids_are_had_without_a_look_at_a_spec_or_a_state(store, crowd):
    with store.read() as view:
        read = columns_read(view, lambda view: view.container_ids(infra=False))
        every = columns_read(view, lambda view: view.summaries(infra=False))

    assert "container.id" in read
    assert not {one for one in read if one.startswith("container_state.") or one.endswith(".spec")}
    assert {"container.spec", "container_state.state"} <= every


def test_records_without_specs_are_had_without_a_look_at_them(store, crowd):
    with store.read() as view:
        read = columns_read(view, lambda view: view.containers(specs=False, awake=BOOT))

    assert "container_state.state" in read
    assert "container.spec" not in read


@pytest.mark.parametrize(
    "words", ['{"command": 5}', '{"command": "x"}', '{"labels": [1]}', '{"labels": 1}', "{"]
)
def test_a_damaged_spec_is_typed_where_only_its_words_are_wanted(words, store, session, pods):
    add(store, session, pods[0], "a")
    with store.write(session) as change:
        change._connection.execute("UPDATE container SET spec = ?", (words,))

    with pytest.raises(StoreCorruptError), store.read() as view:
        view.summaries(infra=False)
    with store.read() as view:
        assert len(view.container_ids(infra=False)) == 1


def test_what_is_no_state_is_typed(store, session, pods):
    add(store, session, pods[0], "a")
    with store.write(session) as change:
        change._connection.execute("PRAGMA ignore_check_constraints = ON")
        change._connection.execute("UPDATE container_state SET state = 'asleep'")

    for look in (lambda view: view.summaries(infra=True), lambda view: view.members()):
        with pytest.raises(StoreCorruptError, match="asleep"), store.read() as view:
            look(view)
