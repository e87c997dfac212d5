"""Facts of this boot of the host."""

import functools

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@functools.cache
def boot_id() -> str:
    """Returns the id of this boot, 36 characters; another one after each reboot.

    Callers write ``host.boot_id()``, so that a test can put another function in its place.

    Raises:
        OSError: /proc is not mounted.
    """
    with open(_BOOT_ID, encoding="ascii") as file:
        return file.read().strip()
