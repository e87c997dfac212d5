"""Places where a test makes this process die, fail, sleep or hang; off, each costs one look.

Every place lies between an intent and the commit of its result, or beside an effect outside the
database. ``PODCORE_FAILPOINTS="NAME=ACTION;…"`` sets them for a process, once, when this module is
imported; ``podcore.testing.failpoints`` does for a block of a test.

An action is ``kill`` (SIGKILL to this process), ``exit`` (at once, with status 70, without any
clean-up), ``raise=ENOSPC`` (an ``OSError`` of that name), ``sleep=SECONDS`` or ``hang``. ``3:kill``
acts the third time that the place is passed, and no other time.
"""

import errno
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

NAMES = (
    "create-pod.before-commit",
    "create-pod.after-commit",
    "create-containers.after-homes",
    "create-containers.before-commit",
    "create-containers.after-commit",
    "create.before-intent",
    "create.after-intent",
    "create.after-attempt",
    "create.after-bundle",
    "create.after-launch",
    "create.after-commit",
    "discard.after-intent",
    "discard.before-commit",
    "start.before-start",
    "start.after-start",
    "start.after-commit",
    "stop.after-intent",
    "stop.after-signal",
    "stop.before-kill",
    "stop.after-kill",
    "stop.after-commit",
    "cleanup.after-intent",
    "cleanup.before-commit",
    "kill.before-signal",
    "kill.after-signal",
    "kill-pod.before-kill",
    "kill-pod.after-kill",
    "kill-pod.after-commit",
    "pause.after-intent",
    "pause.before-commit",
    "pause-pod.after-intents",
    "pause-pod.before-commit",
    "pause-pod.after-commit",
    "spread.after-freeze",
    "spread.after-thaw",
    "unpause.after-intent",
    "unpause.before-commit",
    "purge.after-workers",
    "purge.after-processes",
    "purge.after-runtime",
    "purge.after-cgroup",
    "purge.after-mounts",
    "remove.after-intent",
    "remove.after-purge",
    "remove.before-commit",
    "remove.after-commit",
    "remove-pod.after-mark",
    "remove-pod.after-members",
    "remove-pod.after-infra",
    "remove-pod.after-mounts",
    "remove-pod.before-commit",
    "remove-pod.after-commit",
)
"""All places there are, by verb and step, in the order in which a life passes them."""


@dataclass(slots=True)
class _Armed:
    """What happens at a place; ``left`` counts down to it, None: every time."""

    action: str
    argument: str
    left: int | None


# None while nothing is armed: what every call looks at first.
_armed: dict[str, _Armed] | None = None
_lock = threading.Lock()


def failpoint(name: str) -> None:
    """Does what is armed at a place; nothing as a rule.

    Raises:
        OSError: that is what was asked for.
    """
    if _armed is not None:
        _pass(name)


def parse(text: str) -> dict[str, str]:
    """Returns the settings of a ``PODCORE_FAILPOINTS``.

    Raises:
        ValueError: it is malformed.
    """
    found = {}
    for part in filter(None, (one.strip() for one in text.split(";"))):
        name, equals, action = part.partition("=")
        if not equals:
            raise ValueError(f"`{part}` is no NAME=ACTION")
        found[name.strip()] = action.strip()
    return found


def arm(settings: Mapping[str, str]) -> None:
    """Replaces whatever was armed; an empty mapping switches all off.

    Raises:
        ValueError: there is no such place or action; nothing was changed.
    """
    global _armed  # noqa: PLW0603 -- the switch, one name so that a look costs nothing
    prepared = {name: _parsed(name, action) for name, action in settings.items()}
    _armed = prepared or None


def _parsed(name: str, text: str) -> _Armed:
    if name not in NAMES:
        raise ValueError(f"there is no failpoint `{name}`\nhint: one of {', '.join(NAMES)}")
    count, colon, rest = text.partition(":")
    left = int(count) if colon and count.isdigit() else None
    action, _, argument = (rest if left is not None else text).partition("=")
    known = (
        action in ("kill", "exit", "hang")
        or (action == "raise" and hasattr(errno, argument))
        or (action == "sleep" and argument.replace(".", "", 1).isdigit())
    )
    if not known or left == 0:
        raise ValueError(
            f"failpoint `{name}`: there is no action `{text}`\n"
            "hint: kill, exit, raise=ENOSPC, sleep=SECONDS or hang, with COUNT: before it"
        )
    return _Armed(action, argument, left)


def _pass(name: str) -> None:
    with _lock:
        point = (_armed or {}).get(name)
        if point is None:
            return
        if point.left is not None:
            point.left -= 1
            if point.left != 0:
                return
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()  # it comes at once, but not before the call returns in every thread
    elif point.action == "exit":
        os._exit(70)
    elif point.action == "raise":
        number = getattr(errno, point.argument)
        raise OSError(number, f"{os.strerror(number)} (failpoint {name})")
    elif point.action == "sleep":
        time.sleep(float(point.argument))
    else:
        threading.Event().wait()


arm(parse(os.environ.get("PODCORE_FAILPOINTS", "")))
