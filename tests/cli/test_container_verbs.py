"""The verbs of containers and volumes: what they ask for, what they print, how they end."""

import io
import json
import os
import sys
from types import SimpleNamespace

import pytest

from podcore.cli import foreground, main
from podcore.errors import CommandError, ExecTimeoutError, OCIRuntimeError
from podcore.model import ContainerStatus, LogEntry, Mount


def entry(time, text, stream="stdout", *, partial=False):
    return LogEntry(time, stream, text.encode(), partial)


@pytest.mark.parametrize(
    ("argv", "call"),
    [
        (["start", "web/db"], ("start", {})),
        (["container", "start", "db"], ("start", {})),
        (["ctr", "stop", "web/db"], ("stop", {"timeout": None})),
        (["stop", "-t", "300ms", "web/db"], ("stop", {"timeout": 0.3})),
        (["restart", "-t", "1", "web/db"], ("restart", {"timeout": 1.0})),
        (["kill", "web/db"], ("kill", {"signal": 9})),
        (["kill", "-s", "SIGHUP", "web/db"], ("kill", {"signal": 1})),
        (["pause", "web/db"], ("pause", {})),
        (["unpause", "web/db"], ("unpause", {})),
        (["rm", "web/db"], ("remove", {"force": False})),
        (["rm", "-f", "web/db"], ("remove", {"force": True})),
        (["update", "--cpus", "0.5", "web/db"], ("update", {"cpus": 0.5})),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_verb_asks_for_what_its_flags_say_and_prints_the_id(argv, call, engine, cli):
    container = engine.with_pod("web", db=()).members[0]

    result = cli(*argv)

    assert engine.calls == [(call[0], "db", call[1])]
    assert result == (0, f"{container.id}\n", "")


def created(engine):
    (call,) = [arguments for verb, _, arguments in engine.calls if verb == "create_container"]
    return call["spec"]


def test_create_passes_on_what_was_given_and_nothing_else(engine, cli):
    pod = engine.with_pod("web")

    result = cli("create", "--pod", "web", "--name", "db", "--rootfs", "/", "sh", "-c", "exit 3")
    spec = created(engine)

    assert result == (0, f"{pod.members[0].id}\n", "")
    assert spec == type(spec)(name="db", rootfs="/", command=["sh", "-c", "exit 3"])


def test_create_takes_podmans_flags(engine, cli, monkeypatch):
    monkeypatch.setenv("FROM_HERE", "yes")
    engine.with_pod("web")
    argv = (
        "create --pod web --name api --rootfs / --rootfs-mode ro --read-only --requires db,cache "
        "--requires queue -e A=1 -e FROM_HERE -e NOT_SET_HERE --env-file /tmp/env -u 1:2 -w /srv "
        "-v /data:/data:ro -v cache:/cache --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=755 "
        "--tmpfs /run:size=64k,ro --memory 32m --cpus 0.5 --pids-limit 9 --cap-add NET_RAW "
        "--cap-drop all --security-opt no-new-privileges=false --security-opt seccomp=unconfined "
        "--ulimit nofile=10:20 --ulimit core=0 --sysctl net.ipv4.ip_forward=1 --device /dev/null "
        "--init --hostname h -i -t --stop-signal INT --stop-timeout 1m --label a=b "
        "--annotation x=y --group-add 7 --oom-score-adj 100 --profile strict --network none "
        "--ipc host --pid private --uts pod --runtime crun"
    )
    result = cli(*argv.split(), "--", "-x", "--json")
    spec = created(engine)

    assert result.code == 0
    assert spec.command == ["-x", "--json"]
    assert spec.depends_on == ["db", "cache", "queue"]
    assert spec.env == {"A": "1", "FROM_HERE": "yes"}
    assert (spec.rootfs_mode, spec.read_only, spec.user, spec.cwd) == ("ro", True, "1:2", "/srv")
    assert spec.mounts == [
        Mount(type="bind", source="/data", target="/data", read_only=True),
        Mount(type="volume", source="cache", target="/cache"),
        Mount(type="tmpfs", target="/t", size="1m", mode=0o755),
        Mount(type="tmpfs", target="/run", size="64k", read_only=True),
    ]
    assert (spec.limits.memory, spec.limits.cpus, spec.limits.pids_limit) == ("32m", 0.5, 9)
    assert (spec.cap_add, spec.cap_drop) == (["NET_RAW"], ["all"])
    assert (spec.no_new_privileges, spec.seccomp_profile) == (False, "unconfined")
    assert spec.ulimits == {"nofile": (10, 20), "core": (0, 0)}
    assert spec.sysctls == {"net.ipv4.ip_forward": "1"}
    assert spec.devices == ["/dev/null"]
    assert (spec.init, spec.hostname, spec.stdin, spec.terminal) == (True, "h", True, True)
    assert (spec.stop_signal, spec.stop_timeout) == ("INT", 60.0)
    assert (spec.labels, spec.annotations, spec.group_add) == ({"a": "b"}, {"x": "y"}, ["7"])
    assert (spec.oom_score_adj, spec.profile) == (100, "strict")
    assert spec.namespaces == {"net": "private", "ipc": "host", "pid": "private", "uts": "pod"}
    assert spec.env_files == ["/tmp/env"]


@pytest.mark.parametrize(
    ("option", "read_only"),
    [
        ("ro", True),
        ("readonly", True),
        ("ro=true", True),
        ("ro=True", True),
        ("readonly=1", True),
        ("rw=false", True),
        ("ro=false", False),
        ("readonly=0", False),
        ("rw", False),
        ("rw=true", False),
    ],
)
def test_a_mount_is_read_only_however_that_is_spelled(option, read_only, engine, cli):
    engine.with_pod("web")
    mount = f"type=bind,src=/srv,dst=/data,{option}"

    assert cli("create", "--pod", "web", "--rootfs", "/", "--mount", mount, "sh").code == 0
    assert created(engine).mounts == [
        Mount(type="bind", source="/srv", target="/data", read_only=read_only)
    ]


def test_flags_after_the_command_belong_to_the_command(engine, cli):
    engine.with_pod("web")

    cli("create", "--pod", "web", "--rootfs", "/", "ls", "--json", "-e", "--pod", "x")

    assert created(engine).command == ["ls", "--json", "-e", "--pod", "x"]


def test_create_can_make_its_pod(engine, cli):
    assert cli("create", "--pod", "new:fresh", "--rootfs", "/", "sh").code == 0
    assert [pod.name for pod in engine.made] == ["fresh"]


def test_run_writes_both_streams_and_returns_the_exit_code(engine, cli, monkeypatch):
    pod = engine.with_pod("web")
    create_container = pod.create_container

    def create(name=None, **keywords):
        container = create_container(name, **keywords)
        container.exit_code = 7
        container.entries = [entry(1, "hello"), entry(2, "oops", "stderr")]
        return container

    monkeypatch.setattr(pod, "create_container", create)
    result = cli("run", "--pod", "web", "--name", "job", "--rootfs", "/", "sh")

    assert result == (7, "hello\n", "oops\n")
    assert [member.name for member in pod.members] == ["job"]

    assert cli("run", "--rm", "--pod", "web", "--rootfs", "/", "sh").code == 7
    assert [member.name for member in pod.members] == ["job"]


def test_run_detached_prints_the_id(engine, cli):
    pod = engine.with_pod("web")

    result = cli("run", "-d", "--pod", "web", "--rootfs", "/", "sh")

    assert result == (0, f"{pod.members[0].id}\n", "")
    assert pod.members[0].status is ContainerStatus.RUNNING


@pytest.fixture
def small_rootfs(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "good").touch(mode=0o755)
    (tmp_path / "bin" / "data").touch(mode=0o644)
    (tmp_path / "bin" / "outside").symlink_to("/../../bin/sh")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("/bin/nope", 127),
        ("nope", 127),
        ("/bin/outside", 127),
        ("/bin/data", 126),
        ("data", 126),
        ("/bin", 126),
        ("good", 125),
        ("/bin/good", 125),
    ],
)
def test_run_of_what_does_not_start_says_whether_the_command_is_there(
    command, code, engine, cli, small_rootfs, monkeypatch
):
    pod = engine.with_pod("web")
    create_container = pod.create_container

    def create(name=None, **keywords):
        container = create_container(name, **keywords)
        container.problem = OCIRuntimeError("it did not start")
        return container

    monkeypatch.setattr(pod, "create_container", create)

    assert cli("run", "--pod", "web", "--rootfs", small_rootfs, command) == (
        code,
        "",
        "Error: it did not start\n",
    )


@pytest.fixture
def cli_fd(capfd):
    """As ``cli``, for output that goes to descriptors 1 and 2."""

    def run(*argv):
        capfd.readouterr()
        code = main.main(argv)
        return (code, *capfd.readouterr())

    return run


def test_exec_passes_its_arguments_and_returns_the_exit_code(engine, cli_fd):
    engine.with_pod("web", db=())

    result = cli_fd(*"exec -e A=1 -u 5 -w /srv --timeout 2s web/db sh -c".split(), "echo --timeout")

    assert engine.calls == [
        (
            "exec",
            "db",
            {
                "command": ["sh", "-c", "echo --timeout"],
                "timeout": 2.0,
                "env": {"A": "1"},
                "user": "5",
                "cwd": "/srv",
                "stdin": None,
            },
        )
    ]
    # A pipe gets the bytes as they are.
    assert result == (3, "out\x1b[2J\n", "err\n")


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (CommandError("not found", 127), 127),
        (CommandError("not executable", 126), 126),
        (ExecTimeoutError("time is up"), 125),
    ],
)
def test_exec_that_fails_has_podmans_exit_codes(problem, code, engine, cli_fd):
    engine.with_pod("web", db=()).members[0].problem = problem

    assert cli_fd("exec", "web/db", "true") == (code, "", f"Error: {problem}\n")


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_exec_on_a_terminal_is_escaped_and_does_not_wait_for_what_it_left_behind(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", Screen())
    with foreground.streams() as fds:
        stdout = fds[1]
        held_by_a_background_process = os.dup(stdout)
        os.write(stdout, b"half \xe2\x82")
        os.write(stdout, b"\xac \x1b[2J")
    os.close(held_by_a_background_process)

    assert screen.getvalue() == "half € \\x1b[2J"


def test_wait_prints_the_exit_codes(engine, cli):
    pod = engine.with_pod("web", db=(), api=())
    pod.members[0].exit_code = 137

    assert cli("wait", "web/db", "web/api").lines == ["137", "unknown"]


@pytest.mark.parametrize(
    ("argv", "call"),
    [
        (
            ["cp", "./a:b", "web/db:/etc"],
            ("copy_in", {"source": "./a:b", "target": "/etc", "archive": True}),
        ),
        (
            ["cp", "--archive=false", "a", "web/db:"],
            ("copy_in", {"source": "a", "target": "/", "archive": False}),
        ),
        (["cp", "web/db:/etc", "out"], ("copy_out", {"source": "/etc", "target": "out"})),
    ],
    ids=["in", "owners", "out"],
)
def test_cp_goes_one_way_or_the_other(argv, call, engine, cli):
    engine.with_pod("web", db=())

    assert cli(*argv) == (0, "", "")
    assert engine.calls == [(call[0], "db", call[1])]


@pytest.mark.parametrize(
    ("source", "between"), [("/a/b", "/b"), ("/a/b/", "/b"), ("/a/.", "/."), ("/", "/.")]
)
def test_cp_between_containers_goes_by_way_of_a_private_directory(source, between, engine, cli):
    engine.with_pod("web", db=(), api=())
    assert cli("cp", f"web/db:{source}", "web/api:/x") == (0, "", "")
    (out, one, taken), (into, other, given) = engine.calls
    assert (out, one, taken["source"]) == ("copy_out", "db", source)
    assert (into, other, given["target"]) == ("copy_in", "api", "/x")
    assert given["source"] == taken["target"] + between
    assert not os.path.exists(taken["target"])


def test_cp_says_what_was_left_out(engine, cli):
    engine.with_pod("web", db=()).members[0].left_out = ("`/x` is a socket and was left out",)
    done = cli("cp", "web/db:/", "out")
    assert done == (0, "", "Warning: `/x` is a socket and was left out\n")


def test_logs_go_to_the_stream_they_came_from(engine, cli):
    container = engine.with_pod("web", db=()).members[0]
    container.entries = [
        entry(0.25, "half", partial=True),
        entry(0.5, " line"),
        entry(1.0, "bad", "stderr"),
        entry(2.0, "open", partial=True),
    ]

    assert cli("logs", "web/db") == (0, "half line\nopen", "bad\n")
    assert cli("logs", "-t", "--names", "web/db").lines[0] == (
        "1970-01-01T00:00:00.25Z db half line"
    )
    assert cli("logs", "--until", "1970-01-01T00:00:00.7Z", "web/db").out == "half line\n"


def test_logs_of_several_containers_have_names_in_colours(engine, cli):
    pod = engine.with_pod("web", db=(), api=())
    for number, container in enumerate(pod.members):
        container.entries = [
            entry(number, "half", partial=True),
            entry(number + 0.1, " line"),
            entry(number + 2, "\x1b[31mmine"),
        ]
    db, api = "\x1b[36mdb\x1b[0m", "\x1b[33mapi\x1b[0m"
    expected = f"{db} half line\n{api} half line\n{db} \x1b[31mmine\n{api} \x1b[31mmine\n"
    assert cli("logs", "--color", "web/db", "web/api").out == expected
    assert cli("pod", "logs", "--color", "web").out == expected
    plain = expected.replace(db, "db").replace(api, "api")
    assert cli("logs", "--names", "web/db", "web/api").out == plain


def test_on_a_terminal_only_the_colours_of_podcore_are_shown(engine, cli, monkeypatch):
    container = engine.with_pod("web", db=()).members[0]
    container.entries = [entry(0, "\x1b[31mmine")]
    monkeypatch.setattr("podcore.cli.output.is_terminal", lambda stream: True)
    shown = cli("logs", "--color", "web/db").out
    assert shown == "\x1b[36mdb\x1b[0m \\x1b[31mmine\n"


def test_logs_pass_on_what_to_read(engine, cli):
    engine.with_pod("web", db=())

    cli("logs", "-f", "--tail", "5", "--since", "1970-01-01T00:00:10Z", "web/db")

    assert engine.calls == [("logs", "db", {"follow": True, "tail": 5, "since": 10.0})]


@pytest.mark.parametrize("follow", [[], ["-f"]], ids=["at once", "followed"])
def test_pod_logs_show_all_containers(follow, engine, cli):
    pod = engine.with_pod("web", db=(), api=())
    pod.members[0].entries = [entry(1, "one"), entry(3, "three")]
    pod.members[1].entries = [entry(2, "two")]

    lines = cli("pod", "logs", *follow, "web").lines

    assert sorted(lines) == ["api two", "db one", "db three"]
    if not follow:
        assert lines == ["db one", "api two", "db three"]
    assert cli("pod", "logs", "-c", "api", *follow, "web").lines == ["two"]


def test_a_log_that_can_not_be_read_is_an_error_also_when_followed(engine, cli):
    pod = engine.with_pod("web", db=(), api=())
    pod.members[0].problem = OSError(5, "Input/output error")

    assert cli("pod", "logs", "-f", "web").code == 125


@pytest.mark.parametrize("argv", [["stats", "-a"], ["pod", "stats"]], ids=" ".join)
def test_stats_are_numbers_for_programs(argv, engine, cli):
    engine.with_pod("web", db=())

    (row,) = json.loads(cli(*argv, "--no-stream", "--format", "json").out)
    table = cli(*argv, "--no-stream").lines

    assert (row["MemUsage"], row["PIDs"], row["CPUPercent"]) == (1 << 20, 2, 0.0)
    assert "1 MiB / --" in table[1]


def test_stats_without_a_name_are_of_what_runs(engine, cli, monkeypatch):
    up, down = engine.with_pod("web", db=(), api=()).members
    up.status = ContainerStatus.RUNNING
    gone = SimpleNamespace(id="f" * 64)  # it is removed as soon as it is listed
    monkeypatch.setattr(engine, "containers", lambda: [gone, up, down])

    (row,) = json.loads(cli("stats", "--no-stream", "--format", "json").out)

    assert row["Name"] == "db"


def test_volumes(engine, cli):
    assert cli("volume", "create", "--label", "a=b", "data").lines == ["data"]
    assert cli("volume", "ls", "-q").lines == ["data"]
    assert cli("volume", "ls").lines[0].split("  ")[0] == "VOLUME NAME"
    assert cli("volume", "ls", "-q", "--filter", "label=a=c").lines == []
    assert json.loads(cli("volume", "inspect", "data").out)[0]["Labels"] == {"a": "b"}
    assert cli("volume", "rm", "data").lines == ["data"]
    cli("volume", "create", "other")
    assert cli("volume", "prune", "-f").lines == ["other"]
