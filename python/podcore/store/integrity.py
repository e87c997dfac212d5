"""Looks for damage that a read in passing would not notice."""

from podcore.store.rows import Configs, DamagedRowError
from podcore.store.view import View

_MOST = 100


def problems(view: View, configs: Configs) -> list[str]:
    """Returns what is wrong with the database of a view, as sentences in a fixed order."""
    ask = view.rows
    found = [str(row[0]) for row in ask(f"PRAGMA integrity_check({_MOST})") if row[0] != "ok"]
    found += [
        f"table {table}, row {row}: refers to a row of {parent} that is not there"
        for table, row, parent, _ in ask("PRAGMA foreign_key_check")
    ]
    found += [
        f"container `{name}` ({identifier}) has no state"
        for identifier, name in ask(
            "SELECT id, name FROM container WHERE number NOT IN"
            " (SELECT number FROM container_state) ORDER BY number"
        )
    ]
    configs.clear()  # what is remembered says nothing about what is stored
    for read in (view.pods, view.containers, view.volumes):
        try:
            read()
        except DamagedRowError as error:
            found.append(str(error))
    return found
