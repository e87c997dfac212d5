import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.errors import InvalidArgumentError
from podcore.signals import parse_signal, signal_name


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *[
            (form, 15)
            for form in ("SIGTERM", "TERM", "term", "sigterm", "-TERM", "-SIGTERM", 15, "15")
        ],
        (signal.SIGTERM, 15),
        ("KILL", 9),
        ("CHLD", 17),
        ("CLD", 17),
        ("USR1", 10),
        ("STKFLT", 16),
        ("IOT", 6),
        ("RTMIN", 34),
        ("SIGRTMIN", 34),
        ("RTMIN+3", 37),
        ("rtmin+30", 64),
        ("RTMAX", 64),
        ("RTMAX-30", 34),
        (1, 1),
        (64, 64),
        ("64", 64),
    ],
    ids=repr,
)
def test_a_signal_by_any_of_its_names(value, number):
    assert parse_signal(value) == number
    assert type(parse_signal(value)) is int


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bogus",
        "SIG",
        "SIGSIGTERM",
        "TERM ",
        " TERM",
        "TERM\n",
        "--TERM",
        "0",
        "-1",
        "-15",
        "65",
        "+15",
        "15.0",
        "1e1",
        "٣",
        "ſegv",
        "RTMIN+31",
        "RTMIN-1",
        "RTMAX+1",
        "RTMAX-31",
        "RTMIN+",
        None,
        0,
        -1,
        65,
        10**30,
        15.0,
        float("nan"),
        True,
        False,
        b"TERM",
        ["TERM"],
    ],
    ids=repr,
)
def test_what_is_no_signal_is_refused(value):
    with pytest.raises(InvalidArgumentError, match="hint: "):
        parse_signal(value)


@pytest.mark.parametrize("number", range(1, 65))
def test_the_canonical_name_reads_back(number):
    assert parse_signal(signal_name(number)) == number


def test_canonical_names():
    assert signal_name(15) == "SIGTERM"
    assert signal_name(17) == "SIGCHLD"
    assert signal_name(34) == "SIGRTMIN"
    assert signal_name(37) == "SIGRTMIN+3"


@given(st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.none()))
def test_anything_is_either_a_signal_or_refused(value):
    try:
        assert 1 <= parse_signal(value) <= 64
    except InvalidArgumentError:
        pass
