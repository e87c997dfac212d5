"""A short chaos, and a model that can fail."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from podcore import errors
from podcore.report import Outcome, Report, ReportRow
from podcore.testing.heartbeat import Beat, Heartbeat, kept_waiting, lasting
from podcore.testing.history import Call, Model, Recorder, judge, own, read

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEED = "20260801"


def program(name, *arguments, timeout):
    """Runs a program of this directory in a process that has opened nothing before."""
    return subprocess.run(
        [sys.executable, "-m", f"chaos.{name}", *arguments],
        env=os.environ | {"PYTHONPATH": TESTS},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.runtimes("crun")
@pytest.mark.timeout(300)
def test_random_kills_among_random_verbs_break_nothing(runtime):
    chosen = ("--seconds", "12", "--workers", "6", "--seed", SEED, "--runtime", runtime)
    done = program("chaos", *chosen, timeout=280)

    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def seen(state, incarnation=1, exit_code=None, reason=""):
    return {
        "id": "c" * 64,
        "state": state,
        "incarnation": incarnation,
        "exit_code": exit_code,
        "reason": reason,
    }


def verdict(*reads):
    """Judges reads that follow each other."""
    calls = [
        Call("status", "p", number, number + 0.5, {"type": "ok", "seen": [what]})
        for number, what in enumerate(reads)
    ]
    return judge(calls, 0, {"status": 1.0}).breaches


def test_a_life_and_the_next_one_fit_the_model():
    lives = [
        seen("configured", 0),
        seen("created"),
        seen("running"),
        seen("paused"),
        seen("running"),
        seen("exited", exit_code=3),
        seen("created", 2),
        seen("configured", 2),
        seen("running", 3),
        seen("exited", 3, None, "MonitorLost"),
        seen("removing", 3),
    ]

    assert verdict(*lives) == []


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (seen("exited", exit_code=0), seen("running"), "was exited"),
        (seen("exited", exit_code=0), seen("exited", exit_code=1), "its exit code was 0"),
        (seen("exited", exit_code=0), seen("exited", reason="MonitorLost"), "its exit code was 0"),
        (seen("running", 2), seen("running", 1), "was running in incarnation 2"),
        (seen("running"), seen("created"), "was running"),
        (seen("running"), seen("exited"), "no exit code and no reason"),
        (seen("running"), seen("exited", exit_code=-1), "has exit code -1"),
        (seen("running"), seen("degraded"), "is degraded"),
    ],
)
def test_what_contradicts_an_earlier_read_is_a_breach(before, after, what):
    breaches = verdict(before, after)

    assert len(breaches) == 1
    assert what in breaches[0]


def test_reads_that_overlap_may_come_in_any_order():
    model = Model()
    first = Call("status", "p", 0, 10, {})
    second = Call("status", "p", 5, 11, {})

    assert model.see(first, seen("running")) == []
    assert model.see(second, seen("created")) == []


def test_a_history_knows_who_was_cut_off_and_what_is_no_error_of_podcores(tmp_path):
    path = str(tmp_path / "0.jsonl")
    recorder = Recorder(path, 0)
    recorder.ok(recorder.invoke("start", "p"))
    recorder.fail(recorder.invoke("stop", "p"), KeyError("x"))
    causes = {"a": errors.ContainerStateError("x"), "b": errors.InternalError("y")}
    rows = tuple(ReportRow(key, key, Outcome.FAILED) for key in causes)
    failed = errors.PartialFailureError("two", causes, Report("pause", "p", "p", rows, causes))
    recorder.fail(recorder.invoke("pause", "p"), failed)
    recorder.fail(recorder.invoke("status", "p"), errors.StoreCorruptError("z"))
    recorder.ok(recorder.invoke("start", "p"), wrong=["the report of start says what is not so"])
    recorder.invoke("kill", "p")

    calls, cut = read([path])
    deadlines = dict.fromkeys(("start", "stop", "pause", "status"), 60)
    judged = judge(calls, len(cut), deadlines, forbidden=["StoreCorruptError"])

    assert judged.cut == 1
    assert [breach.split(" with ")[0] for breach in judged.breaches] == [
        "I19: stop p raised KeyError: 'x', which is no error of podcore's",
        "I19: pause p raised InternalError: y, which is a bug",
        "I19: status p raised StoreCorruptError",
        "I8: the report of start says what is not so",
    ]


LATE = Call("status", "p", 0.0, 9.0, {"type": "ok", "seen": []})


def test_a_call_that_outlives_its_deadline_is_a_breach():
    (breach,) = judge([LATE], 0, {"status": 5.0}).breaches

    assert breach.startswith("I15: status p took 9.0 s, its deadline is 5 s")
    assert judge([LATE], 0, {"status": 8.0}).breaches == []


@pytest.mark.parametrize(
    ("stall", "seconds"),
    [
        (0.0, 9.0),
        (0.4, 9.0),  # busy, which is no reason
        (0.6, 9.0 * 0.06 / 0.66),
        (100.0, 9.0 * 0.06 / 100.06),  # nobody could work
    ],
)
def test_what_a_machine_that_stands_still_takes_is_not_the_call_s(stall, seconds):
    beats = []
    begun = -1.0
    while begun < 10:
        beats.append(Beat(begun, begun + 0.06 + stall, 0.01))
        begun = beats[-1].ended

    assert lasting(beats, 0.0, 9.0) == pytest.approx(seconds, rel=0.01)


def test_what_a_thread_waits_for_a_processor_is_not_the_call_s():
    waited = replace(LATE, waited=3.5)

    assert own(waited, lambda begun, ended: ended - begun) == 5.5
    assert own(waited, lambda begun, ended: 5.0) == 5.0, "the same seconds count once"
    assert judge([waited], 0, {"status": 5.0}).breaches == []


def test_a_thread_that_sleeps_waits_for_no_processor():
    begun = time.monotonic()
    before = kept_waiting()
    time.sleep(0.2)
    waited = kept_waiting() - before

    assert waited <= time.monotonic() - begun - 0.19


def test_time_without_a_beat_counts_in_full():
    assert lasting([], 1.0, 4.0) == 3.0
    assert lasting([Beat(0.0, 1.0, 0.01), Beat(4.0, 5.0, 0.01)], 1.0, 4.0) == 3.0


def test_a_heart_beats_as_long_as_it_is_open():
    with Heartbeat() as heartbeat:
        begun = time.monotonic()
        heartbeat.await_beat(begun)
        beats = heartbeat.beats()

    assert beats[-1].ended >= begun
    assert all(beat.worked >= 0.005 for beat in beats)
    assert heartbeat.beats()[: len(beats)] == beats
    assert heartbeat.pid is None
