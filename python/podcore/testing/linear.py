"""Whether what calls on one container had to say fits one order of events (I14).

The algorithm of Wing and Gong in Lowe's just-in-time form: the history is gone through by time, and
what is kept is the set of all configurations in which the container and the operations under way
may be (how far each of those is, and the state of the model), each once. Steps are only taken when
an operation returns, which must then have come to its end; where no configuration is left, there is
no order. Containers are checked one by one: a history is linearizable if each object's is.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from podcore.testing.model import END, Operation, Phase, State, moves, spontaneous

BUDGET = 200_000
"""Configurations that are looked at before a history counts as undecided, some seconds of work."""

_SHOWN = 12

_Configuration = tuple[State, tuple[tuple[int, Phase], ...]]


@dataclass(frozen=True, slots=True)
class Linearization:
    """What became of a check.

    Attributes:
        looked_at: how many configurations.
        stuck: the operation that fits no order of events; None when all do.
        undecided: the budget was used up before that was known.
        before: what the container may have been when the operation that is stuck returned.
        around: the operations that overlap it, and some of those that ended last before it.
    """

    looked_at: int
    stuck: Operation | None = None
    undecided: bool = False
    before: tuple[State, ...] = ()
    around: tuple[Operation, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether there is such an order."""
        return self.stuck is None and not self.undecided

    def __str__(self) -> str:
        if self.undecided:
            return f"undecided after {self.looked_at} configurations"
        if self.stuck is None:
            return "linearizable"
        could = "; ".join(map(str, self.before))
        lines = [f"no order of events explains {self.stuck}; the container was {could}"]
        lines += [f"    {op}" for op in self.around]
        return "\n".join(lines)


def linearize(
    operations: Iterable[Operation],
    initial: Collection[State] = (State(),),
    budget: int = BUDGET,
) -> Linearization:
    """Looks for an order of events that explains all operations on one container.

    Args:
        operations: in any order; they are told apart by their place in it.
        initial: what the container may have been before.
        budget: the most configurations to look at.
    """
    ops = [None, *operations]  # numbers begin with 1: 0 is nobody
    events: list[tuple[int, int, int]] = []
    for number, op in enumerate(ops):
        if op is not None:
            events.append((op.begun, 0, number))
            # What returns in the nanosecond in which another begins may come after it.
            events += [] if op.ended is None else [(op.ended, 1, number)]
    search = _Search(ops, budget)
    configurations: set[_Configuration] = {(state, ()) for state in initial}
    for _, returns, number in sorted(events):
        if not returns:
            configurations = {(state, (*pending, (number, 0))) for state, pending in configurations}
            continue
        ended = search.past(configurations, number)
        if search.exhausted:
            return Linearization(search.looked_at, undecided=True)
        if not ended:
            return _stuck(search, ops, number, configurations)
        configurations = ended
    return Linearization(search.looked_at)


class _Search:
    """Takes steps, and counts them."""

    def __init__(self, ops: list[Operation | None], budget: int) -> None:
        self._ops = ops
        self._budget = budget
        self.looked_at = 0

    @property
    def exhausted(self) -> bool:
        return self.looked_at > self._budget

    def past(self, configurations: set[_Configuration], number: int) -> set[_Configuration]:
        """Returns all configurations in which an operation has ended, without it."""
        ended: set[_Configuration] = set()
        seen: set[_Configuration] = set()
        to_do = [self._looks_done(one) for one in configurations]
        while to_do:
            one = to_do.pop()
            if one in seen:
                continue
            seen.add(one)
            self.looked_at += 1
            if self.exhausted:
                break
            state, pending = one
            rest = tuple(pair for pair in pending if pair[0] != number)
            if (number, END) in pending:
                ended.add((state, rest))
                continue
            to_do += map(self._looks_done, self._steps(state, pending))
        return ended

    def _steps(self, state: State, pending: tuple[tuple[int, Phase], ...]) -> list[_Configuration]:
        under_way = frozenset(number for number, _ in pending)
        found: list[_Configuration] = [(after, pending) for after in spontaneous(state, under_way)]
        for place, (number, phase) in enumerate(pending):
            op = self._ops[number]
            if phase == END or op is None:
                continue
            for further, after in moves(op, number, phase, state):
                changed = (*pending[:place], (number, further), *pending[place + 1 :])
                found.append((after, changed))
        return found

    def _looks_done(self, one: _Configuration) -> _Configuration:
        """Ends what only finds a state that is there: later it would be no better off."""
        state, pending = one
        return state, tuple(
            (number, END if self._fits(number, phase, state) else phase)
            for number, phase in pending
        )

    def _fits(self, number: int, phase: Phase, state: State) -> bool:
        op = self._ops[number]
        if phase == END or op is None or not op.pure:
            return False
        return (END, state) in moves(op, number, phase, state)


def _stuck(
    search: _Search,
    ops: list[Operation | None],
    number: int,
    configurations: set[_Configuration],
) -> Linearization:
    stuck = ops[number]
    assert stuck is not None
    assert stuck.ended is not None, "what never returns is never asked for its end"
    others = [op for op in ops if op is not None and op is not stuck]
    around = [
        op
        for op in others
        if op.begun <= stuck.ended and (op.ended is None or op.ended >= stuck.begun)
    ]
    before = [op for op in others if op.ended is not None and op.ended < stuck.begun]
    before.sort(key=lambda op: op.ended or 0)
    shown = sorted([*before[-_SHOWN:], *around], key=lambda op: op.begun)
    states = sorted({state for state, _ in configurations}, key=str)
    return Linearization(search.looked_at, stuck, before=tuple(states), around=tuple(shown))
