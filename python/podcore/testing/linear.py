"""Whether what calls on one container had to say fits one order of events (I14).

The algorithm of Wing and Gong in Lowe's just-in-time form: the history is gone through by time, and
what is kept is the set of all configurations in which the container and the operations under way
may be (how far each of those is, and the state of the model), each once. Steps are only taken when
an operation returns, which must then have come to its end; where no configuration is left, there is
no order. Containers are checked one by one: a history is linearizable if each object's is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from podcore.testing.model import END, Operation, Phase, State, left_by, moves, spontaneous

BUDGET = 400_000
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
        could = "; ".join(dict.fromkeys(map(str, self.before[:_SHOWN])))
        more = "; …" if len(self.before) > _SHOWN else ""
        lines = [f"no order of events explains {self.stuck}; the container was {could}{more}"]
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
        budget: the most configurations to look at, in each of two passes.
    """
    every = list(operations)
    # Most that fail or are ignored have done nothing, and that is quickly tried: an order without
    # what they may have done is an order.
    likely = [_idle(op) for op in every if op.outcome == "unknown" or not op.loose]
    found = _search(likely, initial, budget)
    if found.stuck is None or likely == every:
        return found
    again = _search(every, initial, budget)
    return replace(again, looked_at=found.looked_at + again.looked_at)


def _idle(op: Operation) -> Operation:
    """Returns an operation that was ignored as the look that it comes to."""
    ignored = op.outcome == "ignored" and op.state
    return replace(op, verb="look", outcome="seen") if ignored else op


def _search(
    operations: Sequence[Operation], initial: Collection[State], budget: int
) -> Linearization:
    ops = dict(enumerate(operations, 1))  # 0 is nobody
    events = sorted(_events(ops))
    search = _Search(ops, budget)
    limits = _limits(ops, events, max((state.incarnation for state in initial), default=0))
    configurations: set[_Configuration] = {(state, ()) for state in initial}
    for place, (_, returns, number) in enumerate(events):
        if not returns:
            configurations = {(state, (*pending, (number, 0))) for state, pending in configurations}
            continue
        ended = search.past(configurations, number, limits[place])
        if search.exhausted:
            return Linearization(search.looked_at, undecided=True)
        if not ended:
            return _stuck(search, ops, number, configurations)
        configurations = ended
    return Linearization(search.looked_at)


def _events(ops: Mapping[int, Operation]) -> Iterator[tuple[int, int, int]]:
    for number, op in ops.items():
        yield op.begun, 0, number
        # What returns in the nanosecond in which another begins may come after it.
        if op.ended is not None:
            yield op.ended, 1, number


def _limits(
    ops: Mapping[int, Operation], events: Sequence[tuple[int, int, int]], first: int
) -> Sequence[float]:
    """Returns, for each event, the highest incarnation that there can be.

    It never goes back, so it is no more than anybody sees who begins later; and all who have begun
    to start the container until then create it twice at most.
    """
    seen = inf
    limits = []
    for _, returns, number in reversed(events):
        limits.append(seen)
        incarnation = ops[number].incarnation
        if not returns and incarnation is not None:
            seen = min(seen, incarnation)
    limits.reverse()
    made = first
    for place, (_, returns, number) in enumerate(events):
        if not returns and ops[number].verb in ("start", "restart"):
            made += 2
        limits[place] = min(limits[place], made)
    return limits


class _Search:
    """Takes steps, and counts them."""

    def __init__(self, ops: Mapping[int, Operation], budget: int) -> None:
        self._ops = ops
        self._budget = budget
        self._pure = frozenset(number for number, op in ops.items() if op.pure)
        # One that failed, or was killed, gave up at some moment before it returned, or was known to
        # be dead; one that never returns may be at work for ever.
        self._giving_up = frozenset(
            number for number, op in ops.items() if op.loose and op.ended is not None
        )
        self._moves: dict[tuple[int, Phase, State], list[tuple[Phase, State]]] = {}
        self.looked_at = 0

    @property
    def exhausted(self) -> bool:
        return self.looked_at > self._budget

    def past(
        self, configurations: Iterable[_Configuration], number: int, limit: float
    ) -> set[_Configuration]:
        """Returns the configurations in which an operation has ended, without it.

        Only what it takes to come to its end is done: everything else can be done later as well.

        Args:
            configurations: in which it is under way.
            number: of the operation.
            limit: the highest incarnation that the container may have.
        """
        loose = self._ops[number].loose
        ended: set[_Configuration] = set()
        seen: set[_Configuration] = set()
        to_do = [self._looks_done(one) for one in configurations]
        if loose:
            ended.update(self._given_up(one, number) for one in to_do)
        while to_do:
            one = to_do.pop()
            if one in seen or one[0].incarnation > min(limit, self._limit(one)):
                continue
            seen.add(one)
            self.looked_at += 1
            if self.exhausted:
                break
            if (number, END) in one[1]:
                ended.add(_without(one, number))
                continue
            for mover, further in self._steps(one):
                after = self._looks_done(further)
                to_do.append(after)
                if loose and mover == number:
                    ended.add(self._given_up(after, number))
        return ended

    def _given_up(self, one: _Configuration, number: int) -> _Configuration:
        state, pending = _without(one, number)
        done = (number, END) in one[1]
        return state if done else left_by(self._ops[number], state), pending

    def _limit(self, one: _Configuration) -> float:
        """The least incarnation that one who looks has yet to see."""
        limit = inf
        for number, phase in one[1]:
            incarnation = self._ops[number].incarnation
            if incarnation is not None and phase != END and incarnation < limit:
                limit = incarnation
        return limit

    def _steps(self, one: _Configuration) -> Iterator[tuple[int, _Configuration]]:
        """Returns all next configurations, each with who made that step; 0 for nobody."""
        state, pending = one
        under_way = frozenset(number for number, _ in pending if number not in self._giving_up)
        for after in spontaneous(state, under_way):
            yield 0, (after, pending)
        for place, (number, phase) in enumerate(pending):
            if phase == END:
                continue
            for further, after in self._moves_of(number, phase, state):
                changed = (*pending[:place], (number, further), *pending[place + 1 :])
                yield number, (after, changed)

    def _looks_done(self, one: _Configuration) -> _Configuration:
        """Ends what only finds a state that is there: later it would be no better off."""
        state, pending = one
        fits = [
            number
            for number, phase in pending
            if phase != END
            and number in self._pure
            and (END, state) in self._moves_of(number, phase, state)
        ]
        if not fits:
            return one
        return state, tuple((number, END if number in fits else phase) for number, phase in pending)

    def _moves_of(self, number: int, phase: Phase, state: State) -> list[tuple[Phase, State]]:
        key = (number, phase, state)
        found = self._moves.get(key)
        if found is None:
            found = self._moves[key] = moves(self._ops[number], number, phase, state)
        return found


def _without(one: _Configuration, number: int) -> _Configuration:
    state, pending = one
    return state, tuple(pair for pair in pending if pair[0] != number)


def _stuck(
    search: _Search,
    ops: Mapping[int, Operation],
    number: int,
    configurations: Iterable[_Configuration],
) -> Linearization:
    stuck = ops[number]
    assert stuck.ended is not None, "what never returns is never asked for its end"
    others = [op for other, op in ops.items() if other != number]
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
