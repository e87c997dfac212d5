"""What is true of a container, over all combinations of what is recorded and what is seen.

``expected`` is written from the matrix of ARCHITECTURE.md ("Reconcile"), row by row, apart from
the code: the first row that fits decides.
"""

import itertools

import pytest

from podcore.model import ContainerStatus
from podcore.reconcile import Action, Exit, Observation, Process, decide
from podcore.records import Verb

S = ContainerStatus
STATES = list(S)
VERBS = [None, *Verb]
SEEN = [
    Observation(same_boot=boot, process=process, exit=left, populated=populated)
    for boot, process, left, populated in itertools.product(
        (True, False), Process, Exit, (True, False)
    )
]
WAS_ALIVE = {S.RUNNING, S.PAUSED, S.STOPPING, S.UNKNOWN}


def removed(state, verb, seen):
    return state == "removing" or verb == "remove"


def rebooted(state, verb, seen):
    return not seen.same_boot


def half_created(state, verb, seen):
    return verb == "create"


def never_created(state, verb, seen):
    return state == "configured"


def over(state, verb, seen):
    return state == "exited" or verb == "cleanup"


def dead(state, verb, seen):
    return seen.process == "gone"


def waiting(state, verb, seen):
    return seen.process == "waiting"


def frozen(state, verb, seen):
    return seen.process == "frozen"


def anything(state, verb, seen):
    return True


def after_reboot(state, verb, seen):
    if state == "exited":
        return "exited", ["purge"], None
    if state in WAS_ALIVE:
        return "exited", ["purge"], "" if seen.exit == "recorded" else "Reboot"
    return "configured", ["purge"], None


def after_death(state, verb, seen):
    actions = ["wait_for_exit"] if seen.exit == "pending" else []
    actions += ["end_rest"] if seen.populated else []
    return "exited", actions, "MonitorLost" if seen.exit == "lost" else ""


MATRIX = [
    (removed, lambda *_: ("removing", [], None)),
    (rebooted, after_reboot),
    (half_created, lambda *_: ("configured", ["purge"], None)),
    (never_created, lambda s, v, seen: ("configured", ["purge"] if seen.populated else [], None)),
    (over, lambda s, v, seen: ("exited", ["end_rest"] if seen.populated else [], None)),
    (dead, after_death),
    (waiting, lambda *_: ("created", [], None)),
    (frozen, lambda *_: ("paused", [], None)),
    (anything, lambda s, v, _: ("running", ["thaw"] if v in ("pause", "unpause") else [], None)),
]


def expected(state, verb, seen):
    answer = next(answer for fits, answer in MATRIX if fits(state, verb, seen))
    return answer(state, verb, seen)


def every():
    return itertools.product(STATES, VERBS, SEEN)


@pytest.mark.parametrize("state", STATES)
def test_every_combination_has_the_answer_of_the_matrix(state):
    for verb, seen in itertools.product(VERBS, SEEN):
        found = decide(state, verb, seen)
        wanted_state, actions, reason = expected(state, verb, seen)

        told = (found.state, [str(action) for action in found.actions], found.reason)
        assert told == (wanted_state, actions, reason or ""), (state, verb, seen)


def test_nothing_is_alive_after_a_reboot():
    for state, verb, seen in every():
        if not seen.same_boot:
            found = decide(state, verb, seen)
            assert found.state in (S.EXITED, S.CONFIGURED, S.REMOVING), (state, verb, seen)


def test_nothing_is_alive_without_a_process():
    for state, verb, seen in every():
        if seen.process is Process.GONE:
            found = decide(state, verb, seen)
            alive = (S.RUNNING, S.PAUSED, S.CREATED, S.STOPPING)
            assert found.state not in alive, (state, verb, seen)


def test_no_answer_is_a_state_that_somebody_would_have_to_leave_again():
    for state, verb, seen in every():
        assert decide(state, verb, seen).state not in (S.STOPPING, S.UNKNOWN), (state, verb, seen)


def test_a_removal_is_never_undone():
    for state, verb, seen in every():
        removing = state is S.REMOVING or verb is Verb.REMOVE
        assert (decide(state, verb, seen).state is S.REMOVING) == removing


def test_no_process_outlives_a_container_that_is_not_alive():
    """What is left in its cgroup is ended, whatever ended the container."""
    for state, verb, seen in every():
        found = decide(state, verb, seen)
        if seen.populated and found.state in (S.EXITED, S.CONFIGURED):
            assert {Action.PURGE, Action.END_REST} & set(found.actions), (state, verb, seen)


def test_a_lost_code_always_has_a_reason():
    for state, verb, seen in every():
        found = decide(state, verb, seen)
        ends_now = found.state is S.EXITED and state is not S.EXITED and verb is not Verb.CLEANUP
        if ends_now and seen.exit is Exit.LOST:
            assert found.reason in ("MonitorLost", "Reboot"), (state, verb, seen)


def test_a_recorded_code_needs_no_reason():
    for state, verb, seen in every():
        if seen.exit is Exit.RECORDED:
            assert decide(state, verb, seen).reason == "", (state, verb, seen)


def test_actions_come_in_the_order_in_which_they_are_done_and_once():
    order = list(Action)
    for state, verb, seen in every():
        places = [order.index(action) for action in decide(state, verb, seen).actions]
        assert places == sorted(set(places)), (state, verb, seen)


def test_the_answer_is_stable():
    """Once the actions are done and the answer is committed, the next look says the same."""
    for state, verb, seen in every():
        found = decide(state, verb, seen)
        purged = Action.PURGE in found.actions
        settled = Observation(
            same_boot=True,
            process=Process.GONE if purged or not seen.same_boot else seen.process,
            exit=Exit.RECORDED if Action.WAIT_FOR_EXIT in found.actions else seen.exit,
            populated=seen.populated and not {Action.PURGE, Action.END_REST} & set(found.actions),
        )
        again = decide(found.state, None, settled)
        assert again.state is found.state, (state, verb, seen)
        assert Action.PURGE not in again.actions, (state, verb, seen)
