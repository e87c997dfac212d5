"""Templates, escapes, times and sizes."""

import io
import json
import signal
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from podcore.cli import human, output
from podcore.cli.indenting import indented
from podcore.cli.progress import Progress
from podcore.cli.template import Template
from podcore.errors import InvalidArgumentError
from podcore.model import ContainerStatus

ROW = {"Id": "1", "Names": ["a", "b"], "State": {"Pid": 7, "Up": True}, "None": None, "N": [1]}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Id}}", "1"),
        ("{{ .ID }}", "1"),
        ("{{.Names}} {{.State.Pid}}", "a,b 7"),
        ("{{.State.Up}}", "true"),
        ("[{{.None}}]", "[]"),
        ("{{json .Names}}", '["a", "b"]'),
        ("{{json .State}}", '{"Pid": 7, "Up": true}'),
        ("{{.N}}", "[1]"),
        (r"{{.Id}}\t{{.Id}}\n", "1\t1\n"),
        ("table {{.Id}}", "1"),
    ],
)
def test_a_template_shows_fields(template, text):
    assert Template(template).render(ROW) == text


def test_a_table_template_has_headings():
    assert Template(r"table {{.PodName}}\t{{.ID}}").heading() == "POD NAME\tID"


@pytest.mark.parametrize("template", ["", "plain", "{{range .}}", "{{.A | lower}}", "{{Id}}"])
def test_a_template_that_can_not_be_read_is_refused(template):
    with pytest.raises(InvalidArgumentError):
        Template(template)


@pytest.mark.parametrize("template", ["{{.Gone}}", "{{.Id.Deeper}}"])
def test_an_unknown_field_is_refused_and_the_known_ones_named(template):
    with pytest.raises(InvalidArgumentError, match="hint: "):
        Template(template).render(ROW)


class Terminal(io.TextIOWrapper):
    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self):
        return True

    def text(self):
        return self.buffer.getvalue().decode()


HOSTILE = b"\x1b[2J\x1b]0;title\x07\r\x00\x7f\xc2\x9b31m\xff ok\ttab \xe2\x82\xac\n"


def test_nothing_a_container_writes_controls_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    output.data(HOSTILE)

    assert terminal.text() == ("\\x1b[2J\\x1b]0;title\\x07\\x0d\\x00\\x7f\\x9b31m\\xff ok\ttab €\n")


def test_the_line_ends_of_a_containers_terminal_are_plain_ones(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    output.data(b"one\r\ntwo\r\n")

    assert terminal.text() == "one\ntwo\n"


def test_a_terminal_gets_raw_bytes_on_request(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    output.data(HOSTILE, raw=True)

    assert terminal.buffer.getvalue() == HOSTILE


def test_a_pipe_gets_the_bytes_as_they_are(capfdbinary):
    output.data(HOSTILE)

    assert capfdbinary.readouterr().out == HOSTILE


def test_a_table_and_an_error_hold_no_control_characters(capsys):
    output.table(["A"], [["x\x1b\n\ty"]])
    output.error("bad \x1b[31m")

    out, err = capsys.readouterr()
    assert out == "A\nx\\x1b\\n\\ty\n"
    assert err == "Error: bad \\x1b[31m\n"


def test_a_table_is_as_wide_as_its_widest_cells_and_ends_no_line_with_blanks(capsys):
    output.table(["ID", "NAME"], [["1", "a"], ["", ""], ["333", "é\u00a0{}"]])
    output.table(["ID", "NAME"], [["", ""], ["1", ""]], heading=False)
    output.table(["ID"], [], heading=False)

    assert capsys.readouterr().out == "ID   NAME\n1    a\n\n333  é\u00a0{}\n\n1\n"


def test_what_a_template_shows_before_it_fails_is_written(capsys):
    rows = [{"Labels": {"a": "1"}}, {"Labels": {}}]

    with pytest.raises(InvalidArgumentError):
        output.listing(rows, (), "{{.Labels.a}}")

    assert capsys.readouterr().out == "1\n"


def test_a_template_holds_no_control_characters_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    output.listing([{"Name": "x\x1b"}, {"Name": "y"}], (), "{{.Name}}")

    assert terminal.text() == "x\\x1b\ny\n"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(st.characters()), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES)
@example({"state": ContainerStatus.RUNNING, "signal": signal.SIGTERM, "": [[], {}, ()]})
def test_json_is_indented_as_the_standard_library_does_it(value):
    assert indented(value) == json.dumps(value, indent=2)


@pytest.mark.parametrize("value", [{1: 2}, {"a": {3}}, [b"x"]])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(TypeError):
        indented(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "less than a second ago"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (61, "1 minute ago"),
        (7200, "2 hours ago"),
        (86400 * 8, "1 week ago"),
        (-5, "less than a second ago"),
    ],
)
def test_times_in_tables_are_relative(seconds, text):
    assert human.ago(1000.0, 1000.0 + seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "--"), (0, "0 B"), (1536, "1.5 KiB"), (1 << 30, "1 GiB"), (1 << 50, "1024 TiB")],
)
def test_sizes_in_tables_have_units(count, text):
    assert human.size(count) == text


def test_times_in_json_are_rfc_3339():
    assert human.rfc3339(0.5) == "1970-01-01T00:00:00.5Z"
    assert human.rfc3339(None) == ""


def test_progress_is_a_line_for_each_event_where_nobody_looks():
    stream = io.StringIO()
    progress = Progress(["db", "api"], stream)

    progress("1", "db", "running")
    progress("2", "api", "failed")

    assert [line.split()[:2] for line in stream.getvalue().splitlines()] == [
        ["db", "running"],
        ["api", "failed"],
    ]


def test_progress_never_raises_into_a_worker():
    stream = io.StringIO()
    progress = Progress(["db"], stream)
    stream.close()

    progress("1", "db", "running")

    assert isinstance(progress.broken, ValueError)


def test_progress_redraws_in_place_on_a_terminal(monkeypatch):
    import os
    import pty

    controller, terminal = pty.openpty()
    try:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        monkeypatch.setenv("NO_COLOR", "1")
        with open(terminal, "w", encoding="utf-8", closefd=False) as stream:
            progress = Progress(["db", "api"], stream)
            progress("1", "db", "starting")
            progress("1", "db", "running")
        shown = ""
        while shown.count("\x1b[2K") < 4:
            shown += os.read(controller, 65536).decode()
    finally:
        os.close(controller)
        os.close(terminal)

    assert shown.count("\x1b[2A") == 1
    assert shown.count("\x1b[2K") == 4
    assert "waiting" in shown
