"""What limits may be asked for."""

import math
import re
from dataclasses import replace

from podcore.model import Limits
from podcore.specs import values
from podcore.units import parse_size

_CPUS = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*", re.ASCII)
_SMALLEST_MEMORY = 512 * 1024  # below it not even the runtime's own init comes up
_CPUS_MAX = 8192  # NR_CPUS of the largest configuration of Linux


def check_limits(limits: object, what: str = "limits") -> Limits:
    """Returns limits with sizes in bytes.

    Raises:
        InvalidArgumentError: one is malformed, out of bounds, or contradicts another.
    """
    if not isinstance(limits, Limits):
        raise values.refusal(what, f"{values.shown(limits)} is not of type Limits")
    memory = _size(limits.memory, f"{what}, `memory`")
    swap = limits.memory_swap
    if swap not in (None, -1, "-1"):
        swap = parse_size(swap, f"{what}, `memory_swap`")
        if memory is None:
            raise values.refusal(
                f"{what}, `memory_swap`",
                "it counts memory and swap together, and `memory` is not set",
                "set `memory` too",
            )
        if swap < memory:
            raise values.refusal(
                f"{what}, `memory_swap`",
                f"`{swap}` is less than `memory`, which it includes",
                "give memory plus swap, or -1 for unlimited swap",
            )
    elif swap is not None:
        swap = -1
    return replace(
        limits,
        cpus=_cpus(limits.cpus, f"{what}, `cpus`"),
        cpu_shares=_bounded(limits.cpu_shares, f"{what}, `cpu_shares`", 2, 262144),
        cpuset_cpus=_cpuset(limits.cpuset_cpus, f"{what}, `cpuset_cpus`"),
        memory=memory,
        memory_swap=swap,
        pids_limit=_pids(limits.pids_limit, f"{what}, `pids_limit`"),
        blkio_weight=_bounded(limits.blkio_weight, f"{what}, `blkio_weight`", 10, 1000),
    )


def _size(value: object, what: str) -> int | None:
    if value is None:
        return None
    size = parse_size(value, what)
    if size < _SMALLEST_MEMORY:
        raise values.refusal(
            what, f"`{size}` bytes are too few for a container", "at least `512k`, such as `32m`"
        )
    return size


def _cpus(value: object, what: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise values.refusal(what, f"{values.shown(value)} is not a number")
    # The kernel takes a quota of no less than 1 ms, of a period of 100 ms.
    if not math.isfinite(value) or not 0.01 <= value <= _CPUS_MAX:
        raise values.refusal(what, f"`{value}` is out of bounds", f"from 0.01 to {_CPUS_MAX}")
    return float(value)


def _cpuset(value: object, what: str) -> str | None:
    if value is None:
        return None
    cpus = values.text(value, what, longest=4095).replace(" ", "")
    if _CPUS.fullmatch(cpus) is None:
        raise values.refusal(what, f"{values.shown(value)} is no list of CPUs", "such as `0-2,7`")
    for part in cpus.split(","):
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            raise values.refusal(what, f"`{part}` ends before it begins")
    return cpus


def _pids(value: object, what: str) -> int | None:
    if value is None or value == -1:
        return None if value is None else -1
    return values.integer(value, what, 1, 1 << 22)


def _bounded(value: object, what: str, lowest: int, highest: int) -> int | None:
    return None if value is None else values.integer(value, what, lowest, highest)
