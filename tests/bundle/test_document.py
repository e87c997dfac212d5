"""docs/hardening.md has every rule, and every test that it and docs/limits.md name exists."""

import os
import re

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCUMENTS = os.path.join(os.path.dirname(TESTS), "docs")


def read(name):
    with open(f"{DOCUMENTS}/{name}", encoding="utf-8") as file:
        return file.read()


def rows():
    return re.findall(r"^\| ([PBLRM]\d+) \|(.*)$", read("hardening.md"), re.MULTILINE)


def test_every_rule_has_its_row():
    wanted = {"P": 12, "B": 2, "L": 9, "R": 19, "M": 6}
    assert [name for name, _ in rows()] == [
        f"{letter}{number}" for letter, last in wanted.items() for number in range(1, last + 1)
    ]


@pytest.mark.parametrize(("document", "count"), [("hardening.md", 60), ("limits.md", 14)])
def test_every_test_that_is_named_exists(document, count):
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", read(document))
    assert len(named) >= count
    missing = []
    for path, name in named:
        with open(f"{TESTS}/{path}", encoding="utf-8") as file:
            if f"def {name}(" not in file.read():
                missing.append(f"{path}::{name}")
    assert missing == []


def test_a_rule_without_a_test_says_why():
    for name, row in rows():
        _, test, note = row.removesuffix(" |").strip().split(" | ")
        assert "::" in test or (test == "no test" and len(note) > 10), name
