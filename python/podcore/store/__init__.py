"""What podcore remembers: an SQLite database of pods, containers, volumes and events.

The only package that imports apsw, and itself imported only when a store is opened.
"""

from podcore.store.change import Change
from podcore.store.claims import Claim
from podcore.store.rebuilding import identity, rebuild
from podcore.store.store import Store
from podcore.store.unjournaled import unjournaled
from podcore.store.view import View

__all__ = ["Change", "Claim", "Store", "View", "identity", "rebuild", "unjournaled"]
