"""What the states of a pod's containers add up to."""

import itertools

import pytest

from podcore.model import ContainerStatus as S
from podcore.operations.status import pod_status


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "created"),
        ([S.CONFIGURED], "created"),
        ([S.CREATED], "created"),
        ([S.CONFIGURED, S.CREATED], "created"),
        ([S.RUNNING], "running"),
        ([S.RUNNING, S.RUNNING], "running"),
        # A container that is being stopped counts as running (libpod says 'error').
        ([S.STOPPING], "running"),
        ([S.RUNNING, S.STOPPING], "running"),
        ([S.STOPPING, S.EXITED], "degraded"),
        ([S.RUNNING, S.CONFIGURED], "degraded"),
        ([S.RUNNING, S.EXITED], "degraded"),
        ([S.RUNNING, S.PAUSED], "degraded"),
        ([S.PAUSED], "paused"),
        ([S.PAUSED, S.PAUSED], "paused"),
        ([S.PAUSED, S.CONFIGURED], "created"),
        ([S.PAUSED, S.EXITED], "stopped"),
        ([S.EXITED], "exited"),
        ([S.EXITED, S.EXITED], "exited"),
        ([S.EXITED, S.CONFIGURED], "stopped"),
        ([S.EXITED, S.CREATED], "stopped"),
        ([S.UNKNOWN], "error"),
        ([S.REMOVING], "error"),
        ([S.RUNNING, S.UNKNOWN], "error"),
        ([S.RUNNING, S.REMOVING], "error"),
        ([S.EXITED, S.UNKNOWN], "error"),
    ],
)
def test_states_add_up(states, expected):
    assert pod_status(states) == expected


def test_the_order_of_containers_does_not_matter():
    for states in itertools.combinations_with_replacement(S, 3):
        assert len({pod_status(list(order)) for order in itertools.permutations(states)}) == 1
