"""What a container may do, as ``inspect --security`` shows it."""

from typing import Any

from podcore import bundle
from podcore.backend import Host
from podcore.lifecycle import config
from podcore.operations.find import current
from podcore.records import ContainerRecord


# `Any`: ready for JSON.
def security(host: Host, which: ContainerRecord) -> dict[str, Any]:
    """Returns what the config.json of a container lets it do; takes no lock.

    Of one that was never started, what it will.

    Raises:
        ContainerRemovedError: it is gone.
        InvalidArgumentError: something that its spec names is no longer there.
    """
    pod, record = current(host, which)
    return bundle.security(config.current(host.places, record, pod))
