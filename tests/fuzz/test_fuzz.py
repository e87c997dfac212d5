"""Feeds everything that parses what others wrote with garbage; ``make fuzz`` does it for longer."""

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz import mutation
from fuzz.targets import TARGETS

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
ROUNDS = 150
everything = pytest.mark.parametrize("target", TARGETS)


@everything
def test_what_is_in_the_corpus_breaks_nothing(target):
    inputs = mutation.corpus(target)

    assert inputs
    for data in inputs:
        TARGETS[target](data)


@everything
def test_damaged_inputs_break_nothing(target):
    source = random.Random(target)  # the same ones every time
    inputs = mutation.corpus(target)
    for _ in range(ROUNDS):
        data = mutation.mutated(source.choice(inputs), inputs, source)
        try:
            TARGETS[target](data)
        except Exception as error:
            error.add_note(f"input: {data!r}")
            raise


@everything
def test_any_bytes_break_nothing(target):
    @given(st.binary(max_size=300))
    def feed(data):
        TARGETS[target](data)

    feed()


if SECONDS:

    @pytest.mark.slow
    @everything
    def test_many_damaged_inputs_break_nothing(target):
        seed = int.from_bytes(os.urandom(4), "big")

        count = mutation.run(target, TARGETS[target], SECONDS, seed)

        print(f"{target}: {count} inputs from seed {seed}")
