"""What the flags of `attach`, `run` and `start` mean, on an engine that only remembers."""

import io
import signal
import sys

import pytest

from podcore.cli import attaching
from podcore.errors import CommandError
from podcore.model import AttachResult


@pytest.fixture
def wished(engine, monkeypatch):
    """What the last attachment was asked for; it shows something and ends with 7."""
    seen = {}

    def attach(_engine, reference, *, on_output, begin, **wanted):
        seen.update(wanted, container=reference)
        on_output("stdout", b"half \xe2\x82")
        on_output("stdout", b"\xac\x1b[2J\n")
        on_output("stderr", b"bad\n")
        return seen.get("result", AttachResult(7, b"", b"", detached=False))

    monkeypatch.setattr(attaching, "attach", attach)
    monkeypatch.setattr(attaching.terminal, "stdin", lambda: 0)
    monkeypatch.setattr(attaching.terminal, "is_terminal", lambda descriptor: False)
    return seen


RUN = ["run", "--pod", "web", "--rootfs", "/", "--name", "new"]


@pytest.mark.parametrize(
    ("argv", "start", "stdin"),
    [
        ([*RUN, "-i", "sh"], True, 0),
        ([*RUN, "-t", "sh"], True, None),
        (["attach", "web/in"], False, 0),
        (["container", "attach", "--no-stdin", "web/in"], False, None),
        (["attach", "web/out"], False, None),  # it has no stdin
        (["start", "-a", "web/in"], True, None),
        (["start", "-ai", "web/in"], True, 0),
        (["start", "-i", "web/in"], True, 0),
    ],
    ids=str,
)
def test_who_attaches_to_what_and_with_what(argv, start, stdin, engine, wished, cli):
    pod = engine.with_pod("web")
    pod.create_container("in", rootfs="/", command=["sh"], stdin=True)
    pod.create_container("out", rootfs="/", command=["sh"])

    # A pipe gets the bytes as they are.
    assert cli(*argv) == (7, "half €\x1b[2J\n", "bad\n")
    assert (wished["start"], wished["stdin"], wished["keys"]) == (start, stdin, b"")


def test_keys_detach_only_where_somebody_types(engine, wished, cli, monkeypatch):
    pod = engine.with_pod("web")
    pod.create_container("in", rootfs="/", command=["sh"], stdin=True)
    monkeypatch.setattr(attaching.terminal, "is_terminal", lambda descriptor: True)

    cli("attach", "web/in")
    assert wished["keys"] == b"\x10\x11"
    cli("attach", "--detach-keys", "ctrl-a,b", "web/in")
    assert wished["keys"] == b"\x01b"
    cli("attach", "--detach-keys", "", "web/in")
    assert wished["keys"] == b""


def test_one_that_was_detached_from_is_left_alone(engine, wished, cli):
    pod = engine.with_pod("web")
    wished["result"] = AttachResult(None, b"", b"", detached=True)

    assert cli(*RUN, "--rm", "-i", "sh").code == 0
    assert [member.name for member in pod.members] == ["new"]


def test_one_whose_exit_code_nobody_knows(engine, wished, cli):
    pod = engine.with_pod("web")
    wished["result"] = AttachResult(None, b"", b"", detached=False)

    result = cli(*RUN, "--rm", "-i", "sh")
    assert (result.code, result.err) == (
        125,
        "bad\nError: container `new`: its exit code is not known\n",
    )
    assert pod.members == []


def test_one_that_does_not_start_is_removed_and_says_so(engine, cli, monkeypatch):
    pod = engine.with_pod("web")

    def attach(*_arguments, **_wanted):
        raise CommandError("not found", 127)

    monkeypatch.setattr(attaching, "attach", attach)
    monkeypatch.setattr(attaching.terminal, "stdin", lambda: b"")
    assert cli(*RUN, "--rm", "-i", "sh") == (127, "", "Error: not found\n")
    assert pod.members == []


@pytest.mark.parametrize(
    "argv",
    [
        ["attach"],
        ["attach", "--sig-proxy=maybe", "web/db"],
        ["start", "-a"],
        ["start", "-a", "web/db", "web/api"],
        ["start", "-a", "--all"],
    ],
    ids=" ".join,
)
def test_what_can_not_be_read_ends_with_2(argv, engine, cli):
    engine.with_pod("web", db=(), api=())
    assert cli(*argv).code == 2
    assert engine.calls == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_of_its_own_a_container_controls_none(monkeypatch):
    out = Terminal()
    out.buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", out)
    screen = attaching.Screen(raw=False)
    screen.write("stdout", b"half \xe2\x82")
    screen.write("stdout", b"\xac\x1b[2J\n\xff\xe2")
    screen.finish()

    assert out.buffer.getvalue().decode() == "half €\\x1b[2J\n\\xff\\xe2"


def test_signals_are_passed_on_while_attached_and_whoever_insists_gets_an_end(
    engine, wished, cli, monkeypatch
):
    pod = engine.with_pod("web", db=())
    before = [signal.getsignal(number) for number in attaching._PROXIED]

    def attach(_engine, reference, *, begin, **_wanted):
        sizes = []

        class Connection:
            def resize(self, rows, columns):
                sizes.append((rows, columns))

        ((descriptor, look),) = begin(Connection()).items()
        assert descriptor > 2
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGWINCH, signal.SIGINT):
            signal.raise_signal(number)
        look()
        assert sizes == [(24, 80), (24, 80)]
        return AttachResult(0, b"", b"", detached=False)

    monkeypatch.setattr(attaching, "attach", attach)
    monkeypatch.setattr(attaching.terminal, "size", lambda: (24, 80))
    assert cli("attach", "web/db").code == 0
    assert engine.calls == [
        ("kill", "db", {"signal": number})
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL)
    ]
    assert [signal.getsignal(number) for number in attaching._PROXIED] == before
    assert pod.members[0].name == "db"
