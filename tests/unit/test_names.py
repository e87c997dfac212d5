import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.errors import InvalidArgumentError, InvalidNameError
from podcore.names import SHORT, check_name, generate_name, is_id_prefix, new_id, short

SHAPE = re.compile(r"\A[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}\Z")


@pytest.mark.parametrize("name", ["a", "0", "web", "Web-1.2_3", "a" * 128, "a.", "a..b", "f" * 64])
def test_a_good_name_comes_back_as_it_is(name):
    assert check_name(name, "pod") is name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "-x",
        "_x",
        "a/b",
        "x\n",
        "\nx",
        "a b",
        "a\x00",
        "é",
        "aé",
        "٣",
        "a" * 129,
        "a" * 300,
        None,
        1,
        b"web",
        ["web"],
    ],
)
def test_a_bad_name_is_refused_and_the_message_says_of_what(name):
    with pytest.raises(InvalidNameError) as caught:
        check_name(name, "container")
    assert "container" in str(caught.value)
    assert "\nhint: " in str(caught.value)
    assert isinstance(caught.value, InvalidArgumentError)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=140))
def test_exactly_the_names_of_that_shape_pass(text):
    # \Z of Python is the very end, as \z elsewhere.
    if SHAPE.match(text):
        assert check_name(text, "pod") == text
    else:
        with pytest.raises(InvalidNameError):
            check_name(text, "pod")


def test_ids_are_64_hexadecimal_digits_and_differ():
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in ids)


def test_the_short_form_has_twelve_digits():
    one = new_id()
    assert short(one) == one[:12]
    assert SHORT == 12


@pytest.mark.parametrize("text", ["0", "abc", "f" * 64])
def test_what_may_begin_an_id(text):
    assert is_id_prefix(text)


@pytest.mark.parametrize("text", ["", "A", "g", "a%", "a_", "a\n", "f" * 65])
def test_what_may_not_begin_an_id(text):
    assert not is_id_prefix(text)


def test_a_generated_name_is_a_good_name_of_two_words():
    for _ in range(200):
        name = generate_name(())
        assert check_name(name, "pod") == name
        assert re.fullmatch("[a-z]+_[a-z]+", name)


def test_a_generated_name_is_never_one_that_is_taken():
    class AllButNumbered:
        def __contains__(self, name):
            return not name.endswith("7")

    assert re.fullmatch("[a-z]+_[a-z]+7", generate_name(AllButNumbered()))
