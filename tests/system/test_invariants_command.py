"""``podcore system check --invariants``: what holds, what does not, and what only time shows."""

import json
import os

import pytest

from podcore.operations.system.invariants import INVARIANTS

pytestmark = pytest.mark.runtimes("crun")


def asked(site, code):
    done = site.cli("system", "check", "--invariants", "--format", "json", check=False)
    assert done.returncode == code, done.stderr
    return {one["Invariant"]: one for one in json.loads(done.stdout)}


def test_all_that_is_seen_at_rest_holds_while_a_pod_runs(site, engine, pod):
    said = asked(site, 0)

    assert list(said) == [one.number for one in INVARIANTS]
    assert {one["Holds"] for one in said.values() if one["Seen"] != "over time only"} == {True}
    assert {one["Holds"] for one in said.values() if one["Seen"] == "over time only"} == {None}
    assert not any(one["Broken"] for one in said.values())


def test_what_is_broken_is_told_and_put_right_by_nobody(site, engine, pod):
    stray = f"{engine.host.places.attempts}/{'a' * 64}.1"
    os.mkdir(stray, 0o700)

    said = asked(site, 1)
    text = site.cli("system", "check", "--invariants", check=False)

    assert [number for number, one in said.items() if one["Broken"]] == ["I4"]
    assert said["I4"]["Holds"] is False
    assert text.returncode == 1
    lines = text.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("I4 ")] == ["broken"]
    assert stray in text.stdout
    assert "I7   -" in text.stdout
    assert "podcore.testing.watch" in text.stderr
    assert os.path.isdir(stray)
    os.rmdir(stray)


def test_it_does_not_go_with_a_repair(site, engine, pod):
    assert site.cli("system", "check", "--invariants", "--repair", check=False).returncode == 2
