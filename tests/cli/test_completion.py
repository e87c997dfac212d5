"""Completion, as the shells themselves do it with the scripts."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest

from podcore.cli import completion, shells

PROGRAM = os.path.join(os.path.dirname(sys.executable), "podcore")

# Stands for podcore: says what it is asked for, and has names.
FAKE = """\
podcore() {
    case "$*" in
        *'pod ps'*) printf '%s\\n' web db ;;
        *'ps --all'*) printf '%s\\n' web/one web/two ;;
        *'volume ls'*) printf '%s\\n' data ;;
        *) printf '<%s>' "$@"; echo ;;
    esac
    printf '%s ' "$@" >> asked
}
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "podcore.bash"
    path.write_text(shells.script("bash", list(completion.commands())))
    return path


@pytest.fixture
def complete(tmp_path, script):
    """What bash offers for a command line, whose last word is not finished."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")

    def run(*words):
        quoted = " ".join(f"'{word}'" for word in ("podcore", *words))
        text = (
            f"{FAKE}\nset -u\nsource {script}\ncomplete -p podcore\nCOMP_WORDS=({quoted})\n"
            f"COMP_CWORD={len(words)}\n_podcore\nprintf '%s\\n' \"${{COMPREPLY[@]-}}\"\n"
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", text],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stderr == ""
        first, *offered = done.stdout.splitlines()
        assert first == "complete -F _podcore podcore"
        return [word for word in offered if word]

    return run


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["po"], ["pod"]),
        (["pod", "cre"], ["create"]),
        (["--root", "/x", "pod", "p"], ["pause", "ps", "plan", "prune"]),
        (["--root", "=", "/x", "pod", "pl"], ["plan"]),
        (["pod", "create", "--host"], ["--hostname"]),
        (["pod", "start", ""], ["web", "db"]),
        (["pod", "start", "web", "d"], ["db"]),
        (["pod", "status", "web", "d"], []),
        (["start", "web/"], ["web/one", "web/two"]),
        (["container", "start", "web/t"], ["web/two"]),
        (["exec", "-t", "-e", "A=b", "web/o"], ["web/one"]),
        (["exec", "web/one", "w"], []),
        (["create", "--pod", "w"], ["web"]),
        (["create", "--pod", "=", "w"], ["web"]),
        (["create", "--pod", "="], ["web", "db"]),
        (["create", "--profile", ""], ["default", "strict"]),
        (["volume", "rm", ""], ["data"]),
        (["volume", "create", ""], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["ps", "--sort", "na"], ["names"]),
        (["--runtime", "c"], ["crun"]),
        (["nonsense", ""], []),
    ],
    ids=" ".join,
)
def test_bash_offers_what_may_follow(complete, words, offered):
    assert complete(*words) == offered


def test_bash_offers_files_and_containers_where_either_may_stand(complete, tmp_path):
    (tmp_path / "web.conf").touch()
    (tmp_path / "directory").mkdir()
    assert sorted(complete("cp", "web")) == ["web.conf", "web/one:", "web/two:"]
    assert complete("cp", "./w") == ["./web.conf"]
    assert complete("create", "--rootfs", "d") == ["directory"]
    assert complete("create", "--env-file", "web") == ["web.conf"]


def test_names_are_asked_for_where_the_command_line_says(complete, tmp_path):
    complete("--root", "/x", "pod", "start", "--runroot", "/y", "")
    assert (tmp_path / "asked").read_text() == "--root /x --runroot /y pod ps --format {{.Name}} "


def test_every_command_has_its_verb_and_every_flag_of_it(complete):
    """That of argparse itself, asked for its help."""
    for path in (("pod", "create"), ("run",), ("exec",), ("volume", "prune"), ("top",)):
        usage = subprocess.run(
            [PROGRAM, *path, "--help"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        offered = complete(*path, "-")
        assert len(offered) > 5
        for flag in offered:
            assert flag in usage
        shown = {
            word.strip(",")
            for line in usage.splitlines()
            if line.startswith("  -")
            for word in line.split()
            if word.startswith("--") and "=" not in word
        }
        assert shown <= set(offered)


def test_the_scripts_are_the_same_every_time_and_those_of_the_command(tmp_path):
    for shell in completion.SHELLS:
        made = [
            subprocess.run(
                [PROGRAM, "completion", shell],
                env=os.environ | {"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            ).stdout
            for seed in ("1", "2")
        ]
        assert made[0] == made[1]
        assert made[0] == shells.script(shell, list(completion.commands())) + "\n"
        assert "@" not in made[0].replace('"$@"', "").replace("[@]", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_read_its_script(tmp_path, shell):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    path = tmp_path / "script"
    path.write_text(shells.script(shell, list(completion.commands())))
    flags = ["--no-execute"] if shell == "fish" else ["-n"]
    subprocess.run([program, *flags, str(path)], check=True, timeout=60)


def test_the_tab_key_of_a_real_bash_completes(tmp_path, script):
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    (tmp_path / "rc").write_text(f"{FAKE}\nsource {script}\nPS1='ready> '\n")
    environ = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(tmp_path)}
    leader, follower = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=tmp_path,
        env=environ,
        start_new_session=True,
    )
    os.close(follower)
    seen = b""

    def expect(text):
        nonlocal seen
        deadline = time.monotonic() + 60
        while text not in seen:
            ready, _, _ = select.select([leader], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {seen!r}"
            seen += os.read(leader, 4096)
        seen = seen.partition(text)[2]

    try:
        expect(b"ready> ")
        os.write(leader, b"podcore po\t")
        expect(b"podcore pod ")
        os.write(leader, b"upd\t")
        expect(b"update ")
        os.write(leader, b"--mem\t")
        expect(b"ory")  # there is --memory-swap too
        os.write(leader, b" 1g w\t\n")
        expect(b"<pod><update><--memory><1g><web>")
    finally:
        shell.kill()
        shell.wait()
        os.close(leader)
