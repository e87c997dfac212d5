"""Looks at the database, and rebuilds it, or the rows that an earlier one had, from the ledgers."""

from podcore.backend import Host
from podcore.errors import StoreCorruptError
from podcore.lifecycle import ledger
from podcore.lifecycle.ledger import Entry
from podcore.operations.system import recovery
from podcore.operations.system.findings import Findings
from podcore.records import ContainerRecord, PodRecord, VolumeRecord
from podcore.store import Change, View, identity, rebuild


def check(host: Host, findings: Findings) -> bool:
    """Notes what is wrong with the database.

    Returns:
        Whether its rows can be believed.

    Raises:
        StoreError: it can't be used for a reason that a repair does not change.
    """
    path = f"{host.places.root}/state.db"
    damaged = identity(host.places.root)
    try:
        problems = host.store.integrity()
    except StoreCorruptError as error:
        problems = [str(error).partition("\n")[0]]
    if problems:
        text = "; ".join(problems)
        hint = "`podcore system check --repair` rebuilds it from what is on the host"
        return findings.add("database", path, text, lambda: _rebuild(host, damaged), hint)
    _check_lost(host, findings)
    return True


def _rebuild(host: Host, damaged: tuple[int, int] | None) -> None:
    found = recovery.entries(host.places)

    def fill(change: Change) -> None:
        _refill(host, change, found)

    rebuild(host.places.root, host.locks, fill, damaged, host.claim)


def _refill(host: Host, change: Change, found: list[Entry]) -> None:
    rows = recovery.adopt(host, change, found)
    recovery.renew(host.places, change, rows)


def _check_lost(host: Host, findings: Findings) -> None:
    """Notes the objects whose rows were in a database that is not there any more."""
    found = recovery.entries(host.places)
    with host.store.read() as view:
        lost = _without_rows(view, found)
    for entry in lost:
        kind, name = _named(entry)
        text = f"{kind} `{name}` was in a database that is gone"
        findings.add("lost", name, text, lambda: _adopt(host, found))


def _without_rows(view: View, found: list[Entry]) -> list[Entry]:
    current = ledger.store_id(view)
    return [
        entry for entry in found if entry.store != current and not recovery.known(view, entry.row)
    ]


def _adopt(host: Host, found: list[Entry]) -> None:
    """Gives all of them their rows again, in one transaction; there already is fine."""
    with (
        host.session("recover lost rows") as session,
        host.store.write(session, durable=True) as change,
    ):
        ledger.name_store(change)
        rows = recovery.adopt(host, change, _without_rows(change, found))
        recovery.renew(host.places, change, rows)


def _named(entry: Entry) -> tuple[str, str]:
    row: PodRecord | ContainerRecord | VolumeRecord = entry.row
    if isinstance(row, PodRecord):
        return "pod", row.name
    if isinstance(row, ContainerRecord):
        return "container", row.name
    return "volume", row.name
