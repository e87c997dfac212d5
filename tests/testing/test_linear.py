"""Histories of one container that fit an order of events, and those that do not."""

import random
from collections import Counter
from dataclasses import replace
from itertools import count, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.testing.linear import linearize
from podcore.testing.model import END, Operation, State, left_by, moves, spontaneous

NEW = State()
UP = State("running", 1)
DOWN = State("exited", 1, 0)


def after_each_other(*ops, first=0, length=10):
    """Gives operations intervals that follow each other."""
    begun = count(first, 2 * length)
    return [replace(op, begun=at, ended=at + length) for op, at in zip(ops, begun, strict=False)]


def op(verb, outcome="ok", state="", **fields):
    return Operation(verb, 0, 1, outcome, state, **fields)


def seen(state, incarnation=None, **fields):
    return op("status", "seen", state, incarnation=incarnation, **fields)


def alone(*ops, initial=NEW):
    return linearize(after_each_other(*ops), (initial,))


def at_once(*ops, initial=NEW):
    return linearize([replace(one, begun=0, ended=10) for one in ops], (initial,))


LIVES = {
    "a whole life": [
        seen("configured", 0),
        op("start"),
        seen("running", 1),
        op("pause"),
        seen("paused", 1),
        op("unpause"),
        op("kill", fatal=True),
        seen("exited", 1, code=137),
        op("wait", "seen", "exited", code=137),
        op("restart"),
        seen("running", 2),
        op("stop"),
        op("remove"),
        op("status", "failed", error="ContainerRemovedError"),
    ],
    "an exit by itself": [
        op("start", "done"),
        seen("running"),
        seen("stopping"),
        seen("exited", code=3),
        op("pause", "ignored", "exited"),
        op("kill", "failed", "exited", error="ContainerStateError"),
        op("start", "done"),
    ],
    "a start that fails": [
        op("start", "failed", error="OCIRuntimeError"),
        seen("configured", 1),
        op("start"),
        seen("running", 2),
    ],
    "a death before the command begins": [
        op("start", "failed", "exited", error="ContainerStateError"),
        seen("exited", 1, code=1),
    ],
    "refusals": [
        op("pause", "failed", "configured", error="ContainerStateError"),
        op("stop"),
        op("start"),
        op("remove", "failed", "running", error="ContainerStateError"),
        op("remove", "failed", error="ContainerStateError"),
        op("pause"),
        op("stop", "failed", "paused", error="ContainerStateError"),
        op("start", "failed", "paused", error="ContainerStateError"),
        op("restart", "failed", "paused", error="ContainerStateError"),
        op("stop", "ignored", "paused", whole=True),
        op("remove", force=True),
    ],
    "nobody who is waited for": [
        op("wait", "failed", error="TimeoutError"),
        op("start"),
        op("wait", "failed", error="TimeoutError"),
    ],
}


@pytest.mark.parametrize("life", LIVES)
def test_calls_that_follow_each_other_fit_what_verbs_do(life):
    found = alone(*LIVES[life])

    assert found.ok, found


WRONG = {
    "a stale status after a stop": (UP, [op("stop"), seen("running")]),
    "a stale status after a kill": (UP, [op("kill", fatal=True), seen("running")]),
    "a stale status after a start": (NEW, [op("start"), seen("created")]),
    "a second start of one incarnation": (
        NEW,
        [op("start", "done"), op("start", "done"), seen("running", 1)],
    ),
    "a start that is done while it runs": (UP, [op("start", "done"), seen("running", 1)]),
    "a pause of what is stopped": (DOWN, [op("pause"), seen("exited")]),
    "a pause of what was never started": (NEW, [op("pause", "done")]),
    "an exit code that changes": (UP, [seen("exited", code=3), seen("exited", code=4)]),
    "an exit code of what runs": (UP, [seen("running", code=0)]),
    "an exit code that is lost": (UP, [seen("exited", code=3), seen("exited", code=None)]),
    "a code that a wait tells and a look does not": (
        UP,
        [op("wait", "seen", "exited", code=0), seen("exited", code=1)],
    ),
    "an incarnation that goes back": (NEW, [op("start"), seen("running", 1), seen("exited", 0)]),
    "a look that goes back": (UP, [seen("exited", code=0), seen("running", 1)]),
    "an incarnation that nobody began": (UP, [seen("exited"), seen("running", 2)]),
    "a removal that is taken back": (DOWN, [op("remove"), seen("exited")]),
    "a removal without force of what runs": (UP, [seen("running"), op("remove"), seen("running")]),
    "an unpause that does nothing": (State("paused", 1), [op("unpause"), seen("paused")]),
    "a refusal of what may be done": (
        UP,
        [op("stop", "failed", "running", error="ContainerStateError")],
    ),
    "a refusal because of what it never was": (
        NEW,
        [op("kill", "failed", "paused", error="ContainerStateError")],
    ),
    "what was ignored for what it was not": (UP, [op("pause", "ignored", "configured")]),
    "a restart that began nothing": (UP, [op("restart"), seen("running", 1)]),
    "a wait for what still runs": (
        UP,
        [op("wait", "seen", "exited", code=0), seen("running", 1)],
    ),
    "a container that comes back": (
        DOWN,
        [op("stop", "failed", error="ContainerRemovedError"), seen("exited")],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_contradicts_every_order_is_found(what):
    initial, ops = WRONG[what]

    found = alone(*ops, initial=initial)

    assert found.stuck is not None
    assert not found.undecided
    assert str(found.stuck) in str(found)


def test_a_read_that_goes_back_between_processes_is_found():
    one, other = seen("exited", code=0, pid=1), seen("running", pid=2)
    reads = [replace(one, begun=0, ended=10), replace(other, begun=11, ended=20)]

    assert linearize(reads, (UP,)).stuck == reads[1]
    # Had they overlapped, the second could have been the first.
    assert linearize([reads[0], replace(reads[1], begun=9)], (UP,)).ok


def test_calls_that_overlap_may_come_in_any_order():
    assert at_once(seen("configured"), op("start"), seen("running"), seen("exited")).ok
    assert at_once(op("start", "done"), op("start", "ignored", "running"), op("stop", "done")).ok
    assert at_once(seen("paused"), op("pause"), op("unpause"), seen("running"), initial=UP).ok
    assert at_once(op("stop", "done"), op("stop", "done"), seen("stopping"), initial=UP).ok
    assert at_once(op("restart"), seen("exited", 1), seen("created", 2), initial=UP).ok


def test_two_starts_at_once_are_one_start_unless_it_exits_between_them():
    starts = [op("start", "done"), op("start", "done")]

    assert at_once(*starts).ok
    found = linearize(
        [
            *(replace(start, begun=0, ended=10) for start in starts),
            replace(seen("running", 1), begun=11, ended=12),
        ]
    )
    assert found.stuck is not None


def test_a_stop_holds_up_nobody_and_is_seen():
    stop = replace(op("stop", "done"), begun=0, ended=100)
    reads = after_each_other(seen("running"), seen("stopping"), seen("exited"), first=10)

    assert linearize([stop, *reads], (UP,)).ok
    back = after_each_other(seen("stopping"), seen("running"), first=10)
    assert linearize([stop, *back], (UP,)).stuck == back[1]


def test_a_create_ahead_is_seen_and_taken_back():
    start = replace(op("start", "skipped", whole=True), begun=0, ended=100)
    reads = after_each_other(seen("created", 1), seen("configured", 1), first=10)

    assert linearize([start, *reads]).ok
    assert linearize([replace(start, verb="stop"), *reads]).stuck is not None
    dead = after_each_other(*map(seen, ("created", "stopping", "configured")), first=10)
    assert linearize([start, *dead]).ok
    assert linearize([replace(start, whole=False, outcome="done"), *dead]).stuck is not None


CUT = {
    "start": (NEW, ["configured", "created", "running"]),
    "stop": (UP, ["running", "stopping", "exited"]),
    "pause": (UP, ["running", "paused"]),
    "unpause": (State("paused", 1), ["paused", "running"]),
    "restart": (UP, ["running", "stopping", "exited", "created", "configured"]),
    "remove": (DOWN, ["exited", "removing"]),
}


@pytest.mark.parametrize(
    ("verb", "state"), [(verb, state) for verb, (_, states) in CUT.items() for state in states]
)
def test_what_a_killed_caller_did_may_be_all_or_part_or_nothing(verb, state):
    cut = Operation(verb, 0, 10, "unknown")
    look = replace(seen(state), begun=20, ended=30)

    assert linearize([cut, look], (CUT[verb][0],)).ok
    # Not every state is a part of it.
    never = "created" if verb in {"pause", "unpause"} else "paused"
    assert linearize([cut, replace(look, state=never)], (CUT[verb][0],)).stuck is not None


def test_what_a_dead_caller_had_begun_comes_true_late_but_not_for_ever():
    cut = Operation("start", 0, 10, "unknown")
    late = after_each_other(seen("created", 1), seen("running", 1), first=20)
    assert linearize([cut, *late]).ok

    stopped = after_each_other(
        seen("created", 1), op("start"), op("stop"), seen("running", 1), first=20
    )
    assert linearize([cut, *stopped]).stuck is not None


def test_a_stop_whose_caller_is_dead_is_taken_back_and_one_that_lives_is_not():
    cut = Operation("stop", 0, 10, "unknown")
    reads = after_each_other(seen("stopping"), seen("running"), first=20)

    assert linearize([cut, *reads], (UP,)).ok
    assert linearize([replace(cut, ended=None), *reads], (UP,)).stuck is not None


@pytest.mark.parametrize(
    ("outcome", "fits"), [("unknown", True), ("failed", True), ("done", False)]
)
def test_who_gives_up_has_done_so_before_that_is_known(outcome, fits):
    """A caller is killed a moment before anybody can say so; a failure is noticed before it is told."""
    stop = Operation("stop", 0, 100, outcome, error="OSError" if outcome == "failed" else "")
    reads = after_each_other(seen("stopping"), seen("running"), first=20)

    assert linearize([stop, *reads], (UP,)).ok is fits


def test_a_caller_that_lives_on_may_act_at_any_time():
    hangs = Operation("remove", 0, None, "unknown", force=True)
    reads = after_each_other(seen("running"), seen("running"), seen("removing"), first=20)

    assert linearize([hangs, *reads], (UP,)).ok


def test_too_much_work_is_undecided_and_says_so():
    starts = [Operation("restart", 0, 100, "unknown", whole=True) for _ in range(12)]
    found = linearize([*starts, replace(seen("paused"), begun=1, ended=50)], (UP,), budget=500)

    assert found.undecided
    assert not found.ok
    assert found.stuck is None
    assert "undecided after 501" in str(found)


def test_many_reads_at_once_cost_little():
    reads = [replace(seen("running", pid=number), begun=0, ended=1000) for number in range(200)]

    assert linearize([*reads, replace(op("stop"), begun=5, ended=900)], (UP,)).looked_at < 1000


def test_a_long_history_takes_as_many_configurations_as_it_has_calls():
    ops = [op("start"), seen("running"), op("pause"), op("unpause"), op("stop")] * 200

    found = alone(*ops)

    assert found.ok
    assert found.looked_at < 20 * len(ops)


# Histories that are made by doing things, with a record of when each call could have begun and ended.

CALLS = [
    op("start", whole=True),
    op("start"),
    op("stop", whole=True),
    op("stop"),
    op("restart"),
    op("kill", fatal=True),
    op("kill"),
    op("pause"),
    op("unpause"),
    op("remove"),
    op("remove", force=True),
    seen(""),
]
OUTCOMES = {
    True: [("done", ""), ("ignored", ""), ("failed", "DependencyNotRunningError"), ("skipped", "")],
    False: [("ok", ""), ("failed", "ContainerStateError"), ("failed", "OCIRuntimeError")],
}


def lived(chance, length=12, width=4):
    """Does what the model may do, step by step, with calls that overlap; returns the history.

    What an operation is to end with is chosen first, and it gives up as unknown when that can't be
    had any more.
    """
    state, clock, under_way, history = NEW, count(1), {}, []
    numbers, created = count(1), Counter()
    while len(history) < length or under_way:
        choice = chance.random()
        if len(history) + len(under_way) < length and choice < 0.3 and len(under_way) < width:
            chosen = chance.choice(CALLS)
            if chosen.outcome != "seen":
                outcome, error = chance.choice([*OUTCOMES[chosen.whole], ("unknown", "")])
                chosen = replace(chosen, outcome=outcome, error=error)
            number = next(numbers)
            under_way[number] = (replace(chosen, begun=next(clock)), 0)
        elif choice < 0.4:
            later = list(spontaneous(state, frozenset(under_way)))
            state = chance.choice(later) if later else state
        elif under_way:
            number = chance.choice(list(under_way))
            call, phase = under_way[number]
            if call.outcome == "seen" and phase == 0:
                code = state.code
                if state.status == "exited" and code == "unseen":
                    code = chance.choice([0, 3, None])
                    state = state._replace(code=code)
                if state.status != "gone":
                    known = chance.choice([state.incarnation, None])
                    code = code if state.status == "exited" else None
                    call = replace(call, state=state.visible, incarnation=known, code=code)
                    under_way[number] = (call, END)
                    continue
                call = replace(call, outcome="failed", error="ContainerRemovedError")
                phase = END
            elif phase != END:
                steps = [
                    step
                    for step in moves(call, number, phase, state)
                    # The model lets some create it again and again, which they don't.
                    if step[1].incarnation == state.incarnation or created[number] < 2
                ]
                if steps:
                    before = state.incarnation
                    phase, state = chance.choice(steps)
                    created[number] += state.incarnation - before
                elif chance.random() < 0.3:
                    call = replace(call, outcome="unknown", error="")
                if phase != END and call.loose and chance.random() < 0.3:
                    phase, state = END, left_by(call, state)
            under_way[number] = (call, phase)
            if phase == END and chance.random() < 0.7:
                del under_way[number]
                history.append(replace(call, ended=next(clock)))
    return history


seeds = st.integers(0, 2**32)


@given(seeds)
def test_what_was_done_one_after_the_other_always_fits(seed):
    found = linearize(lived(random.Random(seed)))

    assert found.ok, found


def some_order(history, initial=NEW):
    """Whether there is an order, by trying all: of calls that take one step at most."""

    def fits(order, state):
        # The states that the container may be in; it may exit between any two calls.
        states = closure({state})
        for call in order:
            states = {
                after
                for before in states
                for phase, after in moves(call, 1, 0, before)
                if phase == END
            }
            states = closure(states)
        return bool(states)

    def closure(states):
        found, to_do = set(), list(states)
        while to_do:
            state = to_do.pop()
            if state not in found:
                found.add(state)
                to_do += spontaneous(state, frozenset())
        return found

    def allowed(order):
        return all(
            not later.ended < earlier.begun
            for place, earlier in enumerate(order)
            for later in order[place + 1 :]
        )

    return any(allowed(order) and fits(order, initial) for order in permutations(history))


@st.composite
def short_histories(draw):
    """Calls of one step each, with whatever intervals and results."""
    states = st.sampled_from(["running", "paused", "exited", "stopping", "removing"])
    codes = st.sampled_from(["unseen", 0, 3, None])
    reads = st.builds(
        lambda state, code, number: seen(state, number, code=code),
        states,
        codes,
        st.sampled_from([None, 1, 2]),
    )
    verbs = st.builds(
        lambda verb, outcome, fatal: op(verb, outcome, whole=outcome != "ok", fatal=fatal),
        st.sampled_from(["pause", "unpause", "kill"]),
        st.sampled_from(["ok", "done", "ignored"]),
        st.booleans(),
    )
    history = []
    for call in draw(st.lists(st.one_of(reads, reads, verbs), min_size=1, max_size=5)):
        begun = draw(st.integers(0, 6))
        history.append(replace(call, begun=begun, ended=begun + draw(st.integers(0, 4))))
    return history


@given(short_histories())
def test_it_agrees_with_trying_all_orders(history):
    assert linearize(history, (UP,)).ok == some_order(history, UP)
