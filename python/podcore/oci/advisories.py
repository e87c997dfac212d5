"""Which published ways out of a container the version of a runtime does not rule out."""

import math
import re
from typing import NamedTuple

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:[-~]rc\.?(\d+))?")


class Advisory(NamedTuple):
    """Ways out of a container that upstream closed with one set of releases.

    Attributes:
        cves: what they are called.
        fixed: the first release that closes them of each branch that upstream still mended,
            oldest first; later branches never had them.
    """

    cves: tuple[str, ...]
    fixed: tuple[str, ...]


# crun has none here: upstream calls it not affected by CVE-2024-21626, and CVE-2025-24965 needs the
# handler `krun`, which an annotation selects that podcore refuses.
_PUBLISHED: dict[str, tuple[Advisory, ...]] = {
    "runc": (
        Advisory(("CVE-2024-21626",), ("1.1.12",)),
        Advisory(
            ("CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"),
            ("1.2.8", "1.3.3", "1.4.0-rc.3"),
        ),
        Advisory(("CVE-2026-41579",), ("1.3.6", "1.4.3")),
    ),
}


def open_in(name: str, version: str) -> tuple[Advisory, ...]:
    """Returns what upstream closed in later versions only, oldest first.

    A distribution may have mended an old version without giving it a new number, so this is reason
    to look, and no proof of a hole.

    Args:
        name: ``runc`` or ``crun``.
        version: what the runtime calls its own, such as ``1.1.5+ds1``; none are known of one that
            begins with no number.
    """
    running = _key(version)
    if running is None:
        return ()
    return tuple(one for one in _PUBLISHED.get(name, ()) if not _closed(running, one.fixed))


def _closed(running: tuple[float, ...], fixed: tuple[str, ...]) -> bool:
    keys = [key for text in fixed if (key := _key(text)) is not None]
    return any(running >= key and (running[:2] == key[:2] or key == keys[-1]) for key in keys)


def _key(version: str) -> tuple[float, ...] | None:
    """Returns what orders versions: a candidate for a release comes before that."""
    found = _VERSION.match(version)
    if found is None:
        return None
    major, minor, patch, candidate = found.groups()
    return int(major), int(minor), int(patch or 0), int(candidate) if candidate else math.inf
