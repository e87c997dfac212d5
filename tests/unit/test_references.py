import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.errors import (
    AmbiguousReferenceError,
    InvalidNameError,
    NoSuchContainerError,
    NoSuchPodError,
)
from podcore.references import resolve

ONE = "1a" + "0" * 62
TWO = "1b" + "0" * 62
SIX = "6" * 64
ALL = [(ONE, "db"), (TWO, "api"), (SIX, "1a")]


@pytest.mark.parametrize(
    ("reference", "meant"),
    [("db", ONE), ("api", TWO), (ONE, ONE), ("1b", TWO), ("6", SIX), (ONE[:63], ONE)],
)
def test_by_name_by_id_and_by_the_beginning_of_an_id(reference, meant):
    assert resolve(reference, ALL, "container") == meant


def test_a_name_wins_over_the_beginning_of_an_id():
    assert resolve("1a", ALL, "container") == SIX


def test_a_whole_id_is_not_ambiguous():
    assert resolve("1" * 64, [("1" * 64, "x"), ("2" * 64, "y")], "pod") == "1" * 64


def test_an_ambiguous_beginning_names_its_matches_in_order():
    with pytest.raises(AmbiguousReferenceError) as caught:
        resolve("1", ALL, "container", "pod `web`")
    assert caught.value.matches == (ONE, TWO)
    assert "`1a0000000000`" in str(caught.value)
    assert "in pod `web`" in str(caught.value)
    assert str(caught.value).endswith("\nhint: give more digits of the id")


def test_a_name_that_two_pods_use_is_ambiguous_without_its_pod():
    with pytest.raises(AmbiguousReferenceError, match=r"name its pod too.* `POD/db`") as caught:
        resolve("db", [(ONE, "db"), (TWO, "db")], "container")
    assert caught.value.matches == (ONE, TWO)


@pytest.mark.parametrize(
    ("what", "error"), [("pod", NoSuchPodError), ("container", NoSuchContainerError)]
)
def test_unknown_is_an_error_of_its_kind(what, error):
    with pytest.raises(error, match=f"no {what} `nope` in here"):
        resolve("nope", ALL, what, "here")


@pytest.mark.parametrize(
    "reference", ["", "..", "a/b", "-x", "db\n", "x" * 300, None, 7, "d%", "%"]
)
def test_malformed_is_refused_before_anything_is_looked_up(reference):
    with pytest.raises(InvalidNameError):
        resolve(reference, ALL, "container")


def test_no_character_is_a_wildcard():
    with pytest.raises(NoSuchContainerError):
        resolve("1_", ALL, "container")


def test_upper_case_is_no_id():
    with pytest.raises(NoSuchContainerError):
        resolve("1A0", ALL, "container")


@given(st.lists(st.text("01", min_size=3, max_size=3), unique=True, min_size=1), st.data())
def test_a_beginning_finds_just_those_that_begin_so(stems, data):
    candidates = [(stem + "f" * 61, f"name-{stem}") for stem in stems]
    prefix = data.draw(st.text("01", min_size=1, max_size=3))
    expected = [known for known, _ in candidates if known.startswith(prefix)]
    if len(expected) == 1:
        assert resolve(prefix, candidates, "pod") == expected[0]
    else:
        with pytest.raises(AmbiguousReferenceError if expected else NoSuchPodError):
            resolve(prefix, candidates, "pod")
