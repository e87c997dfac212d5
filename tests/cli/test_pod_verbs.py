"""The verbs of pods: what they ask the engine for, what they print, and how they end."""

import json

import pytest

from podcore.errors import (
    ContainerStateError,
    DependencyFailedError,
    OCIRuntimeError,
    PartialFailureError,
    PodExistsError,
)
from podcore.model import ContainerStatus, PodStatus
from podcore.report import Outcome, Report, ReportRow


@pytest.mark.parametrize(
    ("argv", "call"),
    [
        (["pod", "start", "web"], ("start", {})),
        (["pod", "stop", "web"], ("stop", {"cleanup": False, "timeout": None})),
        (["pod", "stop", "-t", "0", "web"], ("stop", {"cleanup": False, "timeout": 0.0})),
        (["pod", "stop", "--time", "1m30s", "web"], ("stop", {"cleanup": False, "timeout": 90.0})),
        (["pod", "stop", "--timeout=5", "web"], ("stop", {"cleanup": False, "timeout": 5.0})),
        (["pod", "stop", "--cleanup", "web"], ("stop", {"cleanup": True, "timeout": None})),
        (["pod", "pause", "web"], ("pause", {})),
        (["pod", "unpause", "web"], ("unpause", {})),
        (["pod", "restart", "-t", "3", "web"], ("restart", {"timeout": 3.0})),
        (["pod", "kill", "web"], ("kill", {"signal": 9})),
        (["pod", "kill", "-s", "term", "web"], ("kill", {"signal": 15})),
        (["pod", "kill", "--signal=RTMIN+3", "web"], ("kill", {"signal": 37})),
        (["pod", "rm", "web"], ("remove", {"force": False})),
        (["pod", "rm", "-f", "web"], ("remove", {"force": True})),
        (["pod", "update", "--memory", "32m", "web"], ("update", {"memory": "32m"})),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_verb_asks_for_what_its_flags_say_and_prints_the_id(argv, call, engine, cli):
    pod = engine.with_pod("web", db=())

    result = cli(*argv)

    assert engine.calls == [(call[0], "web", call[1])]
    assert result == (0, f"{pod.id}\n", "")


def test_create_passes_on_what_was_given_and_nothing_else(engine, cli):
    result = cli("pod", "create", "web")

    assert engine.made[0].keywords == {}
    assert result == (0, f"{engine.made[0].id}\n", "")


def test_create_takes_podmans_flags(engine, cli, tmp_path):
    id_file = tmp_path / "id"
    cli(
        *"pod create --name web --label a=b --label c --share ipc,net --infra=false".split(),
        *"--hostname h --memory 1g --memory-swap -1 --cpus 1.5 --pids-limit 10".split(),
        *f"--cpu-shares 512 --cpuset-cpus 0-1 --blkio-weight 100 --pod-id-file {id_file}".split(),
    )
    pod = engine.pod("web")

    assert pod.labels == {"a": "b", "c": ""}
    assert pod.keywords == {
        "share": ("ipc", "net"),
        "infra": False,
        "hostname": "h",
        "memory": "1g",
        "memory_swap": -1,
        "cpus": 1.5,
        "pids_limit": 10,
        "cpu_shares": 512,
        "cpuset_cpus": "0-1",
        "blkio_weight": 100,
    }
    assert id_file.read_text() == pod.id


@pytest.mark.parametrize("text", ["none", ""])
def test_create_shares_nothing_on_request(text, engine, cli):
    cli("pod", "create", "web", "--share", text)

    assert engine.pod("web").keywords == {"share": ()}


def test_a_pod_whose_id_can_not_be_written_does_not_stay(engine, cli):
    result = cli("pod", "create", "web", "--pod-id-file", "/nonexistent/id")

    assert result.code == 125
    assert engine.made == []


def test_replace_removes_the_pod_of_that_name_first(engine, cli):
    old = engine.with_pod("web")

    result = cli("pod", "create", "--replace", "web")

    assert result.code == 0
    assert [pod.id for pod in engine.made] == [result.out.strip()]
    assert engine.made[0].id != old.id
    assert engine.calls == [("remove", "web", {"force": True})]


def test_several_pods_go_on_past_a_failing_one(engine, cli):
    first, bad, last = (engine.with_pod(name) for name in ("a", "b", "c"))
    bad.problem = PodExistsError("pod `b` is odd\nhint: look at it")

    result = cli("pod", "start", "a", "b", "gone", "c")

    assert result.code == 125
    assert result.lines == [first.id, last.id]
    assert result.err == (
        "Error: pod `b` is odd\nhint: look at it\nError: no pod with name or ID `gone` found\n"
    )


def test_stops_of_several_pods_are_printed_in_the_order_of_the_command_line(engine, cli):
    pods = [engine.with_pod(name) for name in ("a", "b", "c")]

    result = cli("pod", "stop", "c", "a", "b")

    assert result.lines == [pods[2].id, pods[0].id, pods[1].id]


def test_all_and_latest_choose_pods(engine, cli):
    first, last = engine.with_pod("a"), engine.with_pod("b")

    assert cli("pod", "start", "--all").lines == [first.id, last.id]
    assert cli("pod", "start", "--latest").lines == [last.id]
    assert cli("pod", "stop", "-a").lines == [first.id, last.id]


def test_all_of_no_pods_is_fine(engine, cli):
    assert cli("pod", "start", "--all") == (0, "", "")


def test_the_id_of_a_pod_can_come_from_a_file(engine, cli, tmp_path):
    pod = engine.with_pod("web")
    path = tmp_path / "id"
    path.write_text(f"{pod.id}\n")

    assert cli("pod", "start", "--pod-id-file", str(path)).lines == [pod.id]


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["pod", "rm", "gone"], 1),
        (["pod", "rm", "-i", "gone"], 0),
        (["pod", "rm", "gone", "busy"], 125),
        (["pod", "stop", "gone"], 125),
        (["pod", "stop", "-i", "gone"], 0),
        (["pod", "exists", "busy"], 0),
        (["pod", "exists", "gone"], 1),
        (["rm", "gone"], 1),
        (["rm", "-i", "gone"], 0),
        (["container", "exists", "gone"], 1),
        (["volume", "rm", "gone"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_missing_objects_have_the_exit_codes_of_podman(argv, code, engine, cli):
    engine.with_pod("busy").problem = ContainerStateError("pod `busy` has running containers")

    assert cli(*argv).code == code


def test_exists_says_nothing(engine, cli):
    engine.with_pod("web")

    assert cli("pod", "exists", "web") == (0, "", "")
    assert cli("pod", "exists", "gone") == (1, "", "")


def test_a_partial_failure_names_root_causes_before_what_was_skipped(engine, cli):
    pod = engine.with_pod("web", db=(), api=("db",), cache=())
    db, api, cache = (member.id for member in pod.members)
    errors = {
        api: DependencyFailedError("skipped", because=db),
        db: OCIRuntimeError("`/bin/db` does not exist\nhint: look at the rootfs"),
    }
    rows = (
        ReportRow(db, "db", Outcome.FAILED, "`/bin/db` does not exist"),
        ReportRow(api, "api", Outcome.SKIPPED, because=db),
        ReportRow(cache, "cache", Outcome.DONE),
    )
    report = Report("start", pod.id, "web", rows, errors)
    pod.problem = PartialFailureError("start of pod `web`", errors, report)

    result = cli("pod", "start", "web")

    assert result.code == 125
    assert result.out == ""
    assert result.err.splitlines() == [
        "Error: container `web/db`: `/bin/db` does not exist",
        "hint: look at the rootfs",
        "Error: container `web/api`: skipped because `db` failed",
    ]

    shown = json.loads(cli("pod", "start", "--json", "web").out)
    assert [row["Outcome"] for row in shown[0]["Rows"]] == ["failed", "skipped", "done"]


def test_ps_has_podmans_headings(engine, cli):
    pod = engine.with_pod("web", db=(), api=())

    lines = cli("pod", "ps").lines

    assert lines[0].split("  ")[0] == "POD ID"
    assert " ".join(lines[0].split()) == "POD ID NAME STATUS CREATED INFRA ID # OF CONTAINERS"
    assert lines[1].split()[:3] == [pod.id[:12], "web", "Created"]
    assert lines[1].split()[-1] == "2"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ["a", "b", "c"]),
        (["--filter", "name=^b"], ["b"]),
        (["--filter", "name=a", "--filter", "name=c"], ["a", "c"]),
        (["--filter", "label=tier"], ["a", "c"]),
        (["--filter", "label=tier", "--filter", "label=x=1"], ["c"]),
        (["--filter", "label!=tier"], ["b"]),
        (["--filter", "status=running"], ["b"]),
        (["--filter", "status=Running"], ["b"]),
        (["--filter", "ctr-number=1"], ["b"]),
        (["--filter", "ctr-names=db", "--filter", "name=a"], []),
        (["--sort", "name"], ["a", "b", "c"]),
        (["--sort", "status"], ["a", "c", "b"]),
        (["--latest"], ["c"]),
    ],
    ids=" ".join,
)
def test_ps_filters_and_sorts(flags, expected, engine, cli):
    engine.with_pod("a").labels = {"tier": "1"}
    engine.with_pod("b", db=()).state = PodStatus.RUNNING
    engine.with_pod("c").labels = {"tier": "2", "x": "1"}

    assert cli("pod", "ps", "--format", "{{.Name}}", *flags).lines == expected


def test_ps_prints_ids_only_when_quiet(engine, cli):
    pod = engine.with_pod("web")

    assert cli("pod", "ps", "-q").lines == [pod.id[:12]]
    assert cli("pod", "ls", "-q", "--no-trunc").lines == [pod.id]
    assert len(cli("pod", "list", "-n").lines) == 1


@pytest.mark.parametrize(
    "argv",
    [["--json", "pod", "ps"], ["pod", "ps", "--json"], ["pod", "--format=json", "ps"]],
    ids=" ".join,
)
def test_json_stands_before_or_after_the_verb(argv, engine, cli):
    pod = engine.with_pod("web", db=())

    (row,) = json.loads(cli(*argv).out)

    assert row["Id"] == pod.id
    assert row["Name"] == "web"
    assert row["InfraId"] == ""
    assert row["Created"].endswith("Z")
    assert row["Containers"] == [{"Id": pod.members[0].id, "Names": "db", "Status": "configured"}]


def test_status_shows_each_container(engine, cli):
    pod = engine.with_pod("web", db=(), api=("db",))
    pod.members[0].status = ContainerStatus.RUNNING
    pod.members[1].status = ContainerStatus.EXITED
    pod.members[1].exit_code = 137

    rows = json.loads(cli("pod", "status", "web", "--json").out)
    table = cli("pod", "status", "web").lines

    assert [(row["Names"], row["State"], row["ExitCode"]) for row in rows] == [
        (["db"], "running", None),
        (["api"], "exited", 137),
    ]
    assert table[1].split()[1:4] == ["db", "running", "7"]
    assert table[2].split()[1:4] == ["api", "exited", "137"]


@pytest.mark.parametrize(
    ("fmt", "expected"),
    [
        ("text", ["1  db", "1  cache", "2  api → db, cache"]),
        (
            "dot",
            [
                'digraph "web" {',
                "  rankdir=LR;",
                '  "db";',
                '  "api";',
                '  "cache";',
                '  "api" -> "db";',
                '  "api" -> "cache";',
                "}",
            ],
        ),
        (
            "mermaid",
            [
                "flowchart LR",
                '  n0["db"]',
                '  n1["api"]',
                '  n2["cache"]',
                "  n1 --> n0",
                "  n1 --> n2",
            ],
        ),
    ],
)
def test_graph_draws_the_dependencies(fmt, expected, engine, cli):
    engine.with_pod("web", db=(), api=("db", "cache"), cache=())

    assert cli("pod", "graph", "--format", fmt, "web").lines == expected


def test_plan_shows_what_starts_together(engine, cli):
    pod = engine.with_pod("web", db=(), api=("db", "cache"), cache=())
    ids = {member.name: member.id for member in pod.members}

    assert cli("pod", "plan", "web").lines == ["1  db, cache", "2  api"]
    assert cli("pod", "plan", "--reverse", "web").lines == ["1  api", "2  db, cache"]
    levels = json.loads(cli("pod", "plan", "web", "--json").out)["Levels"]
    assert [[row["Id"] for row in level] for level in levels] == [
        [ids["db"], ids["cache"]],
        [ids["api"]],
    ]


def test_prune_removes_what_has_stopped(engine, cli):
    engine.with_pod("up").state = PodStatus.RUNNING
    old = engine.with_pod("old")
    old.state = PodStatus.EXITED

    assert cli("pod", "prune", "--force").lines == [old.id]
    assert [pod.name for pod in engine.made] == ["up"]


def test_prune_asks_first(engine, cli, monkeypatch):
    import io
    import sys

    engine.with_pod("old").state = PodStatus.EXITED
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))

    assert cli("pod", "prune").code == 0
    assert len(engine.made) == 1


def test_wait_returns_when_all_have_exited(engine, cli):
    pod = engine.with_pod("web", db=())
    pod.members[0].exit_code = 4

    assert cli("pod", "wait", "web").lines == [pod.id]
    assert json.loads(cli("pod", "wait", "web", "--json").out) == [
        {"Id": pod.id, "ExitCodes": {"db": 4}}
    ]
