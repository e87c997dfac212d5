"""The command line on real containers."""

import json
import os
import signal
import subprocess
import sys

import pytest

from harness.polling import eventually

PODCORE = os.path.join(os.path.dirname(sys.executable), "podcore")
LOOP = "trap 'exit 0' TERM; echo up; while :; do sleep 60 & wait $!; done"


def test_a_pod_goes_through_its_life(site):
    pod_id = site.cli("pod", "create", "--share", "none", "web").stdout.strip()
    for name, flags in (("db", []), ("api", ["--requires", "db"])):
        site.cli(
            *("create", "--pod", "web", "--name", name, "--rootfs", site.rootfs),
            *(*flags, "sh", "-c", LOOP),
        )

    assert site.cli("pod", "plan", "web").stdout.splitlines() == ["1  db", "2  api"]
    assert site.cli("pod", "start", "web").stdout == f"{pod_id}\n"
    assert (
        site.cli("pod", "ps", "--format", "{{.Name}} {{.NumberOfContainers}}").stdout == "web 2\n"
    )
    rows = json.loads(site.cli("ps", "--json").stdout)
    assert [(row["Names"], row["State"]) for row in rows] == [
        (["db"], "running"),
        (["api"], "running"),
    ]
    assert all(row["Pid"] > 0 for row in rows)
    done = site.cli("exec", "web/db", "sh", "-c", "echo in; echo bad >&2; exit 5", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (5, "in\n", "bad\n")
    eventually(lambda: site.cli("logs", "web/db").stdout == "up\n", what="the log line")
    (shown,) = json.loads(site.cli("pod", "inspect", "web").stdout)
    assert shown["Id"] == pod_id
    assert site.cli("pod", "rm", "web", check=False).returncode == 125
    assert site.cli("pod", "stop", "web").stdout == f"{pod_id}\n"
    assert site.cli("wait", "web/db", "web/api").stdout == "0\n0\n"
    assert site.cli("pod", "rm", "web").stdout == f"{pod_id}\n"
    assert site.cli("pod", "exists", "web", check=False).returncode == 1


@pytest.mark.runtimes("runc")
def test_run_follows_its_container_and_ends_as_it_does(site):
    site.cli("pod", "create", "--share", "none", "jobs")

    def run(*command, flags=()):
        return site.cli(
            *("run", "--rm", "--pod", "jobs", "--rootfs", site.rootfs, *flags, *command),
            check=False,
        )

    done = run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert run("sh", "-c", "kill -9 $$", flags=["--init"]).returncode == 137
    assert run("/bin/no-such-command").returncode == 127
    assert run("/etc/passwd").returncode == 126
    assert json.loads(site.cli("ps", "-a", "--json").stdout) == []


@pytest.mark.runtimes("runc")
def test_a_signal_to_run_reaches_its_container(site, popen):
    site.cli("pod", "create", "--share", "none", "jobs")
    script = "trap 'echo got it; exit 3' INT; echo ready; while :; do sleep 60 & wait $!; done"
    process = popen(
        [PODCORE, "run", "--pod", "jobs", "--rootfs", site.rootfs, "sh", "-c", script],
        env=site.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (3, "got it\n", "")


@pytest.mark.runtimes("runc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_ends_what_follows_a_log(number, code, site, popen):
    site.cli("pod", "create", "--share", "none", "web")
    site.cli("run", "-d", "--pod", "web", "--rootfs", site.rootfs, "sh", "-c", LOOP)
    process = popen(
        [PODCORE, "pod", "logs", "-f", "web"],
        env=site.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (code, "")


@pytest.mark.runtimes("runc")
def test_inspect_tells_what_a_container_may_do(site):
    site.cli("pod", "create", "--share", "none", "web")
    site.cli(
        *("run", "-d", "--pod", "web", "--name", "db", "--cap-drop", "all"),
        *("--rootfs", site.rootfs, "sh", "-c", LOOP),
    )
    (shown,) = json.loads(site.cli("inspect", "--security", "web/db").stdout)

    assert shown["Name"] == "db"
    assert shown["Security"]["Capabilities"] == []
    assert shown["Security"]["NoNewPrivileges"] is True


@pytest.mark.runtimes("runc")
def test_files_go_in_and_out_and_stdin_reaches_an_exec(site, popen, tmp_path):
    site.cli("pod", "create", "--share", "none", "web")
    site.cli(
        *("run", "-d", "--pod", "web", "--name", "db", "--rootfs", site.rootfs, "sh", "-c", LOOP)
    )
    (tmp_path / "in").write_text("hello\n")
    site.cli("cp", str(tmp_path / "in"), "web/db:/tmp/file")
    site.cli("cp", "web/db:/tmp/file", str(tmp_path / "out"))
    process = popen(
        [PODCORE, "exec", "-i", "web/db", "wc", "-c"],
        env=site.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    out, _ = process.communicate("four", timeout=60)

    assert (tmp_path / "out").read_text() == "hello\n"
    assert out.strip() == "4"


NAMES = ["..", "a/b", "x\n", "n" * 300, "", " "]


@pytest.mark.runtimes("runc")
def test_bad_input_ends_with_125_before_anything_is_touched(site, cli, monkeypatch, tmp_path):
    for name, value in site.environ.items():
        if name.startswith("PODCORE_"):
            monkeypatch.setenv(name, value)
    a_file = tmp_path / "file"
    a_file.write_text("")
    create = ["create", "--pod", "web", "--name", "new"]
    rootfs = ["--rootfs", site.rootfs]
    assert cli("pod", "create", "web").code == 0
    assert cli("pod", "create", "other").code == 0
    assert cli("create", "--pod", "web", "--name", "db", *rootfs, "sh").code == 0
    assert cli("create", "--pod", "other", "--name", "far", *rootfs, "sh").code == 0
    before = cli("ps", "-a", "--json").out, cli("pod", "ps", "--json").out

    bad = [
        *(["pod", "create", "--name", name] for name in NAMES),
        *(["pod", "start", "--", name] for name in [*NAMES, "-x"]),
        *(["inspect", "--", name] for name in [*NAMES[2:], "-x", "a/b/c", "/", "web/"]),
        *(["create", "--pod", "web", "--name", name, *rootfs, "sh"] for name in NAMES),
        ["pod", "create", "web"],
        ["pod", "inspect", "gone"],
        ["create", "--pod", "web", "--name", "db", *rootfs, "sh"],
        ["create", "--pod", "gone", "--name", "new", *rootfs, "sh"],
        [*create, "--rootfs", "/no/such/directory", "sh"],
        [*create, "--rootfs", str(a_file), "sh"],
        [*create, "--bundle", "/no/such/directory"],
        [*create, *rootfs],
        [*create, *rootfs, "--requires", "gone", "sh"],
        [*create, *rootfs, "--requires", "far", "sh"],
        [*create, *rootfs, "--requires", "new", "sh"],
        [*create, *rootfs, "--stop-signal", "BOGUS", "sh"],
        [*create, *rootfs, "--stop-timeout", "-1", "sh"],
        [*create, *rootfs, "--memory", "lots", "sh"],
        [*create, *rootfs, "--memory", "-5", "sh"],
        [*create, *rootfs, "--cpus", "nan", "sh"],
        [*create, *rootfs, "--cap-add", "FLY", "sh"],
        [*create, *rootfs, "--sysctl", "kernel.panic=1", "sh"],
        [*create, *rootfs, "--runtime", "no-such-runtime", "sh"],
        ["pod", "stop", "-t", "-1", "web"],
        ["pod", "kill", "-s", "0", "web"],
        ["pod", "kill", "-s", "NOPE", "web"],
        ["--root", "/dev/null/state", "pod", "ps"],
        ["--root", str(a_file), "pod", "ps"],
    ]
    wrong = []
    for argv in bad:
        result = cli(*argv)
        if result.code != 125 or not result.err.startswith("Error: "):
            wrong.append((argv, result))

    assert wrong == []
    assert (cli("ps", "-a", "--json").out, cli("pod", "ps", "--json").out) == before
    assert cli("pod", "rm", "-a", "-f").code == 0


@pytest.fixture
def up(site):
    site.cli("pod", "create", "--share", "none", "web")
    site.cli("run", "-d", "--pod", "web", "--name", "up", "--rootfs", site.rootfs, "sleep", "1000")
    return "web/up"


def processes(site):
    return len(site.cli("top", "web/up", "pid").stdout.splitlines()[1:])


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
    ids=["TERM", "HUP", "QUIT"],
)
def test_what_ends_an_exec_ends_its_command_too(number, code, site, up, popen):
    command = ["sh", "-c", "echo ready; sleep 4321; true"]
    process = popen(
        [PODCORE, "exec", up, *command],
        env=site.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == "ready\n"
    assert processes(site) > 1

    process.send_signal(number)
    if number == signal.SIGHUP:
        # A shell sends one when its terminal closes, and then the kernel another one.
        process.send_signal(number)

    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", "")
    assert processes(site) == 1


@pytest.mark.runtimes("crun")
def test_an_exec_that_is_to_survive_its_terminal_does(site, up, popen):
    process = popen(
        ["sh", "-c", "trap '' HUP QUIT; exec \"$@\"", "-", PODCORE, "exec", "-i", up, "cat"],
        env=site.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    for line in ("one\n", "two\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGQUIT)

    process.communicate(timeout=60)
    assert process.returncode == 0
