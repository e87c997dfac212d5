import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.errors import InvalidArgumentError
from podcore.units import parse_duration, parse_size, parse_time

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0),
        (4096, 4096),
        ("4096", 4096),
        ("0", 0),
        ("1b", 1),
        ("1k", 1024),
        ("1K", 1024),
        ("32m", 32 << 20),
        ("1g", 1 << 30),
        ("2t", 2 << 40),
        ("64Ki", 64 << 10),
        ("64Mi", 64 << 20),
        ("64MiB", 64 << 20),
        ("64mb", 64 << 20),
        ("1 GiB", 1 << 30),
        ("1.5g", 3 << 29),
        ((1 << 63) - 1, (1 << 63) - 1),
    ],
    ids=repr,
)
def test_sizes(value, size):
    assert parse_size(value, "memory") == size


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-1",
        "m",
        "1x",
        "1mm",
        "1kk",
        "1.m",
        ".5m",
        "1e3",
        "0x10",
        "1\n",
        "٣",
        "1i",
        "inf",
        "9223372036854775808",
        "9999999999t",
        "1" * 60,
        None,
        1.5,
        True,
        -1,
        1 << 63,
        b"1m",
    ],
    ids=repr,
)
def test_what_is_no_size_is_refused_by_the_name_of_what_it_is_for(value):
    with pytest.raises(InvalidArgumentError, match="memory") as caught:
        parse_size(value, "memory")
    assert "\nhint: " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("10", 10.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("300ms", 0.3),
        ("1h30m", 5400.0),
        ("1m0.5s", 60.5),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("7ns", 7e-9),
        ("inf", math.inf),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "-1s", "1d", "1h 30m", "s", "1s1", "1e3", "nan", "infinity", "1s\n", "."],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InvalidArgumentError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1700000000", 1_700_000_000.0),
        ("1700000000.25", 1_700_000_000.25),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14t22:13:20z", 1_700_000_000.0),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000.0),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000.123456789),
        ("2023-11-14T22:13Z", 1_699_999_980.0),
        ("10m", NOW - 600),
        ("1h30m", NOW - 5400),
    ],
)
def test_points_in_time(text, moment):
    assert parse_time(text, NOW) == pytest.approx(moment, abs=1e-6)


def test_a_time_without_a_zone_is_local():
    expected = time.mktime((2024, 3, 1, 0, 0, 0, 0, 0, -1))
    assert parse_time("2024-03-01", NOW) == expected
    assert parse_time("2024-03-01T00:00:00", NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2024-13-01",
        "2024-02-30",
        "2024-03-01T25:00:00Z",
        "20240301x",
        "2024-03-01T00:00:00Zz",
        "-5",
        "inf",
        "2024-03-01\n",
        "2024-W01-1",
        "0000-01-01T00:00:00Z",
    ],
)
def test_what_is_no_point_in_time_is_refused(text):
    with pytest.raises(InvalidArgumentError, match="point in time"):
        parse_time(text, NOW)


@given(st.text(max_size=20))
def test_any_text_is_either_read_or_refused(text):
    for parse in (
        parse_duration,
        lambda one: parse_size(one, "x"),
        lambda one: parse_time(one, NOW),
    ):
        try:
            assert parse(text) == parse(text)
        except InvalidArgumentError:
            pass


@given(st.integers(0, 1 << 40))
def test_a_plain_number_of_bytes_reads_back(size):
    assert parse_size(str(size), "x") == parse_size(size, "x") == size
