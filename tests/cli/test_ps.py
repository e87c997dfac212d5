"""``ps``: which containers it lists, in what order, and how little it asks for."""

import json

import pytest

from podcore.model import ContainerStatus


def test_ps_lists_what_runs_and_all_on_request(engine, cli):
    pod = engine.with_pod("web", db=(), api=())
    pod.members[0].status = ContainerStatus.RUNNING

    assert " ".join(cli("ps").lines[0].split()) == (
        "CONTAINER ID COMMAND CREATED STATUS NAMES POD ID PODNAME"
    )
    assert cli("ps", "-q").lines == [pod.members[0].id[:12]]
    assert cli("ps", "-aq", "--no-trunc").lines == [member.id for member in pod.members]
    assert cli("ps", "--filter", "status=configured", "--format", "{{.Names}}").lines == ["api"]
    assert cli("ps", "-a", "--pod", "web", "--sort", "names", "--format", "{{.Names}}").lines == [
        "api",
        "db",
    ]
    (row,) = json.loads(cli("ps", "--json").out)
    expected = {"Names": ["db"], "State": "running", "ExitCode": None, "Pid": 7, "PodName": "web"}
    assert row["Pod"] == pod.id
    assert {key: row[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ["paused", "running", "stopping"]),
        (["-a"], ["paused", "exited", "running", "configured", "stopping"]),
        (["-l"], ["stopping"]),
        (["--filter", "name=g$"], ["running", "stopping"]),
        (["--filter", "name=n"], ["running", "stopping"]),
        (["--filter", "status=exited"], ["exited"]),
        (["-a", "--filter", "name=e"], ["paused", "exited", "configured"]),
        (["-a", "--sort", "names"], ["configured", "exited", "paused", "running", "stopping"]),
        (["--pod", "other"], ["stopping"]),
    ],
    ids=lambda value: " ".join(value) or "none",
)
def test_ps_shows_the_same_containers_with_and_without_quiet(flags, expected, engine, cli):
    """Whether or not their ids are all that is read."""
    for pod in (
        engine.with_pod("web", paused=(), exited=(), running=(), configured=()),
        engine.with_pod("other", stopping=()),
    ):
        for member in pod.members:
            member.status = ContainerStatus(member.name)
    ids = {member.name: member.id for pod in engine.made for member in pod.members}

    assert cli("ps", *flags, "--format", "{{.Names}}").lines == expected
    assert cli("ps", *flags, "-q", "--no-trunc").lines == [ids[name] for name in expected]
    assert cli("ps", *flags, "-q").lines == [ids[name][:12] for name in expected]


@pytest.mark.parametrize("flags", ["-aq", "-lq", "-aq --no-trunc", "-aq --pod web", "-aq --infra"])
def test_ps_of_all_ids_asks_for_nothing_but_ids(flags, engine, cli, monkeypatch):
    pod = engine.with_pod("web", db=())
    monkeypatch.setattr(engine, "container_ids", lambda pod=None, infra=False: [members[0].id])
    monkeypatch.delattr(type(engine), "list_containers")
    members = pod.members

    result = cli("ps", *flags.split())

    assert result == (0, f"{members[0].id[: 64 if 'trunc' in flags else 12]}\n", "")


@pytest.mark.parametrize("flags", ["-aq", "-q", "-lq", "-aq -f name=x"])
def test_ps_of_no_ids_prints_nothing(flags, engine, cli):
    assert cli("ps", *flags.split()) == (0, "", "")


def test_ps_without_all_does_not_ask_for_those_at_rest(engine, cli, monkeypatch):
    engine.with_pod("web", db=())
    asked = []
    list_containers = engine.list_containers

    def listed(pod=None, *, infra=False, alive=False):
        asked.append(alive)
        return list_containers(pod, infra, alive=alive)

    monkeypatch.setattr(engine, "list_containers", listed)
    for flags in ([], ["-q"], ["-a"], ["-l"], ["-f", "status=exited"], ["-f", "name=db"]):
        cli("ps", *flags)

    assert asked == [True, True, False, False, False, True]


def test_a_filter_that_can_not_be_read_is_refused_whatever_runs(engine, cli):
    engine.with_pod("web", db=())

    assert cli("ps", "--filter", "name=(").code == 125
