"""What the argument parser refuses (2), what podcore refuses (125), and what help says."""

import io
import os
import signal
import subprocess
import sys

import pytest

from podcore.cli import arguments, main, output
from podcore.cli.main import NOUNS, PROGRAM, SHORTCUTS


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["--nonsense"],
        ["pod"],
        ["pod", "nonsense"],
        ["pod", "start"],
        ["pod", "start", "--nonsense", "web"],
        ["pod", "start", "-a", "web"],
        ["pod", "create", "a", "--name", "b"],
        ["pod", "rm", "-t", "1", "web"],
        ["pod", "ps", "--sort", "colour"],
        ["pod", "graph", "--format", "svg", "web"],
        ["pod", "start", "--format", "{{.Id}}", "web"],
        ["pod", "update", "web"],
        ["pod", "create", "--pids-limit", "many"],
        ["create", "--name", "x", "sh"],
        ["create", "--pod", "web", "--name", "x", "sh"],
        ["run", "--rm", "-d", "--pod", "web", "--rootfs", "/"],
        ["exec", "web/db"],
        ["exec"],
        ["cp", "a", "b"],
        ["logs", "--tail", "x", "web/db"],
        ["volume", "rm"],
        ["version", "--format"],
    ],
    ids=" ".join,
)
def test_what_the_parser_refuses_ends_with_2_and_says_why(argv, engine, cli):
    engine.with_pod("web", db=())

    result = cli(*argv)

    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith(("Error: ", "usage: "))


@pytest.mark.parametrize(
    "argv",
    [
        ["pod", "start", "gone"],
        ["pod", "inspect", "gone"],
        ["pod", "status", "gone"],
        ["pod", "graph", "gone"],
        ["pod", "logs", "gone"],
        ["pod", "stop", "-t", "-5", "web"],
        ["pod", "stop", "-t", "soon", "web"],
        ["pod", "kill", "-s", "BOGUS", "web"],
        ["pod", "kill", "-s", "0", "web"],
        ["pod", "kill", "-s", "", "web"],
        ["pod", "ps", "--filter", "colour=red"],
        ["pod", "ps", "--filter", "name"],
        ["pod", "ps", "--filter", "name=("],
        ["pod", "ps", "--filter", "status=bogus"],
        ["pod", "ps", "--filter", "ctr-status=stopped"],
        ["pod", "ps", "--filter", "ctr-number=few"],
        ["ps", "--filter", "status=bogus"],
        ["ps", "--filter", "exited=badly"],
        # There is no row that it could be compared with.
        ["volume", "ls", "--filter", "name=("],
        ["pod", "ps", "--format", "{{.Colour}}"],
        ["pod", "ps", "--format", "{{range .}}"],
        ["pod", "ps", "--format", "yaml"],
        ["pod", "start", "--pod-id-file", "/nonexistent/id"],
        ["kill", "-s", "65", "web/db"],
        ["start", "gone"],
        ["exec", "gone", "true"],
        ["logs", "gone"],
        ["logs", "--tail", "-2", "web/db"],
        ["logs", "--since", "yesterdayish", "web/db"],
        ["wait", "--timeout", "-1", "web/db"],
        ["create", "--pod", "gone", "--rootfs", "/", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "-v", "x", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "-v", "/a:/b:zz", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "--mount", "type=magic,dst=/x", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "--mount", "type=tmpfs", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "--mount", "type=tmpfs,dst=/t,ro=maybe", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "--mount", "type=tmpfs,dst=/t,rw=", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "--tmpfs", "/t:colour=red", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "--ulimit", "nofile", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "--security-opt", "label=disable", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "--sysctl", "a", "sh"],
        ["create", "--pod", "web", "--rootfs", "/", "-e", "=x", "sh"],
        ["run", "--detach-keys", "ab", "--pod", "web", "--rootfs", "/", "sh"],
        ["volume", "inspect", "gone"],
    ],
    ids=" ".join,
)
def test_what_podcore_refuses_ends_with_125_and_says_why(argv, engine, cli):
    engine.with_pod("web", db=())

    result = cli(*argv)

    assert result.code == 125
    assert result.err.startswith("Error: ")
    assert [verb for verb, _, _ in engine.calls] in ([], ["wait"])


def test_the_engine_is_closed_also_after_an_error(engine, cli):
    cli("pod", "start", "gone")

    assert engine.closed


def test_a_bug_ends_with_125_and_a_traceback(engine, cli, monkeypatch):
    def fail():
        raise RuntimeError("broken")

    monkeypatch.setattr(engine, "inspect_pods", fail)
    result = cli("pod", "ps")

    assert result.code == 125
    assert "Traceback" in result.err
    assert "Error: RuntimeError: broken\nhint: " in result.err


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (KeyboardInterrupt(), 130),
        (main.TerminatedError(signal.SIGTERM), 143),
        (main.TerminatedError(signal.SIGHUP), 129),
        (OSError(28, "No space left on device"), 125),
    ],
)
def test_what_ends_a_verb_decides_the_exit_code(problem, code, engine, cli, monkeypatch):
    def fail():
        raise problem

    monkeypatch.setattr(engine, "inspect_pods", fail)

    assert cli("pod", "ps").code == code


class Closed(io.StringIO):
    """Standard output whose reader is gone."""

    def flush(self):
        raise BrokenPipeError


@pytest.mark.parametrize("argv", ["pod ps", "ps", "ps -aq", "ps --json", "ps -a --format {{.Id}}"])
def test_a_reader_that_goes_away_is_no_error(argv, engine, cli, monkeypatch):
    engine.with_pod("web", db=())
    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(output, "abandon", lambda: None)
    result = cli(*argv.split())

    assert result.code == 141
    assert result.err == ""


@pytest.mark.parametrize("argv", [["--help"], ["pod", "--help"], ["version"]], ids=" ".join)
def test_a_pipe_without_a_reader_ends_it_quietly(argv):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "podcore", *argv],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)

    # argparse does not tell of it when it writes help without a buffer.
    assert done.returncode == 141 or "--help" in argv
    assert done.stderr == b""


def on_a_full_disk(stream, *argv):
    with open("/dev/full", "w") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: full}
        return subprocess.run(
            [sys.executable, "-m", "podcore", *argv],
            **streams,
            # argparse does not tell of what it can't write without a buffer.
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            timeout=60,
            check=False,
            text=True,
        )


@pytest.mark.parametrize("argv", [["--help"], ["version"], ["version", "--json"]], ids=" ".join)
def test_an_output_on_a_full_disk_is_an_error_that_names_it(argv):
    done = on_a_full_disk("stdout", *argv)

    assert done.returncode == 125
    assert done.stderr == "Error: stdout could not be written: No space left on device\n"


def test_a_message_on_a_full_disk_leaves_the_exit_code_alone():
    assert on_a_full_disk("stderr", "--root", "/proc/no", "pod", "ps").returncode == 125
    assert on_a_full_disk("stderr", "nonsense").returncode == 2


@pytest.mark.parametrize(
    ("argv", "leading"),
    [
        ([], 0),
        (["pod", "--json"], 0),
        (["--json", "pod"], 1),
        (["--root", "pod", "pod"], 2),
        (["--root=/x", "--format", "json", "pod"], 3),
        (["--root"], 1),
        (["--", "pod"], 1),
    ],
    ids=str,
)
def test_global_options_end_where_the_command_begins(argv, leading):
    assert arguments.split(argv) == (argv[:leading], argv[leading:])


def test_a_verb_keeps_its_double_dash(engine, cli):
    pod = engine.with_pod("-x")

    assert cli("pod", "start", "--", "-x").lines == [pod.id]
    assert cli("--json", "pod", "--json", "stop", "-t", "1", "--", "-x").code == 0


def test_help_names_every_command(cli):
    text = cli("--help").out

    for name in (*NOUNS, *SHORTCUTS, *PROGRAM):
        assert f"  {name} " in text


@pytest.mark.parametrize("noun", ["pod", "container", "volume", "bundle", "system"])
def test_every_verb_has_help_that_works(noun, cli):
    from importlib import import_module

    overview = cli(noun, "--help")
    assert overview.code == 0
    for name, verb in import_module(f"podcore.cli.{noun}").VERBS.items():
        assert f"  {name} " in overview.out
        result = cli(noun, name, "--help")
        assert result.code == 0
        assert result.out.startswith(f"usage: podcore {noun} {name}")
        assert verb.summary[1:] in result.out


def test_version_imports_neither_the_engine_nor_a_verb_of_containers():
    script = (
        "import sys\n"
        "from podcore.cli.main import main\n"
        "code = main(['--version'])\n"
        "heavy = {'podcore.engine', 'podcore.cli.pod', 'podcore.cli.container', 'apsw',\n"
        "         'asyncio', 'subprocess'}\n"
        "print(sorted(heavy & set(sys.modules)), code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.splitlines()[-1] == "[] 0"
    assert done.stdout.startswith("podcore version ")


def test_a_list_imports_nothing_that_writes_specs_or_runs_anything(tmp_path):
    """What a command imports is most of what a short one takes."""
    script = (
        "import sys\n"
        "from podcore.cli.main import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(*sys.modules)\n"
    )
    places = ["--root", tmp_path / "state", "--runroot", tmp_path / "run"]
    for flags in ("-aq", "-q", "-a"):
        command = [sys.executable, "-I", "-c", script, *places, "ps", flags]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        loaded = set(done.stdout.splitlines()[-1].split())

        assert "podcore.store.view" in loaded
        unwanted = {"specs", "bundle", "oci", "monitor.conmon", "cli.logs", "cli.foreground"}
        assert not {f"podcore.{name}" for name in unwanted} & loaded
        assert not {"hashlib", "subprocess", "asyncio"} & loaded
