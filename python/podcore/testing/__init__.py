"""What podcore is tested with, for those who test their own tooling on it.

``failpoints`` makes a process die or fail between any two steps of a verb, ``check_invariants``
says what a crash may not leave behind, ``watch`` sees what a test does to all twenty invariants,
``linearize`` looks for an order of events that explains what calls of several threads or processes
on one container had to say, a ``Rig`` makes OCI runtimes that misbehave container by container, and
``fake_engine`` is an engine whose containers are simulated inside this process.
None of it is imported by podcore itself.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podcore.testing.failures import failpoints
    from podcore.testing.fake import fake_engine
    from podcore.testing.invariants import check_invariants
    from podcore.testing.linear import Linearization, linearize
    from podcore.testing.model import Operation, State
    from podcore.testing.rig import Rig
    from podcore.testing.simulation import Behaviour, FakeContainers
    from podcore.testing.watching import Watch, watch

__all__ = [
    "Behaviour",
    "FakeContainers",
    "Linearization",
    "Operation",
    "Rig",
    "State",
    "Watch",
    "check_invariants",
    "failpoints",
    "fake_engine",
    "linearize",
    "watch",
]

_HOMES = {
    "Behaviour": "simulation",
    "FakeContainers": "simulation",
    "fake_engine": "fake",
    "Rig": "rig",
    "check_invariants": "invariants",
    "failpoints": "failures",
    "Linearization": "linear",
    "Operation": "model",
    "State": "model",
    "linearize": "linear",
    "Watch": "watching",
    "watch": "watching",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'podcore.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"podcore.testing.{_HOMES[name]}"), name)
