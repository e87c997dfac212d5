"""What podcore is tested with, for those who test their own tooling on it.

``failpoints`` makes a process die or fail between any two steps of a verb, ``check_invariants``
says what a crash may not leave behind, ``watch`` sees what a test does to all twenty invariants, a
``Rig`` makes OCI runtimes that misbehave container by
container, and ``fake_engine`` is an engine whose containers are simulated inside this process.
None of it is imported by podcore itself.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podcore.testing.failures import failpoints
    from podcore.testing.fake import fake_engine
    from podcore.testing.invariants import check_invariants
    from podcore.testing.rig import Rig
    from podcore.testing.simulation import Behaviour, FakeContainers
    from podcore.testing.watching import Watch, watch

__all__ = [
    "Behaviour",
    "FakeContainers",
    "Rig",
    "Watch",
    "check_invariants",
    "failpoints",
    "fake_engine",
    "watch",
]

_HOMES = {
    "Behaviour": "simulation",
    "FakeContainers": "simulation",
    "fake_engine": "fake",
    "Rig": "rig",
    "check_invariants": "invariants",
    "failpoints": "failures",
    "Watch": "watching",
    "watch": "watching",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'podcore.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"podcore.testing.{_HOMES[name]}"), name)
