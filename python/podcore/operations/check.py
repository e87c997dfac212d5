"""Looks for damage in the state and for what dead workers left behind."""

from podcore.backend import Host
from podcore.errors import PodcoreError
from podcore.lifecycle.held import hold
from podcore.names import short
from podcore.observe import abandoned


def check(host: Host, *, repair: bool) -> list[str]:
    """Returns what is wrong, as sentences: of the database first, then container by container.

    Args:
        host: of the engine.
        repair: take the lock of each container that a dead worker left, which puts it right.

    Raises:
        StoreCorruptError: the database can't be read at all.
    """
    found = host.store.integrity()
    with host.store.read() as view:
        records = view.containers()
        removing = [pod for pod in view.pods() if pod.removing]
    for record in records:
        verb = abandoned(host, record.intent)
        if verb is None:
            continue
        said = f"container `{record.name}` ({short(record.id)}): the worker of its {verb} died"
        if repair:
            try:
                with (
                    host.session(f"repair container {record.name}") as session,
                    hold(host, session, record) as held,
                ):
                    said += f"; put right, it is {held.record.state} now"
            except PodcoreError as error:
                said += f"; not put right: {error}"
        found.append(said)
    found += [
        f"pod `{pod.name}` ({short(pod.id)}) is half removed: remove it again to finish"
        for pod in removing
    ]
    return found
