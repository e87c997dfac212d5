"""Times and sizes as people read them in tables."""

import functools

_UNITS = (
    ("year", 365 * 86400),
    ("month", 30 * 86400),
    ("week", 7 * 86400),
    ("day", 86400),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)


def since(seconds: float) -> str:
    """Returns a span of time in its largest unit: ``3 minutes``."""
    return _since(int(seconds))


@functools.lru_cache(maxsize=256)
def _since(seconds: int) -> str:
    for name, length in _UNITS:
        count = seconds // length
        if count >= 1:
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "less than a second"


def ago(moment: float | None, now: float) -> str:
    """Returns how long ago a moment (seconds since the epoch) was; "" for none."""
    if moment is None:
        return ""
    return f"{since(max(0.0, now - moment))} ago"


def rfc3339(moment: float | None) -> str:
    """Returns a moment in UTC as ``inspect`` writes it; "" for none."""
    if moment is None:
        return ""
    from podcore.inspection import rfc3339 as written

    return written(moment)


def size(count: int | None) -> str:
    """Returns a number of bytes in units of 1024; ``--`` where there is no figure."""
    if count is None:
        return "--"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"
