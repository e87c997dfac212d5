"""docs/reliability.md has every row, and every test that it names exists."""

import os
import re

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCUMENT = os.path.join(os.path.dirname(TESTS), "docs", "reliability.md")


def rows(letter):
    with open(DOCUMENT, encoding="utf-8") as file:
        return re.findall(rf"^\| ({letter}\d+) \|(.*)$", file.read(), re.MULTILINE)


def test_every_fault_invariant_and_load_has_its_row():
    for letter, last in (("F", 76), ("I", 20), ("L", 9)):
        wanted = [f"{letter}{number}" for number in range(1, last + 1)]
        assert [name for name, _ in rows(letter)] == wanted


def test_every_test_that_is_named_exists():
    named = [
        found for _, row in rows("[FL]") for found in re.findall(r"`([\w/]+\.py)::(\w+)`", row)
    ]
    assert len(named) > 100
    for path, name in named:
        with open(f"{TESTS}/{path}", encoding="utf-8") as file:
            assert f"def {name}(" in file.read(), f"{path}::{name}"


def test_a_fault_without_a_test_says_why():
    for name, row in rows("F"):
        assert "::" in row or "impossible here" in row or "no test yet" in row, name
